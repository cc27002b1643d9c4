/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "daemon/stop.h"

#include <event2/event.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/server.h"
#include "daemon/service_manager.h"

/* How often the steps are looked at while a stop is under way. */
#define STOP_TICK_NS (20 * NS_PER_MS)

/*
 * What connections get to flush after the deadline, and workers to end. With LOG_CLOSE_NS of
 * server.c these stay below the second that the manual promises.
 */
#define STOP_FLUSH_NS (400 * NS_PER_MS)
#define STOP_WORKERS_NS (200 * NS_PER_MS)

/* How often, and how far beyond the present phase, the service manager is asked for patience. */
#define STOP_EXTEND_INTERVAL_NS NS_PER_S
#define STOP_EXTEND_NS (10 * NS_PER_S)

static void
stop_enter_draining(struct server *server, int64_t now_ns)
{
	const struct shutdown_config *cfg = &server->config->shutdown;

	server->phase = SERVER_DRAINING;
	server->phase_deadline_ns = now_ns + cfg->timeout;
	engine_close_listeners(server->engine);
	engine_drain(server->engine, WORKER_DRAINING, cfg->idle_grace);
	log_notice("draining %lld connections", (long long)engine_connections(server->engine));
}

static void
stop_enter_cutting(struct server *server, int64_t now_ns)
{
	server->phase = SERVER_CUTTING;
	server->phase_deadline_ns = now_ns + STOP_FLUSH_NS;
	engine_drain(server->engine, WORKER_CUTTING, 0);
	log_warning("shutdown.timeout has passed: cutting %lld connections",
	    (long long)engine_connections(server->engine));
}

static void
stop_extend(struct server *server, int64_t now_ns)
{
	if (now_ns - server->extended_ns < STOP_EXTEND_INTERVAL_NS)
		return;
	server->extended_ns = now_ns;
	service_manager_extend_timeout(STOP_EXTEND_NS);
}

static void
stop_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct server *server = arg;
	int64_t now_ns = clock_now_ns();
	bool expired = now_ns >= server->phase_deadline_ns;

	(void)fd;
	(void)what;
	stop_extend(server, now_ns);
	if (server->phase == SERVER_DELAYING) {
		if (expired)
			stop_enter_draining(server, now_ns);
	} else if (engine_is_drained(server->engine)) {
		stop_now(server);
	} else if (expired) {
		if (server->phase == SERVER_DRAINING)
			stop_enter_cutting(server, now_ns);
		else
			stop_now(server);
	}
}

struct event *
stop_timer_new(struct server *server)
{
	return event_new(loop_base(server->loop), -1, EV_PERSIST, stop_on_timer, server);
}

bool
stop_is_under_way(const struct server *server)
{
	return server->phase > SERVER_DRAINED;
}

void
stop_begin(struct server *server)
{
	struct timeval interval = clock_timeval(STOP_TICK_NS);

	if (stop_is_under_way(server)) {
		log_notice("told to stop again: ending at once");
		stop_now(server);
		return;
	}
	log_notice("stopping");
	service_manager_stopping();
	server_set_draining(server, true);
	server->phase = SERVER_DELAYING;
	server->phase_deadline_ns = clock_now_ns() + server->config->shutdown.delay;
	if (event_add(server->stop_timer, &interval) < 0)
		stop_now(server);
	else
		stop_on_timer(-1, 0, server);
}

void
stop_now(struct server *server)
{
	server->phase = SERVER_STOPPED;
	loop_stop(server->loop);
}

int
stop_finish(struct server *server)
{
	int r = engine_stop(server->engine, STOP_WORKERS_NS);
	struct counters_sum sum;

	engine_sum(server->engine, &sum);
	log_notice("stopped: %llu connections served, %llu ended by the drain, %llu cut",
	    (unsigned long long)sum.values[COUNTER_CONNECTIONS_ACCEPTED],
	    (unsigned long long)sum.values[COUNTER_CLOSED_DRAIN],
	    (unsigned long long)sum.values[COUNTER_CLOSED_DRAIN_FORCED]);
	return r;
}
