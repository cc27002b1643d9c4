/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "engine/bulk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/buffer.h>

#include "engine/connection.h"
#include "engine/echo.h"
#include "engine/worker.h"

/* The largest pipe that needs no privilege; see pipe-max-size in proc(5). */
#define PIPE_SIZE (1 << 20)

/* Bytes that one connection may move in one turn of the loop: the others wait that long. */
#define TURN_BUDGET ((size_t)1 << 20)

/* At a time, where splice is refused. */
#define COPY_SIZE ((size_t)64 << 10)

/* What one step came to. */
enum bulk_step {
	BULK_MORE,   /* all was taken, and more may wait */
	BULK_ENOUGH, /* the socket is empty, full or at its end: the bufferevent goes on */
	BULK_CLOSED, /* the connection is gone */
};

int
bulk_init(struct bulk *bulk)
{
	int size;

	if (pipe2(bulk->pipe, O_CLOEXEC | O_NONBLOCK) < 0) {
		*bulk = (struct bulk)BULK_NONE;
		return -errno;
	}
	/* a smaller pipe, where the user has too many, only takes more steps */
	(void)fcntl(bulk->pipe[1], F_SETPIPE_SZ, PIPE_SIZE);
	size = fcntl(bulk->pipe[1], F_GETPIPE_SZ);
	bulk->capacity = size > 0 ? (size_t)size : COPY_SIZE;
	return 0;
}

void
bulk_done(struct bulk *bulk)
{
	for (int i = 0; i < 2; i++) {
		if (bulk->pipe[i] >= 0)
			close(bulk->pipe[i]);
	}
	free(bulk->buffer);
	*bulk = (struct bulk)BULK_NONE;
}

/*
 * How much the next step may take: no more, but for what was read already, than may wait for the
 * client if it takes none.
 */
static size_t
bulk_step_size(const struct connection *conn, size_t turn_left, size_t at_a_time)
{
	size_t size = turn_left < at_a_time ? turn_left : at_a_time;

	if (size > conn->worker->settings.output_high)
		size = conn->worker->settings.output_high;
	if (size > conn->read_budget)
		size = (size_t)conn->read_budget;
	return size;
}

/* Move what is left in the pipe to the output buffer. Returns 0, or -errno with *left still there.
 */
