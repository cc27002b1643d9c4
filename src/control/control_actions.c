/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "control/control_actions.h"

#include <stdlib.h>

void
control_reload_done(struct control_reload *reload)
{
	for (size_t i = 0; i < reload->count; i++) {
		free(reload->changes[i].key);
		free(reload->changes[i].from);
		free(reload->changes[i].to);
	}
	free(reload->changes);
	reload->changes = NULL;
	reload->count = 0;
	error_list_done(&reload->errors);
}
