/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the daemon gives the control port: a status to show, and functions that carry out the POST
 * routes. So the control port steers the daemon without including its headers. All on the main
 * loop; all return at once, and a reload tells later how it went.
 */
#ifndef ECHOD_CONTROL_SERVER_INTERFACE_H
#define ECHOD_CONTROL_SERVER_INTERFACE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/attributes.h"
#include "base/error_list.h"
#include "base/log.h"
#include "config/configuration.h"

/* Owned and written by the server. */
struct process_status {
	int64_t started_ns;      /* CLOCK_MONOTONIC */
	int64_t started_boot_ns; /* clock_boot_ns(), as all of that name */
	int64_t wall_offset_ns;  /* to be added to such, for the wall clock; follows that one */
	const char *not_ready;   /* "starting" or "draining"; NULL when ready */
	bool draining;
	uint64_t reloads_succeeded;
	uint64_t reloads_failed;
	bool last_reload_succeeded;   /* true before the first reload: the start was one */
	int64_t last_success_boot_ns; /* of the start or the last good reload */
	size_t needs_restart;         /* directives of which the file's value waits for it */
};

/* One directive that a reload changed, or could not change. */
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

/* Who waits for a reload: embedded in what will answer, and in use until done() is called. */
struct control_waiter {
	STAILQ_ENTRY(control_waiter) next; /* for the daemon */
	/*
	 * A reload that began after the request has ended with R, 0 or -errno (-EBUSY: the daemon
	 * drains or stops). OUTCOME is borrowed for the call.
	 */
	void (*done)(struct control_waiter *waiter, int r, const struct control_reload *outcome);
};

/* The verbs. Each returns 0, or -errno with a line in ERRORS that says why not now. */
struct control_actions {
	void *context;
	/* Return the configuration in force; borrowed until the next reload. */
	const struct config *(*config)(void *context);
	/* Reload; WAITER (NULL: nobody) may be told before this returns, or later. */
	void (*reload)(void *context, struct control_waiter *waiter);
	/* Become not ready, serve the backlogs, finish idle connections; can be taken back. */
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
static inline void
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

#endif
