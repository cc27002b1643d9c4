/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From serving to the end: a drain that can be taken back, and a stop that only goes forward. Both
 * are phases of one table with one timer; lifecycle.c has the table. Main thread only.
 */
#ifndef ECHOD_DAEMON_LIFECYCLE_H
#define ECHOD_DAEMON_LIFECYCLE_H

#include <stdbool.h>
#include <stdint.h>

#include <event2/event.h>

#include "base/attributes.h"
#include "base/error_list.h"

struct server;

enum lifecycle_phase {
	PHASE_SERVING,
	PHASE_DRAIN_DELAY, /* a drain was asked for; accepting goes on for shutdown.delay */
	PHASE_DRAINED,     /* no new clients, until somebody says otherwise */
	PHASE_STOP_DELAY,  /* accepting goes on while load balancers see /readyz */
	PHASE_STOP_DRAIN,  /* listeners are closed, connections end as they become idle */
	PHASE_STOP_CUT,    /* shutdown.timeout has passed: the rest is flushed */
	PHASE_ENDING,      /* the workers close what is left, and end */
	PHASE_ENDED,
};

/* Part of struct server; all times CLOCK_MONOTONIC. */
struct lifecycle {
	enum lifecycle_phase phase;
	struct event *timer;  /* the server's; pending while the present phase may end by itself */
	int64_t deadline_ns;  /* end of the present phase */
	int64_t delay_end_ns; /* end of shutdown.delay, 0 before a drain or stop */
	int64_t ticked_ns;    /* last tick */
	int64_t extended_ns;  /* when the service manager was last asked for patience */
	bool turn_given;      /* a late tick has made the present phase longer */
};

/* What the timer calls, which runs on the main loop and persists; SERVER is a struct server. */
void lifecycle_on_timer(evutil_socket_t fd, short what, void *server);

/*
 * Take no more clients after shutdown.delay, and let connections end as they become idle; nothing
 * is cut. CONTEXT is the server, as in control_actions. Returns 0, also while that goes on already;
 * or -errno with a line in ERRORS.
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

/*
 * Say how it went, after the main loop has ended. Returns 0; or -ETIMEDOUT when a worker hangs:
 * then nothing that it may use can be freed.
 */
ATTR_MUSTCHECK int lifecycle_finish(struct server *server);

#endif
