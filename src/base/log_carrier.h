/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The log thread: it carries records from the queue to the target, writes the summaries of what
 * is missing, and changes over to a new target. It may block in a target for ever; whoever
 * shares `struct log_shared` with it never waits for that.
 */
#ifndef ECHOD_BASE_LOG_CARRIER_H
#define ECHOD_BASE_LOG_CARRIER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/log_queue.h"
#include "base/log_sink.h"

/* What writers, the main thread and the log thread share. Must outlive the log thread. */
struct log_shared {
	/* any thread, without the lock */
	_Atomic uint64_t written, dropped, suppressed; /* see struct log_totals */
	atomic_bool interrupt; /* the log thread must not wait for its target */

	pthread_mutex_t lock; /* for all below */
	pthread_cond_t wake;  /* for the log thread; CLOCK_MONOTONIC */
	pthread_cond_t left;  /* `alive` turned false; CLOCK_MONOTONIC */
	bool alive;           /* there is a log thread */
	bool stopping;        /* it must leave when the queue is empty */
	bool abandon;         /* it must leave now */
	bool renew;           /* it must take over `next` */
	struct log_sink next; /* owned while `renew` is true */
	struct log_queue queue;
};

/* Run the log thread on the struct log_shared at SHARED until it says stop. */
void *log_carrier_run(void *shared);

/*
 * Wait for CONDITION, at most until the monotonic clock says UNTIL_NS. Under the lock. Returns 0
 * or ETIMEDOUT.
 */
int log_carrier_wait(struct log_shared *shared, pthread_cond_t *condition, int64_t until_ns);

/* Add N to one of the totals of SHARED. Any thread. */
void log_carrier_count(_Atomic uint64_t *total, uint64_t n);

#endif
