/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "engine/worker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/param.h>

#include "base/clock.h"
#include "base/log.h"
#include "engine/echo.h"

/* How often the checks by time run: the precision of every timeout. */
#define TICK_NS (250 * NS_PER_MS)

/* Connections that a stop closes at a time. */
#define STOP_SLICE 128

/*
 * A worker that was told to stop is given up when it has run no post for HANG_NS while it was
 * looked at. From one look to the next LOOK_NS count at most: a process that stood still, or that a
 * busy machine gave no time, did not look, and its worker could not run either.
 */
#define HANG_NS (400 * NS_PER_MS)
#define LOOK_NS (20 * NS_PER_MS)

/* How often the checks by time run while draining, when operators wait for the end. */
#define TICK_DRAIN_NS (50 * NS_PER_MS)

/*
 * Record how late the tick is. The next one is due when libevent runs it: an interval after the
 * last due time, or after now when even that has passed.
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
 * Return whether the thread did not run for long (a stopped process, say). That time counts for no
 * deadline, and what came meanwhile is to be read before a connection is checked: when a signal
 * ended the wait, timers run first.
 */
static bool
worker_was_away(struct worker *worker, int64_t now_ns)
{
	int64_t late_ns = now_ns - worker->tick_due_ns;
	struct connection *conn;

	if (late_ns < TICK_NS)
		return false;
	TAILQ_FOREACH (conn, &worker->connections.ending, by_time)
		conn->ending_ns += late_ns;
	TAILQ_FOREACH (conn, &worker->connections.pending, by_progress)
		conn->progress_ns += late_ns;
	return true;
}

static void
worker_on_tick(evutil_socket_t fd ATTR_UNUSED, short what ATTR_UNUSED, void *arg)
{
	struct worker *worker = arg;
	int64_t now_ns = clock_now_ns();

	worker->tick_skipped = worker_was_away(worker, now_ns) && !worker->tick_skipped;
	worker_record_lag(worker, now_ns);
	if (worker->connections.pipe.size == 0)
		echo_pipe_open(&worker->connections.pipe);
	if (!worker->tick_skipped)
		connection_set_check(&worker->connections);
}

static int
worker_set_tick(struct worker *worker, int64_t interval_ns)
{
	struct timeval interval = clock_timeval(interval_ns);

	worker->tick_ns = interval_ns;
	worker->tick_due_ns = clock_now_ns() + interval_ns;
	return event_add(&worker->tick, &interval) < 0 ? -ENOMEM : 0;
}

/* A connection on its way to its worker. */
struct worker_message {
	struct post post;
	struct worker *worker;
	struct shard *shard;
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
	errno = ENOMEM; /* where libevent says nothing else */
	worker->id = id;
	worker->messages = calloc(WORKER_WAITING_MAX, sizeof(*worker->messages));
	worker->loop = loop_new();
	if (worker->loop != NULL) {
		struct event_base *base = loop_base(worker->loop);

		(void)event_assign(&worker->tick, base, -1, EV_PERSIST, worker_on_tick, worker);
		if (worker->messages != NULL &&
		    connection_set_init(&worker->connections, base, config) == 0 &&
		    worker_set_tick(worker, TICK_NS) == 0)
			return worker;
	}
	error = errno;
	worker_free(worker);
	errno = error;
	return NULL;
}

