/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The watchdog: WATCHDOG=1 goes to the service manager only when every worker has answered the
 * ping before, so a worker that hangs is as visible as a main loop that does. Main loop only.
 */
#ifndef ECHOD_DAEMON_HEARTBEAT_H
#define ECHOD_DAEMON_HEARTBEAT_H

#include <stdint.h>

#include "engine/engine.h"
#include "engine/loop.h"

struct heartbeat;

/* Start to ping the workers of ENGINE twice in each WATCHDOG_NS. NULL: out of memory. */
struct heartbeat *heartbeat_new(struct loop *loop, struct engine *engine, int64_t watchdog_ns);

/* Stop. The workers must have been stopped: they may still hold a ping. NULL is fine. */
void heartbeat_free(struct heartbeat *heartbeat);

#endif
