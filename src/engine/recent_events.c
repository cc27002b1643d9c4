/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "engine/recent_events.h"

#include <stdlib.h>

#include "base/clock.h"

struct recent_events {
	uint64_t count; /* ever added; the place of the next is its remainder */
	struct recent_event list[RECENT_EVENTS_MAX];
};

struct recent_events *
recent_events_new(void)
{
	return calloc(1, sizeof(struct recent_events));
}

void
recent_events_free(struct recent_events *events)
{
	free(events);
}

static const struct recent_event *
recent_events_at(const struct recent_events *events, uint64_t number)
{
	return &events->list[number % RECENT_EVENTS_MAX];
}

uint64_t
recent_events_now(void)
{
	return (uint64_t)(clock_now_ns() / NS_PER_US);
}

void
recent_events_add(struct recent_events *events, const struct recent_event *event)
{
	struct recent_event *place = &events->list[events->count % RECENT_EVENTS_MAX];
	uint64_t id = recent_events_now();

	if (events->count > 0) {
		uint64_t last = recent_events_at(events, events->count - 1)->id;

		id = id > last ? id : last + 1;
	}
	*place = *event;
	place->id = id;
	events->count++;
}

const struct recent_event *
recent_events_next(const struct recent_events *events, const struct recent_event *previous)
{
	uint64_t oldest = events->count > RECENT_EVENTS_MAX ? events->count - RECENT_EVENTS_MAX : 0;
	uint64_t number = events->count;

	if (previous != NULL) {
		/* how far it lies behind the place of the next one, once around at most */
		uint64_t place = (uint64_t)(previous - events->list);
		uint64_t behind = (events->count % RECENT_EVENTS_MAX + RECENT_EVENTS_MAX - place) %
				  RECENT_EVENTS_MAX;

		number -= behind > 0 ? behind : RECENT_EVENTS_MAX;
	}
	return number > oldest ? recent_events_at(events, number - 1) : NULL;
}

bool
recent_event_is_refusal(unsigned reason)
{
	switch (reason) {
#define X(ID, ...) case COUNTER_REJECTED_##ID:
		REJECT_REASON_LIST(X)
#undef X
		return true;
	default:
		return false;
	}
}

bool
recent_event_is_reason(unsigned id)
{
	switch (id) {
#define X(ID, ...) case COUNTER_CLOSED_##ID:
		CLOSE_REASON_LIST(X)
#undef X
		return true;
	default:
		return recent_event_is_refusal(id);
	}
}
