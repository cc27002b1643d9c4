/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "engine/connection.h"

#include <errno.h>
#include <linux/sockios.h>
#include <linux/tcp.h> /* the C library's copy of struct tcp_info is years behind */
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/event.h>

#include "base/address.h"
#include "base/clock.h"
#include "base/log.h"
#include "engine/recent_events.h"

/* How far by_activity may lag behind active_ns, so that a busy connection is moved rarely. */
#define ACTIVITY_SLACK_NS (100 * NS_PER_MS)

/* A waiting output is looked at this many times in one stall_timeout. */
#define PROGRESS_CHECKS 8

/* Fields of a line about a connection: of its begin, and of its end but for what TCP knows. */
#define CONNECTION_FIELDS_BEGIN 3
#define CONNECTION_FIELDS_END 7

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

/* shard->unseen is the first of by_activity that was not looked at since its last byte. */
static void
connection_enter_activity(struct connection *conn)
{
	TAILQ_INSERT_TAIL(&conn->shard->by_activity, conn, by_time);
	if (conn->shard->unseen == NULL)
		conn->shard->unseen = conn;
}

static void
connection_leave_activity(struct connection *conn)
{
	if (conn->shard->unseen == conn)
		conn->shard->unseen = TAILQ_NEXT(conn, by_time);
	TAILQ_REMOVE(&conn->shard->by_activity, conn, by_time);
}

/* A connection that is ending is no longer idle or too old; from now on its flush is timed. */
static void
connection_set_reason(struct connection *conn, enum close_reason reason)
{
	if (conn->reason != CLOSE_NONE)
		return;
	conn->reason = reason;
	conn->ending_ns = clock_coarse_ns();
	connection_leave_activity(conn);
	TAILQ_INSERT_TAIL(&conn->set->ending, conn, by_time);
}

void
connection_touch(struct connection *conn, int64_t now_ns)
{
	conn->active_ns = now_ns;
	if (now_ns - conn->queued_ns < ACTIVITY_SLACK_NS || conn->reason != CLOSE_NONE)
		return;
	conn->queued_ns = now_ns;
	connection_leave_activity(conn);
	connection_enter_activity(conn);
}

/*
 * Return how many bytes the kernel holds: QUEUE is FIONREAD for those to be read, SIOCOUTQ for
 * those that were sent and that the client's kernel has not acknowledged, SIOCOUTQNSD for those
 * that were not even sent.
 */
static uint64_t
connection_in_kernel(const struct connection *conn, unsigned long queue)
{
	int bytes = 0;

	return ioctl(conn->fd, queue, &bytes) == 0 && bytes > 0 ? (uint64_t)bytes : 0;
}

/*
 * Return whether the client has still to take some of its echo. What is in the kernel counts for
 * TCP alone: a UNIX socket counts whole blocks, which a slow client takes long to empty.
 */
static bool
connection_owes(const struct connection *conn)
{
	return conn->waiting > 0 ||
	       (conn->peer.family != AF_UNIX && connection_in_kernel(conn, SIOCOUTQ) > 0);
}

/* Return whether the client took anything since the last call, and note how much. */
static bool
connection_progressed(struct connection *conn, int64_t now_ns)
{
	uint64_t mark = conn->bytes_out - connection_in_kernel(conn, SIOCOUTQ);

	if (mark == conn->progress_mark)
		return false;
	conn->progress_mark = mark;
	conn->progress_ns = now_ns;
	return true;
}

/* Watch from now on whether the client takes its echo, from the output or from the kernel. */
static void
connection_watch(struct connection *conn, int64_t now_ns)
{
	conn->watched = true;
	conn->checked_ns = conn->progress_ns = now_ns;
	(void)connection_progressed(conn, now_ns);
	TAILQ_INSERT_TAIL(&conn->set->pending, conn, by_progress);
}

