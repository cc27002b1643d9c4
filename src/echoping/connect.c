/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "echoping/connect.h"

#include <errno.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"

/* More at once would only overflow the server's backlog and wait for retransmissions. */
#define CONNECT_AT_ONCE 128
/* How long to wait for a UNIX server whose backlog is full before the next attempt. */
#define CONNECT_RETRY_MS 2

/* Standard streams, name lookups and what else needs one for a while. */
#define CONNECT_OTHER_DESCRIPTORS 32

int
echoping_connect_reserve(size_t count, struct error_list *errors)
{
	rlim_t wanted = (rlim_t)count + CONNECT_OTHER_DESCRIPTORS;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= wanted)
		return 0;
	if (limit.rlim_max >= wanted) {
		limit.rlim_cur = wanted;
		if (setrlimit(RLIMIT_NOFILE, &limit) == 0)
			return 0;
	}
	error_list_add(errors,
	    "%llu descriptors are needed, but at most %llu are allowed (raise ulimit -Hn)",
	    (unsigned long long)wanted, (unsigned long long)limit.rlim_max);
	return -EMFILE;
}

int
echoping_connect_begin(const struct address *address, size_t receive_bytes, int *ret_fd)
{
	int type = address_is_datagram(address) ? SOCK_DGRAM : SOCK_STREAM;
	int fd = socket(address->u.sa.sa_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	const int on = 1;
	int r = 0;

	if (fd < 0)
		return -errno;
	if (address->transport == ADDRESS_TCP)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (receive_bytes > 0) {
		int room = receive_bytes < INT_MAX ? (int)receive_bytes : INT_MAX;

		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	}
	if (connect(fd, &address->u.sa, address->length) < 0)
		r = -errno;
	if (r < 0 && r != -EINPROGRESS) {
		(void)close(fd);
		return r;
	}
	*ret_fd = fd;
	return r;
}

static int
connect_result(int fd)
{
	int error = 0;
	socklen_t length = sizeof(error);

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
		return -errno;
	return -error;
}

static int
connect_ms_left(int64_t deadline_ns)
{
	int64_t left = (deadline_ns - clock_now_ns() + NS_PER_MS - 1) / NS_PER_MS;

	if (left < 0)
		return 0;
	return left < INT_MAX ? (int)left : INT_MAX;
}

/* Wait a little for a full backlog; returns whether WAKE_FD ended the wait. */
static bool
connect_pause(int wake_fd)
{
	struct pollfd wake = { .fd = wake_fd, .events = POLLIN };

	return poll(&wake, 1, CONNECT_RETRY_MS) > 0;
}

/* Wait until FD is connected. Leaves FD open. */
static int
connect_await(int fd, int64_t deadline_ns, int wake_fd)
{
	struct pollfd fds[] = { { .fd = fd, .events = POLLOUT },
		{ .fd = wake_fd, .events = POLLIN } };

	for (;;) {
		int n = poll(fds, ARRAY_SIZE(fds), connect_ms_left(deadline_ns));

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0 && clock_now_ns() >= deadline_ns)
			return -ETIMEDOUT;
		if (n > 0 && fds[1].revents != 0)
			return -ECANCELED;
		if (n > 0 && fds[0].revents != 0)
			return connect_result(fd);
	}
}

static int
connect_address(const struct address *address, int64_t deadline_ns, int wake_fd, int *ret_fd)
{
	int fd, r;

	while ((r = echoping_connect_begin(address, 0, &fd)) == -EAGAIN) {
		if (clock_now_ns() >= deadline_ns)
			return -ETIMEDOUT;
		if (connect_pause(wake_fd))
			return -ECANCELED;
	}
	if (r == -EINPROGRESS) {
		r = connect_await(fd, deadline_ns, wake_fd);
		if (r < 0)
			(void)close(fd);
	}
	if (r == 0)
		*ret_fd = fd;
	return r;
}

