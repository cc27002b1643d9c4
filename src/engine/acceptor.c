/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "engine/acceptor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/clock.h"
#include "base/log.h"
#include "engine/recent_events.h"

/* Connections accepted in one turn: a flood must not delay signals and the control port. */
#define BATCH_MAX 64

/* The part of a limit that may wait at all workers; how soon to try again when they have it. */
#define WAITING_PART 8
#define BUSY_RETRY_NS NS_PER_MS

/* Without descriptors: how often to try, after how long to shed clients, how many at a time. */
#define RETRY_NS (100 * NS_PER_MS)
#define SHED_AFTER_NS (500 * NS_PER_MS)
#define SHED_MAX 256

/* A failing listener: its shortest and longest pause, and the time without errors that ends it. */
#define BACKOFF_MIN_NS (10 * NS_PER_MS)
#define BACKOFF_MAX_NS NS_PER_S
#define EPISODE_END_NS NS_PER_S

/* How often to look whether an episode is over; it lasts EPISODE_END_NS at least. */
#define EPISODE_LOOK_NS (100 * NS_PER_MS)

/* A single error may concern one client alone, see accept(2); this many in a row do not. */
#define FAILED_IN_ROW_MAX 16

/* Closing takes at most CLOSE_NS, and ends earlier when nothing came for CLOSE_QUIET_NS. */
#define CLOSE_NS (200 * NS_PER_MS)
#define CLOSE_QUIET_NS (10 * NS_PER_MS)

static const struct timespec moment = { .tv_nsec = NS_PER_MS };

/* A waiting connection counts even when its client has left: such ones must not fill a limit. */
static int
acceptor_most_waiting(const struct acceptor *acceptor, int64_t limit)
{
	int64_t most = limit / (int64_t)(WAITING_PART * acceptor->worker_count);

	return most < 1 ? 1 : most > WORKER_WAITING_MAX ? WORKER_WAITING_MAX : (int)most;
}

/*
 * Return the least loaded of the workers that may have more waiting, NULL when there is none; among
 * equals, the next in turn.
 */
static struct worker *
acceptor_pick_worker(const struct listener *lis)
{
	const struct acceptor *acceptor = lis->acceptor;
	struct worker *best = NULL;
	int64_t best_load = 0;

	for (size_t i = 0; i < acceptor->worker_count; i++) {
		struct worker *worker =
		    acceptor->workers[(acceptor->last_id + i) % acceptor->worker_count];
		int64_t load = worker_sum_load(&worker, 1);

		if (atomic_load(&worker->waiting) >= acceptor->most_waiting ||
		    atomic_load(&lis->service->shards[worker->id].waiting) >= lis->most_waiting)
			continue;
		if (best == NULL || load < best_load) {
			best = worker;
			best_load = load;
		}
	}
	return best;
}

/* A timer that cannot be added is made to fire in the next turn: else it never would. */
static void
acceptor_set_timer(struct event *timer, int64_t interval_ns)
{
	struct timeval interval = clock_timeval(interval_ns);

	if (event_add(timer, &interval) < 0)
		event_active(timer, EV_TIMEOUT, 0);
}

/* Begin an episode unless it is on. Returns whether it has begun now. */
static bool
episode_begin(struct acceptor *acceptor, struct episode *episode)
{
	if (episode->since_ns != 0)
		return false;
	*episode = (struct episode){ .since_ns = clock_now_ns() };
	if (!event_pending(&acceptor->episode_timer, EV_TIMEOUT, NULL))
		acceptor_set_timer(&acceptor->episode_timer, EPISODE_LOOK_NS);
	return true;
}