static int
bulk_queue(struct connection *conn, size_t *left)
{
	struct evbuffer *output = bufferevent_get_output(conn->bev);
	int in = conn->worker->bulk.pipe[0];

	while (*left > 0) {
		struct evbuffer_iovec vector;
		ssize_t n;

		if (evbuffer_reserve_space(output, (ev_ssize_t)*left, &vector, 1) < 1)
			return -ENOMEM;
		n = read(in, vector.iov_base, *left < vector.iov_len ? *left : vector.iov_len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -EIO;
		*left -= (size_t)n;
		vector.iov_len = (size_t)n;
		if (evbuffer_commit_space(output, &vector, 1) < 0) {
			conn->lost += (size_t)n;
			return -ENOMEM;
		}
	}
	return 0;
}

/* A pipe with somebody's bytes in it must never meet another connection: get a fresh one. */
static void
bulk_renew(struct bulk *bulk)
{
	bulk_done(bulk);
	if (bulk_init(bulk) < 0)
		bulk->capacity = 0;
}

/* Give up LEFT bytes of the pipe with the connection they came from. */
static void
bulk_discard(struct connection *conn, size_t left)
{
	conn->lost += left;
	bulk_renew(&conn->worker->bulk);
}

size_t
bulk_waiting(const struct connection *conn)
{
	int waiting = 0;

	if (ioctl(conn->fd, FIONREAD, &waiting) < 0 || waiting < 0)
		return 0;
	return bulk_step_size(conn, (size_t)waiting, TURN_BUDGET);
}

/* Whether a read that came to nothing has taken an error off the socket, which tells it once. */
static bool
bulk_is_broken(int error)
{
	return error != EAGAIN && error != EWOULDBLOCK && error != EINTR && error != EINVAL &&
	       error != ENOSYS;
}

int
bulk_read(struct connection *conn, size_t length, struct iovec *ret_tail)
{
	struct bulk *bulk = &conn->worker->bulk;
	ssize_t n;

	*ret_tail = (struct iovec){ NULL, 0 };
	if (bulk->buffer == NULL && (bulk->buffer = malloc(COPY_SIZE)) == NULL)
		return 0; /* the bufferevent's small reads do it too */
	/* the end of the stream is the bufferevent's next read to find */
	n = recv(conn->fd, bulk->buffer, length, MSG_DONTWAIT);
	if (n < 0 && bulk_is_broken(errno)) {
		connection_fail(conn, errno, CLOSE_READ_ERROR);
		return -1;
	}
	if (n <= 0)
		return 0;
	echo_count_read(conn, (size_t)n);
	*ret_tail = (struct iovec){ bulk->buffer, (size_t)n };
	return 0;
}

size_t
bulk_load(struct connection *conn, const struct iovec *vectors, int count, size_t length)
{
	struct bulk *bulk = &conn->worker->bulk;
	ssize_t n;

	if (conn->splice_refused || bulk->capacity == 0)
		return 0;
	n = writev(bulk->pipe[1], vectors, count);
	if (n == (ssize_t)length)
		return length;
	/* the pipe is empty and has room: this only keeps it empty whatever went wrong */
	if (n > 0)
		bulk_renew(bulk);
	return 0;
}

/* Splice up to SIZE bytes, after the LOADED ones that the pipe holds already. */
static enum bulk_step
bulk_splice_step(struct connection *conn, size_t size, size_t loaded)
{
	struct bulk *bulk = &conn->worker->bulk;
	const unsigned flags = SPLICE_F_MOVE | SPLICE_F_NONBLOCK;
	ssize_t in = splice(conn->fd, NULL, bulk->pipe[1], NULL, size, flags);
	size_t left;
	bool taken;

	if (in < 0 && bulk_is_broken(errno)) {
		int error = errno;

		if (loaded > 0)
			bulk_discard(conn, loaded);
		connection_fail(conn, error, CLOSE_READ_ERROR);
		return BULK_CLOSED;
	}
	/* the end of the stream is the bufferevent's next read to find */
	if (in < 0 && (errno == EINVAL || errno == ENOSYS))
		conn->splice_refused = true;
	if (in > 0)
		echo_count_read(conn, (size_t)in);
	else
		in = 0;
	for (left = loaded + (size_t)in; left > 0;) {
		ssize_t out = splice(bulk->pipe[0], NULL, conn->fd, NULL, left, flags);

		if (out > 0) {
			left -= (size_t)out;
		} else if (out == 0 || errno == EAGAIN) {
			break;
		} else if (errno == EINVAL || errno == ENOSYS) {
			conn->splice_refused = true;
			break;
		} else if (errno != EINTR) {
			int error = errno;

			bulk_discard(conn, left);
			connection_fail(conn, error, CLOSE_WRITE_ERROR);
			return BULK_CLOSED;
		}
	}
	taken = left == 0;
	if (bulk_queue(conn, &left) < 0) {
		bulk_discard(conn, left);
		connection_close(conn, CLOSE_NO_MEMORY);
		return BULK_CLOSED;
	}
	return taken && ((size_t)in == size || conn->splice_refused) ? BULK_MORE : BULK_ENOUGH;
}

static enum bulk_step
bulk_copy_step(struct connection *conn, size_t size)
{
	struct iovec vector;
	ssize_t out;
	size_t in;

	if (bulk_read(conn, size, &vector) < 0)
		return BULK_CLOSED;
	in = vector.iov_len;
	if (in == 0)
		return BULK_ENOUGH;
	out = echo_send(conn->fd, &vector, 1);
	if (out < 0) {
		conn->lost += in;
		connection_fail(conn, (int)-out, CLOSE_WRITE_ERROR);
		return BULK_CLOSED;
	}
	if ((size_t)out < in &&
	    bufferevent_write(conn->bev, (char *)vector.iov_base + out, in - (size_t)out) < 0) {
		conn->lost += in - (size_t)out;
		connection_close(conn, CLOSE_NO_MEMORY);
		return BULK_CLOSED;
	}
	return (size_t)out == in && in == size ? BULK_MORE : BULK_ENOUGH;
}

int
bulk_forward(struct connection *conn, size_t loaded)
{
	const struct bulk *bulk = &conn->worker->bulk;
	size_t turn_left = TURN_BUDGET;
	enum bulk_step step = BULK_MORE;

	while (loaded > 0 || (step == BULK_MORE && turn_left > 0 && conn->waiting == 0 &&
				 conn->read_budget > 0)) {
		uint64_t before = conn->bytes_in;
		bool copy = conn->splice_refused || bulk->capacity == 0;
		size_t size = bulk_step_size(conn, turn_left, copy ? COPY_SIZE : bulk->capacity);

		step = copy ? bulk_copy_step(conn, size) : bulk_splice_step(conn, size, loaded);
		if (step == BULK_CLOSED)
			return 1;
		loaded = 0;
		connection_account(conn);
		turn_left -= (size_t)(conn->bytes_in - before);
	}
	return 0;
}
