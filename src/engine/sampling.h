/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which events are measured where there are too many for a precise clock each: all of them, up to
 * so many in a tick of the coarse clock, chosen before anybody knows what they come to. One thread.
 */
#ifndef ECHOD_ENGINE_SAMPLING_H
#define ECHOD_ENGINE_SAMPLING_H

#include <stdbool.h>
#include <stdint.h>

/* Enough for every event at 16 000 a second, where the kernel ticks 250 times. */
#define SAMPLING_PER_TICK 64

struct sampling {
	int64_t tick_ns; /* clock_coarse_ns() of the last event that was measured */
	unsigned taken;  /* in that tick */
};

/* Return whether to measure the event that begins now, at COARSE_NS of clock_coarse_ns(). */
static inline bool
sampling_take(struct sampling *sampling, int64_t coarse_ns)
{
	if (sampling->tick_ns != coarse_ns)
		*sampling = (struct sampling){ .tick_ns = coarse_ns, .taken = 0 };
	if (sampling->taken >= SAMPLING_PER_TICK)
		return false;
	sampling->taken++;
	return true;
}

#endif
