/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From serving to the end: a drain that can be taken back, and a stop that only goes forward. Both
 * are phases of one table with one timer.
 */
#include <config.h>

#include <errno.h>
#include <inttypes.h>

#include "base/attributes.h"
#include "base/clock.h"
#include "base/log.h"
#include "daemon/server.h"

/* How often a phase is looked at while it may end. */
#define TICK_NS (10 * NS_PER_MS)

/*
 * After a tick that comes this late (the process stood still, say) the phase lasts TURN_NS longer,
 * so that the workers read what came meanwhile. That happens once in a phase.
 */
#define LATE_NS (250 * NS_PER_MS)
#define TURN_NS (200 * NS_PER_MS)

/*
 * How long connections may flush after shutdown.timeout. Together with the time that the engine
 * waits for a worker, and LOG_CLOSE_NS of server.c, that is less than the second in the manual.
 */
#define FLUSH_NS (300 * NS_PER_MS)

/* How often, and how far beyond the present phase, the service manager is asked for more time. */
#define EXTEND_INTERVAL_NS NS_PER_S
#define EXTEND_NS (10 * NS_PER_S)

static int64_t
phase_on_delay(struct server *server)
{
	struct lifecycle *lc = &server->lifecycle;

	/* load balancers have seen a drain already: a stop after it does not wait again */
	if (lc->delay_end_ns == 0)
		lc->delay_end_ns = clock_now_ns() + server->config->shutdown.delay;
	return lc->delay_end_ns - clock_now_ns();
}

static int64_t
phase_on_drained(struct server *server)
{
	engine_close_listeners(server->engine, true);
	engine_drain(server->engine, WORKER_DRAINING, server->config->shutdown.idle_grace);
	return 0;
}

static int64_t
phase_on_stop_drain(struct server *server)
{
	engine_close_listeners(server->engine, false);
	engine_drain(server->engine, WORKER_DRAINING, server->config->shutdown.idle_grace);
	log_notice("draining %lld connections", (long long)engine_connections(server->engine));
	return server->config->shutdown.timeout;
}

static int64_t
phase_on_stop_cut(struct server *server)
{
	log_warning("shutdown.timeout has passed: %lld connections are still open",
	    (long long)engine_connections(server->engine));
	engine_drain(server->engine, WORKER_CUTTING, 0);
	return FLUSH_NS;
}

