/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "engine/connection.h"

#include <errno.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <event2/buffer.h>

#include "base/address.h"
#include "base/clock.h"
#include "engine/echo.h"
#include "engine/worker.h"

/* How far by_activity may lag behind active_ns: a busy connection is moved ten times a second. */
#define ACTIVITY_SLACK_NS (100 * NS_PER_MS)

/* Rows: from, columns: to. */
static const bool state_allowed[4][4] = {
	[CONNECTION_OPEN] = { false, true, false, true },
	[CONNECTION_FLUSHING] = { false, false, true, true },
	[CONNECTION_LINGERING] = { false, false, false, true },
	[CONNECTION_CLOSED] = { false, false, false, false },
};

const char *
connection_state_name(enum connection_state state)
{
	static const char *const names[] = { "open", "flushing", "lingering", "closed" };

	return names[state];
}

/* The only writer of the state. */
static void
connection_set_state(struct connection *conn, enum connection_state state)
{
	if (!state_allowed[conn->state][state]) {
		log_abort("BUG: a connection went from %s to %s",
		    connection_state_name(conn->state), connection_state_name(state));
	}
	conn->state = state;
}

size_t
connection_pending(const struct connection *conn)
{
	return evbuffer_get_length(bufferevent_get_output(conn->bev));
}

/* A connection that is ending is no longer idle or too old: take it out of by_activity. */
static void
connection_set_reason(struct connection *conn, enum close_reason reason)
{
	if (conn->reason != CLOSE_NONE)
		return;
	conn->reason = reason;
	TAILQ_REMOVE(&conn->share->by_activity, conn, by_activity);
}

void
connection_touch(struct connection *conn, int64_t now_ns)
{
	conn->active_ns = now_ns;
	if (now_ns - conn->queued_ns < ACTIVITY_SLACK_NS || conn->reason != CLOSE_NONE)
		return;
	conn->queued_ns = now_ns;
	TAILQ_REMOVE(&conn->share->by_activity, conn, by_activity);
	TAILQ_INSERT_TAIL(&conn->share->by_activity, conn, by_activity);
}

/* Bytes that the client's kernel has acknowledged, as near as the socket can tell. */
static uint64_t
connection_acknowledged(const struct connection *conn)
{
	int unsent = 0;

	if (ioctl(conn->fd, SIOCOUTQ, &unsent) < 0)
		unsent = 0;
	return conn->bytes_out - (uint64_t)unsent;
}

void
connection_record_delay(struct connection *conn)
{
	if (conn->echo_since_ns == 0)
		return;
	distribution_record(
	    &conn->share->echo_delay, &distribution_delays, clock_now_ns() - conn->echo_since_ns);
}

/*
 * What was read, was not lost and no longer waits has gone out: so bufferevent's own writes are
 * counted without a callback on its buffers.
 */
void
connection_account(struct connection *conn)
{
	size_t waiting = connection_pending(conn);
	size_t unechoed = evbuffer_get_length(bufferevent_get_input(conn->bev));
	uint64_t out = conn->bytes_in - conn->lost - unechoed - waiting;

	counters_add(&conn->share->counters, COUNTER_SENT_BYTES, out - conn->bytes_out);
	conn->bytes_out = out;
	if (waiting == conn->waiting)
		return;
	counters_add(&conn->share->counters, COUNTER_PENDING_BYTES, waiting - conn->waiting);
	if (conn->waiting == 0) {
		conn->progress_ns = conn->checked_ns = clock_coarse_ns();
		conn->progress_mark = connection_acknowledged(conn);
		TAILQ_INSERT_TAIL(&conn->worker->pending, conn, by_progress);
	} else if (waiting == 0) {
		TAILQ_REMOVE(&conn->worker->pending, conn, by_progress);
		connection_record_delay(conn);
	}
	conn->waiting = waiting;
}

bool
connection_check_progress(struct connection *conn, int64_t now_ns)
{
	int64_t timeout = conn->worker->settings.stall_timeout_ns;
	uint64_t mark;

	connection_account(conn);
	mark = connection_acknowledged(conn);
	if (mark != conn->progress_mark) {
		conn->progress_mark = mark;
		conn->progress_ns = now_ns;
	}
	if (timeout > 0 && now_ns - conn->progress_ns >= timeout) {
		connection_close(conn, CLOSE_STALLED);
		return true;
	}
	conn->checked_ns = now_ns;
	return false;
}

