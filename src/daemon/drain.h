/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A drain that can be taken back: not ready, accepting for shutdown.delay, then no more, and
 * connections end as they become idle. Nothing is cut, and the daemon stays. Main thread only.
 */
#ifndef ECHOD_DAEMON_DRAIN_H
#define ECHOD_DAEMON_DRAIN_H

#include "base/attributes.h"
#include "base/error_list.h"

struct event;
struct server;

/* Build the timer that ends shutdown.delay, not yet running. NULL: out of memory. */
struct event *drain_timer_new(struct server *server);

/* Begin; a drain that is on already is fine. Returns 0, or -EBUSY with a line while stopping. */
ATTR_MUSTCHECK int drain_begin(struct server *server, struct error_list *errors);

/*
 * Serve again; without a drain that is fine too. Returns 0; -EBUSY while stopping; or another
 * -errno when a listener cannot be had again, then the drain goes on. Lines in ERRORS.
 */
ATTR_MUSTCHECK int drain_end(struct server *server, struct error_list *errors);

#endif
