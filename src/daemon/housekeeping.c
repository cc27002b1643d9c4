/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the main loop does every now and then: measure how late it is, sample the history, tell the
 * service manager how many connections are served, give memory back to the system after a burst,
 * and feed the watchdog. That is fed only when every worker has answered the ping before, so a
 * worker that hangs is as visible as a main loop that does.
 */
#include <config.h>

#include <errno.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include <event2/event.h>

#include "base/attributes.h"
#include "base/clock.h"
#include "base/log.h"
#include "daemon/server.h"
#include "daemon/service_manager.h"

#define TICK_NS (250 * NS_PER_MS)

/* Ticks between two reports: two seconds. */
#define REPORT_TICKS 8

/*
 * A clock that was moved by less was not set: two clocks are not read at the same moment, and a
 * leap second is no news. Moments of the past stay as they were told before.
 */
#define CLOCK_STEP_NS (2 * NS_PER_S)

/* Fewer connections than this are not worth a trim. */
#define TRIM_MINIMUM 1000

/* A ping to a worker. */
struct pulse {
	_Atomic uint64_t answered; /* written by the worker */
	uint64_t asked;
	struct post post; /* free again once the answer is there */
	bool missed;      /* silence was reported */
};

struct housekeeping {
	struct server *server;
	struct event *timer;
	struct event *watchdog; /* NULL without one */
	struct pulse *pulses;   /* by worker id */
	int64_t due_ns;         /* when the next tick should come */
	unsigned ticks;
	int64_t reported; /* connections in the last report */
	int64_t peak;     /* most connections since the last trim */
	bool bind_failed; /* an interface has come, but could not be bound to: that was told */
};

void
housekeeping_report(struct housekeeping *keeping)
{
	keeping->reported = engine_connections(keeping->server->engine);
	notifier_tell(&keeping->server->notifier, "STATUS=%s %lld connections",
	    keeping->server->status.draining ? "Draining" : "Serving",
	    (long long)keeping->reported);
}

/* The C library keeps the memory that connections freed: give it back after a burst. */
static void
housekeeping_trim(struct housekeeping *keeping, int64_t connections)
{
	if (connections > keeping->peak)
		keeping->peak = connections;
	if (keeping->peak < TRIM_MINIMUM || connections > keeping->peak / 2)
		return;
	(void)malloc_trim(0);
	keeping->peak = connections;
}

/* Serve listeners with freebind whose interface has come meanwhile. */
static void
housekeeping_bind(struct housekeeping *keeping)
{
	struct error_list errors = ERROR_LIST_EMPTY;
	struct server *server = keeping->server;
	int r;

	if (server->lifecycle.phase != PHASE_SERVING ||
	    !plan_is_due(server->engine, server->config))
		return;
	r = plan_apply(server->engine, server->config, NULL, 0, &errors);
	if (r < 0 && !keeping->bind_failed)
		server_log_errors(&errors);
	keeping->bind_failed = r < 0;
	error_list_done(&errors);
}

/* A machine without a clock of its own learns the time after the start: the past moves with it. */
static void
housekeeping_follow_clock(struct process_status *status)
{
	int64_t offset_ns = clock_wall_ns() - clock_boot_ns();
	int64_t step_ns = offset_ns - status->wall_offset_ns;

	if (step_ns > -CLOCK_STEP_NS && step_ns < CLOCK_STEP_NS)
		return;
	log_notice("the clock was set %s by %.0f seconds", step_ns > 0 ? "forward" : "back",
	    clock_seconds(step_ns > 0 ? step_ns : -step_ns));
	status->wall_offset_ns = offset_ns;
}

