/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "engine/worker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/address.h"
#include "base/clock.h"
#include "engine/checks.h"

/* How often the checks by time run: the precision of every timeout. */
#define TICK_NS (250 * NS_PER_MS)

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

static void
worker_on_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct worker *worker = arg;
	int64_t now_ns = clock_now_ns();

	worker_record_lag(worker, now_ns);
	checks_run(worker);
}

static int
worker_set_tick(struct worker *worker, int64_t interval_ns)
{
	struct timeval interval = clock_timeval(interval_ns);

	worker->tick_ns = interval_ns;
	worker->tick_due_ns = clock_now_ns() + interval_ns;
	return event_add(worker->tick, &interval) < 0 ? -ENOMEM : 0;
}

struct worker *
worker_new(unsigned id, const struct worker_settings *settings)
{
	struct worker *worker = calloc(1, sizeof(*worker));
	int error;

	if (worker == NULL)
		return NULL;
	errno = 0;
	worker->id = id;
	worker->settings = *settings;
	TAILQ_INIT(&worker->shares);
	TAILQ_INIT(&worker->pending);
	TAILQ_INIT(&worker->lingering);
	TAILQ_INIT(&worker->walks);
	worker->bulk = (struct bulk)BULK_NONE;
	worker->loop = loop_new();
	if (worker->loop == NULL || bulk_init(&worker->bulk) < 0)
		goto fail;
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

/* What the main loop says to a worker: one message for each of the calls in the header. */
struct worker_message {
	struct post post;
	struct worker *worker;
	struct share *share;
	struct worker_message *next; /* in worker->spare or worker->returned */
	union {
		struct share_settings share_settings;
		struct worker_settings worker_settings;
		struct {
			int fd;
			uint64_t id;
			union connection_peer peer;
		} take;
	} u;
};

static void
worker_free_messages(struct worker_message *first)
{
	while (first != NULL) {
		struct worker_message *message = first;

		first = message->next;
		free(message);
	}
}

void
worker_free(struct worker *worker)
{
	if (worker == NULL)
		return;
	if (worker->tick != NULL)
		event_free(worker->tick);
	bulk_done(&worker->bulk);
	loop_free(worker->loop);
	worker_free_messages(worker->spare);
	worker_free_messages(atomic_load(&worker->returned));
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

int
worker_stop(struct worker *worker, int64_t deadline_ns)
{
	/* the call that waits by the monotonic clock is one that the thread sanitizer does not know
	 */
	int64_t until_ns = clock_wall_ns() + deadline_ns - clock_now_ns();
	struct timespec until = { .tv_sec = until_ns / NS_PER_S, .tv_nsec = until_ns % NS_PER_S };

	if (!worker->started) {
		/* what was posted to a thread that never came is still to be freed, here */
		loop_run_once(worker->loop);
		worker_do_stop(worker);
		loop_run_once(worker->loop);
		return 0;
	}
	if (!worker->stopping)
		loop_post(worker->loop, &worker->stop_post, worker_do_stop, worker);
	worker->stopping = true;
	if (pthread_timedjoin_np(worker->thread, NULL, &until) != 0)
		return -ETIMEDOUT;
	worker->started = false;
	return 0;
}

struct worker_message *
worker_message_new(void)
{
	return calloc(1, sizeof(struct worker_message));
}

void
worker_message_free(struct worker_message *message)
{
	free(message);
}

static void
worker_send(struct worker *worker, struct share *share, struct worker_message *message,
    void (*function)(void *argument))
{
	message->worker = worker;
	message->share = share;
	loop_post(worker->loop, &message->post, function, message);
}

static void
worker_do_add_share(void *arg)
{
	struct worker_message *message = arg;

	TAILQ_INSERT_TAIL(&message->worker->shares, message->share, next);
	free(message);
}

void
worker_add_share(struct worker *worker, struct share *share, struct worker_message *message)
{
	worker_send(worker, share, message, worker_do_add_share);
}

static void
worker_do_set_share(void *arg)
{
	struct worker_message *message = arg;

	message->share->settings = message->u.share_settings;
	free(message);
}

void
worker_set_share(struct worker *worker, struct share *share, const struct share_settings *settings,
    struct worker_message *message)
{
	message->u.share_settings = *settings;
	worker_send(worker, share, message, worker_do_set_share);
}

static void
worker_do_set(void *arg)
{
	struct worker_message *message = arg;

	message->worker->settings = message->u.worker_settings;
	free(message);
}

void
worker_set(
    struct worker *worker, const struct worker_settings *settings, struct worker_message *message)
{
	message->u.worker_settings = *settings;
	worker_send(worker, NULL, message, worker_do_set);
}

/*
 * Messages to hand over with go back and forth between the two threads: memory that one allocates
 * and the other frees costs malloc a lock and all its shortcuts. There are as many as were ever
 * under way at once.
 */
static struct worker_message *
worker_reuse_message(struct worker *worker)
{
	struct worker_message *message;

	if (worker->spare == NULL)
		worker->spare = atomic_exchange(&worker->returned, NULL);
	message = worker->spare;
	if (message == NULL)
		return worker_message_new();
	worker->spare = message->next;
	return message;
}

/* Nobody but the main loop takes from the list, and it takes all: no ABA. */
static void
worker_return_message(struct worker *worker, struct worker_message *message)
{
	message->next = atomic_load(&worker->returned);
	while (!atomic_compare_exchange_weak(&worker->returned, &message->next, message))
		;
}

static void
worker_do_take(void *arg)
{
	struct worker_message *message = arg;
	struct worker *worker = message->worker;

	connection_new(
	    worker, message->share, message->u.take.fd, message->u.take.id, &message->u.take.peer);
	worker_return_message(worker, message);
}

int
worker_take(struct worker *worker, struct share *share, int fd, uint64_t id,
    const union connection_peer *peer)
{
	struct worker_message *message = worker_reuse_message(worker);

	if (message == NULL)
		return -ENOMEM;
	/* counted before the hand-over: the worker gives it back, perhaps at once */
	atomic_fetch_add_explicit(&worker->load, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(share->connections, 1, memory_order_relaxed);
	message->u.take.fd = fd;
	message->u.take.id = id;
	message->u.take.peer = *peer;
	worker_send(worker, share, message, worker_do_take);
	return 0;
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

	/* first open for the next word, then read: a word that comes in between is not missed */
	atomic_store(&worker->drain_posted, false);
	worker->phase = (enum worker_phase)atomic_load(&worker->wanted_phase);
	worker->idle_grace_ns = atomic_load(&worker->wanted_grace_ns);
	/* a tick that cannot be made shorter only makes the drain coarser */
	(void)worker_set_tick(worker, worker->phase == WORKER_SERVING ? TICK_NS : TICK_DRAIN_NS);
	checks_run(worker);
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
