/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How long things take, as Prometheus wants it: counts in fixed buckets and a sum. Like a struct
 * counters it has one writer, its owner, and any number of readers.
 */
#ifndef ECHOD_BASE_DISTRIBUTION_H
#define ECHOD_BASE_DISTRIBUTION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Buckets with a bound; one more takes what is longer than all. */
#define DISTRIBUTION_BUCKETS 16

/* A scale of upper bounds in ns, ascending; values equal to a bound belong to its bucket. */
struct distribution_scale {
	int64_t bounds_ns[DISTRIBUTION_BUCKETS];
};

/* From 10 us to 10 s: delays of the loop and of an echo. */
extern const struct distribution_scale distribution_delays;
/* From 1 ms to a day: lives of connections. */
extern const struct distribution_scale distribution_lives;

struct distribution {
	_Atomic uint64_t buckets[DISTRIBUTION_BUCKETS + 1]; /* each for itself, not cumulative */
	_Atomic int64_t sum_ns;
};

/* A sum of many owners' distributions on one scale, for one reader. */
struct distribution_sum {
	uint64_t buckets[DISTRIBUTION_BUCKETS + 1];
	int64_t sum_ns;
};

/* Record one value. The owner only. */
void distribution_record(
    struct distribution *distribution, const struct distribution_scale *scale, int64_t ns);

/* Add DISTRIBUTION to SUM. Any thread. The count is the sum of the buckets, so the two agree. */
void distribution_add(const struct distribution *distribution, struct distribution_sum *sum);

/*
 * Which events are measured where there are too many for a precise clock each. It is decided before
 * anybody knows what they come to. One thread.
 */

/* In a tick all of so many are measured, then one of each so many. */
#define SAMPLING_FIRST 64
#define SAMPLING_INTERVAL 16

struct sampling {
	int64_t tick_ns; /* clock_coarse_ns() of the last event */
	unsigned events; /* in that tick */
};

/* Return whether to measure the event that begins now, at COARSE_NS of clock_coarse_ns(). */
static inline bool
sampling_take(struct sampling *sampling, int64_t coarse_ns)
{
	if (sampling->tick_ns != coarse_ns)
		*sampling = (struct sampling){ .tick_ns = coarse_ns, .events = 0 };
	sampling->events++;
	return sampling->events <= SAMPLING_FIRST || sampling->events % SAMPLING_INTERVAL == 0;
}

#endif