void
connection_pause(struct connection *conn)
{
	if (conn->read_paused)
		return;
	conn->read_paused = true;
	conn->pauses++;
	conn->paused_since_ns = clock_coarse_ns();
	counters_add(&conn->share->counters, COUNTER_READ_PAUSES, 1);
	(void)bufferevent_disable(conn->bev, EV_READ);
	bufferevent_setwatermark(conn->bev, EV_WRITE, conn->worker->settings.output_low, 0);
}

static void
connection_resume(struct connection *conn)
{
	conn->read_paused = false;
	conn->paused_ns += clock_coarse_ns() - conn->paused_since_ns;
	bufferevent_setwatermark(conn->bev, EV_WRITE, 0, 0);
	if (bufferevent_enable(conn->bev, EV_READ) < 0)
		connection_close(conn, CLOSE_NO_MEMORY);
}

/* Everything is echoed: send our FIN and wait a bounded time for the client's. */
static void
connection_linger(struct connection *conn)
{
	/* with the client's FIN read nothing can arrive that a close would turn into a reset */
	if (conn->peer_fin || shutdown(conn->fd, SHUT_WR) < 0) {
		connection_close(conn, conn->reason);
		return;
	}
	connection_set_state(conn, CONNECTION_LINGERING);
	conn->progress_ns = clock_coarse_ns();
	TAILQ_INSERT_TAIL(&conn->worker->lingering, conn, by_progress);
	(void)bufferevent_set_max_single_read(conn->bev, 0);
	if (bufferevent_enable(conn->bev, EV_READ) < 0)
		connection_close(conn, CLOSE_NO_MEMORY);
}

void
connection_flush(struct connection *conn)
{
	connection_set_reason(conn, conn->peer_fin ? CLOSE_CLIENT_FIN : CLOSE_BYTE_LIMIT);
	connection_set_state(conn, CONNECTION_FLUSHING);
	(void)bufferevent_disable(conn->bev, EV_READ);
	bufferevent_setwatermark(conn->bev, EV_WRITE, 0, 0);
	if (conn->waiting == 0)
		connection_linger(conn);
}

void
connection_finish(struct connection *conn, enum close_reason reason)
{
	int unread = 0;

	if (conn->state != CONNECTION_OPEN || conn->reason != CLOSE_NONE)
		return;
	connection_set_reason(conn, reason);
	if (ioctl(conn->fd, FIONREAD, &unread) < 0 || unread < 0)
		unread = 0;
	echo_set_budget(conn, (uint64_t)unread);
	if (conn->read_budget == 0)
		connection_flush(conn);
}

void
connection_fail(struct connection *conn, int error, enum close_reason otherwise)
{
	if (error == ECONNRESET || error == EPIPE)
		otherwise = CLOSE_CLIENT_RESET;
	else if (error == ENOMEM || error == ENOBUFS)
		otherwise = CLOSE_NO_MEMORY;
	connection_close(conn, otherwise);
}

static bool
connection_end_is_logged(const struct connection *conn, enum close_reason reason)
{
	switch (conn->worker->settings.log_connections) {
	case CONFIG_LOG_CONNECTIONS_OFF:
		return false;
	case CONFIG_LOG_CONNECTIONS_ERRORS:
		break;
	default:
		return true;
	}
	switch (reason) {
	case CLOSE_CLIENT_RESET:
		/* the usual health probe: connect, then reset */
		return conn->bytes_in > 0;
	case CLOSE_STALLED:
	case CLOSE_DRAIN_FORCED:
	case CLOSE_WRITE_ERROR:
	case CLOSE_READ_ERROR:
	case CLOSE_NO_MEMORY:
		return true;
	default:
		return false;
	}
}

void
connection_close(struct connection *conn, enum close_reason reason)
{
	struct worker *worker = conn->worker;
	struct share *share = conn->share;
	bool flushed = conn->state == CONNECTION_LINGERING;

	connection_account(conn);
	connection_set_reason(conn, reason);
	conn->reason = reason;
	if (connection_end_is_logged(conn, reason))
		worker_log(LOG_LEVEL_INFO, conn, "connection closed");
	if (conn->waiting > 0) {
		counters_add(&share->counters, COUNTER_PENDING_BYTES, -(uint64_t)conn->waiting);
		TAILQ_REMOVE(&worker->pending, conn, by_progress);
	}
	if (flushed)
		TAILQ_REMOVE(&worker->lingering, conn, by_progress);
	walk_skip(&worker->walks, conn);
	TAILQ_REMOVE(&share->by_age, conn, by_age);
	connection_set_state(conn, CONNECTION_CLOSED);
	counters_add(&share->counters, close_reason_counter(reason), 1);
	distribution_record(
	    &share->duration, &distribution_lives, clock_coarse_ns() - conn->accepted_ns);

	/*
	 * What the client did not take in time is not left to the kernel to hold. But where
	 * everything was handed over and our FIN sent, the kernel delivers it without us.
	 */
	if (!flushed && (reason == CLOSE_STALLED || reason == CLOSE_DRAIN_FORCED)) {
		struct linger reset = { .l_onoff = 1, .l_linger = 0 };

		(void)setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	}
	/*
	 * Inside a callback libevent holds a reference, and the free only takes place after it: the
	 * events have to leave the selector now, while the number still means this connection.
	 */
	(void)bufferevent_disable(conn->bev, EV_READ | EV_WRITE);
	bufferevent_free(conn->bev);
	close(conn->fd);
	worker_release(worker, share);
	free(conn);
}

