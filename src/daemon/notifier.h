/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the service manager is told, sd_notify(3), without ever waiting for it: a manager that hangs
 * must not take the main loop with it. What its socket has no room for (ten messages by default,
 * see net.unix.max_dgram_qlen) waits here, in order, and is tried again a few times a second.
 * Without a manager, or in a build that does not know it, nothing is told. Main thread only.
 */
#ifndef ECHOD_DAEMON_NOTIFIER_H
#define ECHOD_DAEMON_NOTIFIER_H

#include <stddef.h>

#include "base/address.h"
#include "base/attributes.h"

/* READY, RELOADING and READY, STOPPING, and one each of three figures; see notifier_tell(). */
#define NOTIFIER_WAITING_MAX 7

#define NOTIFIER_TEXT_MAX 128

struct notifier {
	int fd; /* owned; -1: nobody is told */
	struct address manager;
	char waiting[NOTIFIER_WAITING_MAX][NOTIFIER_TEXT_MAX]; /* oldest first */
	size_t count;
};

/* Prepare to tell the manager that NOTIFY_SOCKET names, a path or an abstract name. */
void notifier_init(struct notifier *notifier);

/* Try once more to send what waits, and close. */
void notifier_done(struct notifier *notifier);

/*
 * Tell the manager the state in FORMAT, now or when it has room. Changes of state, READY,
 * RELOADING and STOPPING, arrive in order; but a reload that nobody has heard of yet gives way to
 * the next one, and what else is told to the latest of its kind.
 */
void notifier_tell(struct notifier *notifier, const char *format, ...) ATTR_PRINTF(2, 3);

/* Send what waits, as far as there is room; to be called several times a second. */
void notifier_flush(struct notifier *notifier);

#endif
