/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "base/histogram.h"

#include <string.h>

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

void
histogram_reset(struct histogram *histogram)
{
	memset(histogram, 0, sizeof(*histogram));
}

static void
histogram_add_sum(struct histogram *histogram, int64_t sum_ns)
{
	if (__builtin_add_overflow(histogram->sum_ns, sum_ns, &histogram->sum_ns))
		histogram->sum_ns = INT64_MAX;
}

void
histogram_record(struct histogram *histogram, int64_t value_ns)
{
	if (value_ns < 0)
		value_ns = 0;
	if (histogram->count == 0 || value_ns < histogram->min_ns)
		histogram->min_ns = value_ns;
	if (value_ns > histogram->max_ns)
		histogram->max_ns = value_ns;
	histogram_add_sum(histogram, value_ns);
	histogram->count++;
	histogram->buckets[histogram_index(value_ns)]++;
}

void
histogram_merge(struct histogram *into, const struct histogram *from)
{
	if (from->count == 0)
		return;
	if (into->count == 0 || from->min_ns < into->min_ns)
		into->min_ns = from->min_ns;
	if (from->max_ns > into->max_ns)
		into->max_ns = from->max_ns;
	histogram_add_sum(into, from->sum_ns);
	into->count += from->count;
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