int
echoping_connect_first(struct echoping_target *target, int64_t timeout_ns, int wake_fd, int *ret_fd)
{
	int r = -ENXIO;

	for (size_t i = 0; i < target->count; i++) {
		r = connect_address(
		    &target->addresses[i], clock_now_ns() + timeout_ns, wake_fd, ret_fd);
		if (r == 0)
			echoping_target_choose(target, i);
		if (r == 0 || r == -ECANCELED)
			break;
	}
	return r;
}

/* The sockets of echoping_connect_many() that are still to be connected. */
struct connect_pending {
	struct pollfd fds[CONNECT_AT_ONCE + 1]; /* the one at `count` is that of wake_fd */
	int64_t deadlines_ns[CONNECT_AT_ONCE];
	size_t count;
};

/* Move connected sockets to FDS at *done, close those whose time is over. */
static int
connect_collect(struct connect_pending *pending, int *fds, size_t *done)
{
	int64_t now = clock_now_ns();
	size_t left = 0;
	int r = 0;

	for (size_t i = 0; i < pending->count; i++) {
		int fd = pending->fds[i].fd, result = -EINPROGRESS;

		if (pending->fds[i].revents != 0)
			result = connect_result(fd);
		else if (now >= pending->deadlines_ns[i])
			result = -ETIMEDOUT;
		if (result == 0) {
			fds[(*done)++] = fd;
		} else if (result == -EINPROGRESS) {
			pending->fds[left] = (struct pollfd){ .fd = fd, .events = POLLOUT };
			pending->deadlines_ns[left++] = pending->deadlines_ns[i];
		} else {
			(void)close(fd);
			r = r == 0 ? result : r;
		}
	}
	pending->count = left;
	return r;
}

/* Begin one more connection; -EAGAIN when the backlog is full: try again. */
static int
connect_add(const struct echoping_target *target, struct connect_pending *pending,
    int64_t timeout_ns, size_t receive_bytes, int *fds, size_t *done)
{
	int fd;
	int r = echoping_connect_begin(&target->addresses[0], receive_bytes, &fd);

	if (r == 0) {
		fds[(*done)++] = fd;
	} else if (r == -EINPROGRESS) {
		pending->fds[pending->count] = (struct pollfd){ .fd = fd, .events = POLLOUT };
		pending->deadlines_ns[pending->count++] = clock_now_ns() + timeout_ns;
		r = 0;
	}
	return r;
}

/* Wait until one of those pending is connected or failed. */
static int
connect_wait(struct connect_pending *pending, int wake_fd, int *fds, size_t *done)
{
	struct pollfd *wake = &pending->fds[pending->count];

	*wake = (struct pollfd){ .fd = wake_fd, .events = POLLIN };
	/* after a failure revents are those of the poll before */
	if (poll(pending->fds, pending->count + 1, 100) < 0)
		return 0;
	return wake->revents != 0 ? -ECANCELED : connect_collect(pending, fds, done);
}

int
echoping_connect_many(const struct echoping_target *target, size_t count, int64_t timeout_ns,
    size_t receive_bytes, int wake_fd, int *fds)
{
	struct connect_pending pending = { .count = 0 };
	int64_t patience_ns = clock_now_ns() + timeout_ns;
	size_t done = 0;
	int r = 0;

	while (r == 0 && done < count) {
		size_t before = done + pending.count;

		while (r == 0 && done + pending.count < count && pending.count < CONNECT_AT_ONCE)
			r = connect_add(target, &pending, timeout_ns, receive_bytes, fds, &done);
		if (done + pending.count > before)
			patience_ns = clock_now_ns() + timeout_ns;
		if (r == -EAGAIN) {
			r = clock_now_ns() < patience_ns ? 0 : -ETIMEDOUT;
			if (r == 0 && connect_pause(wake_fd))
				r = -ECANCELED;
		}
		if (r == 0 && pending.count > 0)
			r = connect_wait(&pending, wake_fd, fds, &done);
	}
	for (size_t i = 0; i < pending.count; i++)
		(void)close(pending.fds[i].fd);
	return r;
}
