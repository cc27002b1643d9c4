/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "engine/echo.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/event.h>

#include "base/clock.h"
#include "engine/connection.h"

/* The largest pipe that needs no privilege; see pipe-max-size in proc(5). */
#define PIPE_SIZE (1 << 20)

/* Bytes that one connection may move in one turn of the loop, while the others wait. */
#define TURN_BYTES ((size_t)1 << 20)

/* A turn of splice(2) that moves less than this costs more than copying would. */
#define BULK_BYTES ((size_t)16 << 10)

void
echo_pipe_open(struct echo_pipe *pipe)
{
	int size;

	*pipe = (struct echo_pipe){ .size = 0 };
	if (pipe2(pipe->fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return;
	/* a smaller pipe, where the user has too many, only takes more steps */
	(void)fcntl(pipe->fds[1], F_SETPIPE_SZ, PIPE_SIZE);
	size = fcntl(pipe->fds[1], F_GETPIPE_SZ);
	pipe->size = size > 0 ? (size_t)size : ECHO_BUFFER_SIZE;
}

void
echo_pipe_close(struct echo_pipe *pipe)
{
	if (pipe->size == 0)
		return;
	close(pipe->fds[0]);
	close(pipe->fds[1]);
	pipe->size = 0;
}

/*
 * Return how much may be read now: MOST, but no more than the budget, and than may wait for the
 * client if it takes none of it.
 */
static size_t
echo_room(const struct connection *conn, size_t most)
{
	size_t high = (size_t)conn->set->config->limits.output_high;
	size_t free = high > conn->waiting ? high - conn->waiting : 1;

	if (most > free)
		most = free;
	return most < conn->read_budget ? most : (size_t)conn->read_budget;
}

static void
echo_count_read(struct connection *conn, size_t length, int64_t now_ns)
{
	conn->reads++;
	conn->bytes_in += length;
	if (conn->read_budget != UINT64_MAX)
		conn->read_budget -= length;
	counters_add(&conn->shard->counters, COUNTER_RECEIVED_BYTES, length);
	connection_touch(conn, now_ns);
}

/* Note the beginning of an echo, if it is one of those whose delay is measured. */
static void
echo_begin(struct connection *conn, int64_t now_ns)
{
	conn->echo_since_ns = sampling_take(&conn->set->delays, now_ns) ? clock_now_ns() : 0;
}

/* After something was read and echoed: the budget ends the reading, a full output pauses it. */
static void
echo_settle(struct connection *conn)
{
	if (conn->read_budget == 0)
		connection_flush(conn);
	else if (conn->waiting >= (size_t)conn->set->config->limits.output_high)
		connection_pause(conn);
}

/*
 * Called after something was queued. A bufferevent enables writing by itself, but does not report
 * when that fails, now or when it was made.
 */
static void
echo_queued(struct connection *conn)
{
	connection_account(conn);
	if (bufferevent_enable(conn->bev, EV_WRITE) < 0)
		connection_close(conn, CLOSE_NO_MEMORY);
}

void
echo_take(struct connection *conn, const char *bytes, size_t length)
{
	int64_t now_ns = clock_coarse_ns();
	ssize_t sent = 0;

	echo_count_read(conn, length, now_ns);
	if (conn->waiting == 0) {
		echo_begin(conn, now_ns);
		sent = send(conn->fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent < 0 && errno != EAGAIN && errno != EINTR) {
			conn->lost += length;
			connection_fail(conn, errno, CLOSE_WRITE_ERROR);
			return;
		}
		if (sent < 0)
			sent = 0;
		connection_count_sent(conn, (size_t)sent);
	}
	if ((size_t)sent < length) {
		size_t left = length - (size_t)sent;

		/* copied: a chain that is moved would cost a kilobyte for a segment of one byte */
		if (bufferevent_write(conn->bev, bytes + sent, left) < 0) {
			conn->lost += left;
			connection_close(conn, CLOSE_NO_MEMORY);
			return;
		}
		echo_queued(conn);
	} else {
		connection_record_delay(conn);
	}
	if (conn->state == CONNECTION_OPEN)
		echo_settle(conn);
}

/* Move LEFT bytes from the pipe to the output buffer. Returns 0, or -errno with the rest lost. */
static int
echo_unload(struct connection *conn, size_t left)
{
	struct evbuffer *output = bufferevent_get_output(conn->bev);
	struct echo_pipe *pipe = &conn->set->pipe;

	while (left > 0) {
		struct evbuffer_iovec vector;
		ssize_t n;

		if (evbuffer_reserve_space(output, (ev_ssize_t)left, &vector, 1) < 1)
			break;
		n = read(
		    pipe->fds[0], vector.iov_base, left < vector.iov_len ? left : vector.iov_len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		vector.iov_len = (size_t)n;
		left -= (size_t)n;
		if (evbuffer_commit_space(output, &vector, 1) < 0) {
			left += (size_t)n;
			break;
		}
	}
	if (left == 0)
		return 0;
	/* these bytes must never meet another connection: the tick makes a new pipe */
	conn->lost += left;
	echo_pipe_close(pipe);
	return -ENOMEM;
}

/* Send SIZE bytes of the pipe. Returns how many the socket did not take, or -errno. */
static ssize_t
echo_splice_out(struct connection *conn, size_t size)
{
	size_t left = size;

	while (left > 0) {
		ssize_t n = splice(conn->set->pipe.fds[0], NULL, conn->fd, NULL, left,
		    SPLICE_F_MOVE | SPLICE_F_NONBLOCK);

		if (n > 0) {
			left -= (size_t)n;
			connection_count_sent(conn, (size_t)n);
		} else if (n == 0 || errno == EAGAIN) {
			break;
		} else if (errno == EINVAL || errno == ENOSYS) {
			conn->splice_refused = true;
			break;
		} else if (errno != EINTR) {
			int error = errno;

			conn->lost += left;
			echo_pipe_close(&conn->set->pipe);
			return -error;
		}
	}
	return (ssize_t)left;
}

/*
 * Move up to SIZE bytes from the socket to its echo inside the kernel; what the client does not
 * take comes out of the pipe into the output buffer. Returns the bytes moved; 0 when there were
 * none, of which recv(2) tells the reason, or when the connection was closed.
 */
static size_t
echo_splice_step(struct connection *conn, size_t size)
{
	ssize_t in = splice(
	    conn->fd, NULL, conn->set->pipe.fds[1], NULL, size, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	int64_t now_ns;
	ssize_t left;

	if (in <= 0) {
		if (in < 0 && (errno == EINVAL || errno == ENOSYS))
			conn->splice_refused = true;
		else if (in < 0 && errno != EAGAIN && errno != EINTR)
			/* splice(2) has cleared this error from the socket: recv(2) would not see
			 * it */
			connection_fail(conn, errno, CLOSE_READ_ERROR);
		return 0;
	}
	now_ns = clock_coarse_ns();
	echo_count_read(conn, (size_t)in, now_ns);
	echo_begin(conn, now_ns);
	left = echo_splice_out(conn, (size_t)in);
	if (left < 0) {
		connection_fail(conn, (int)-left, CLOSE_WRITE_ERROR);
		return 0;
	}
	if (left > 0) {
		if (echo_unload(conn, (size_t)left) < 0) {
			connection_close(conn, CLOSE_NO_MEMORY);
			return 0;
		}
		echo_queued(conn);
	} else {
		connection_record_delay(conn);
	}
	return (size_t)in;
}

/* One turn of a stream in bulk. Returns whether it is over; else recv(2) is to be tried. */
static bool
echo_splice(struct connection *conn)
{
	size_t moved = 0, step, size;

	do {
		size = echo_room(conn, TURN_BYTES - moved);
		if (size > conn->set->pipe.size)
			size = conn->set->pipe.size;
		step = echo_splice_step(conn, size);
		moved += step;
	} while (step == size && conn->state == CONNECTION_OPEN && conn->waiting == 0 &&
		 moved < TURN_BYTES && conn->read_budget > 0);
	if (moved < BULK_BYTES)
		conn->bulk = false;
	if (conn->state == CONNECTION_OPEN && moved > 0)
		echo_settle(conn);
	return moved > 0 || conn->state == CONNECTION_CLOSED;
}

void
echo_read(struct connection *conn)
{
	char *buffer = conn->set->buffer;
	size_t room = echo_room(conn, ECHO_BUFFER_SIZE);
	ssize_t n;

	if (conn->bulk && conn->waiting == 0 && conn->set->pipe.size > 0 && echo_splice(conn))
		return;
	n = recv(conn->fd, buffer, room, MSG_DONTWAIT);
	if (n > 0) {
		conn->bulk = (size_t)n == room && room >= BULK_BYTES && !conn->splice_refused &&
			     conn->set->pipe.size > 0;
		echo_take(conn, buffer, (size_t)n);
	} else if (n == 0) {
		conn->peer_fin = true;
		connection_flush(conn);
	} else if (errno != EAGAIN && errno != EINTR) {
		connection_fail(conn, errno, CLOSE_READ_ERROR);
	}
}

void
echo_discard(struct connection *conn)
{
	/* TCP throws away without a copy, see MSG_TRUNC in tcp(7) */
	int flags = conn->peer.family != AF_UNIX ? MSG_DONTWAIT | MSG_TRUNC : MSG_DONTWAIT;
	ssize_t n = recv(conn->fd, conn->set->buffer, ECHO_BUFFER_SIZE, flags);

	/* all was echoed and our FIN sent: an error now is no failure */
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		connection_close(conn, conn->reason);
}
