/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "engine/worker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/address.h"
#include "base/clock.h"

/* How often the checks by time run: the precision of every timeout. */
#define TICK_NS (250 * NS_PER_MS)

/* The same while draining, when operators wait for the end. */
#define TICK_DRAIN_NS (50 * NS_PER_MS)

/* A waiting output is looked at this many times in one stall_timeout. */
#define PROGRESS_CHECKS 8

static void
worker_check_share(struct share *share, int64_t now_ns)
{
	int64_t idle_ns = share->settings.idle_timeout_ns,
		lifetime_ns = share->settings.lifetime_ns;
	struct connection *conn, *next;

	if (idle_ns > 0) {
		TAILQ_FOREACH_SAFE (conn, &share->by_activity, by_activity, next) {
			if (now_ns - conn->queued_ns < idle_ns)
				break;
			if (now_ns - conn->active_ns >= idle_ns)
				connection_finish(conn, CLOSE_IDLE_TIMEOUT);
		}
	}
	if (lifetime_ns > 0) {
		TAILQ_FOREACH_SAFE (conn, &share->by_age, by_age, next) {
			if (now_ns - conn->accepted_ns < lifetime_ns)
				break;
			connection_finish(conn, CLOSE_LIFETIME);
		}
	}
}

/* Longest unchecked first; each one looked at goes to the end, so one walk meets it once. */
static void
worker_check_pending(struct worker *worker, int64_t now_ns)
{
	int64_t interval_ns = worker->settings.stall_timeout_ns / PROGRESS_CHECKS;
	struct connection *conn;

	if (worker->settings.stall_timeout_ns == 0)
		return;
	while ((conn = TAILQ_FIRST(&worker->pending)) != NULL) {
		if (now_ns - conn->checked_ns < interval_ns || conn->checked_ns == now_ns)
			break;
		if (connection_check_progress(conn, now_ns) || conn->waiting == 0)
			continue;
		TAILQ_REMOVE(&worker->pending, conn, by_progress);
		TAILQ_INSERT_TAIL(&worker->pending, conn, by_progress);
	}
}

static void
worker_check_lingering(struct worker *worker, int64_t now_ns)
{
	struct connection *conn;

	while ((conn = TAILQ_FIRST(&worker->lingering)) != NULL) {
		if (now_ns - conn->progress_ns < worker->settings.linger_timeout_ns)
			break;
		connection_close(conn, conn->reason);
	}
}

/* Finish what has been idle for idle_grace; once the deadline has passed, finish everything. */
static void
worker_check_drain(struct worker *worker, struct share *share, int64_t now_ns)
{
	struct connection *conn, *next;

	TAILQ_FOREACH_SAFE (conn, &share->by_activity, by_activity, next) {
		if (worker->phase == WORKER_CUTTING)
			connection_finish(conn, CLOSE_DRAIN_FORCED);
		else if (now_ns - conn->queued_ns < worker->idle_grace_ns)
			break;
		else if (now_ns - conn->active_ns >= worker->idle_grace_ns && conn->waiting == 0)
			connection_finish(conn, CLOSE_DRAIN);
	}
}

static void
worker_check(struct worker *worker)
{
	int64_t now_ns = clock_coarse_ns();
	struct share *share;

	worker_check_pending(worker, now_ns);
	worker_check_lingering(worker, now_ns);
	TAILQ_FOREACH (share, &worker->shares, next) {
		if (worker->phase != WORKER_SERVING)
			worker_check_drain(worker, share, now_ns);
		worker_check_share(share, now_ns);
	}
}

static void
worker_on_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	worker_check(arg);
}

static int
worker_set_tick(struct worker *worker, int64_t interval_ns)
{
	struct timeval interval = clock_timeval(interval_ns);

	return event_add(worker->tick, &interval) < 0 ? -ENOMEM : 0;
}

struct worker *
worker_new(unsigned id, const struct worker_settings *settings)
{
	struct worker *worker = calloc(1, sizeof(*worker));

	if (worker == NULL)
		return NULL;
	worker->id = id;
	worker->settings = *settings;
	TAILQ_INIT(&worker->shares);
	TAILQ_INIT(&worker->pending);
	TAILQ_INIT(&worker->lingering);
	worker->loop = loop_new();
	if (worker->loop == NULL)
		goto fail;
	worker->tick = event_new(loop_base(worker->loop), -1, EV_PERSIST, worker_on_tick, worker);
	if (worker->tick == NULL || worker_set_tick(worker, TICK_NS) < 0)
		goto fail;
	return worker;
fail:
	worker_free(worker);
	errno = ENOMEM;
	return NULL;
}

void
worker_free(struct worker *worker)
{
	if (worker == NULL)
		return;
	if (worker->tick != NULL)
		event_free(worker->tick);
	loop_free(worker->loop);
	free(worker);
}

static void *
worker_main(void *arg)
{
	struct worker *worker = arg;
	char name[16];

	(void)snprintf(name, sizeof(name), "echod-w%u", worker->id);
	(void)pthread_setname_np(pthread_self(), name);
	if (loop_run(worker->loop) < 0) {
		/* without its selector the worker serves nobody and the watchdog has to see it */
		log_error("worker %u: the event loop failed: %m", worker->id);
		abort();
	}
	/* bufferevents that were freed in the last turn end their life in a turn of their own */
	loop_run_once(worker->loop);
	return NULL;
}

int
worker_start(struct worker *worker)
{
	int r = pthread_create(&worker->thread, NULL, worker_main, worker);

	worker->started = r == 0;
	return -r;
}

