/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "base/log_sink.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include "base/text.h"

/* without O_NONBLOCK a FIFO in its place would hold up the main loop */
#define FILE_FLAGS (O_WRONLY | O_APPEND | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK | O_CLOEXEC)
#define LOG_SINK_POLL_MS 50 /* how late an interrupt may be seen */

const char *
log_target_name(enum log_target target)
{
	static const char *const names[] = {
		[LOG_TARGET_STDERR] = "standard error",
		[LOG_TARGET_JOURNAL] = "the journal",
		[LOG_TARGET_SYSLOG] = "syslog",
		[LOG_TARGET_FILE] = "a file",
	};

	return names[target];
}

/* Say what is wrong with the open file, NULL when nothing is. */
static const char *
log_sink_file_fault(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return strerror(errno);
	if (!S_ISREG(st.st_mode))
		return "is not a regular file";
	/* another name or owner: somebody else laid it where we were going to write */
	if (st.st_nlink > 1)
		return "has more than one hard link";
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return "belongs to another user";
	return NULL;
}

static int
log_sink_open_file(const struct log_settings *settings, struct error_list *errors, int *ret_fd)
{
	const char *path = settings->file;
	char shown[512];
	const char *fault;
	int fd, r;

	if (path == NULL || path[0] != '/') {
		error_list_add(errors, "log file: needs an absolute path");
		return -EINVAL;
	}
	text_escape_string(path, shown, sizeof(shown));
	fd = open(path, FILE_FLAGS | O_CREAT | O_EXCL, settings->mode);
	/* the mode of a new file is no matter of the umask, that of one that was there is the
	 * owner's */
	if (fd >= 0)
		(void)fchmod(fd, settings->mode);
	else if (errno == EEXIST)
		fd = open(path, FILE_FLAGS);
	if (fd < 0) {
		struct stat st;

		r = -errno;
		if (r == -ELOOP && lstat(path, &st) == 0 && S_ISLNK(st.st_mode))
			error_list_add(errors,
			    "log file %s: is a symbolic link, which is not followed", shown);
		else if (r == -ENXIO)
			error_list_add(errors, "log file %s: is not a regular file", shown);
		else
			error_list_add(errors, "log file %s: open: %s", shown, strerror(-r));
		return r;
	}
	fault = log_sink_file_fault(fd);
	if (fault != NULL) {
		error_list_add(errors, "log file %s: %s", shown, fault);
		close(fd);
		return -EPERM;
	}
	*ret_fd = fd;
	return 0;
}

int
log_sink_open(
    const struct log_settings *settings, struct error_list *errors, struct log_sink *ret_sink)
{
	bool to_stderr = settings->target == LOG_TARGET_STDERR;
	struct log_sink sink = {
		.target = settings->target,
		.format = settings->format,
		.priority = settings->stderr_priority,
		.fd = to_stderr ? STDERR_FILENO : -1,
		.socket = settings->target == LOG_TARGET_SYSLOG    ? _PATH_LOG
			  : settings->target == LOG_TARGET_JOURNAL ? settings->journal_socket
								   : NULL,
		.journal_send = settings->journal_send,
	};
	int r;

	if (sink.target == LOG_TARGET_JOURNAL && sink.journal_send == NULL) {
		error_list_add(errors, "log target journal: this build has no support for it");
		return -EOPNOTSUPP;
	}
	if (sink.target == LOG_TARGET_FILE) {
		r = log_sink_open_file(settings, errors, &sink.fd);
		if (r < 0)
			return r;
	}
	*ret_sink = sink;
	return 0;
}

int
log_sink_check(const struct log_sink *sink)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd, r = 0;

	if (sink->socket == NULL)
		return 0;
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", sink->socket);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	/* of another type, it is a stream's, which syslog(3) tries too */
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 && errno != EPROTOTYPE)
		r = -errno;
	close(fd);
	return r;
}

bool
log_sink_is_stderr(const struct log_sink *sink)
{
	static const char journal[] = "/run/systemd/journal/";
	char link[sizeof(journal)] = "";
	struct stat a, b;

	switch (sink->target) {
	case LOG_TARGET_FILE:
		return fstat(sink->fd, &a) == 0 && fstat(STDERR_FILENO, &b) == 0 &&
		       a.st_dev == b.st_dev && a.st_ino == b.st_ino;
	case LOG_TARGET_SYSLOG:
		/* which the journal may serve */
		return sink->priority && readlink(_PATH_LOG, link, sizeof(link) - 1) > 0 &&
		       strcmp(link, journal) == 0;
	case LOG_TARGET_JOURNAL:
		return sink->priority;
	case LOG_TARGET_STDERR:
		break;
	}
	return true;
}

