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