static void
housekeeping_on_tick(evutil_socket_t fd ATTR_UNUSED, short what ATTR_UNUSED, void *arg)
{
	struct housekeeping *keeping = arg;
	int64_t now_ns = clock_now_ns(), late_ns = now_ns - keeping->due_ns, connections;

	distribution_record(
	    &keeping->server->engine->lag, &distribution_delays, late_ns > 0 ? late_ns : 0);
	keeping->due_ns += TICK_NS;
	if (keeping->due_ns < now_ns)
		keeping->due_ns = now_ns + TICK_NS;
	notifier_flush(&keeping->server->notifier);
	engine_tick(keeping->server->engine, now_ns);
	if (++keeping->ticks % REPORT_TICKS != 0)
		return;
	connections = engine_connections(keeping->server->engine);
	if (connections != keeping->reported)
		housekeeping_report(keeping);
	housekeeping_trim(keeping, connections);
	housekeeping_bind(keeping);
	housekeeping_follow_clock(&keeping->server->status);
	engine_watch_services(keeping->server->engine, now_ns);
	engine_watch_drops(keeping->server->engine, now_ns);
}

/* On the worker's thread. */
static void
housekeeping_do_answer(void *arg)
{
	struct pulse *pulse = arg;

	/* release, paired with the acquire in housekeeping_ping(): then the post is free again */
	atomic_fetch_add_explicit(&pulse->answered, 1, memory_order_release);
}

/* Return whether WORKER has answered; ask again then. The lifecycle watches those that stop. */
static bool
housekeeping_ping(struct pulse *pulse, struct worker *worker)
{
	if (worker->stopping)
		return true;
	if (atomic_load_explicit(&pulse->answered, memory_order_acquire) != pulse->asked) {
		if (!pulse->missed)
			log_error("worker %u does not answer: the watchdog is not fed", worker->id);
		pulse->missed = true;
		return false;
	}
	pulse->missed = false;
	pulse->asked++;
	loop_post(worker->loop, &pulse->post, housekeeping_do_answer, pulse);
	return true;
}

static void
housekeeping_on_watchdog(evutil_socket_t fd ATTR_UNUSED, short what ATTR_UNUSED, void *arg)
{
	struct housekeeping *keeping = arg;
	bool alive = true;

	for (size_t i = 0; i < keeping->server->engine->worker_count; i++)
		alive &= housekeeping_ping(
		    &keeping->pulses[i], keeping->server->engine->workers[i]);
	if (alive)
		notifier_tell(&keeping->server->notifier, "WATCHDOG=1");
}

/* Make *RET_TIMER call FUNCTION every INTERVAL_NS. Returns 0 or -ENOMEM. */
static int
housekeeping_every(struct housekeeping *keeping, int64_t interval_ns, event_callback_fn function,
    struct event **ret_timer)
{
	struct timeval interval = clock_timeval(interval_ns);

	*ret_timer = event_new(loop_base(keeping->server->loop), -1, EV_PERSIST, function, keeping);
	return *ret_timer != NULL && event_add(*ret_timer, &interval) == 0 ? 0 : -ENOMEM;
}

int
housekeeping_start(struct server *server)
{
	int64_t watchdog_ns = service_manager_watchdog_ns();
	struct housekeeping *keeping = calloc(1, sizeof(*keeping));

	server->housekeeping = keeping;
	if (keeping == NULL)
		return -ENOMEM;
	keeping->server = server;
	keeping->due_ns = clock_now_ns() + TICK_NS;
	keeping->pulses = calloc(server->engine->worker_count, sizeof(*keeping->pulses));
	if (keeping->pulses == NULL)
		return -ENOMEM;
	/* twice in each interval of the manager's */
	if (watchdog_ns > 0 && housekeeping_every(keeping, watchdog_ns / 2,
				   housekeeping_on_watchdog, &keeping->watchdog) < 0)
		return -ENOMEM;
	return housekeeping_every(keeping, TICK_NS, housekeeping_on_tick, &keeping->timer);
}

void
housekeeping_free(struct housekeeping *keeping)
{
	if (keeping == NULL)
		return;
	if (keeping->timer != NULL)
		event_free(keeping->timer);
	if (keeping->watchdog != NULL)
		event_free(keeping->watchdog);
	free(keeping->pulses);
	free(keeping);
}