static void
connection_unwatch(struct connection *conn)
{
	if (conn->watched)
		TAILQ_REMOVE(&conn->set->pending, conn, by_progress);
	conn->watched = false;
	conn->progress_ns = 0;
}

void
connection_record_delay(struct connection *conn)
{
	if (conn->echo_since_ns == 0)
		return;
	distribution_record(
	    &conn->shard->echo_delay, &distribution_delays, clock_now_ns() - conn->echo_since_ns);
	conn->echo_since_ns = 0;
}

void
connection_count_sent(struct connection *conn, size_t n)
{
	conn->bytes_out += n;
	counters_add(&conn->shard->counters, COUNTER_SENT_BYTES, n);
}

/*
 * Bytes that were read, not lost and are no longer queued have been sent: so the bufferevent's own
 * writes are counted without a callback on its buffer.
 */
void
connection_account(struct connection *conn)
{
	size_t waiting = evbuffer_get_length(bufferevent_get_output(conn->bev));

	connection_count_sent(conn, conn->bytes_in - conn->lost - waiting - conn->bytes_out);
	if (waiting == conn->waiting)
		return;
	counters_add(&conn->shard->counters, COUNTER_PENDING_BYTES, waiting - conn->waiting);
	conn->waiting = waiting;
	if (waiting == 0)
		connection_record_delay(conn);
	else if (!conn->watched)
		connection_watch(conn, clock_coarse_ns());
}

void
connection_pause(struct connection *conn)
{
	if (conn->read_paused)
		return;
	conn->read_paused = true;
	conn->pauses++;
	conn->paused_since_ns = clock_coarse_ns();
	counters_add(&conn->shard->counters, COUNTER_READ_PAUSES, 1);
	(void)event_del(&conn->readable);
	/* splice(2), with which a stream in bulk goes on, needs an empty output */
	bufferevent_setwatermark(
	    conn->bev, EV_WRITE, conn->bulk ? 0 : (size_t)conn->set->config->limits.output_low, 0);
}

static void
connection_end_pause(struct connection *conn)
{
	if (!conn->read_paused)
		return;
	conn->read_paused = false;
	conn->paused_ns += clock_coarse_ns() - conn->paused_since_ns;
	bufferevent_setwatermark(conn->bev, EV_WRITE, 0, 0);
}

static void
connection_start_reading(struct connection *conn)
{
	if (event_add(&conn->readable, NULL) < 0)
		connection_close(conn, CLOSE_NO_MEMORY);
}

/* Everything is echoed: send our FIN and wait a bounded time for the client's. */
static void
connection_linger(struct connection *conn)
{
	/* after the client's FIN nothing can arrive that would make the kernel send a reset */
	if (conn->peer_fin || shutdown(conn->fd, SHUT_WR) < 0) {
		connection_close(conn, conn->reason);
		return;
	}
	connection_set_state(conn, CONNECTION_LINGERING);
	connection_unwatch(conn);
	conn->ending_ns = clock_coarse_ns();
	TAILQ_REMOVE(&conn->set->ending, conn, by_time);
	TAILQ_INSERT_TAIL(&conn->set->lingering, conn, by_time);
	connection_start_reading(conn);
}

void
connection_flush(struct connection *conn)
{
	if (conn->state != CONNECTION_OPEN)
		return;
	connection_set_reason(conn, conn->peer_fin ? CLOSE_CLIENT_FIN : CLOSE_BYTE_LIMIT);
	connection_set_state(conn, CONNECTION_FLUSHING);
	(void)event_del(&conn->readable);
	connection_end_pause(conn);
	if (conn->waiting == 0)
		connection_linger(conn);
}

/*
 * End in good order because of REASON: what the kernel has already acknowledged is still read and
 * echoed, then our FIN, then a bounded wait for the client's.
 */
static void
connection_finish(struct connection *conn, enum close_reason reason)
{
	uint64_t unread;

	if (conn->state != CONNECTION_OPEN || conn->reason != CLOSE_NONE)
		return;
	connection_set_reason(conn, reason);
	unread = connection_in_kernel(conn, FIONREAD);
	if (unread < conn->read_budget)
		conn->read_budget = unread;
	if (conn->read_budget == 0)
		connection_flush(conn);
}

