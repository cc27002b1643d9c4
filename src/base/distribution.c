/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "base/distribution.h"

#include "base/clock.h"

const struct distribution_scale distribution_delays = {
	.bounds_ns = { 10 * NS_PER_US, 25 * NS_PER_US, 50 * NS_PER_US, 100 * NS_PER_US,
	    250 * NS_PER_US, 500 * NS_PER_US, NS_PER_MS, 2500 * NS_PER_US, 5 * NS_PER_MS,
	    10 * NS_PER_MS, 25 * NS_PER_MS, 50 * NS_PER_MS, 100 * NS_PER_MS, 500 * NS_PER_MS,
	    NS_PER_S, 10 * NS_PER_S },
};

const struct distribution_scale distribution_lives = {
	.bounds_ns = { NS_PER_MS, 5 * NS_PER_MS, 25 * NS_PER_MS, 100 * NS_PER_MS, 500 * NS_PER_MS,
	    NS_PER_S, 5 * NS_PER_S, 15 * NS_PER_S, 60 * NS_PER_S, 300 * NS_PER_S, 900 * NS_PER_S,
	    3600 * NS_PER_S, 4 * 3600 * NS_PER_S, 8 * 3600 * NS_PER_S, 16 * 3600 * NS_PER_S,
	    24 * 3600 * NS_PER_S },
};

void
distribution_record(
    struct distribution *distribution, const struct distribution_scale *scale, int64_t ns)
{
	uint64_t count;
	int64_t sum;
	size_t i = 0;

	while (i < DISTRIBUTION_BUCKETS && ns > scale->bounds_ns[i])
		i++;
	count = atomic_load_explicit(&distribution->buckets[i], memory_order_relaxed);
	atomic_store_explicit(&distribution->buckets[i], count + 1, memory_order_relaxed);
	sum = atomic_load_explicit(&distribution->sum_ns, memory_order_relaxed);
	atomic_store_explicit(&distribution->sum_ns, sum + ns, memory_order_relaxed);
}

void
distribution_add(const struct distribution *distribution, struct distribution_sum *sum)
{
	for (size_t i = 0; i <= DISTRIBUTION_BUCKETS; i++)
		sum->buckets[i] += atomic_load_explicit(
		    &distribution->buckets[i], memory_order_relaxed);
	sum->sum_ns += atomic_load_explicit(&distribution->sum_ns, memory_order_relaxed);
}

/*
 * A value with its highest bit at E (at least HISTOGRAM_SUB_BITS) is shifted right until only that
 * bit and the SUB_BITS below it are left: the shift chooses the range, the bits the bucket in it.
 */
static size_t
histogram_index(int64_t value_ns)
{
	uint64_t value = value_ns > 0 ? (uint64_t)value_ns : 0;
	unsigned shift;

	if (value < HISTOGRAM_SUB)
		return value;
	shift = 63 - HISTOGRAM_SUB_BITS - (unsigned)__builtin_clzll(value);
	return (size_t)shift * HISTOGRAM_SUB + (size_t)(value >> shift);
}

/* The middle of a bucket: never further than half its width from any value in it. */
static int64_t
histogram_middle(size_t index)
{
	size_t shift;
	int64_t low;

	if (index < 2 * HISTOGRAM_SUB)
		return (int64_t)index;
	shift = index / HISTOGRAM_SUB - 1;
	low = (int64_t)(HISTOGRAM_SUB + index % HISTOGRAM_SUB) << shift;
	return low + ((INT64_C(1) << shift) - 1) / 2;
}

/* Take in COUNT values, at least one, that lie from MIN_NS to MAX_NS and make SUM_NS. */
static void
histogram_take(
    struct histogram *histogram, uint64_t count, int64_t sum_ns, int64_t min_ns, int64_t max_ns)
{
	if (histogram->count == 0 || min_ns < histogram->min_ns)
		histogram->min_ns = min_ns;
	if (max_ns > histogram->max_ns)
		histogram->max_ns = max_ns;
	if (__builtin_add_overflow(histogram->sum_ns, sum_ns, &histogram->sum_ns))
		histogram->sum_ns = INT64_MAX;
	histogram->count += count;
}

void
histogram_record(struct histogram *histogram, int64_t value_ns)
{
	if (value_ns < 0)
		value_ns = 0;
	histogram_take(histogram, 1, value_ns, value_ns, value_ns);
	histogram->buckets[histogram_index(value_ns)]++;
}

void
histogram_merge(struct histogram *into, const struct histogram *from)
{
	if (from->count == 0)
		return;
	histogram_take(into, from->count, from->sum_ns, from->min_ns, from->max_ns);
	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
		into->buckets[i] += from->buckets[i];
}

int64_t
histogram_percentile(const struct histogram *histogram, double percent)
{
	double wanted = percent / 100 * (double)histogram->count;
	uint64_t seen = 0;
	int64_t value = histogram->max_ns;

	if (percent <= 0)
		return histogram->min_ns;
	if (percent >= 100)
		return histogram->max_ns;
	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += histogram->buckets[i];
		if (seen > 0 && (double)seen >= wanted) {
			value = histogram_middle(i);
			break;
		}
	}
	if (value < histogram->min_ns)
		return histogram->min_ns;
	return value < histogram->max_ns ? value : histogram->max_ns;
}

double
histogram_mean(const struct histogram *histogram)
{
	return histogram->count > 0 ? (double)histogram->sum_ns / (double)histogram->count : 0;
}

uint64_t
histogram_count_up_to(const struct histogram *histogram, int64_t value_ns)
{
	size_t last = histogram_index(value_ns);
	uint64_t seen = 0;

	if (value_ns < 0)
		return 0;
	for (size_t i = 0; i <= last; i++)
		seen += histogram->buckets[i];
	return seen;
}
