/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The end of a daemon, in steps that only go forward: go on accepting for shutdown.delay while
 * /readyz says 503; serve the backlogs and close the listeners; let connections end as they
 * become idle; at shutdown.timeout a last second to flush; cut the rest. Main thread only.
 */
#ifndef ECHOD_DAEMON_STOP_H
#define ECHOD_DAEMON_STOP_H

#include <stdbool.h>

#include "base/attributes.h"

struct event;
struct server;

/* Build the timer that drives a stop, not yet running. NULL: out of memory. */
struct event *stop_timer_new(struct server *server);

/* Begin to stop; a second call ends at once. */
void stop_begin(struct server *server);

/* Return whether a stop has begun. */
bool stop_is_under_way(const struct server *server);

/* End at once: connections are cut and counted. */
void stop_now(struct server *server);

/*
 * Stop the workers and say how it went; after the main loop has ended. Returns 0; or -ETIMEDOUT
 * when a worker hangs.
 */
ATTR_MUSTCHECK int stop_finish(struct server *server);

#endif
