/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "daemon/lifecycle.h"

#include <errno.h>
#include <stdlib.h>

#include <event2/event.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/server.h"
#include "daemon/service_manager.h"
#include "engine/plan.h"

/* How often the phases are looked at while one of them may end. */
#define TICK_NS (10 * NS_PER_MS)

/* A tick that comes so late was held up by the machine: what clients sent meanwhile comes first. */
#define LATE_NS (250 * NS_PER_MS)

/*
 * What connections get to flush after shutdown.timeout. With the patience that the engine has with
 * a worker, and LOG_CLOSE_NS of server.c, it stays below the second that the manual promises.
 */
#define FLUSH_NS (300 * NS_PER_MS)

/* How often, and how far beyond the present phase, the service manager is asked for patience. */
#define EXTEND_INTERVAL_NS NS_PER_S
#define EXTEND_NS (10 * NS_PER_S)

enum phase {
	PHASE_SERVING,
	PHASE_DRAIN_DELAY, /* a drain was asked for; accepting goes on for shutdown.delay */
	PHASE_DRAINED,     /* no new clients, until somebody says otherwise */
	PHASE_STOP_DELAY,  /* accepting goes on while load balancers see /readyz */
	PHASE_STOP_DRAIN,  /* listeners are closed, connections end as they become idle */
	PHASE_STOP_CUT,    /* shutdown.timeout has passed: the rest is flushed */
	PHASE_ENDING,      /* the workers close what is left, and end */
	PHASE_ENDED,
};

struct lifecycle {
	struct server *server;
	struct event *timer; /* owned; pending while the present phase may end by itself */
	enum phase phase;
	int64_t deadline_ns; /* end of the present phase, CLOCK_MONOTONIC */
	int64_t ticked_ns;   /* last tick */
	int64_t extended_ns; /* when the service manager was last asked for patience */
};

static int64_t
phase_on_delay(struct server *server)
{
	return server->config->shutdown.delay;
}

static int64_t
phase_on_drained(struct server *server)
{
	engine_suspend_listeners(server->engine);
	engine_drain(server->engine, WORKER_DRAINING, server->config->shutdown.idle_grace);
	return 0;
}

static int64_t
phase_on_stop_drain(struct server *server)
{
	engine_close_listeners(server->engine);
	engine_drain(server->engine, WORKER_DRAINING, server->config->shutdown.idle_grace);
	log_notice("draining %lld connections", (long long)engine_connections(server->engine));
	return server->config->shutdown.timeout;
}

static int64_t
phase_on_stop_cut(struct server *server)
{
	log_warning("shutdown.timeout has passed: cutting %lld connections",
	    (long long)engine_connections(server->engine));
	engine_drain(server->engine, WORKER_CUTTING, 0);
	return FLUSH_NS;
}

static int64_t
phase_on_ending(struct server *server)
{
	engine_begin_stop(server->engine);
	return 0;
}

static int64_t
phase_on_ended(struct server *server)
{
	loop_stop(server->loop);
	return 0;
}

static bool
phase_is_drained(const struct server *server)
{
	return engine_is_drained(server->engine);
}

static bool
phase_is_stopped(const struct server *server)
{
	return engine_is_stopped(server->engine);
}

/* What a phase begins with, returning how long it may last; and what follows it, and when. */
static const struct phase_row {
	int64_t (*begin)(struct server *server);
	bool (*is_done)(const struct server *server); /* NULL: it lasts its whole time */
	enum phase next;                              /* once it is done; itself: it never is */
	enum phase overdue;                           /* when its time is over before; or itself */
} phases[] = {
	[PHASE_SERVING] = { NULL, NULL, PHASE_SERVING, PHASE_SERVING },
	[PHASE_DRAIN_DELAY] = { phase_on_delay, NULL, PHASE_DRAINED, PHASE_DRAINED },
	[PHASE_DRAINED] = { phase_on_drained, NULL, PHASE_DRAINED, PHASE_DRAINED },
	[PHASE_STOP_DELAY] = { phase_on_delay, NULL, PHASE_STOP_DRAIN, PHASE_STOP_DRAIN },
	[PHASE_STOP_DRAIN] = { phase_on_stop_drain, phase_is_drained, PHASE_ENDING,
	    PHASE_STOP_CUT },
	[PHASE_STOP_CUT] = { phase_on_stop_cut, phase_is_drained, PHASE_ENDING, PHASE_ENDING },
	[PHASE_ENDING] = { phase_on_ending, phase_is_stopped, PHASE_ENDED, PHASE_ENDING },
	[PHASE_ENDED] = { phase_on_ended, NULL, PHASE_ENDED, PHASE_ENDED },
};

static void
lifecycle_enter(struct lifecycle *lc, enum phase phase)
{
	struct timeval interval = clock_timeval(TICK_NS);

	lc->phase = phase;
	lc->ticked_ns = clock_now_ns();
	lc->deadline_ns = lc->ticked_ns + phases[phase].begin(lc->server);
	if (phases[phase].overdue == phase && phases[phase].is_done == NULL)
		(void)event_del(lc->timer);
	else if (event_add(lc->timer, &interval) < 0)
		/* without a timer nothing can be waited for */
		loop_stop(lc->server->loop);
}

