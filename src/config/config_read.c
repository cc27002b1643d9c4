/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "config/config_read.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"

#define PIPE_TIMEOUT_NS (5 * NS_PER_S)

struct reason {
	char *buffer;
	size_t size;
};

static int fail(const struct reason *reason, int error, const char *format, ...) ATTR_PRINTF(3, 4);

static int
fail(const struct reason *reason, int error, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	errno = error;
	(void)vsnprintf(reason->buffer, reason->size, format, ap);
	va_end(ap);
	return -error;
}

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

static int
read_open(int fd, const struct reason *reason, char **ret_text)
{
	struct stat before, after;
	ssize_t length = 0;
	char *text;

	if (fstat(fd, &before) < 0)
		return fail(reason, errno, "cannot read: %m");
	if (!S_ISREG(before.st_mode) && !S_ISFIFO(before.st_mode))
		return fail(reason, EINVAL, "is neither a regular file nor a pipe");
	if (S_ISFIFO(before.st_mode))
		length = wait_readable(fd, clock_now_ns() + PIPE_TIMEOUT_NS);

	text = malloc(CONFIG_READ_MAX + 1);
	if (text == NULL)
		return fail(reason, ENOMEM, "out of memory");
	if (length == 0)
		length = read_all(fd, text, CONFIG_READ_MAX + 1);
	if (length < 0) {
		free(text);
		return fail(reason, (int)-length, "cannot read: %m");
	}
	if (length > CONFIG_READ_MAX) {
		free(text);
		return fail(reason, EFBIG, "is larger than 1 MiB");
	}
	if (S_ISREG(before.st_mode) &&
	    (fstat(fd, &after) < 0 || !same_state(&before, &after) || after.st_size != length)) {
		free(text);
		return fail(reason, EBUSY, "changed while it was read (try again)");
	}
	text[length] = '\0';
	if (strlen(text) != (size_t)length) {
		free(text);
		return fail(reason, EINVAL, "has a NUL byte and so is not a text file");
	}
	*ret_text = text;
	return 0;
}

int
config_read_whole(const char *path, char *buffer, size_t size, char **ret_text)
{
	const struct reason reason = { buffer, size };
	int fd, r;

	/* O_NONBLOCK: opening a FIFO without a writer must not wait */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return fail(&reason, errno, "cannot open: %m");
	r = read_open(fd, &reason, ret_text);
	(void)close(fd);
	return r;
}
