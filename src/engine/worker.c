/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "engine/worker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/address.h"
#include "base/clock.h"

/* How often the checks by time run: the precision of every timeout. */
#define TICK_NS (250 * NS_PER_MS)

/* Connections that a stop closes at a time. */
#define STOP_SLICE 128

/*
 * A worker that was told to stop and runs no post for so long, and for so many looks at it, is
 * given up. The looks are for a process that stood still: its time is over at once when it goes on.
 */
#define HANG_NS (400 * NS_PER_MS)
#define HANG_LOOKS 10

/* The same while draining, when operators wait for the end. */
#define TICK_DRAIN_NS (50 * NS_PER_MS)

/*
 * How late the timer is. The next one is due where libevent puts it: an interval after the last
 * due time, or after now when even that has passed.
 */
static void
worker_record_lag(struct worker *worker, int64_t now_ns)
{
	int64_t late_ns = now_ns - worker->tick_due_ns;

	distribution_record(&worker->lag, &distribution_delays, late_ns > 0 ? late_ns : 0);
	worker->tick_due_ns += worker->tick_ns;
	if (worker->tick_due_ns < now_ns)
		worker->tick_due_ns = now_ns + worker->tick_ns;
}

/*
 * Return whether the thread comes back after a long absence (a stopped process, say). That time is
 * nobody's, and what came meanwhile is to be read before anybody is judged: a wait that a signal
 * ended has brought timers alone.
 */
static bool
worker_was_away(struct worker *worker, int64_t now_ns)
{
	int64_t late_ns = now_ns - worker->tick_due_ns;
	struct connection *conn;

	if (late_ns < TICK_NS)
		return false;
	TAILQ_FOREACH (conn, &worker->ending, by_time)
		conn->ending_ns += late_ns;
	TAILQ_FOREACH (conn, &worker->pending, by_progress)
		conn->progress_ns += late_ns;
	return true;
}

static void
worker_on_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct worker *worker = arg;
	int64_t now_ns = clock_now_ns();

	worker->tick_skipped = worker_was_away(worker, now_ns) && !worker->tick_skipped;
	worker_record_lag(worker, now_ns);
	if (worker->pipe.size == 0)
		echo_pipe_open(&worker->pipe);
	if (!worker->tick_skipped)
		connection_check_all(worker);
}

static void
worker_on_reap(evutil_socket_t fd, short what, void *arg)
{
	struct worker *worker = arg;

	(void)fd;
	(void)what;
	connection_free_dead(&worker->dead);
}

void
worker_bury(struct worker *worker, struct connection *conn)
{
	worker_release(worker, conn->share);
	if (TAILQ_EMPTY(&worker->dead))
		event_active(&worker->reap, EV_TIMEOUT, 0);
	TAILQ_INSERT_TAIL(&worker->dead, conn, by_age);
}

static int
worker_set_tick(struct worker *worker, int64_t interval_ns)
{
	struct timeval interval = clock_timeval(interval_ns);

	worker->tick_ns = interval_ns;
	worker->tick_due_ns = clock_now_ns() + interval_ns;
	return event_add(worker->tick, &interval) < 0 ? -ENOMEM : 0;
}

/* A connection on its way to its worker. */
struct worker_message {
	struct post post;
	struct worker *worker;
	struct share *share;
	int fd;
	uint64_t id;
	union connection_peer peer;
};

struct worker *
worker_new(unsigned id, const struct config *config)
{
	struct worker *worker = calloc(1, sizeof(*worker));
	int error;

	if (worker == NULL)
		return NULL;
	errno = 0;
	worker->id = id;
	worker->config = config_ref(config);
	TAILQ_INIT(&worker->shares);
	TAILQ_INIT(&worker->pending);
	TAILQ_INIT(&worker->ending);
	TAILQ_INIT(&worker->lingering);
	TAILQ_INIT(&worker->dead);
	worker->buffer = malloc(ECHO_BUFFER_SIZE);
	worker->messages = calloc(WORKER_WAITING_MAX, sizeof(*worker->messages));
	worker->loop = loop_new();
	if (worker->buffer == NULL || worker->messages == NULL || worker->loop == NULL)
		goto fail;
	echo_pipe_open(&worker->pipe);
	(void)event_assign(&worker->reap, loop_base(worker->loop), -1, 0, worker_on_reap, worker);
	worker->tick = event_new(loop_base(worker->loop), -1, EV_PERSIST, worker_on_tick, worker);
	if (worker->tick == NULL || worker_set_tick(worker, TICK_NS) < 0)
		goto fail;
	return worker;
fail:
	error = errno != 0 ? errno : ENOMEM;
	worker_free(worker);
	errno = error;
	return NULL;
}