/* Tell the end of an episode that is on; LIS, whose it is, may be NULL. */
static void
episode_end(struct episode *episode, const struct listener *lis, const char *what)
{
	int64_t lasted_ms = (clock_now_ns() - episode->since_ns) / NS_PER_MS;
	const struct log_field fields[] = {
		LOG_NUMBER("refused", episode->refused),
		LOG_NUMBER("duration_ms", lasted_ms),
		LOG_TEXT("listener", lis != NULL ? lis->service->name : ""),
	};

	if (episode->since_ns == 0)
		return;
	if (log_enabled(LOG_LEVEL_NOTICE))
		log_fields(LOG_LEVEL_NOTICE, fields, ARRAY_SIZE(fields) - (lis == NULL),
		    "%s%s%s is over: %llu refused in %lld.%lld s",
		    lis != NULL ? lis->service->name : "", lis != NULL ? ": " : "", what,
		    (unsigned long long)episode->refused, (long long)lasted_ms / 1000,
		    (long long)lasted_ms / 100 % 10);
	episode->since_ns = 0;
}

/* Whether COUNT is a tenth below LIMIT, or the episode is younger than the shortest one. */
static bool
episode_goes_on(const struct episode *episode, int64_t count, int64_t limit)
{
	return count >= limit - limit / 10 || clock_now_ns() - episode->since_ns < EPISODE_END_NS;
}

static void
listener_look_at_episode(struct listener *lis)
{
	int64_t own = atomic_load_explicit(&lis->service->connections, memory_order_relaxed);

	if (lis->connections_limit == 0 ||
	    !episode_goes_on(&lis->full, own, lis->connections_limit))
		episode_end(&lis->full, lis, "connections limit");
}

/* An episode ends also when nobody comes any more. */
static void
acceptor_on_episode_timer(evutil_socket_t fd ATTR_UNUSED, short what ATTR_UNUSED, void *arg)
{
	struct acceptor *acceptor = arg;
	int64_t all = worker_sum_load(acceptor->workers, acceptor->worker_count);
	bool on = false;
	struct listener *lis;

	if (!episode_goes_on(&acceptor->full, all, acceptor->limit))
		episode_end(&acceptor->full, NULL, "limits.connections");
	/* whoever waits is tried ten times a second: nobody does, or all were served */
	if (clock_now_ns() - acceptor->last_error_ns >= EPISODE_END_NS)
		episode_end(&acceptor->starved, NULL, "lack of descriptors or memory");
	TAILQ_FOREACH (lis, &acceptor->listeners, next) {
		listener_look_at_episode(lis);
		on |= lis->full.since_ns != 0;
	}
	if (on || acceptor->full.since_ns != 0 || acceptor->starved.since_ns != 0)
		acceptor_set_timer(&acceptor->episode_timer, EPISODE_LOOK_NS);
}

/* Return whether a limit is reached; LIS is NULL where it is that of all. Logs it once. */
static bool
acceptor_is_full(struct acceptor *acceptor, struct listener *lis, int64_t count, int64_t limit)
{
	struct episode *episode = lis != NULL ? &lis->full : &acceptor->full;
	const struct log_field fields[] = {
		LOG_NUMBER("connections", count),
		LOG_NUMBER("limit", limit),
		LOG_TEXT("listener", lis != NULL ? lis->service->name : ""),
	};

	if (count < limit)
		return false;
	if (episode_begin(acceptor, episode) && log_enabled(LOG_LEVEL_WARNING))
		log_fields(LOG_LEVEL_WARNING, fields, ARRAY_SIZE(fields) - (lis == NULL),
		    "%s%s = %lld is reached: new connections are closed at once",
		    lis != NULL ? lis->service->name : "",
		    lis != NULL ? ": connections" : "limits.connections", (long long)limit);
	episode->refused++;
	return true;
}

/* Decide whether one more connection of LIS is accepted; returns the counter of the outcome. */
static enum counter
acceptor_check(struct listener *lis)
{
	struct acceptor *acceptor = lis->acceptor;
	int64_t all = worker_sum_load(acceptor->workers, acceptor->worker_count);
	int64_t own = atomic_load_explicit(&lis->service->connections, memory_order_relaxed);

	if (acceptor_is_full(acceptor, NULL, all, acceptor->limit))
		return COUNTER_REJECTED_LIMIT;
	if (lis->connections_limit > 0 &&
	    acceptor_is_full(acceptor, lis, own, lis->connections_limit))
		return COUNTER_REJECTED_LISTENER_LIMIT;
	history_connected(acceptor->history, all + 1, &lis->service->peaks, own + 1);
	return COUNTER_CONNECTIONS_ACCEPTED;
}

