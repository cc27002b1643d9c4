/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Signals as events of the main loop. Every thread but the main one keeps all signals blocked.
 */
#ifndef ECHOD_DAEMON_SIGNALS_H
#define ECHOD_DAEMON_SIGNALS_H

#include "base/attributes.h"
#include "engine/loop.h"

struct signals;

/*
 * Block all signals in the calling thread, and so in every thread it starts; ignore SIGPIPE
 * (a client that left) and SIGUSR2, whose default would end the daemon.
 */
void signals_block(void);

/* Have HANDLER(CONTEXT, signal number) called on LOOP for each signal served. NULL: failed. */
struct signals *signals_new(
    struct loop *loop, void (*handler)(void *context, int number), void *context);

/* Let the main thread receive signals, those that came meanwhile included. */
void signals_unblock(void);

/* Stop listening to signals. NULL is fine. */
void signals_free(struct signals *signals);

#endif
