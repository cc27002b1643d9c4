/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "engine/echo.h"

#include <errno.h>
#include <sys/socket.h>

#include <event2/buffer.h>

#include "base/clock.h"
#include "engine/bulk.h"
#include "engine/connection.h"
#include "engine/worker.h"

/* libevent 2.1 reads at most this much in one turn, whatever it is told. */
#define ECHO_READ_MAX 4096

/* What it does once it does as it is told: a bufferevent's default for a single read. */
#define ECHO_SINGLE_READ 16384

/* One read is at most two chains: what a chain had left, and a new one. */
#define ECHO_CHAINS 4

ssize_t
echo_send(int fd, struct iovec *vectors, int count)
{
	struct msghdr message = { .msg_iov = vectors, .msg_iovlen = (size_t)count };
	ssize_t n;

	do {
		if (count == 1)
			n = send(fd, vectors[0].iov_base, vectors[0].iov_len,
			    MSG_NOSIGNAL | MSG_DONTWAIT);
		else
			n = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n >= 0)
		return n;
	return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -errno;
}

/*
 * Copy what the socket refused into the output buffer. Chains are never moved from input to
 * output: a client of one-byte segments would make each byte cost a whole chain.
 */
static int
echo_queue(struct connection *conn, struct evbuffer *input, size_t left)
{
	while (left > 0) {
		struct evbuffer_iovec vector;

		if (evbuffer_peek(input, -1, NULL, &vector, 1) < 1)
			return -ENOMEM;
		if (bufferevent_write(conn->bev, vector.iov_base, vector.iov_len) < 0)
			return -ENOMEM;
		if (evbuffer_drain(input, vector.iov_len) < 0)
			return -ENOMEM;
		left -= vector.iov_len;
	}
	return 0;
}

void
echo_set_budget(struct connection *conn, uint64_t bytes)
{
	if (bytes < conn->read_budget)
		conn->read_budget = bytes;
	if (conn->read_budget > 0 && conn->read_budget < ECHO_SINGLE_READ)
		(void)bufferevent_set_max_single_read(conn->bev, (size_t)conn->read_budget);
}

void
echo_count_read(struct connection *conn, size_t length)
{
	conn->reads++;
	conn->bytes_in += length;
	counters_add(&conn->share->counters, COUNTER_RECEIVED_BYTES, length);
	if (conn->read_budget != UINT64_MAX)
		echo_set_budget(conn, conn->read_budget > length ? conn->read_budget - length : 0);
}

/* What one read callback sends from memory: what bufferevent read, and what was read behind it. */
struct echo_turn {
	struct evbuffer_iovec vectors[ECHO_CHAINS + 1];
	int count;
	size_t length;     /* of what bufferevent read, which is in the input buffer */
	struct iovec tail; /* read behind it, in the worker's buffer; as a rule empty */
};

/* Send TURN, as far as the socket takes it, and queue the rest. Returns 0, or 1 when it is over. */
static int
echo_send_turn(struct connection *conn, struct evbuffer *input, struct echo_turn *turn)
{
	ssize_t n = echo_send(conn->fd, turn->vectors, turn->count);
	size_t sent = n > 0 ? (size_t)n : 0, head = sent < turn->length ? sent : turn->length;

	if (n < 0) {
		conn->lost += turn->tail.iov_len;
		connection_fail(conn, (int)-n, CLOSE_WRITE_ERROR);
		return 1;
	}
	(void)evbuffer_drain(input, head);
	sent -= head;
	if ((head < turn->length && echo_queue(conn, input, turn->length - head) < 0) ||
	    (sent < turn->tail.iov_len &&
		bufferevent_write(conn->bev, (char *)turn->tail.iov_base + sent,
		    turn->tail.iov_len - sent) < 0)) {
		conn->lost += turn->tail.iov_len - sent;
		connection_close(conn, CLOSE_NO_MEMORY);
		return 1;
	}
	connection_account(conn);
	return 0;
}

/*
 * With nothing queued: send what was read. After a full read ask how much more waits, which is not
 * worth a turn of the loop for each 4 KiB: a little is read and sent with it, much is moved in the
 * kernel. Returns 0, or 1 when the connection is gone.
 */
static int
echo_send_read(struct connection *conn, struct evbuffer *input, size_t length)
{
	struct echo_turn turn = { .length = length };
	size_t more = length >= ECHO_READ_MAX ? bulk_waiting(conn) : 0, loaded;

	turn.count = evbuffer_peek(input, -1, NULL, turn.vectors, ECHO_CHAINS);
	if (turn.count > ECHO_CHAINS) {
		/* nothing may overtake the part that does not fit */
		turn.count = ECHO_CHAINS;
		more = 0;
	}
	if (more >= BULK_MIN) {
		loaded = bulk_load(conn, turn.vectors, turn.count, length);
		(void)evbuffer_drain(input, loaded);
		if (loaded == 0 && echo_send_turn(conn, input, &turn) != 0)
			return 1;
		return bulk_forward(conn, loaded);
	}
	if (more > 0 && bulk_read(conn, more, &turn.tail) < 0)
		return 1;
	if (turn.tail.iov_len > 0)
		turn.vectors[turn.count++] = turn.tail;
	return echo_send_turn(conn, input, &turn);
}

void
echo_forward(struct connection *conn)
{
	struct evbuffer *input = bufferevent_get_input(conn->bev);
	size_t length = evbuffer_get_length(input);
	int64_t coarse_ns;

	if (length == 0)
		return;
	coarse_ns = clock_coarse_ns();
	echo_count_read(conn, length);
	connection_touch(conn, coarse_ns);
	if (conn->waiting > 0) {
		if (echo_queue(conn, input, length) < 0) {
			connection_close(conn, CLOSE_NO_MEMORY);
			return;
		}
		connection_account(conn);
	} else {
		conn->echo_since_ns = sampling_take(&conn->worker->delays, coarse_ns)
					  ? clock_now_ns()
					  : 0;
		if (echo_send_read(conn, input, length) != 0)
			return;
		if (conn->waiting == 0)
			connection_record_delay(conn);
	}
	if (conn->read_budget == 0)
		connection_flush(conn);
	else if (conn->waiting >= conn->worker->settings.output_high)
		connection_pause(conn);
}