void
connection_fail(struct connection *conn, int error, enum close_reason otherwise)
{
	switch (error) {
	case ECONNRESET:
	case EPIPE:
		otherwise = CLOSE_CLIENT_RESET;
		break;
	case ETIMEDOUT:
	/* a timeout too, for which the network had given a reason */
	case ECONNREFUSED:
	case EHOSTDOWN:
	case EHOSTUNREACH:
	case ENETUNREACH:
		/* SIOCOUTQ still counts what the dead socket held */
		otherwise = connection_owes(conn) ? CLOSE_STALLED : CLOSE_TIMED_OUT;
		break;
	case ENOMEM:
	case ENOBUFS:
		otherwise = CLOSE_NO_MEMORY;
		break;
	default:
		break;
	}
	connection_close(conn, otherwise);
}

bool
connection_read_tcp_info(const struct connection *conn, struct connection_tcp_info *ret_info)
{
	struct tcp_info kernel = { .tcpi_rtt = 0 };
	socklen_t length = sizeof(kernel);

	if (conn->peer.family == AF_UNIX ||
	    getsockopt(conn->fd, IPPROTO_TCP, TCP_INFO, &kernel, &length) < 0)
		return false;
	*ret_info = (struct connection_tcp_info){ .rtt_ns = kernel.tcpi_rtt * NS_PER_US,
		.rttvar_ns = kernel.tcpi_rttvar * NS_PER_US,
		.min_rtt_ns = kernel.tcpi_min_rtt * NS_PER_US,
		.retransmits = kernel.tcpi_total_retrans,
		.mss = kernel.tcpi_snd_mss,
		.cwnd = kernel.tcpi_snd_cwnd,
		.delivery_rate = kernel.tcpi_delivery_rate };
	return true;
}

/* One that has just begun has neither a reason nor figures; one that ends has what TCP knew. */
static void
connection_log(const struct connection *conn, const char *message)
{
	char peer[ADDRESS_TEXT_MAX];
	struct connection_tcp_info tcp;
	size_t count = CONNECTION_FIELDS_BEGIN;
	struct log_field fields[] = {
		LOG_TEXT("listener", conn->shard->service->name),
		LOG_NUMBER("connection", conn->id),
		LOG_TEXT("peer", peer),
		LOG_TEXT("reason", close_reason_name(conn->reason)),
		LOG_NUMBER("bytes_in", conn->bytes_in),
		LOG_NUMBER("bytes_out", conn->bytes_out),
		LOG_NUMBER("duration_ms", (clock_coarse_ns() - conn->accepted_ns) / NS_PER_MS),
		LOG_NUMBER("rtt_us", 0),
		LOG_NUMBER("retransmits", 0),
	};

	if (!log_enabled(LOG_LEVEL_INFO))
		return;
	connection_peer_format(&conn->peer, peer, sizeof(peer));
	if (conn->reason != CLOSE_NONE)
		count = CONNECTION_FIELDS_END;
	if (conn->reason != CLOSE_NONE && connection_read_tcp_info(conn, &tcp)) {
		fields[count++] = LOG_NUMBER("rtt_us", tcp.rtt_ns / NS_PER_US);
		fields[count++] = LOG_NUMBER("retransmits", tcp.retransmits);
	}
	log_fields(LOG_LEVEL_INFO, fields, count, "%s", message);
}

