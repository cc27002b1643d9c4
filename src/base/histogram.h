/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Distribution of durations: int64 nanoseconds in log-linear buckets. Below 128 ns each value has
 * its own bucket; above, each power of two is cut into 64 equal ones, so that a value is known to
 * 1 part in 128 whatever its size. A plain struct with one owner: no lock, no allocation; who
 * shares one between threads sees to it that they take turns.
 */
#ifndef ECHOD_BASE_HISTOGRAM_H
#define ECHOD_BASE_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

#define HISTOGRAM_SUB_BITS 6
#define HISTOGRAM_SUB (1 << HISTOGRAM_SUB_BITS)
#define HISTOGRAM_BUCKETS ((63 - HISTOGRAM_SUB_BITS + 1) * HISTOGRAM_SUB)

/* All zero is an empty one. 29 KiB: keep it on the heap or in a struct that is there. */
struct histogram {
	uint64_t count; /* values recorded */
	int64_t sum_ns; /* of all values; stays at INT64_MAX once it would pass it */
	int64_t min_ns; /* exact; 0 while count is 0 */
	int64_t max_ns; /* exact; 0 while count is 0 */
	uint64_t buckets[HISTOGRAM_BUCKETS];
};

/* Forget everything. */
void histogram_reset(struct histogram *histogram);

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

#endif