struct log_sink
log_sink_spare(const struct log_sink *sink)
{
	struct log_sink spare = LOG_SINK_STDERR;

	spare.format = sink->format;
	spare.priority = sink->priority;
	return spare;
}

void
log_sink_close(struct log_sink *sink)
{
	if (sink->target == LOG_TARGET_FILE && sink->fd >= 0)
		close(sink->fd);
	if (sink->attached)
		closelog();
	*sink = (struct log_sink)LOG_SINK_STDERR;
}

void
log_sink_follow(struct log_sink *next, const struct log_sink *old)
{
	struct stat a, b;

	if (old->torn && next->fd >= 0 && fstat(next->fd, &a) == 0 && fstat(old->fd, &b) == 0)
		next->torn = a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/*
 * Wait until FD takes more. It is asked before each write too, because a write that blocks could
 * not be interrupted: a pipe or socket that is writable takes a line of PIPE_BUF without blocking.
 */
static int
log_sink_wait(int fd, atomic_bool *interrupt)
{
	struct pollfd poller = { .fd = fd, .events = POLLOUT };

	for (;;) {
		bool last = atomic_load_explicit(interrupt, memory_order_relaxed);
		int n = poll(&poller, 1, last ? 0 : LOG_SINK_POLL_MS);

		if (n > 0)
			return 0; /* errors are for write(2) to tell */
		if (n < 0 && errno != EINTR)
			return -errno;
		if (last)
			return -ECANCELED;
	}
}

/* One write(2), unless the target takes the line in pieces. */
static int
log_sink_put(struct log_sink *sink, const char *line, size_t length, atomic_bool *interrupt)
{
	bool wait = sink->target == LOG_TARGET_STDERR;
	size_t done = 0;

	while (done < length) {
		ssize_t n = 0;
		int r = wait ? log_sink_wait(sink->fd, interrupt) : 0;

		if (r == 0) {
			n = write(sink->fd, line + done, length - done);
			r = n > 0 ? 0 : n == 0 ? -EIO : -errno;
		}
		if (r == -EAGAIN && atomic_load_explicit(interrupt, memory_order_relaxed))
			r = -ECANCELED;
		if (r == 0) {
			done += (size_t)n;
		} else if (r == -EAGAIN) {
			if (wait) /* poll(2) said otherwise: do not spin */
				(void)poll(NULL, 0, LOG_SINK_POLL_MS);
			wait = true;
		} else if (r != -EINTR) {
			/* where nothing went out, what stood torn before stays so */
			if (done > 0)
				sink->torn = line[done - 1] != '\n';
			return r;
		}
	}
	sink->torn = false;
	return 0;
}

int
log_sink_write(struct log_sink *sink, const struct log_record *record, atomic_bool *interrupt)
{
	bool priority = sink->priority && sink->target == LOG_TARGET_STDERR;
	enum log_prefix prefix = priority ? LOG_PREFIX_PRIORITY : LOG_PREFIX_TIME;
	char buffer[1 + LOG_RECORD_LINE];
	char *line = buffer + 1;
	size_t length;
	/* neither syslog(3) nor sd_journal_sendv(3) says that nobody receives */
	int r = log_sink_check(sink);

	if (r < 0)
		return r;
	if (sink->target == LOG_TARGET_JOURNAL) {
		struct iovec vectors[LOG_RECORD_IOVECS];
		int count = log_record_journal(record, line, vectors);

		r = sink->journal_send(vectors, count);
		return r < 0 ? r : 0;
	}
	if (sink->target == LOG_TARGET_SYSLOG) {
		if (!sink->attached)
			openlog("echod", LOG_PID | LOG_NDELAY, LOG_DAEMON);
		sink->attached = true;
		log_record_line(record, sink->format, LOG_PREFIX_NONE, line);
		syslog((int)log_record_level(record), "%s", line);
		return 0;
	}
	length = log_record_line(record, sink->format, prefix, line);
	line[length++] = '\n';
	if (sink->torn) {
		*--line = '\n';
		length++;
	}
	return log_sink_put(sink, line, length, interrupt);
}
