/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which events are measured where there are too many for a precise clock each: the first in a tick
 * of the coarse clock, and then one of so many, chosen before anybody knows what they come to. One
 * thread.
 */
#ifndef ECHOD_ENGINE_SAMPLING_H
#define ECHOD_ENGINE_SAMPLING_H

#include <stdbool.h>
#include <stdint.h>

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