static void
connection_on_read(struct bufferevent *bev, void *arg)
{
	struct connection *conn = arg;

	if (conn->state == CONNECTION_OPEN) {
		echo_forward(conn);
	} else {
		/* after our FIN: taken off the socket so that the close does not reset it */
		struct evbuffer *input = bufferevent_get_input(bev);

		(void)evbuffer_drain(input, evbuffer_get_length(input));
	}
}

static void
connection_on_write(struct bufferevent *bev, void *arg)
{
	struct connection *conn = arg;

	(void)bev;
	connection_account(conn);
	connection_touch(conn, clock_coarse_ns());
	if (conn->state == CONNECTION_FLUSHING && conn->waiting == 0)
		connection_linger(conn);
	else if (conn->read_paused && conn->waiting <= conn->worker->settings.output_low)
		connection_resume(conn);
}

static void
connection_on_event(struct bufferevent *bev, short what, void *arg)
{
	struct connection *conn = arg;
	int error = errno;

	(void)bev;
	if (what & BEV_EVENT_EOF) {
		conn->peer_fin = true;
		if (conn->state == CONNECTION_LINGERING)
			connection_close(conn, conn->reason);
		else if (conn->state == CONNECTION_OPEN)
			connection_flush(conn);
	} else if (conn->state == CONNECTION_LINGERING) {
		/* all was echoed and our FIN sent: how the client leaves is its own affair */
		connection_close(conn, conn->reason);
	} else {
		connection_fail(
		    conn, error, what & BEV_EVENT_WRITING ? CLOSE_WRITE_ERROR : CLOSE_READ_ERROR);
	}
}

void
connection_new(struct worker *worker, struct share *share, int fd, uint64_t id,
    const union connection_peer *peer)
{
	struct connection *conn = calloc(1, sizeof(*conn));
	struct bufferevent *bev = bufferevent_socket_new(loop_base(worker->loop), fd, 0);

	if (conn == NULL || bev == NULL) {
		counters_add(&share->counters, COUNTER_CLOSED_NO_MEMORY, 1);
		if (bev != NULL)
			bufferevent_free(bev);
		free(conn);
		close(fd);
		worker_release(worker, share);
		return;
	}
	conn->bev = bev;
	conn->worker = worker;
	conn->share = share;
	conn->fd = fd;
	conn->id = id;
	conn->peer = *peer;
	conn->reason = CLOSE_NONE;
	conn->accepted_ns = conn->active_ns = conn->queued_ns = clock_coarse_ns();
	conn->read_budget = UINT64_MAX;
	TAILQ_INSERT_TAIL(&share->by_age, conn, by_age);
	TAILQ_INSERT_TAIL(&share->by_activity, conn, by_activity);
	if (share->settings.byte_limit > 0)
		echo_set_budget(conn, share->settings.byte_limit);
	if (worker->settings.log_connections == CONFIG_LOG_CONNECTIONS_ALL)
		worker_log(LOG_LEVEL_INFO, conn, "connection opened");

	bufferevent_setcb(bev, connection_on_read, connection_on_write, connection_on_event, conn);
	if (bufferevent_enable(bev, EV_READ) < 0)
		connection_close(conn, CLOSE_NO_MEMORY);
}

char *
connection_peer_format(const union connection_peer *peer, char *buffer, size_t size)
{
	switch (peer->family) {
	case AF_INET:
		return address_format_sockaddr(
		    (const struct sockaddr *)&peer->in, sizeof(peer->in), buffer, size);
	case AF_INET6:
		return address_format_sockaddr(
		    (const struct sockaddr *)&peer->in6, sizeof(peer->in6), buffer, size);
	default:
		(void)snprintf(
		    buffer, size, "unix:pid=%d,uid=%u", (int)peer->un.pid, (unsigned)peer->un.uid);
		return buffer;
	}
}