/* Count, log and remember that a client was refused because of REASON. */
static void
listener_refuse(const struct listener *lis, const union connection_peer *peer, enum counter reason)
{
	struct acceptor *acceptor = lis->acceptor;
	char text[ADDRESS_TEXT_MAX];
	const struct log_field fields[] = {
		LOG_TEXT("listener", lis->service->name),
		LOG_TEXT("peer", text),
		LOG_TEXT("reason", counter_info(reason)->value),
	};

	counters_add(&lis->service->acceptor, reason, 1);
	recent_events_add(acceptor->recent,
	    &(struct recent_event){ .service = lis->service, .peer = *peer, .reason = reason });
	if ((acceptor->log_connections != CONFIG_LOG_CONNECTIONS_ALL &&
		acceptor->log_connections != CONFIG_LOG_CONNECTIONS_ERRORS) ||
	    !log_enabled(LOG_LEVEL_INFO))
		return;
	connection_peer_format(peer, text, sizeof(text));
	log_fields(LOG_LEVEL_INFO, fields, ARRAY_SIZE(fields), "connection refused");
}

/* Read into PEER who is behind FD, a UNIX socket, and set the option that it does not inherit. */
static void
acceptor_read_peer(int fd, union connection_peer *peer)
{
	struct ucred credentials = { .pid = 0, .uid = (uid_t)-1 };
	socklen_t size = sizeof(credentials);
	int on = 1;

	(void)getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size);
	peer->un.family = AF_UNIX;
	peer->un.pid = credentials.pid;
	peer->un.uid = credentials.uid;
	(void)setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on));
}

/*
 * Take one connection off the backlog. Returns 0, EBUSY when no worker may have more waiting, or
 * the errno of accept4(2).
 */
static int
listener_accept(struct listener *lis)
{
	union connection_peer peer = { .family = AF_UNSPEC };
	socklen_t length = sizeof(peer);
	struct worker *worker = acceptor_pick_worker(lis);
	enum counter fate;
	int fd;

	if (worker == NULL)
		return EBUSY;
	fd = accept4(
	    lis->socket.fd, (struct sockaddr *)&peer, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0)
		return errno;
	/* accepting works again: nobody has to be shed */
	lis->acceptor->starved_since_ns = 0;
	fate = acceptor_check(lis);
	if (!address_is_ip(&lis->socket.address))
		acceptor_read_peer(fd, &peer);
	if (fate != COUNTER_CONNECTIONS_ACCEPTED) {
		listener_refuse(lis, &peer, fate);
		close(fd);
		return 0;
	}
	counters_add(&lis->service->acceptor, fate, 1);
	listen_socket_set_early(&lis->socket, fd);
	worker_take(worker, lis->service, fd, ++lis->acceptor->last_id, &peer);
	return 0;
}

static void
acceptor_open_spare(struct acceptor *acceptor)
{
	/* any descriptor would do: this one needs no file system */
	if (acceptor->spare_fd < 0)
		acceptor->spare_fd = eventfd(0, EFD_CLOEXEC);
}

