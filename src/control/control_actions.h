/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the control port can have done: the verbs behind its POST routes, carried out by the
 * server (floor 4). All on the main loop; all answer at once.
 */
#ifndef ECHOD_CONTROL_CONTROL_ACTIONS_H
#define ECHOD_CONTROL_CONTROL_ACTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error_list.h"
#include "base/log.h"
#include "config/configuration.h"

/* One directive that a reload changed. */
struct control_change {
	char *key;  /* owned: "limits.connections" */
	char *from; /* owned; "" for what was not there */
	char *to;   /* owned */
	bool needs_restart;
};

/* How a reload went. */
struct control_reload {
	struct control_change *changes; /* owned */
	size_t count;
	struct error_list errors; /* not empty: nothing was changed */
};

/* The verbs. Each returns 0, or -errno with a line in ERRORS that says why not now. */
struct control_actions {
	void *context;
	/* Return the configuration in force; borrowed until the next reload. */
	const struct config *(*config)(void *context);
	/* Reload; the caller calls control_reload_done() in any case. */
	int (*reload)(void *context, struct control_reload *ret_reload);
	/* Become not ready, serve the backlogs, finish connections as they become idle; reversible.
	 */
	int (*drain)(void *context, struct error_list *errors);
	/* Serve again after a drain. */
	int (*undrain)(void *context, struct error_list *errors);
	/* Stop as SIGTERM does. */
	int (*stop)(void *context, struct error_list *errors);
	/* Open the log file again. */
	int (*log_reopen)(void *context, struct error_list *errors);
	/* Change log.level until the next reload or start. */
	int (*log_level)(void *context, enum log_level level, struct error_list *errors);
};

/* Free what RELOAD owns. */
void control_reload_done(struct control_reload *reload);

#endif
