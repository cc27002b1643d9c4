/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From serving to the end: a drain that can be taken back, and a stop that only goes forward. Both
 * are phases of one table with one timer; lifecycle.c has the table. Main thread only.
 */
#ifndef ECHOD_DAEMON_LIFECYCLE_H
#define ECHOD_DAEMON_LIFECYCLE_H

#include <stdbool.h>

#include "base/attributes.h"
#include "base/error_list.h"

struct lifecycle;
struct server;

/* Begin to serve. SERVER (borrowed) has its loop and engine. NULL: out of memory. */
struct lifecycle *lifecycle_new(struct server *server);

/* Stop the timer and free. NULL is fine. */
void lifecycle_free(struct lifecycle *lifecycle);

/* Return whether the daemon serves: it neither drains nor stops. */
bool lifecycle_is_serving(const struct lifecycle *lifecycle);

/* Return whether a stop has begun. */
bool lifecycle_is_stopping(const struct lifecycle *lifecycle);

/*
 * Take no more clients after shutdown.delay, and let connections end as they become idle; nothing
 * is cut. Returns 0, also while that goes on already; or -errno with a line in ERRORS.
 */
ATTR_MUSTCHECK int lifecycle_drain(struct lifecycle *lifecycle, struct error_list *errors);

/*
 * Take clients again. Returns 0, also when nothing was drained; -EBUSY while stopping; or another
 * -errno when a listener cannot be had again, then the drain goes on. Lines in ERRORS.
 */
ATTR_MUSTCHECK int lifecycle_undrain(struct lifecycle *lifecycle, struct error_list *errors);

/* Begin to stop; a second call ends at once. */
void lifecycle_stop(struct lifecycle *lifecycle);

/* End at once: connections are cut and counted. */
void lifecycle_stop_now(struct lifecycle *lifecycle);

/*
 * Say how it went, after the main loop has ended. Returns 0; or -ETIMEDOUT when a worker hangs:
 * then nothing that it may use can be freed.
 */
ATTR_MUSTCHECK int lifecycle_finish(struct lifecycle *lifecycle);

#endif