static bool
connection_end_is_logged(const struct connection *conn)
{
	if (conn->set->config->log.connections != CONFIG_LOG_CONNECTIONS_ERRORS)
		return conn->set->config->log.connections != CONFIG_LOG_CONNECTIONS_OFF;
	switch (conn->reason) {
	case CLOSE_CLIENT_RESET:
		/*
		 * The usual health probe resets when it has seen its echo, or without a byte. Its
		 * kernel may not have acknowledged that echo: what was sent is no sign of a loss.
		 */
		return conn->waiting > 0 || conn->lost > 0 ||
		       connection_in_kernel(conn, SIOCOUTQNSD) > 0;
	case CLOSE_STALLED:
	case CLOSE_TIMED_OUT:
	case CLOSE_DRAIN_FORCED:
	case CLOSE_WRITE_ERROR:
	case CLOSE_READ_ERROR:
	case CLOSE_NO_MEMORY:
		return true;
	default:
		return false;
	}
}

/* Uncount a connection that ended, in the counts that the main loop reads. */
static void
connection_give_back(struct connection_set *set, struct shard *shard)
{
	atomic_fetch_sub_explicit(&set->load, 1, memory_order_relaxed);
	atomic_fetch_sub_explicit(&shard->service->connections, 1, memory_order_relaxed);
}

void
connection_close(struct connection *conn, enum close_reason reason)
{
	struct connection_set *set = conn->set;
	struct shard *shard = conn->shard;
	bool lingering = conn->state == CONNECTION_LINGERING;

	connection_account(conn);
	connection_set_reason(conn, reason);
	conn->reason = reason;
	if (connection_end_is_logged(conn))
		connection_log(conn, "connection closed");
	recent_events_add(set->recent, &(struct recent_event){ .service = shard->service,
					   .connection = conn->id,
					   .peer = conn->peer,
					   .reason = reason,
					   .bytes_in = conn->bytes_in,
					   .bytes_out = conn->bytes_out,
					   .duration_ns = clock_coarse_ns() - conn->accepted_ns });
	counters_add(&shard->counters, COUNTER_PENDING_BYTES, -(uint64_t)conn->waiting);
	connection_unwatch(conn);
	if (set->visited == conn)
		set->visited = TAILQ_NEXT(conn, by_age);
	TAILQ_REMOVE(lingering ? &set->lingering : &set->ending, conn, by_time);
	TAILQ_REMOVE(&shard->by_age, conn, by_age);
	connection_set_state(conn, CONNECTION_CLOSED);
	counters_add(&shard->counters, reason, 1);
	distribution_record(
	    &shard->duration, &distribution_lives, clock_coarse_ns() - conn->accepted_ns);

	/* a client that did not get all of its echo must not take it for the whole */
	if (conn->waiting > 0 || conn->lost > 0 || reason == CLOSE_STALLED) {
		struct linger reset = { .l_onoff = 1, .l_linger = 0 };

		(void)setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	}
	/*
	 * Inside a callback libevent holds a reference to the bufferevent, and its free only takes
	 * place after it: the events have to leave the selector now, while the number still means
	 * this connection.
	 */
	(void)event_del(&conn->readable);
	(void)bufferevent_disable(conn->bev, EV_WRITE);
	bufferevent_free(conn->bev);
	conn->bev = NULL;
	close(conn->fd);
	connection_give_back(set, shard);
	if (TAILQ_EMPTY(&set->dead))
		event_active(&set->reap, EV_TIMEOUT, 0);
	TAILQ_INSERT_TAIL(&set->dead, conn, by_age);
}

static void
connection_on_readable(evutil_socket_t fd ATTR_UNUSED, short what ATTR_UNUSED, void *arg)
{
	struct connection *conn = arg;

	if (conn->state == CONNECTION_OPEN)
		echo_read(conn);
	else if (conn->state == CONNECTION_LINGERING)
		echo_discard(conn);
}

static void
connection_on_write(struct bufferevent *bev ATTR_UNUSED, void *arg)
{
	struct connection *conn = arg;

	connection_account(conn);
	connection_touch(conn, clock_coarse_ns());
	if (conn->state == CONNECTION_FLUSHING && conn->waiting == 0) {
		connection_linger(conn);
	} else if (conn->read_paused &&
		   conn->waiting <= (size_t)conn->set->config->limits.output_low) {
		connection_end_pause(conn);
		connection_start_reading(conn);
	}
}