/* Close the spare descriptor, and with it accept and close what waits on LIS. */
static void
acceptor_shed(struct acceptor *acceptor, struct listener *lis)
{
	struct linger reset = { .l_onoff = 1, .l_linger = 0 };

	if (acceptor->spare_fd < 0)
		return;
	close(acceptor->spare_fd);
	for (int i = 0; i < SHED_MAX; i++) {
		union connection_peer peer = { .family = AF_UNSPEC };
		socklen_t length = sizeof(peer);
		int fd = accept4(lis->socket.fd, (struct sockaddr *)&peer, &length,
		    SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0)
			break;
		if (!address_is_ip(&lis->socket.address))
			acceptor_read_peer(fd, &peer);
		(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		close(fd);
		listener_refuse(lis, &peer, COUNTER_REJECTED_NO_DESCRIPTORS);
		acceptor->starved.refused++;
	}
	acceptor->spare_fd = -1;
	acceptor_open_spare(acceptor);
}

static void
acceptor_pause_all(struct acceptor *acceptor, enum pause_reason reason, bool on)
{
	struct listener *lis;

	TAILQ_FOREACH (lis, &acceptor->listeners, next)
		listener_pause(lis, reason, on);
}

static void
acceptor_on_retry(evutil_socket_t fd ATTR_UNUSED, short what ATTR_UNUSED, void *arg)
{
	acceptor_open_spare(arg);
	acceptor_pause_all(arg, PAUSE_NO_DESCRIPTORS, false);
}

/* Out of descriptors or memory: all listeners pause; after SHED_AFTER_NS clients are shed. */
static void
acceptor_starve(struct acceptor *acceptor, struct listener *lis, int error)
{
	int64_t now_ns = clock_now_ns();
	const struct log_field fields[] = {
		LOG_TEXT("listener", lis->service->name),
		LOG_NUMBER("errno", error),
	};

	if (episode_begin(acceptor, &acceptor->starved) && log_enabled(LOG_LEVEL_WARNING))
		log_fields(LOG_LEVEL_WARNING, fields, ARRAY_SIZE(fields),
		    "cannot accept connections: %s; trying again ten times a second",
		    strerror(error));
	acceptor->last_error_ns = now_ns;
	if (acceptor->starved_since_ns == 0)
		acceptor->starved_since_ns = now_ns;
	if (now_ns - acceptor->starved_since_ns >= SHED_AFTER_NS)
		acceptor_shed(acceptor, lis);
	acceptor_pause_all(acceptor, PAUSE_NO_DESCRIPTORS, true);
	if (!event_pending(&acceptor->retry, EV_TIMEOUT, NULL))
		acceptor_set_timer(&acceptor->retry, RETRY_NS);
}

/* Pause LIS, each time longer; the first error of an episode is logged. */
static void
listener_back_off(struct listener *lis, int error)
{
	const struct log_field fields[] = {
		LOG_TEXT("listener", lis->service->name),
		LOG_NUMBER("errno", error),
	};

	if (lis->errors == 0)
		lis->failing_since_ns = clock_now_ns();
	if (lis->errors == 0 && log_enabled(LOG_LEVEL_WARNING))
		log_fields(LOG_LEVEL_WARNING, fields, ARRAY_SIZE(fields),
		    "listener %s cannot accept connections: %s; trying again, after a second at "
		    "the latest",
		    lis->service->name, strerror(error));
	lis->errors += lis->failed_in_row;
	lis->failed_in_row = 0;
	lis->backoff_ns += lis->backoff_ns + BACKOFF_MIN_NS;
	if (lis->backoff_ns > BACKOFF_MAX_NS)
		lis->backoff_ns = BACKOFF_MAX_NS;
	listener_pause(lis, PAUSE_ERROR, true);
	acceptor_set_timer(&lis->timer, lis->backoff_ns);
}

static void
listener_fail(struct listener *lis, int error)
{
	counters_add(&lis->service->acceptor, error_counter(COUNTER_ACCEPT_OTHER, error), 1);
	lis->failed_in_row++;
	if (error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM)
		acceptor_starve(lis->acceptor, lis, error);
	else if (lis->failed_in_row >= FAILED_IN_ROW_MAX)
		listener_back_off(lis, error);
}

static void
acceptor_on_busy_timer(evutil_socket_t fd ATTR_UNUSED, short what ATTR_UNUSED, void *arg)
{
	acceptor_pause_all(arg, PAUSE_BUSY, false);
}

/* What a turn leaves in the backlog, the selector reports again. */
static void
listener_on_readable(evutil_socket_t fd ATTR_UNUSED, short what ATTR_UNUSED, void *arg)
{
	struct listener *lis = arg;

	for (int i = 0; i < BATCH_MAX && lis->pauses == 0; i++) {
		int error = listener_accept(lis);

		if (error == 0 || error == EAGAIN)
			lis->failed_in_row = 0;
		if (error == EAGAIN)
			break;
		if (error == EBUSY) {
			listener_pause(lis, PAUSE_BUSY, true);
			acceptor_set_timer(&lis->acceptor->busy_timer, BUSY_RETRY_NS);
		} else if (error != 0 && error != EINTR) {
			listener_fail(lis, error);
		}
	}
}

/* Tell the end of an episode of errors: LIS accepts again, or is closed. */
static void
listener_end_errors(const struct listener *lis, const char *end)
{
	int64_t lasted_ms = (clock_now_ns() - lis->failing_since_ns) / NS_PER_MS;
	const struct log_field fields[] = {
		LOG_TEXT("listener", lis->service->name),
		LOG_NUMBER("errors", lis->errors),
		LOG_NUMBER("duration_ms", lasted_ms),
	};

	if (log_enabled(LOG_LEVEL_NOTICE))
		log_fields(LOG_LEVEL_NOTICE, fields, ARRAY_SIZE(fields),
		    "listener %s %s, after %llu errors in %lld.%lld s", lis->service->name, end,
		    (unsigned long long)lis->errors, (long long)lasted_ms / 1000,
		    (long long)lasted_ms / 100 % 10);
}

/* The timer first ends a pause; then, when no error has come since, the episode. */
static void
listener_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct listener *lis = arg;

	if (lis->pauses == 0) {
		listener_end_errors(lis, "accepts connections again");
		lis->errors = 0;
		lis->backoff_ns = 0;
		return;
	}
	listener_pause(lis, PAUSE_ERROR, false);
	listener_on_readable(fd, what, lis);
	if ((lis->pauses & PAUSE_ERROR) == 0)
		acceptor_set_timer(&lis->timer, EPISODE_END_NS);
}

