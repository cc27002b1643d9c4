/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The most there ever was since the start, of one service or of all. The history samples them.
 * Main loop only.
 */
#ifndef ECHOD_ENGINE_PEAKS_H
#define ECHOD_ENGINE_PEAKS_H

#include <stdint.h>

/* X(ID, key): what is measured per second. */
#define PEAK_RATE_LIST(X) \
	X(ACCEPTS, accepts_per_second) \
	X(RECEIVED_BYTES, received_bytes_per_second) \
	X(SENT_BYTES, sent_bytes_per_second)

/* Where struct peaks has each of them. */
enum peak_rate {
#define X(ID, ...) PEAK_##ID,
	PEAK_RATE_LIST(X)
#undef X
	    PEAK_RATE_COUNT,
};

/* All zero at first. */
struct peaks {
	int64_t connections;              /* at one time */
	uint64_t rates[PEAK_RATE_COUNT];  /* in one interval between samples, per second */
	uint64_t counts[PEAK_RATE_COUNT]; /* what the counters were at the last sample */
};

/* PEAKS are of something that has CONNECTIONS now. */
static inline void
peaks_raise(struct peaks *peaks, int64_t connections)
{
	if (connections > peaks->connections)
		peaks->connections = connections;
}

/* Take a sample: the counters are at COUNTS now, INTERVAL_NS after the sample before. */
void peaks_sample(struct peaks *peaks, const uint64_t counts[PEAK_RATE_COUNT], int64_t interval_ns);

#endif