static int64_t
phase_on_ending(struct server *server)
{
	/* what waits at a listener of ours is closed too; an inherited one is left as it is */
	engine_close_listeners(server->engine, true);
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
phase_is_drained(struct engine *engine)
{
	return engine_is_drained(engine);
}

/* Each phase: begin() starts it and returns how long it may last; then what follows, and when. */
static const struct phase_row {
	int64_t (*begin)(struct server *server);
	bool (*is_done)(struct engine *engine); /* NULL: it lasts its whole time */
	enum lifecycle_phase next;              /* once is_done() is true; itself: none */
	enum lifecycle_phase overdue;           /* once its time has passed; itself: none */
} phases[] = {
	[PHASE_SERVING] = { NULL, NULL, PHASE_SERVING, PHASE_SERVING },
	[PHASE_DRAIN_DELAY] = { phase_on_delay, NULL, PHASE_DRAINED, PHASE_DRAINED },
	[PHASE_DRAINED] = { phase_on_drained, NULL, PHASE_DRAINED, PHASE_DRAINED },
	[PHASE_STOP_DELAY] = { phase_on_delay, NULL, PHASE_STOP_DRAIN, PHASE_STOP_DRAIN },
	[PHASE_STOP_DRAIN] = { phase_on_stop_drain, phase_is_drained, PHASE_ENDING,
	    PHASE_STOP_CUT },
	[PHASE_STOP_CUT] = { phase_on_stop_cut, phase_is_drained, PHASE_ENDING, PHASE_ENDING },
	[PHASE_ENDING] = { phase_on_ending, engine_is_stopped, PHASE_ENDED, PHASE_ENDING },
	[PHASE_ENDED] = { phase_on_ended, NULL, PHASE_ENDED, PHASE_ENDED },
};

/* Begin PHASE. Returns 0, or, only while the timer is not pending, -ENOMEM with nothing changed. */
static int
lifecycle_enter(struct server *server, enum lifecycle_phase phase)
{
	struct timeval interval = clock_timeval(TICK_NS);
	struct lifecycle *lc = &server->lifecycle;
	int64_t now_ns = clock_now_ns();

	if (event_add(lc->timer, &interval) < 0)
		return -ENOMEM;
	lc->phase = phase;
	lc->deadline_ns = now_ns + phases[phase].begin(server);
	lc->ticked_ns = clock_now_ns();
	lc->turn_given = false;
	if (phases[phase].overdue == phase && phases[phase].is_done == NULL)
		(void)event_del(lc->timer);
	return 0;
}

void
lifecycle_on_timer(evutil_socket_t fd ATTR_UNUSED, short what ATTR_UNUSED, void *arg)
{
	struct server *server = arg;
	struct lifecycle *lc = &server->lifecycle;
	const struct phase_row *row = &phases[lc->phase];
	int64_t now_ns = clock_now_ns();
	bool late = now_ns - lc->ticked_ns >= LATE_NS;

	lc->ticked_ns = now_ns;
	if (lc->phase >= PHASE_STOP_DELAY && now_ns - lc->extended_ns >= EXTEND_INTERVAL_NS) {
		notifier_tell(
		    &server->notifier, "EXTEND_TIMEOUT_USEC=%" PRId64, EXTEND_NS / NS_PER_US);
		lc->extended_ns = now_ns;
	}
	if (late && !lc->turn_given) {
		lc->turn_given = true;
		if (lc->deadline_ns < now_ns + TURN_NS)
			lc->deadline_ns = now_ns + TURN_NS;
	}
	/* event_add() can fail only while the timer is not pending, and here it is */
	if (row->is_done != NULL && row->is_done(server->engine))
		(void)lifecycle_enter(server, row->next);
	else if (now_ns >= lc->deadline_ns && row->overdue != lc->phase)
		(void)lifecycle_enter(server, row->overdue);
}

static void
lifecycle_set_draining(struct server *server, bool draining)
{
	server->status.not_ready = draining ? "draining" : NULL;
	server->status.draining = draining;
	housekeeping_report(server->housekeeping);
}

static int
lifecycle_refuse(struct error_list *errors)
{
	error_list_add(errors, "the daemon is stopping");
	return -EBUSY;
}

int
lifecycle_drain(void *context, struct error_list *errors)
{
	struct server *server = context;

	if (server->lifecycle.phase >= PHASE_STOP_DELAY)
		return lifecycle_refuse(errors);
	if (server->lifecycle.phase != PHASE_SERVING)
		return 0;
	if (lifecycle_enter(server, PHASE_DRAIN_DELAY) < 0) {
		error_list_add(errors, "cannot drain: out of memory");
		return -ENOMEM;
	}
	lifecycle_set_draining(server, true);
	log_notice("draining: no new connections after shutdown.delay");
	return 0;
}

int
lifecycle_undrain(void *context, struct error_list *errors)
{
	struct server *server = context;
	struct lifecycle *lc = &server->lifecycle;
	int r;

	if (lc->phase >= PHASE_STOP_DELAY)
		return lifecycle_refuse(errors);
	if (lc->phase == PHASE_SERVING)
		return 0;
	/* no address in use is waited for: an operator can ask again */
	r = plan_apply(server->engine, server->config, NULL, 0, errors);
	if (r < 0) {
		server_log_errors(errors);
		return r;
	}
	(void)event_del(lc->timer);
	engine_serve(server->engine, true);
	engine_drain(server->engine, WORKER_SERVING, 0);
	lc->phase = PHASE_SERVING;
	lc->delay_end_ns = 0;
	lifecycle_set_draining(server, false);
	log_notice("serving again");
	return 0;
}

int
lifecycle_stop(void *context, struct error_list *errors)
{
	struct server *server = context;

	if (server->lifecycle.phase >= PHASE_STOP_DELAY)
		return lifecycle_refuse(errors);
	log_notice("stopping");
	notifier_tell(&server->notifier, "STOPPING=1");
	lifecycle_set_draining(server, true);
	if (lifecycle_enter(server, PHASE_STOP_DELAY) < 0)
		loop_stop(server->loop); /* and lifecycle_finish() does all of it */
	else if (server->lifecycle.deadline_ns <= clock_now_ns())
		(void)lifecycle_enter(server, PHASE_STOP_DRAIN);
	return 0;
}

void
lifecycle_stop_now(struct server *server)
{
	if (server->lifecycle.phase >= PHASE_ENDING)
		return;
	log_notice("ending at once");
	if (lifecycle_enter(server, PHASE_ENDING) < 0)
		loop_stop(server->loop);
}

int
lifecycle_finish(struct server *server)
{
	int r = engine_stop(server->engine);
	struct counters_sum sum;

	engine_sum(server->engine, &sum);
	log_notice("stopped: %llu connections served, %llu ended by the drain, %llu cut",
	    (unsigned long long)sum.values[COUNTER_CONNECTIONS_ACCEPTED],
	    (unsigned long long)sum.values[COUNTER_CLOSED_DRAIN],
	    (unsigned long long)sum.values[COUNTER_CLOSED_DRAIN_FORCED]);
	return r;
}
