/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the main loop does every now and then: measure how late it is, tell the service manager
 * how many connections are served, and give memory back to the system after a burst.
 */
#ifndef ECHOD_DAEMON_HOUSEKEEPING_H
#define ECHOD_DAEMON_HOUSEKEEPING_H

#include "control/process_status.h"
#include "engine/engine.h"
#include "engine/loop.h"

struct housekeeping;

/* Start, with a first word to the service manager. ENGINE and STATUS are borrowed. NULL: no memory.
 */
struct housekeeping *housekeeping_new(
    struct loop *loop, struct engine *engine, const struct process_status *status);

/* Tell the service manager now: the state or the figures have changed. NULL is fine. */
void housekeeping_report(struct housekeeping *keeping);

/* Stop. NULL is fine. */
void housekeeping_free(struct housekeeping *keeping);

#endif