static void
lifecycle_extend(struct lifecycle *lc, int64_t now_ns)
{
	if (!lifecycle_is_stopping(lc) || now_ns - lc->extended_ns < EXTEND_INTERVAL_NS)
		return;
	lc->extended_ns = now_ns;
	service_manager_extend_timeout(EXTEND_NS);
}

static void
lifecycle_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct lifecycle *lc = arg;
	const struct phase_row *row = &phases[lc->phase];
	int64_t now_ns = clock_now_ns(), late_ns = now_ns - lc->ticked_ns - TICK_NS;

	(void)fd;
	(void)what;
	lc->ticked_ns = now_ns;
	/* time in which the process stood still is nobody's */
	if (late_ns >= LATE_NS)
		lc->deadline_ns += late_ns;
	lifecycle_extend(lc, now_ns);
	if (row->is_done != NULL && row->is_done(lc->server))
		lifecycle_enter(lc, row->next);
	else if (now_ns >= lc->deadline_ns && row->overdue != lc->phase)
		lifecycle_enter(lc, row->overdue);
}

struct lifecycle *
lifecycle_new(struct server *server)
{
	struct lifecycle *lc = calloc(1, sizeof(*lc));

	if (lc == NULL)
		return NULL;
	lc->server = server;
	lc->timer = event_new(loop_base(server->loop), -1, EV_PERSIST, lifecycle_on_timer, lc);
	if (lc->timer == NULL) {
		free(lc);
		return NULL;
	}
	return lc;
}

void
lifecycle_free(struct lifecycle *lc)
{
	if (lc == NULL)
		return;
	event_free(lc->timer);
	free(lc);
}

bool
lifecycle_is_serving(const struct lifecycle *lc)
{
	return lc->phase == PHASE_SERVING;
}

bool
lifecycle_is_stopping(const struct lifecycle *lc)
{
	return lc->phase >= PHASE_STOP_DELAY;
}

static int
lifecycle_refuse(struct error_list *errors)
{
	error_list_add(errors, "the daemon is stopping");
	return -EBUSY;
}

int
lifecycle_drain(struct lifecycle *lc, struct error_list *errors)
{
	if (lifecycle_is_stopping(lc))
		return lifecycle_refuse(errors);
	if (lc->phase != PHASE_SERVING)
		return 0;
	server_set_draining(lc->server, true);
	log_notice("draining: no new connections after shutdown.delay");
	lifecycle_enter(lc, PHASE_DRAIN_DELAY);
	return 0;
}

int
lifecycle_undrain(struct lifecycle *lc, struct error_list *errors)
{
	struct server *server = lc->server;
	int r;

	if (lifecycle_is_stopping(lc))
		return lifecycle_refuse(errors);
	if (lc->phase == PHASE_SERVING)
		return 0;
	/* all or nothing, and no waiting: an operator can ask again, the loop has others to serve
	 */
	r = plan_apply(server->engine, server->config, NULL, 0, errors);
	if (r < 0) {
		for (size_t i = 0; i < errors->count; i++)
			log_error("%s", errors->lines[i]);
		return r;
	}
	(void)event_del(lc->timer);
	engine_resume_listeners(server->engine);
	engine_drain(server->engine, WORKER_SERVING, 0);
	lc->phase = PHASE_SERVING;
	server_set_draining(server, false);
	log_notice("serving again");
	return 0;
}

void
lifecycle_stop(struct lifecycle *lc)
{
	int64_t deadline_ns = lc->deadline_ns;
	enum phase phase = lc->phase;

	if (lifecycle_is_stopping(lc)) {
		log_notice("told to stop again: ending at once");
		lifecycle_stop_now(lc);
		return;
	}
	log_notice("stopping");
	service_manager_stopping();
	server_set_draining(lc->server, true);
	/* load balancers that have seen a drain need not be waited for again */
	if (phase == PHASE_DRAINED || lc->server->config->shutdown.delay == 0) {
		lifecycle_enter(lc, PHASE_STOP_DRAIN);
		return;
	}
	lifecycle_enter(lc, PHASE_STOP_DELAY);
	if (phase == PHASE_DRAIN_DELAY)
		lc->deadline_ns = deadline_ns;
}

void
lifecycle_stop_now(struct lifecycle *lc)
{
	if (lc->phase < PHASE_ENDING)
		lifecycle_enter(lc, PHASE_ENDING);
}

int
lifecycle_finish(struct lifecycle *lc)
{
	struct engine *engine = lc->server->engine;
	int r = engine_stop(engine);
	struct counters_sum sum;

	engine_sum(engine, &sum);
	log_notice("stopped: %llu connections served, %llu ended by the drain, %llu cut",
	    (unsigned long long)sum.values[COUNTER_CONNECTIONS_ACCEPTED],
	    (unsigned long long)sum.values[COUNTER_CLOSED_DRAIN],
	    (unsigned long long)sum.values[COUNTER_CLOSED_DRAIN_FORCED]);
	return r;
}
