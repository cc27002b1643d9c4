/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The daemon assembled: everything hangs from struct server. server.c builds, runs and frees it,
 * reload.c changes its configuration, lifecycle.c brings it to its end, and housekeeping.c does
 * what is due every now and then. Main thread only.
 */
#ifndef ECHOD_DAEMON_SERVER_H
#define ECHOD_DAEMON_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include <event2/event.h>

#include "base/attributes.h"
#include "base/error_list.h"
#include "base/log.h"
#include "config/configuration.h"
#include "control/control_server.h"
#include "control/server_interface.h"
#include "daemon/notifier.h"
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

struct housekeeping;

enum lifecycle_phase {
	PHASE_SERVING,
	PHASE_DRAIN_DELAY, /* a drain was asked for; accepting goes on for shutdown.delay */
	PHASE_DRAINED,     /* no new clients, until the drain is taken back */
	PHASE_STOP_DELAY,  /* accepting goes on while load balancers see /readyz */
	PHASE_STOP_DRAIN,  /* listeners are closed, connections end as they become idle */
	PHASE_STOP_CUT,    /* shutdown.timeout has passed: the rest is flushed */
	PHASE_ENDING,      /* the workers close what is left, and end */
	PHASE_ENDED,
};

/* All times CLOCK_MONOTONIC. */
struct lifecycle {
	enum lifecycle_phase phase;
	struct event *timer;  /* owned; pending while the present phase may end by itself */
	int64_t deadline_ns;  /* end of the present phase */
	int64_t delay_end_ns; /* end of shutdown.delay, 0 before a drain or stop */
	int64_t ticked_ns;    /* last tick */
	int64_t extended_ns;  /* when the service manager was last asked for more time */
	bool turn_given;      /* a late tick has made the present phase longer */
};

STAILQ_HEAD(reload_waiters, control_waiter);

struct reload_job;

/* A reload that is under way, and what asks for the next one. */
struct reload {
	struct reload_job *job;        /* shared with its thread; NULL: none is under way */
	struct reload_waiters served;  /* told when that one ends */
	struct reload_waiters waiting; /* those that came meanwhile: the next one is theirs */
	bool again;                    /* a signal came meanwhile */
};

struct server {
	const struct options *options;         /* borrowed from main */
	struct config *config;                 /* owned; the one in force: what runs */
	struct loop *loop;                     /* owned; the main loop */
	struct engine *engine;                 /* owned */
	struct control_server *control;        /* owned */
	struct event *signals[SERVER_SIGNALS]; /* owned */
	struct housekeeping *housekeeping;     /* owned */
	struct event *reload_soon;             /* owned; pending after SIGHUP */
	int64_t reloaded_ns;                   /* when that last ran; CLOCK_MONOTONIC */
	struct reload reload;
	struct control_actions actions; /* for the control port */
	struct notifier notifier;
	struct lifecycle lifecycle;
	struct process_status status;
};

/*
 * Build everything for OPTIONS, serve until a signal ends it, and take everything down. Returns the
 * exit code; what went wrong has been told.
 */
enum server_exit server_serve(const struct options *options);

/*
 * Read the configuration that OPTIONS name. Addresses that overlap are mistakes unless sockets were
 * passed in: those have the addresses of their units, whatever is configured. As
 * config_file_read() otherwise.
 */
struct config *server_read_config(
    const struct options *options, struct error_list *errors, struct config **ret_rejected);

/*
 * Block all signals in the calling thread, and so in every thread it starts; ignore SIGPIPE
 * (a client that left) and SIGUSR2, whose default would end the daemon.
 */
void server_block_signals(void);

/* Let the main thread, which serves, receive signals, those that came meanwhile included. */
void server_unblock_signals(void);

/* Log each line of ERRORS. */
void server_log_errors(const struct error_list *errors);

/* Take from CFG and OPTIONS how to log. */
struct log_settings server_log_settings(const struct config *cfg, const struct options *options);

/*
 * Raise the soft limit on descriptors to what CFG may need, which is better refused at start than
 * found out under load; nothing is called when it suffices. CFG is not in force yet: where nobody
 * chose its limits.connections, that is lowered to what the hard limit has room for, and a warning
 * says so. Returns 0, or -EMFILE with a line in ERRORS that gives both numbers.
 */
ATTR_MUSTCHECK int server_raise_descriptors(struct config *cfg, struct error_list *errors);

/*
 * Read the configuration again and put it in force, or say why not; reopen the log file. The file
 * is read on a thread of its own; what comes meanwhile is served by one more reload after this.
 * What changed, or the errors, are logged and told to WAITER (NULL: nobody). CONTEXT is the server,
 * here and below: these are the verbs of control_actions.
 */
void reload_run(void *context, struct control_waiter *waiter);

/* At the end: wait for no reload, and tell those who do. */
void reload_abandon(struct server *server);

/*
 * Open the log file again, after it was rotated. CONTEXT is not looked at. Returns 0, or -errno
 * with a line in ERRORS.
 */
int reload_reopen_log(void *context, struct error_list *errors);

/*
 * Take no more clients after shutdown.delay, and let connections end as they become idle; nothing
 * is cut. Returns 0, also while that goes on already; or -errno with a line in ERRORS.
 */
ATTR_MUSTCHECK int lifecycle_drain(void *context, struct error_list *errors);

/*
 * Take clients again. Returns 0, also when nothing was drained; -EBUSY while stopping; or another
 * -errno when a listener cannot be had again, then the drain goes on. Lines in ERRORS.
 */
ATTR_MUSTCHECK int lifecycle_undrain(void *context, struct error_list *errors);

/* Begin to stop. Returns 0, or -EBUSY with a line in ERRORS when that goes on already. */
ATTR_MUSTCHECK int lifecycle_stop(void *context, struct error_list *errors);

/* End at once: connections are cut and counted. */
void lifecycle_stop_now(struct server *server);

/* What the lifecycle's timer calls, which runs on the main loop and persists; ARG is the server. */
void lifecycle_on_timer(evutil_socket_t fd, short what, void *arg);

/*
 * Log the totals, after the main loop has ended. Returns 0; or -ETIMEDOUT when a worker hangs:
 * then nothing that it may use can be freed.
 */
ATTR_MUSTCHECK int lifecycle_finish(struct server *server);

/* Start, and feed the watchdog if the service manager has one. Returns 0 or -ENOMEM. */
ATTR_MUSTCHECK int housekeeping_start(struct server *server);

/* Tell the service manager now: the state or the figures have changed. */
void housekeeping_report(struct housekeeping *keeping);

/* Stop. The workers must have been stopped: they may still hold a ping. NULL is fine. */
void housekeeping_free(struct housekeeping *keeping);

#endif
