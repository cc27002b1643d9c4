/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What was: the peaks since the start, of the whole process and of each service, and the last hour
 * in steps of ten seconds. The acceptor tells of each connection, so that no burst is too short for
 * a peak; the rest is sampled from the counters once a second. Decisions go by the monotonic clock:
 * a clock that is set changes nothing. Main loop only.
 */
#ifndef ECHOD_ENGINE_HISTORY_H
#define ECHOD_ENGINE_HISTORY_H

#include <stdint.h>

#include "base/clock.h"
#include "engine/peaks.h"

struct service_list;

#define HISTORY_STEP_NS (10 * NS_PER_S)
#define HISTORY_STEPS 360

/* X(ID, key): what each step has; all but the first are amounts. */
#define HISTORY_SERIES_LIST(X) \
	X(CONNECTIONS, connections) \
	X(ACCEPTED, accepted) \
	X(REJECTED, rejected) \
	X(CLOSED, closed) \
	X(RECEIVED_BYTES, received_bytes) \
	X(SENT_BYTES, sent_bytes) \
	X(DATAGRAMS_RECEIVED, datagrams_received) \
	X(DATAGRAMS_SENT, datagrams_sent) \
	X(DATAGRAMS_DROPPED, datagrams_dropped)

/* Where a step has each of them. */
enum history_series {
#define X(ID, ...) HISTORY_##ID,
	HISTORY_SERIES_LIST(X)
#undef X
	    HISTORY_SERIES_COUNT,
};

/* Not sampled: the main loop came too late. */
#define HISTORY_UNKNOWN (-1)

struct history {
	struct peaks peaks;                   /* of the whole process */
	int64_t sampled_ns;                   /* when the last sample was taken */
	int64_t step_end_ns;                  /* when the present step is over */
	int64_t step_connections;             /* most in the present step */
	int64_t counts[HISTORY_SERIES_COUNT]; /* what the counters were when it began */
	uint64_t steps;                       /* that are over, since the start */
	int64_t ring[HISTORY_STEPS][HISTORY_SERIES_COUNT]; /* by number of the step */
};

/* Begin at NOW_NS, with nothing counted yet. */
void history_init(struct history *history, int64_t now_ns);

/* One more connection was accepted: there are ALL now, and OWN of the service that has PEAKS. */
static inline void
history_connected(struct history *history, int64_t all, struct peaks *peaks, int64_t own)
{
	if (all > history->step_connections)
		history->step_connections = all;
	peaks_raise(&history->peaks, all);
	peaks_raise(peaks, own);
}

/*
 * Sample SERVICES, which serve CONNECTIONS, if it is time; to be called several times a second.
 * Reads two counters of each shard once a second, and all of them at the end of a step.
 */
void history_tick(
    struct history *history, struct service_list *services, int64_t connections, int64_t now_ns);

#endif