void
listener_pause(struct listener *lis, enum pause_reason reason, bool on)
{
	unsigned was = lis->pauses;

	errno = ENOMEM; /* where libevent says nothing else */
	lis->pauses = on ? was | reason : was & ~(unsigned)reason;
	if (was == 0 && on)
		(void)event_del(&lis->readable);
	else if (was != 0 && lis->pauses == 0 && event_add(&lis->readable, NULL) < 0) {
		counters_add(
		    &lis->service->acceptor, error_counter(COUNTER_ACCEPT_OTHER, errno), 1);
		lis->failed_in_row++;
		listener_back_off(lis, errno);
	}
}

struct listener *
listener_new(struct acceptor *acceptor, const struct listen_socket *sock)
{
	struct event_base *base = loop_base(acceptor->loop);
	struct listener *lis = calloc(1, sizeof(*lis));

	if (lis == NULL)
		return NULL;
	lis->acceptor = acceptor;
	lis->socket = *sock;
	event_assign(
	    &lis->readable, base, sock->fd, EV_READ | EV_PERSIST, listener_on_readable, lis);
	event_assign(&lis->timer, base, -1, 0, listener_on_timer, lis);
	errno = ENOMEM;
	if (event_add(&lis->readable, NULL) == 0)
		return lis;
	free(lis);
	return NULL;
}

void
listener_set(struct listener *lis, struct service *service, int64_t limit)
{
	lis->service = service;
	lis->connections_limit = limit;
	lis->most_waiting = acceptor_most_waiting(lis->acceptor, limit > 0 ? limit : INT64_MAX);
}

