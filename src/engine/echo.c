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

/*
 * Send all that was read, as far as the socket takes it. With FULL more waits behind it, and both
 * go together: it is only put into the worker's pipe, *ret_loaded bytes, for bulk_forward() to go
 * on. Returns what no longer has to be sent from here, or -errno.
 */
static ssize_t
echo_begin(struct connection *conn, struct evbuffer *input, bool full, size_t *ret_loaded)
{
	struct evbuffer_iovec vectors[ECHO_CHAINS];
	int count = evbuffer_peek(input, -1, NULL, vectors, ECHO_CHAINS);

	if (full && count <= ECHO_CHAINS)
		*ret_loaded = bulk_load(conn, vectors, count);
	if (*ret_loaded > 0)
		return (ssize_t)*ret_loaded;
	return echo_send(conn->fd, vectors, count < ECHO_CHAINS ? count : ECHO_CHAINS);
}

void
echo_forward(struct connection *conn)
{
	struct evbuffer *input = bufferevent_get_input(conn->bev);
	size_t length = evbuffer_get_length(input), loaded = 0;
	/* after a full read more waits, which is not worth a copy and a turn for each 4 KiB */
	bool full = length >= ECHO_READ_MAX;
	int64_t read_ns;
	ssize_t sent = 0;

	if (length == 0)
		return;
	read_ns = clock_now_ns();
	echo_count_read(conn, length);
	connection_touch(conn, read_ns);
	if (conn->waiting == 0) {
		conn->echo_since_ns = read_ns;
		sent = echo_begin(conn, input, full, &loaded);
		if (sent < 0) {
			connection_fail(conn, (int)-sent, CLOSE_WRITE_ERROR);
			return;
		}
		(void)evbuffer_drain(input, (size_t)sent);
	}
	if ((size_t)sent < length && echo_queue(conn, input, length - (size_t)sent) < 0) {
		connection_close(conn, CLOSE_NO_MEMORY);
		return;
	}
	/* what is in the pipe has not gone out: bulk_forward() knows when it has */
	if (loaded == 0)
		connection_account(conn);
	if (full && bulk_forward(conn, loaded) != 0)
		return;
	if (conn->waiting == 0)
		distribution_record(
		    &conn->share->echo_delay, &distribution_delays, clock_now_ns() - read_ns);
	if (conn->read_budget == 0)
		connection_flush(conn);
	else if (conn->waiting >= conn->worker->settings.output_high)
		connection_pause(conn);
}
