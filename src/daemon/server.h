/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The daemon assembled: everything hangs from struct server, which is built, run and taken down
 * here. Changing the configuration is reload.c, coming to an end is lifecycle.c. Main thread only.
 */
#ifndef ECHOD_DAEMON_SERVER_H
#define ECHOD_DAEMON_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "config/configuration.h"
#include "control/server_interface.h"
#include "control/control_server.h"
#include "daemon/housekeeping.h"
#include "daemon/lifecycle.h"
#include "daemon/options.h"
#include "engine/engine.h"
#include "engine/loop.h"

/* Exit codes of sysexits(3), and what each means here. */
enum server_exit {
	SERVER_EXIT_OK = 0,
	SERVER_EXIT_USAGE = 64,         /* the command line */
	SERVER_EXIT_UNAVAILABLE = 69,   /* an address cannot be bound */
	SERVER_EXIT_SOFTWARE = 70,      /* an internal error */
	SERVER_EXIT_OS = 71,            /* memory, descriptors, threads */
	SERVER_EXIT_PERMISSION = 77,    /* an address or file may not be used */
	SERVER_EXIT_CONFIGURATION = 78, /* the configuration, or what was inherited */
};

/* How many signals are served: TERM, INT, QUIT, HUP, USR1. */
#define SERVER_SIGNALS 5

struct server {
	const struct options *options;  /* borrowed from main */
	struct config *config;          /* owned; the one in force */
	struct config *first_config;    /* owned; the one of the start, once a reload replaced it */
	struct loop *loop;              /* owned; the main loop */
	struct engine *engine;          /* owned */
	struct control_server *control; /* owned */
	struct event *signals[SERVER_SIGNALS]; /* owned */
	struct housekeeping *housekeeping;     /* owned */
	struct event *reload;                  /* owned; pending after SIGHUP */
	int64_t reloaded_ns;                   /* when that last ran; CLOCK_MONOTONIC */
	struct control_actions actions;        /* for the control port */
	struct lifecycle lifecycle;
	struct process_status status;
	bool hangs; /* a worker did not end: nothing may be freed */
};

/*
 * Build everything for OPTIONS up to the running workers. Returns the server; or NULL, with the
 * errors told and *ret_exit the code to leave with.
 */
struct server *server_new(const struct options *options, enum server_exit *ret_exit);

/* Serve until a signal ends it. Returns the exit code. */
enum server_exit server_run(struct server *server);

/* Take down what server_new() built, in reverse; half-built and NULL are fine. */
void server_free(struct server *server);

/* Read the configuration that OPTIONS name. NULL with lines in ERRORS. */
struct config *server_read_config(const struct options *options, struct error_list *errors);

/* Take from CFG and OPTIONS how to log. */
struct log_settings server_log_settings(const struct config *cfg, const struct options *options);

/*
 * Read the configuration again and put it in force, or say why not; reopen the log file (reload.c).
 * What changed, or the errors, are logged and written to RET_RELOAD, which the caller releases with
 * control_reload_done(). CONTEXT is the server, as in control_actions. Returns 0; -EBUSY while the
 * daemon drains or stops; or another -errno, and nothing was changed.
 */
int reload_run(void *context, struct control_reload *ret_reload);

/*
 * Open the log file again, after it was rotated. CONTEXT is not looked at. Returns 0, or -errno
 * with a line in ERRORS.
 */
int reload_reopen_log(void *context, struct error_list *errors);

#endif
