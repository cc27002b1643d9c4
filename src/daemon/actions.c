/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "daemon/actions.h"

#include <errno.h>

#include "daemon/reload.h"
#include "daemon/server.h"

static const struct config *
actions_config(void *context)
{
	struct server *server = context;

	return server->config;
}

static int
actions_reload(void *context, struct control_reload *ret_reload)
{
	return reload_run(context, ret_reload);
}

static int
actions_drain(void *context, struct error_list *errors)
{
	struct server *server = context;

	return lifecycle_drain(server->lifecycle, errors);
}

static int
actions_undrain(void *context, struct error_list *errors)
{
	struct server *server = context;

	return lifecycle_undrain(server->lifecycle, errors);
}

static int
actions_stop(void *context, struct error_list *errors)
{
	struct server *server = context;

	/* a second word from here must not turn into a cut */
	if (lifecycle_is_stopping(server->lifecycle)) {
		error_list_add(errors, "the daemon is stopping already");
		return -EBUSY;
	}
	lifecycle_stop(server->lifecycle);
	return 0;
}

static int
actions_log_reopen(void *context, struct error_list *errors)
{
	(void)context;
	return reload_reopen_log(errors);
}

static int
actions_log_level(void *context, enum log_level level, struct error_list *errors)
{
	(void)context;
	(void)errors;
	log_set_level(level);
	log_notice("log.level is %s until the next reload", log_level_name(level));
	return 0;
}

struct control_actions
actions_of(struct server *server)
{
	return (struct control_actions){ .context = server,
		.config = actions_config,
		.reload = actions_reload,
		.drain = actions_drain,
		.undrain = actions_undrain,
		.stop = actions_stop,
		.log_reopen = actions_log_reopen,
		.log_level = actions_log_level };
}
