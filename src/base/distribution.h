/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How long things take, in buckets. A struct distribution is what Prometheus wants: counts in few
 * fixed buckets and a sum; like a struct counters it has one writer, its owner, and any number of
 * readers. A struct histogram is what percentiles want: buckets so fine that each value is known to
 * 1 part in 128; it has one owner and no lock.
 */
#ifndef ECHOD_BASE_DISTRIBUTION_H
#define ECHOD_BASE_DISTRIBUTION_H

#include <stdatomic.h>
#include <stdbool.h>
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

#define HISTOGRAM_SUB_BITS 6
#define HISTOGRAM_SUB (1 << HISTOGRAM_SUB_BITS)
#define HISTOGRAM_BUCKETS ((63 - HISTOGRAM_SUB_BITS + 1) * HISTOGRAM_SUB)

/*
 * int64 nanoseconds in log-linear buckets: below 128 ns each value has its own; above, each power
 * of two is cut into 64 equal ones. All zero is an empty one. 29 KiB: keep it on the heap or in a
 * struct that is there. Threads that use the same one have to take turns.
 */
struct histogram {
	uint64_t count; /* values recorded */
	int64_t sum_ns; /* of all values; stays at INT64_MAX once it would pass it */
	int64_t min_ns; /* exact; 0 while count is 0 */
	int64_t max_ns; /* exact; 0 while count is 0 */
	uint64_t buckets[HISTOGRAM_BUCKETS];
};

/* Count VALUE_NS; a negative one counts as 0. Cheap enough for every message. */
void histogram_record(struct histogram *histogram, int64_t value_ns);

/* Add all that FROM has to INTO; FROM keeps it. */
void histogram_merge(struct histogram *into, const struct histogram *from);

/*
 * Return the value that PERCENT (0 to 100) of all values do not exceed, within 0.8 %; 0 and 100
 * are the exact minimum and maximum. 0 where nothing was recorded.
 */
int64_t histogram_percentile(const struct histogram *histogram, double percent);

/* Return the mean in nanoseconds, 0 where nothing was recorded. */
double histogram_mean(const struct histogram *histogram);

/*
 * Return how many values are at most VALUE_NS. Whole buckets are counted, the one that holds
 * VALUE_NS included: values up to 1.6 % above the bound may be among them.
 */
uint64_t histogram_count_up_to(const struct histogram *histogram, int64_t value_ns);

#define SAMPLING_FIRST 64    /* so many events of a tick are measured */
#define SAMPLING_INTERVAL 16 /* and one of so many that follow */

/*
 * Chooses the events to measure where a precise clock for each would cost too much: by their
 * number, before anybody knows how long they take. One thread.
 */
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