/* A write of the bufferevent failed: it does nothing else that can fail. */
static void
connection_on_event(struct bufferevent *bev ATTR_UNUSED, short what ATTR_UNUSED, void *arg)
{
	connection_fail(arg, errno, CLOSE_WRITE_ERROR);
}

/* A connection that memory lacks for ends before it began. */
static void
connection_fail_new(
    struct connection_set *set, struct shard *shard, uint64_t id, const union connection_peer *peer)
{
	const struct connection unborn = { .id = id,
		.set = set,
		.shard = shard,
		.peer = *peer,
		.fd = -1,
		.accepted_ns = clock_coarse_ns(),
		.reason = CLOSE_NO_MEMORY };

	counters_add(&shard->counters, COUNTER_CLOSED_NO_MEMORY, 1);
	if (connection_end_is_logged(&unborn))
		connection_log(&unborn, "connection closed");
	recent_events_add(set->recent, &(struct recent_event){ .service = shard->service,
					   .connection = id,
					   .peer = *peer,
					   .reason = CLOSE_NO_MEMORY });
}

void
connection_new(struct connection_set *set, struct shard *shard, int fd, uint64_t id,
    const union connection_peer *peer)
{
	struct connection *conn = calloc(1, sizeof(*conn));
	struct bufferevent *bev = bufferevent_socket_new(set->base, fd, 0);

	if (conn == NULL || bev == NULL) {
		connection_fail_new(set, shard, id, peer);
		if (bev != NULL)
			bufferevent_free(bev);
		free(conn);
		close(fd);
		connection_give_back(set, shard);
		return;
	}
	conn->bev = bev;
	conn->set = set;
	conn->shard = shard;
	conn->fd = fd;
	conn->id = id;
	conn->peer = *peer;
	conn->reason = CLOSE_NONE;
	conn->accepted_ns = conn->active_ns = conn->queued_ns = clock_coarse_ns();
	conn->read_budget = shard->cfg->byte_limit > 0 ? (uint64_t)shard->cfg->byte_limit
						       : UINT64_MAX;
	TAILQ_INSERT_TAIL(&shard->by_age, conn, by_age);
	connection_enter_activity(conn);
	if (set->config->log.connections == CONFIG_LOG_CONNECTIONS_ALL)
		connection_log(conn, "connection opened");

	/* a new bufferevent writes as soon as something is queued; it never reads */
	bufferevent_setcb(bev, NULL, connection_on_write, connection_on_event, conn);
	(void)event_assign(
	    &conn->readable, set->base, fd, EV_READ | EV_PERSIST, connection_on_readable, conn);
	connection_start_reading(conn);
}

/* Return how long the kernel has seen no data of a TCP connection, either way. */
static int64_t
connection_tcp_quiet_ns(const struct connection *conn)
{
	struct tcp_info info = { .tcpi_last_data_recv = UINT32_MAX };
	socklen_t size = sizeof(info);
	uint32_t quiet_ms;

	(void)getsockopt(conn->fd, IPPROTO_TCP, TCP_INFO, &info, &size);
	/* a client that is gone acknowledges nothing, and a probe of its window is no data */
	quiet_ms = info.tcpi_last_data_sent > info.tcpi_last_ack_recv ? info.tcpi_last_data_sent
								      : info.tcpi_last_ack_recv;
	if (conn->state == CONNECTION_OPEN && info.tcpi_last_data_recv < quiet_ms)
		quiet_ms = info.tcpi_last_data_recv;
	return quiet_ms * NS_PER_MS;
}

/*
 * Return how long no byte went either way. Much of that only the kernel knows: bytes that wait to
 * be read, and echo that went from its buffer to the client's.
 */
