/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "config/config_read.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"

#define PIPE_TIMEOUT_NS (5 * NS_PER_S)

/* Wait until FD can be read; a writer that never writes must not hold up a reload for ever. */
static int
wait_readable(int fd, int64_t deadline)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	for (;;) {
		int64_t left = deadline - clock_now_ns();
		int r;

		if (left <= 0)
			return -ETIMEDOUT;
		r = poll(&pfd, 1, (int)(left / NS_PER_MS) + 1);
		if (r > 0)
			return 0;
		if (r < 0 && errno != EINTR)
			return -errno;
	}
}

/* Read up to SIZE bytes; a short count means end of file. */
static ssize_t
read_all(int fd, char *buffer, size_t size)
{
	int64_t deadline = clock_now_ns() + PIPE_TIMEOUT_NS;
	size_t used = 0;
	int r;

	while (used < size) {
		ssize_t n = read(fd, buffer + used, size - used);

		/* a FIFO that nobody has opened yet reads as ended: poll first, see read_open() */
		if (n == 0)
			break;
		if (n > 0) {
			used += (size_t)n;
			continue;
		}
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return -errno;
		r = wait_readable(fd, deadline);
		if (r < 0)
			return r;
	}
	return (ssize_t)used;
}

static bool
same_state(const struct stat *a, const struct stat *b)
{
	return a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* Return what is wrong with the LENGTH bytes of TEXT, read from FD as it was BEFORE; or NULL. */
static const char *
find_fault(int fd, const struct stat *before, const char *text, ssize_t length)
{
	struct stat after;

	if (length > CONFIG_READ_MAX)
		return "is larger than 1 MiB";
	if (S_ISREG(before->st_mode) &&
	    (fstat(fd, &after) < 0 || !same_state(before, &after) || after.st_size != length))
		return "changed while it was read (try again)";
	if (memchr(text, '\0', (size_t)length) != NULL)
		return "has a NUL byte and so is not a text file";
	return NULL;
}

/* As config_read_whole(); a failure of the system leaves *ret_fault alone. */
static int
read_open(int fd, char **ret_text, const char **ret_fault)
{
	struct stat before;
	ssize_t length = 0;
	char *text;

	if (fstat(fd, &before) < 0)
		return -errno;
	if (!S_ISREG(before.st_mode) && !S_ISFIFO(before.st_mode)) {
		*ret_fault = "is neither a regular file nor a pipe";
		return -EINVAL;
	}
	if (S_ISFIFO(before.st_mode))
		length = wait_readable(fd, clock_now_ns() + PIPE_TIMEOUT_NS);
	if (length < 0)
		return (int)length;

	text = malloc(CONFIG_READ_MAX + 1);
	if (text == NULL) {
		*ret_fault = "out of memory";
		return -ENOMEM;
	}
	length = read_all(fd, text, CONFIG_READ_MAX + 1);
	*ret_fault = length < 0 ? NULL : find_fault(fd, &before, text, length);
	if (length < 0 || *ret_fault != NULL) {
		free(text);
		return length < 0 ? (int)length : -EINVAL;
	}
	text[length] = '\0';
	*ret_text = text;
	return 0;
}

int
config_read_whole(const char *path, char *reason, size_t size, char **ret_text)
{
	const char *fault = NULL;
	int fd, r;

	/* O_NONBLOCK: opening a FIFO without a writer must not wait */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0) {
		r = -errno;
		(void)snprintf(reason, size, "cannot open: %s", strerror(-r));
		return r;
	}
	r = read_open(fd, ret_text, &fault);
	(void)close(fd);
	if (fault != NULL)
		(void)snprintf(reason, size, "%s", fault);
	else if (r == -ETIMEDOUT)
		(void)snprintf(reason, size,
		    "cannot read: its writer did not end it within %d seconds",
		    (int)(PIPE_TIMEOUT_NS / NS_PER_S));
	else if (r < 0)
		(void)snprintf(reason, size, "cannot read: %s", strerror(-r));
	return r;
}