static void
worker_do_stop(void *arg)
{
	struct worker *worker = arg;
	struct share *share;
	struct connection *conn;

	TAILQ_FOREACH (share, &worker->shares, next) {
		while ((conn = TAILQ_FIRST(&share->by_age)) != NULL)
			connection_close(conn, conn->state == CONNECTION_LINGERING
						   ? conn->reason
						   : CLOSE_DRAIN_FORCED);
	}
	loop_stop(worker->loop);
}

void
worker_stop(struct worker *worker)
{
	struct timespec moment = { .tv_nsec = 10 * NS_PER_MS };

	if (!worker->started) {
		/* what was posted to a thread that never came is still to be freed, here */
		loop_run_once(worker->loop);
		worker_do_stop(worker);
		loop_run_once(worker->loop);
		return;
	}
	while (loop_post(worker->loop, worker_do_stop, worker) < 0)
		(void)nanosleep(&moment, NULL);
	pthread_join(worker->thread, NULL);
	worker->started = false;
}

/* What the main loop says to a worker: one message for each of the calls in the header. */
struct worker_message {
	struct worker *worker;
	struct share *share;
	union {
		struct share_settings share_settings;
		struct worker_settings worker_settings;
		struct {
			int fd;
			uint64_t id;
			union connection_peer peer;
		} take;
		struct {
			enum worker_phase phase;
			int64_t idle_grace_ns;
		} drain;
	} u;
};

static int
worker_send(const struct worker_message *message, void (*function)(void *argument))
{
	struct worker_message *copy = malloc(sizeof(*copy));

	if (copy == NULL)
		return -ENOMEM;
	*copy = *message;
	if (loop_post(message->worker->loop, function, copy) == 0)
		return 0;
	free(copy);
	return -ENOMEM;
}

static void
worker_do_add_share(void *arg)
{
	struct worker_message *message = arg;

	TAILQ_INSERT_TAIL(&message->worker->shares, message->share, next);
	free(message);
}

int
worker_add_share(struct worker *worker, struct share *share)
{
	struct worker_message message = { .worker = worker, .share = share };

	return worker_send(&message, worker_do_add_share);
}

static void
worker_do_set_share(void *arg)
{
	struct worker_message *message = arg;

	message->share->settings = message->u.share_settings;
	free(message);
}

int
worker_set_share(struct worker *worker, struct share *share, const struct share_settings *settings)
{
	struct worker_message message = {
		.worker = worker, .share = share, .u.share_settings = *settings
	};

	return worker_send(&message, worker_do_set_share);
}

static void
worker_do_set(void *arg)
{
	struct worker_message *message = arg;

	message->worker->settings = message->u.worker_settings;
	free(message);
}

int
worker_set(struct worker *worker, const struct worker_settings *settings)
{
	struct worker_message message = { .worker = worker, .u.worker_settings = *settings };

	return worker_send(&message, worker_do_set);
}

static void
worker_do_take(void *arg)
{
	struct worker_message *message = arg;

	connection_new(message->worker, message->share, message->u.take.fd, message->u.take.id,
	    &message->u.take.peer);
	free(message);
}

int
worker_take(struct worker *worker, struct share *share, int fd, uint64_t id,
    const union connection_peer *peer)
{
	struct worker_message message = {
		.worker = worker, .share = share, .u.take = { .fd = fd, .id = id, .peer = *peer }
	};
	int r;

	/* counted before the hand-over: the worker gives it back, perhaps at once */
	atomic_fetch_add_explicit(&worker->load, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(share->connections, 1, memory_order_relaxed);
	r = worker_send(&message, worker_do_take);
	if (r < 0)
		worker_release(worker, share);
	return r;
}

void
worker_release(struct worker *worker, struct share *share)
{
	atomic_fetch_sub_explicit(&worker->load, 1, memory_order_relaxed);
	atomic_fetch_sub_explicit(share->connections, 1, memory_order_relaxed);
}

static void
worker_do_drain(void *arg)
{
	struct worker_message *message = arg;
	struct worker *worker = message->worker;

	if (message->u.drain.phase > worker->phase)
		worker->phase = message->u.drain.phase;
	worker->idle_grace_ns = message->u.drain.idle_grace_ns;
	free(message);
	/* a tick that cannot be made shorter only makes the drain coarser */
	(void)worker_set_tick(worker, TICK_DRAIN_NS);
	worker_check(worker);
}

int
worker_drain(struct worker *worker, enum worker_phase phase, int64_t idle_grace_ns)
{
	struct worker_message message = { .worker = worker,
		.u.drain = { .phase = phase, .idle_grace_ns = idle_grace_ns } };

	return worker_send(&message, worker_do_drain);
}

void
worker_log(enum log_level level, const struct connection *conn, const char *message)
{
	char peer[ADDRESS_TEXT_MAX];
	struct log_field fields[] = {
		LOG_TEXT("listener", conn->share->name),
		LOG_NUMBER("connection", conn->id),
		LOG_TEXT("peer", peer),
		LOG_TEXT("reason", close_reason_name(conn->reason)),
		LOG_NUMBER("bytes_in", conn->bytes_in),
		LOG_NUMBER("bytes_out", conn->bytes_out),
		LOG_NUMBER("duration_ms", (clock_coarse_ns() - conn->accepted_ns) / NS_PER_MS),
	};

	if (!log_enabled(level))
		return;
	connection_peer_format(&conn->peer, peer, sizeof(peer));
	/* one that has just begun has neither a reason nor figures */
	log_fields(
	    level, fields, conn->reason == CLOSE_NONE ? 3 : ARRAY_SIZE(fields), "%s", message);
}