/* Accept a batch from the backlog of LIS, which is being closed. Returns whether there was any. */
static bool
listener_take_rest(struct listener *lis, int64_t deadline_ns)
{
	bool any = false;

	for (int i = 0; i < BATCH_MAX && lis->left > 0 && clock_now_ns() < deadline_ns; i++) {
		int error = listener_accept(lis);

		if (error == EBUSY) {
			(void)nanosleep(&moment, NULL);
			return true;
		}
		if (error == EAGAIN || error == EINVAL)
			break;
		any |= error == 0;
		lis->left--;
	}
	return any;
}

void
listeners_close(struct listener_list *list)
{
	int64_t now_ns = clock_now_ns(), deadline_ns = now_ns + CLOSE_NS;
	int64_t quiet_ns = now_ns + CLOSE_QUIET_NS;
	struct listener *lis;

	TAILQ_FOREACH (lis, list, next) {
		(void)event_del(&lis->readable);
		lis->left = listen_socket_shut(&lis->socket);
	}
	while (!TAILQ_EMPTY(list) && now_ns < deadline_ns && now_ns < quiet_ns) {
		bool any = false;

		TAILQ_FOREACH (lis, list, next)
			any |= listener_take_rest(lis, deadline_ns);
		if (!any)
			(void)nanosleep(&moment, NULL);
		now_ns = clock_now_ns();
		if (any)
			quiet_ns = now_ns + CLOSE_QUIET_NS;
	}
	while ((lis = TAILQ_FIRST(list)) != NULL) {
		TAILQ_REMOVE(list, lis, next);
		listener_free(lis);
	}
}

void
listener_free(struct listener *lis)
{
	if (lis == NULL)
		return;
	(void)event_del(&lis->readable);
	(void)event_del(&lis->timer);
	/* one that never served has no service */
	if (lis->service != NULL) {
		episode_end(&lis->full, lis, "connections limit");
		if (lis->errors > 0)
			listener_end_errors(lis, "is closed");
	}
	listen_socket_close(&lis->socket);
	free(lis);
}

int
acceptor_init(
    struct acceptor *acceptor, struct loop *loop, struct worker *const *workers, size_t count)
{
	acceptor->loop = loop;
	acceptor->workers = workers;
	acceptor->worker_count = count;
	TAILQ_INIT(&acceptor->listeners);
	event_assign(&acceptor->retry, loop_base(loop), -1, 0, acceptor_on_retry, acceptor);
	event_assign(
	    &acceptor->busy_timer, loop_base(loop), -1, 0, acceptor_on_busy_timer, acceptor);
	event_assign(
	    &acceptor->episode_timer, loop_base(loop), -1, 0, acceptor_on_episode_timer, acceptor);
	acceptor->spare_fd = -1;
	acceptor_open_spare(acceptor);
	if (acceptor->spare_fd < 0)
		return -errno;
	acceptor->recent = recent_events_new();
	return acceptor->recent != NULL ? 0 : -ENOMEM;
}

void
acceptor_done(struct acceptor *acceptor)
{
	struct listener *lis;

	if (acceptor->worker_count == 0)
		return;
	while ((lis = TAILQ_FIRST(&acceptor->listeners)) != NULL) {
		TAILQ_REMOVE(&acceptor->listeners, lis, next);
		listener_free(lis);
	}
	(void)event_del(&acceptor->retry);
	(void)event_del(&acceptor->busy_timer);
	(void)event_del(&acceptor->episode_timer);
	episode_end(&acceptor->full, NULL, "limits.connections");
	episode_end(&acceptor->starved, NULL, "lack of descriptors or memory");
	recent_events_free(acceptor->recent);
	if (acceptor->spare_fd >= 0)
		close(acceptor->spare_fd);
}

void
acceptor_set(struct acceptor *acceptor, const struct config *cfg)
{
	acceptor->limit = cfg->limits.connections;
	acceptor->most_waiting = acceptor_most_waiting(acceptor, acceptor->limit);
	acceptor->log_connections = (enum config_log_connections)cfg->log.connections;
}
