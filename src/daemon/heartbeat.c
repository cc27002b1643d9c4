/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "daemon/heartbeat.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include <event2/event.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/service_manager.h"

struct pulse {
	_Atomic uint64_t answered; /* written by the worker */
	uint64_t asked;
	struct post post; /* free again once the answer is there */
	bool missed;      /* silence was reported */
};

struct heartbeat {
	struct engine *engine;
	struct event *timer;
	struct pulse *pulses; /* by worker id */
};

/* On the worker's thread. */
static void
heartbeat_do_answer(void *arg)
{
	struct pulse *pulse = arg;

	/* release, and acquire on the other side: with the answer the post is free again */
	atomic_fetch_add_explicit(&pulse->answered, 1, memory_order_release);
}

static bool
heartbeat_check(struct heartbeat *heartbeat, size_t id)
{
	struct pulse *pulse = &heartbeat->pulses[id];

	if (atomic_load_explicit(&pulse->answered, memory_order_acquire) == pulse->asked) {
		pulse->missed = false;
		return true;
	}
	if (!pulse->missed)
		log_error("worker %zu does not answer: the watchdog is not fed", id);
	pulse->missed = true;
	return false;
}

static void
heartbeat_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct heartbeat *heartbeat = arg;
	bool alive = true;

	(void)fd;
	(void)what;
	for (size_t i = 0; i < heartbeat->engine->worker_count; i++) {
		struct pulse *pulse = &heartbeat->pulses[i];

		if (!heartbeat_check(heartbeat, i)) {
			alive = false;
			continue;
		}
		pulse->asked++;
		loop_post(
		    heartbeat->engine->workers[i]->loop, &pulse->post, heartbeat_do_answer, pulse);
	}
	if (alive)
		service_manager_watchdog();
}

struct heartbeat *
heartbeat_new(struct loop *loop, struct engine *engine, int64_t watchdog_ns)
{
	struct timeval interval = clock_timeval(watchdog_ns / 2);
	struct heartbeat *heartbeat = calloc(1, sizeof(*heartbeat));

	if (heartbeat == NULL)
		return NULL;
	heartbeat->engine = engine;
	heartbeat->pulses = calloc(engine->worker_count, sizeof(*heartbeat->pulses));
	heartbeat->timer = event_new(
	    loop_base(loop), -1, EV_PERSIST, heartbeat_on_timer, heartbeat);
	if (heartbeat->pulses == NULL || heartbeat->timer == NULL ||
	    event_add(heartbeat->timer, &interval) < 0) {
		heartbeat_free(heartbeat);
		return NULL;
	}
	return heartbeat;
}

void
heartbeat_free(struct heartbeat *heartbeat)
{
	if (heartbeat == NULL)
		return;
	if (heartbeat->timer != NULL)
		event_free(heartbeat->timer);
	free(heartbeat->pulses);
	free(heartbeat);
}