void
worker_free(struct worker *worker)
{
	if (worker == NULL)
		return;
	if (worker->tick != NULL)
		event_free(worker->tick);
	connection_free_dead(&worker->dead);
	echo_pipe_close(&worker->pipe);
	loop_free(worker->loop);
	config_unref(worker->config);
	free(worker->buffer);
	free(worker->messages);
	free(worker);
}

static void *
worker_main(void *arg)
{
	struct worker *worker = arg;
	char name[16];

	(void)snprintf(name, sizeof(name), "echod-w%u", worker->id);
	/*
	 * Nobody cancels this thread. With the type asynchronous as well, glibc need not change it
	 * for each system call and back, which takes two locked instructions every time.
	 */
	(void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	(void)pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
	(void)pthread_setname_np(pthread_self(), name);
	if (loop_run(worker->loop) < 0) {
		/* without its selector the worker serves nobody and the watchdog has to see it */
		log_abort("worker %u: the event loop failed: %m", worker->id);
	}
	return NULL;
}

int
worker_start(struct worker *worker)
{
	int r = pthread_create(&worker->thread, NULL, worker_main, worker);

	worker->started = r == 0;
	return -r;
}

/* Close up to LIMIT connections. Returns whether there are more. */
static bool
worker_close_some(struct worker *worker, size_t limit)
{
	struct connection *conn;
	struct share *share;

	TAILQ_FOREACH (share, &worker->shares, next) {
		while ((conn = TAILQ_FIRST(&share->by_age)) != NULL) {
			if (limit-- == 0)
				return true;
			connection_close(conn, conn->state == CONNECTION_LINGERING
						   ? conn->reason
						   : CLOSE_DRAIN_FORCED);
		}
	}
	return false;
}

static void
worker_do_stop(void *arg)
{
	struct worker *worker = arg;

	if (worker_close_some(worker, STOP_SLICE))
		loop_post(worker->loop, &worker->stop_post, worker_do_stop, worker);
	else
		loop_stop(worker->loop);
}

/*
 * Do here what a thread that has ended, or never was, has left: run its last posts, and end
 * connections that came with them. What was freed in one turn of the loop is gone after the next.
 */
static void
worker_empty(struct worker *worker)
{
	loop_run_once(worker->loop);
	(void)worker_close_some(worker, SIZE_MAX);
	loop_run_once(worker->loop);
}

void
worker_begin_stop(struct worker *worker)
{
	if (worker->stopping)
		return;
	worker->stopping = true;
	worker->handled_ns = clock_now_ns();
	if (worker->started)
		loop_post(worker->loop, &worker->stop_post, worker_do_stop, worker);
	else
		worker_empty(worker);
}

bool
worker_is_stopped(struct worker *worker)
{
	int64_t now_ns = clock_now_ns();
	uint64_t handled = loop_handled(worker->loop);

	/* once it is joined nobody posts to it any more, and what was posted before is done */
	if (worker->started && pthread_tryjoin_np(worker->thread, NULL) == 0) {
		worker->started = worker->hangs = false;
		worker_empty(worker);
	}
	if (worker->hangs || !worker->started)
		return true;
	if (handled != worker->handled) {
		worker->handled = handled;
		worker->handled_ns = now_ns;
		worker->looks = 0;
	}
	if (now_ns - worker->handled_ns < HANG_NS || ++worker->looks < HANG_LOOKS)
		return false;
	log_error("worker %u hangs and cannot be stopped: %lld connections are left behind",
	    worker->id, (long long)atomic_load_explicit(&worker->load, memory_order_relaxed));
	worker->hangs = true;
	return true;
}

/* What a worker is told about a configuration. */
struct worker_update {
	struct post post;
	struct worker *worker;
	const struct config *config; /* a reference */
	size_t count;
	struct {
		struct share *share;
		const struct listener_config *cfg;
	} entries[];
};

struct worker_update *
worker_update_new(const struct config *config)
{
	struct worker_update *update = calloc(
	    1, sizeof(*update) + config->listener_count * sizeof(update->entries[0]));

	if (update != NULL)
		update->config = config_ref(config);
	return update;
}

void
worker_update_add(
    struct worker_update *update, struct share *share, const struct listener_config *cfg)
{
	update->entries[update->count].share = share;
	update->entries[update->count++].cfg = cfg;
}

void
worker_update_free(struct worker_update *update)
{
	if (update == NULL)
		return;
	config_unref(update->config);
	free(update);
}

static void
worker_do_apply(void *arg)
{
	struct worker_update *update = arg;
	struct worker *worker = update->worker;

	for (size_t i = 0; i < update->count; i++) {
		struct share *share = update->entries[i].share;

		if (share->config == NULL)
			TAILQ_INSERT_TAIL(&worker->shares, share, next);
		config_unref(share->config);
		share->config = config_ref(update->config);
		share->cfg = update->entries[i].cfg;
	}
	config_unref(worker->config);
	worker->config = config_ref(update->config);
	worker_update_free(update);
}

void
worker_apply(struct worker *worker, struct worker_update *update)
{
	update->worker = worker;
	loop_post(worker->loop, &update->post, worker_do_apply, update);
}

static void
worker_do_take(void *arg)
{
	struct worker_message *message = arg;
	struct worker *worker = message->worker;
	struct share *share = message->share;

	connection_new(worker, share, message->fd, message->id, &message->peer);
	atomic_fetch_sub_explicit(&share->waiting, 1, memory_order_relaxed);
	/* from here on the message is the main loop's again */
	atomic_fetch_sub(&worker->waiting, 1);
}

void
worker_take(struct worker *worker, struct share *share, int fd, uint64_t id,
    const union connection_peer *peer)
{
	/* the worker reads them in this order, and the oldest has been read: few enough wait */
	struct worker_message *message = &worker->messages[worker->taken++ % WORKER_WAITING_MAX];

	/* counted before the hand-over: the worker gives it back, perhaps at once */
	atomic_fetch_add_explicit(&worker->load, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(share->connections, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&share->waiting, 1, memory_order_relaxed);
	atomic_fetch_add(&worker->waiting, 1);
	message->worker = worker;
	message->share = share;
	message->fd = fd;
	message->id = id;
	message->peer = *peer;
	loop_post(worker->loop, &message->post, worker_do_take, message);
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
	struct worker *worker = arg;
	bool away = worker_was_away(worker, clock_now_ns()) || worker->tick_skipped;

	/* first open for the next word, then read: a word that comes in between is not missed */
	atomic_store(&worker->drain_posted, false);
	worker->phase = (enum worker_phase)atomic_load(&worker->wanted_phase);
	worker->idle_grace_ns = atomic_load(&worker->wanted_grace_ns);
	/* a tick that cannot be made shorter only makes the drain coarser */
	(void)worker_set_tick(worker, worker->phase == WORKER_SERVING ? TICK_NS : TICK_DRAIN_NS);
	if (!away)
		connection_check_all(worker);
}

void
worker_drain(struct worker *worker, enum worker_phase phase, int64_t idle_grace_ns)
{
	atomic_store(&worker->wanted_grace_ns, idle_grace_ns);
	atomic_store(&worker->wanted_phase, (int)phase);
	if (!atomic_exchange(&worker->drain_posted, true))
		loop_post(worker->loop, &worker->drain_post, worker_do_drain, worker);
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