static int64_t
connection_idle_ns(struct connection *conn, int64_t now_ns)
{
	int64_t last_ns = 0;

	connection_account(conn);
	/* what nobody will read is no traffic */
	if (conn->state == CONNECTION_OPEN && !conn->read_paused &&
	    connection_in_kernel(conn, FIONREAD) > 0)
		last_ns = now_ns;
	else if (conn->peer.family != AF_UNIX)
		last_ns = now_ns - connection_tcp_quiet_ns(conn);
	else if ((connection_in_kernel(conn, SIOCOUTQ) > 0 ||
		     conn->progress_ns >= conn->active_ns) &&
		 connection_progressed(conn, now_ns))
		last_ns = now_ns;
	/* the kernel's clock for these is coarser than ours */
	if (last_ns > conn->active_ns + ACTIVITY_SLACK_NS)
		conn->active_ns = last_ns;
	return now_ns - conn->active_ns;
}

static bool
connection_is_idle(struct connection *conn, int64_t now_ns, int64_t limit_ns)
{
	return now_ns - conn->active_ns >= limit_ns && connection_idle_ns(conn, now_ns) >= limit_ns;
}

/* Finish connections idle for LIMIT_NS; for a drain, one with waiting echo is not idle. */
static void
connection_check_idle(
    struct shard *shard, int64_t now_ns, int64_t limit_ns, enum close_reason reason)
{
	struct connection *conn, *next;

	TAILQ_FOREACH_SAFE (conn, &shard->by_activity, by_time, next) {
		if (now_ns - conn->queued_ns < limit_ns)
			break;
		if ((reason != CLOSE_DRAIN || conn->waiting == 0) &&
		    connection_is_idle(conn, now_ns, limit_ns))
			connection_finish(conn, reason);
	}
}

static void
connection_check_age(
    struct shard *shard, int64_t now_ns, int64_t limit_ns, enum close_reason reason)
{
	struct connection *conn, *next;

	TAILQ_FOREACH_SAFE (conn, &shard->by_age, by_age, next) {
		if (now_ns - conn->accepted_ns < limit_ns)
			break;
		connection_finish(conn, reason);
	}
}

/* Longest unchecked first; a checked one goes to the end, so that a round checks it once. */
static void
connection_check_pending(struct connection_set *set, int64_t now_ns, int64_t timeout_ns)
{
	struct connection *conn;

	while ((conn = TAILQ_FIRST(&set->pending)) != NULL) {
		if (now_ns - conn->checked_ns < timeout_ns / PROGRESS_CHECKS ||
		    conn->checked_ns == now_ns)
			break;
		connection_account(conn);
		if (!connection_owes(conn)) {
			connection_unwatch(conn);
			continue;
		}
		if (!connection_progressed(conn, now_ns) &&
		    now_ns - conn->progress_ns >= timeout_ns) {
			connection_close(conn, CLOSE_STALLED);
			continue;
		}
		conn->checked_ns = now_ns;
		TAILQ_REMOVE(&set->pending, conn, by_progress);
		TAILQ_INSERT_TAIL(&set->pending, conn, by_progress);
	}
}

/*
 * Echo that stays in the kernel because the client does not take it causes no event: look once at
 * each connection that has become quiet.
 */
static void
connection_check_quiet(struct shard *shard, int64_t now_ns, int64_t timeout_ns)
{
	int64_t quiet_ns = timeout_ns / PROGRESS_CHECKS;
	struct connection *conn;

	/* any earlier, more traffic would not move it in by_activity: there is no second look */
	if (quiet_ns < ACTIVITY_SLACK_NS)
		quiet_ns = ACTIVITY_SLACK_NS;
	while ((conn = shard->unseen) != NULL && now_ns - conn->queued_ns >= quiet_ns) {
		shard->unseen = TAILQ_NEXT(conn, by_time);
		if (!conn->watched && connection_owes(conn))
			connection_watch(conn, now_ns);
	}
}

/* Close those of LIST that have been ending for TIMEOUT; their reason stays, or is REASON. */
static void
connection_check_ending(
    struct connection_list *list, int64_t now_ns, int64_t timeout_ns, enum close_reason reason)
{
	struct connection *conn;

