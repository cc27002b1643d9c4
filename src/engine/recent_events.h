/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The connections that ended last and those that were refused: what /events shows without a log.
 * Each thread keeps a ring of its own, the workers of closes and the main loop of refusals, so that
 * a flood of one does not wash out the other, and nobody waits for anybody. An inspection reads
 * them.
 */
#ifndef ECHOD_ENGINE_RECENT_EVENTS_H
#define ECHOD_ENGINE_RECENT_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"
#include "engine/connection_peer.h"
#include "engine/counters.h"

#define RECENT_EVENTS_MAX 1000

struct service;

/* One connection's end. */
struct recent_event {
	/*
	 * When it happened, in microseconds of CLOCK_MONOTONIC: what is asked at T and is below T
	 * is complete, whichever thread it comes from. Grows within a ring; those of two may be
	 * equal.
	 */
	uint64_t id;
	const struct service *service; /* borrowed: lives as long as the engine */
	uint64_t connection;           /* its id; 0: refused, it never had one */
	union connection_peer peer;
	unsigned reason; /* a counter, of closes or of refusals */
	uint64_t bytes_in;
	uint64_t bytes_out;
	int64_t duration_ns;
};

/* A ring; one thread's. */
struct recent_events;

/* Build an empty ring. NULL: out of memory. */
struct recent_events *recent_events_new(void);

/* Free it; NULL is fine. */
void recent_events_free(struct recent_events *events);

/*
 * Add EVENT, whose id is set here, in place of the oldest. No system call but the clock's, no
 * memory.
 */
void recent_events_add(struct recent_events *events, const struct recent_event *event);

/* Return the next event after PREVIOUS, newest first; the newest after NULL; NULL at the end. */
const struct recent_event *recent_events_next(
    const struct recent_events *events, const struct recent_event *previous);

/* Return the id that something which happens now would have. Any thread. */
uint64_t recent_events_now(void);

/* Return whether counter ID is a reason that an event may have. */
bool recent_event_is_reason(unsigned id);

/* Return whether REASON is of a refusal, not of a close. */
bool recent_event_is_refusal(unsigned reason);

#endif
