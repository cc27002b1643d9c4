/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "engine/history.h"

#include <string.h>

#include "engine/service.h"

/*
 * How soon another sample may be taken: a second, less what a timer varies. A rate is what was
 * counted divided by the time it really took, so one over a short or a long interval is right too.
 */
#define SAMPLE_NS (900 * NS_PER_MS)

/*
 * How late the end of a step may be seen. Later, what belongs to which step cannot be told: then
 * all steps that ended meanwhile are unknown, and the present one counts from now.
 */
#define LATE_NS NS_PER_S

void
history_init(struct history *history, int64_t now_ns)
{
	*history = (struct history){ .sampled_ns = now_ns,
		.step_end_ns = now_ns + HISTORY_STEP_NS };
}

static uint64_t
history_read(const struct counters *counters, enum counter id)
{
	return atomic_load_explicit(&counters->cells[id], memory_order_relaxed);
}

/* A service whose listener is gone is sampled on: its connections may still echo. */
static void
history_sample(struct history *history, struct service_list *services, int64_t interval_ns)
{
	uint64_t all[PEAK_RATE_COUNT] = { 0 };
	struct service *service;

	TAILQ_FOREACH (service, services, next) {
		uint64_t own[PEAK_RATE_COUNT] = { 0 };

		own[PEAK_ACCEPTS] = history_read(&service->acceptor, COUNTER_CONNECTIONS_ACCEPTED);
		for (size_t i = 0; i < service->worker_count; i++) {
			const struct counters *counters = &service->shards[i].counters;

			own[PEAK_RECEIVED_BYTES] += history_read(counters, COUNTER_RECEIVED_BYTES);
			own[PEAK_SENT_BYTES] += history_read(counters, COUNTER_SENT_BYTES);
		}
		peaks_sample(&service->peaks, own, interval_ns);
		for (int i = 0; i < PEAK_RATE_COUNT; i++)
			all[i] += own[i];
	}
	peaks_sample(&history->peaks, all, interval_ns);
}

static enum history_series
history_series_of(enum counter id)
{
	switch (id) {
	case COUNTER_CONNECTIONS_ACCEPTED:
		return HISTORY_ACCEPTED;
	case COUNTER_RECEIVED_BYTES:
		return HISTORY_RECEIVED_BYTES;
	case COUNTER_SENT_BYTES:
		return HISTORY_SENT_BYTES;
	case COUNTER_DATAGRAMS_RECEIVED:
		return HISTORY_DATAGRAMS_RECEIVED;
	case COUNTER_DATAGRAMS_SENT:
		return HISTORY_DATAGRAMS_SENT;
#define X(ID, ...) case COUNTER_CLOSED_##ID:
		CLOSE_REASON_LIST(X)
#undef X
		return HISTORY_CLOSED;
#define X(ID, ...) case COUNTER_REJECTED_##ID:
		REJECT_REASON_LIST(X)
#undef X
		return HISTORY_REJECTED;
#define X(ID, ...) case COUNTER_DROPPED_##ID:
		DATAGRAM_DROP_LIST(X)
#undef X
		return HISTORY_DATAGRAMS_DROPPED;
	default:
		return HISTORY_SERIES_COUNT;
	}
}

/* Add all services up, by series. */
static void
history_count(const struct service_list *services, int64_t *ret_counts)
{
	const struct service *service;

	memset(ret_counts, 0, HISTORY_SERIES_COUNT * sizeof(*ret_counts));
	TAILQ_FOREACH (service, services, next) {
		struct counters_sum sum;

		service_sum(service, &sum);
		for (int id = 0; id < COUNTER_COUNT; id++) {
			enum history_series series = history_series_of((enum counter)id);

			if (series != HISTORY_SERIES_COUNT)
				ret_counts[series] += (int64_t)sum.values[id];
		}
	}
}

/* End the present step, which is over, and those that were missed. */
static void
history_step(struct history *history, const struct service_list *services, int64_t connections,
    int64_t now_ns)
{
	int64_t late_ns = now_ns - history->step_end_ns;
	uint64_t over = 1 + (uint64_t)(late_ns / HISTORY_STEP_NS);
	/* as many as the ring has stand for more */
	uint64_t left = over < HISTORY_STEPS ? over : HISTORY_STEPS;
	int64_t counts[HISTORY_SERIES_COUNT];

	history_count(services, counts);
	history->steps += over;
	for (; left > 0; left--) {
		int64_t *step = history->ring[(history->steps - left) % HISTORY_STEPS];

		for (int i = 0; i < HISTORY_SERIES_COUNT; i++)
			step[i] = late_ns > LATE_NS ? HISTORY_UNKNOWN
						    : counts[i] - history->counts[i];
		if (late_ns <= LATE_NS)
			step[HISTORY_CONNECTIONS] = history->step_connections;
	}
	history->step_end_ns += (int64_t)over * HISTORY_STEP_NS;
	memcpy(history->counts, counts, sizeof(counts));
	history->step_connections = connections;
}

void
history_tick(
    struct history *history, struct service_list *services, int64_t connections, int64_t now_ns)
{
	if (now_ns >= history->step_end_ns)
		history_step(history, services, connections, now_ns);
	if (now_ns - history->sampled_ns < SAMPLE_NS)
		return;
	history_sample(history, services, now_ns - history->sampled_ns);
	history->sampled_ns = now_ns;
}
