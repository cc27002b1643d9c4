/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What time does to connections: idle, too old, stalled, lingering too long, drained. One coarse
 * timer of a worker runs them all over lists that are ordered by what they look for, so no message
 * pays for a timer and no check walks what it does not end. The worker's thread.
 */
#ifndef ECHOD_ENGINE_CHECKS_H
#define ECHOD_ENGINE_CHECKS_H

struct worker;

/* Run every check once; connections may be freed. */
void checks_run(struct worker *worker);

#endif