	while ((conn = TAILQ_FIRST(list)) != NULL && now_ns - conn->ending_ns >= timeout_ns)
		connection_close(conn, reason == CLOSE_NONE ? conn->reason : reason);
}

/* Without stall_timeout, close an ending connection that takes nothing for idle_timeout. */
static void
connection_check_untaken(struct connection_set *set, int64_t now_ns)
{
	struct connection *conn, *next;

	TAILQ_FOREACH_SAFE (conn, &set->ending, by_time, next) {
		int64_t limit_ns = conn->shard->cfg->idle_timeout;

		if (limit_ns > 0 && connection_is_idle(conn, now_ns, limit_ns))
			connection_close(conn, conn->reason);
	}
}

void
connection_set_check(struct connection_set *set)
{
	const struct limits_config *limits = &set->config->limits;
	int64_t now_ns = clock_coarse_ns();
	struct shard *shard;

	if (limits->stall_timeout > 0) {
		connection_check_pending(set, now_ns, limits->stall_timeout);
		/* no more time for a client that takes a few bytes now and then */
		connection_check_ending(&set->ending, now_ns, limits->stall_timeout, CLOSE_STALLED);
	} else {
		connection_check_untaken(set, now_ns);
	}
	connection_check_ending(&set->lingering, now_ns, limits->linger_timeout, CLOSE_NONE);
	TAILQ_FOREACH (shard, &set->shards, next) {
		const struct listener_config *cfg = shard->cfg;

		if (set->cutting)
			connection_check_age(shard, now_ns, 0, CLOSE_DRAIN_FORCED);
		else if (set->draining)
			connection_check_idle(shard, now_ns, set->idle_grace_ns, CLOSE_DRAIN);
		if (cfg->idle_timeout > 0)
			connection_check_idle(shard, now_ns, cfg->idle_timeout, CLOSE_IDLE_TIMEOUT);
		if (cfg->lifetime > 0)
			connection_check_age(shard, now_ns, cfg->lifetime, CLOSE_LIFETIME);
		if (limits->stall_timeout > 0)
			connection_check_quiet(shard, now_ns, limits->stall_timeout);
	}
}

bool
connection_set_close(struct connection_set *set, size_t limit)
{
	struct connection *conn;
	struct shard *shard;

	TAILQ_FOREACH (shard, &set->shards, next) {
		while ((conn = TAILQ_FIRST(&shard->by_age)) != NULL) {
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
connection_on_reap(evutil_socket_t fd ATTR_UNUSED, short what ATTR_UNUSED, void *arg)
{
	struct connection_set *set = arg;
	struct connection *conn;

	while ((conn = TAILQ_FIRST(&set->dead)) != NULL) {
		TAILQ_REMOVE(&set->dead, conn, by_age);
		free(conn);
	}
}

int
connection_set_init(
    struct connection_set *set, struct event_base *base, const struct config *config)
{
	set->base = base;
	set->config = config_ref(config);
	TAILQ_INIT(&set->shards);
	TAILQ_INIT(&set->pending);
	TAILQ_INIT(&set->ending);
	TAILQ_INIT(&set->lingering);
	TAILQ_INIT(&set->dead);
	(void)event_assign(&set->reap, base, -1, 0, connection_on_reap, set);
	echo_pipe_open(&set->pipe);
	set->buffer = malloc(ECHO_BUFFER_SIZE);
	set->recent = recent_events_new();
	return set->buffer != NULL && set->recent != NULL ? 0 : -ENOMEM;
}

void
connection_set_done(struct connection_set *set)
{
	if (set->base == NULL)
		return;
	connection_on_reap(-1, 0, set);
	(void)event_del(&set->reap);
	echo_pipe_close(&set->pipe);
	config_unref(set->config);
	recent_events_free(set->recent);
	free(set->buffer);
}
