/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The timetable of an open loop: message INDEX of the whole run is due at a fixed time, whatever
 * became of the ones before it. A latency that is counted from there also contains the time that
 * a message had to wait because the server or the connection stood still.
 */
#ifndef ECHOD_ECHOPING_PACE_H
#define ECHOD_ECHOPING_PACE_H

#include <stdint.h>

struct echoping_pace {
	int64_t start_ns;   /* when message 0 is due */
	double interval_ns; /* from one message to the next */
};

/* A timetable that begins at START_NS with RATE (above 0) messages a second. */
static inline struct echoping_pace
echoping_pace_of(int64_t start_ns, uint64_t rate)
{
	return (struct echoping_pace){ start_ns, 1e9 / (double)rate };
}

/* Return when message INDEX is due. It is multiplied, not added up: no drift. */
static inline int64_t
echoping_pace_time(const struct echoping_pace *pace, uint64_t index)
{
	return pace->start_ns + (int64_t)((double)index * pace->interval_ns);
}

#endif
