/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the main loop does every now and then: measure how late it is, tell the service manager
 * how many connections are served, give memory back to the system after a burst, and feed the
 * watchdog. That is fed only when every worker has answered the ping before, so a worker that hangs
 * is as visible as a main loop that does. Main loop only.
 */
#ifndef ECHOD_DAEMON_HOUSEKEEPING_H
#define ECHOD_DAEMON_HOUSEKEEPING_H

#include "control/server_interface.h"
#include "engine/engine.h"
#include "engine/loop.h"

struct housekeeping;

/* Start; the watchdog if the service manager has one. ENGINE, STATUS: borrowed. NULL: no memory. */
struct housekeeping *housekeeping_new(
    struct loop *loop, struct engine *engine, const struct process_status *status);

/* Tell the service manager now: the state or the figures have changed. */
void housekeeping_report(struct housekeeping *keeping);

/* Stop. The workers must have been stopped: they may still hold a ping. NULL is fine. */
void housekeeping_free(struct housekeeping *keeping);

#endif