void
worker_free(struct worker *worker)
{
	if (worker == NULL)
		return;
	if (worker->loop != NULL)
		(void)event_del(&worker->tick);
	connection_set_done(&worker->connections);
	loop_free(worker->loop);
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

static void
worker_do_stop(void *arg)
{
	struct worker *worker = arg;

	if (connection_set_close(&worker->connections, STOP_SLICE))
		loop_post(worker->loop, &worker->stop_post, worker_do_stop, worker);
	else
		loop_stop(worker->loop);
}

/*
 * Do here what is left by a thread that has ended, or never ran: run its last posts, and close the
 * connections that came with them. What is closed in one turn of the loop is freed in the next.
 */
static void
worker_empty(struct worker *worker)
{
	loop_run_once(worker->loop);
	(void)connection_set_close(&worker->connections, SIZE_MAX);
	loop_run_once(worker->loop);
}

void
worker_begin_stop(struct worker *worker)
{
	if (worker->stopping)
		return;
	worker->stopping = true;
	worker->looked_ns = clock_now_ns();
	if (worker->started)
		loop_post(worker->loop, &worker->stop_post, worker_do_stop, worker);
	else
		worker_empty(worker);
}

int64_t
worker_sum_load(struct worker *const *workers, size_t count)
{
	int64_t sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += atomic_load_explicit(&workers[i]->connections.load, memory_order_relaxed);
	return sum;
}

bool
worker_is_stopped(struct worker *worker)
{
	int64_t now_ns = clock_now_ns();
	uint64_t handled = loop_handled(worker->loop);

	/* nobody posts to a worker that is joined: what was posted before is done here */
	if (worker->started && pthread_tryjoin_np(worker->thread, NULL) == 0) {
		worker->started = worker->hangs = false;
		worker_empty(worker);
	}
	if (worker->hangs || !worker->started)
		return true;
	worker->watched_ns += MIN(now_ns - worker->looked_ns, LOOK_NS);
	worker->looked_ns = now_ns;
	if (handled != worker->handled)
		worker->watched_ns = 0;
	worker->handled = handled;
	if (worker->watched_ns < HANG_NS)
		return false;
	log_error("worker %u hangs and cannot be stopped: %lld connections are left behind",
	    worker->id, (long long)worker_sum_load(&worker, 1));
	worker->hangs = true;
	return true;
}

struct worker_update_message {
	struct post post;
	struct worker *worker;
	struct worker_update *update;
};

/* What workers are told about a configuration. */
struct worker_update {
	const struct config *config; /* a reference */
	struct service **services;   /* by listener of config; NULL: it is not served */
	atomic_size_t count;         /* of the workers that have not taken it over yet */
	struct worker_update_message messages[];
};

struct worker_update *
worker_update_new(const struct config *config, size_t count)
{
	struct worker_update *update = calloc(
	    1, sizeof(*update) + count * sizeof(update->messages[0]) +
		   config->listener_count * sizeof(update->services[0]));

	if (update == NULL)
		return NULL;
	update->config = config_ref(config);
	update->services = (void *)(update->messages + count);
	atomic_store(&update->count, count);
	return update;
}

void
worker_update_add(
    struct worker_update *update, struct service *service, const struct listener_config *cfg)
{
	update->services[cfg - update->config->listeners] = service;
}

void
worker_update_free(struct worker_update *update)
{
	if (update == NULL)
		return;
	config_unref(update->config);
	free(update);
}

/*
 * Let go of what neither UPDATE nor the configuration before it has, and no connection needs: it
 * would keep a whole configuration in memory. Of the one before, an endpoint that got another name
 * is told by a later post.
 */
static void
worker_forget(struct connection_set *set, const struct worker_update *update)
{
	struct shard *shard, *next;

	TAILQ_FOREACH_SAFE (shard, &set->shards, next, next) {
		if (shard->config == update->config || shard->config == set->config ||
		    !TAILQ_EMPTY(&shard->by_age))
			continue;
		TAILQ_REMOVE(&set->shards, shard, next);
		config_unref(shard->config);
		shard->config = NULL;
		shard->cfg = NULL;
	}
}

static void
worker_do_obey(void *arg)
{
	struct worker_update_message *message = arg;
	struct worker_update *update = message->update;
	struct connection_set *set = &message->worker->connections;

	for (size_t i = 0; i < update->config->listener_count; i++) {
		struct shard *shard;

		if (update->services[i] == NULL)
			continue;
		shard = &update->services[i]->shards[message->worker->id];
		if (shard->config == NULL)
			TAILQ_INSERT_TAIL(&set->shards, shard, next);
		config_unref(shard->config);
		shard->config = config_ref(update->config);
		shard->cfg = &update->config->listeners[i];
	}
	worker_forget(set, update);
	config_unref(set->config);
	set->config = config_ref(update->config);
	if (atomic_fetch_sub(&update->count, 1) == 1)
		worker_update_free(update);
}

void
worker_update_apply(struct worker_update *update, struct worker *const *workers)
{
	size_t count = atomic_load(&update->count);

	/* the last one to obey may free it */
	for (size_t i = 0; i < count; i++) {
		struct worker_update_message *message = &update->messages[i];

		message->worker = workers[i];
		message->update = update;
		loop_post(workers[i]->loop, &message->post, worker_do_obey, message);
	}
}

static void
worker_do_take(void *arg)
{
	struct worker_message *message = arg;
	struct worker *worker = message->worker;
	struct shard *shard = message->shard;

	connection_new(&worker->connections, shard, message->fd, message->id, &message->peer);
	atomic_fetch_sub_explicit(&shard->waiting, 1, memory_order_relaxed);
	/* from here on the message is the main loop's again */
	atomic_fetch_sub(&worker->waiting, 1);
}

void
worker_take(struct worker *worker, struct service *service, int fd, uint64_t id,
    const union connection_peer *peer)
{
	/* fewer than WORKER_WAITING_MAX wait, and they are read in order: this message is free */
	struct worker_message *message = &worker->messages[worker->taken++ % WORKER_WAITING_MAX];
	struct shard *shard = &service->shards[worker->id];

	/* counted before the hand-over: the worker may close it at once and count down */
	atomic_fetch_add_explicit(&worker->connections.load, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&service->connections, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&shard->waiting, 1, memory_order_relaxed);
	atomic_fetch_add(&worker->waiting, 1);
	message->worker = worker;
	message->shard = shard;
	message->fd = fd;
	message->id = id;
	message->peer = *peer;
	loop_post(worker->loop, &message->post, worker_do_take, message);
}

static void
worker_do_drain(void *arg)
{
	struct worker *worker = arg;
	struct connection_set *set = &worker->connections;
	enum worker_phase phase;
	bool away = worker_was_away(worker, clock_now_ns()) || worker->tick_skipped;

	/* cleared before the request is read: one that comes in between is posted again */
	atomic_store(&worker->drain_posted, false);
	phase = (enum worker_phase)atomic_load(&worker->wanted_phase);
	set->draining = phase != WORKER_SERVING;
	set->cutting = phase == WORKER_CUTTING;
	set->idle_grace_ns = atomic_load(&worker->wanted_grace_ns);
	/* a tick that cannot be made shorter only makes the drain coarser */
	(void)worker_set_tick(worker, set->draining ? TICK_DRAIN_NS : TICK_NS);
	if (!away)
		connection_set_check(set);
}

void
worker_drain(struct worker *worker, enum worker_phase phase, int64_t idle_grace_ns)
{
	atomic_store(&worker->wanted_grace_ns, idle_grace_ns);
	atomic_store(&worker->wanted_phase, (int)phase);
	if (!atomic_exchange(&worker->drain_posted, true))
		loop_post(worker->loop, &worker->drain_post, worker_do_drain, worker);
}
