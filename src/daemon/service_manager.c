/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "daemon/service_manager.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#ifdef HAVE_SYSTEMD
#include <systemd/sd-daemon.h>
#include <systemd/sd-journal.h>
#endif

#include "base/clock.h"

/* What a change of state may wait for a busy manager; figures and pings are dropped at once. */
#define STATE_PATIENCE_MS 1000

/* Where journald receives entries, see sd_journal_sendv(3). */
#define JOURNAL_SOCKET "/run/systemd/journal/socket"

/* A stop has its own deadline, and the manager sees the process end anyway. */
#define STOPPING_PATIENCE_MS 50

#ifdef HAVE_SYSTEMD

int
service_manager_sockets(struct inheritance *ret_inheritance, struct error_list *errors)
{
	struct inheritance inheritance = INHERITANCE_NONE;
	char **names = NULL;
	int count = sd_listen_fds_with_names(0, &names), r = 0;

	if (count < 0) {
		error_list_add(errors, "cannot take over the descriptors in $LISTEN_FDS: %s",
		    strerror(-count));
		return count;
	}
	if (count > 0)
		inheritance.sockets = calloc((size_t)count, sizeof(*inheritance.sockets));
	if (count > 0 && inheritance.sockets == NULL)
		r = -ENOMEM;
	for (int i = 0; r == 0 && i < count; i++) {
		struct inherited_socket *inherited = &inheritance.sockets[inheritance.count++];
		bool named = names != NULL && strcmp(names[i], "unknown") != 0;

		inherited->fd = SD_LISTEN_FDS_START + i;
		inherited->name = strdup(named ? names[i] : "");
		if (inherited->name == NULL)
			r = -ENOMEM;
	}
	for (char **name = names; name != NULL && *name != NULL; name++)
		free(*name);
	free(names);
	if (r < 0) {
		inheritance_done(&inheritance, false);
		error_list_add(errors, "out of memory");
		return r;
	}
	*ret_inheritance = inheritance;
	return 0;
}

int64_t
service_manager_watchdog_ns(void)
{
	uint64_t usec = 0;

	if (sd_watchdog_enabled(0, &usec) <= 0 || usec > INT64_MAX / (uint64_t)NS_PER_US)
		return 0;
	return (int64_t)usec * NS_PER_US;
}

int
service_manager_journal_send(const struct iovec *fields, int count)
{
	/* the library says 0 where nobody receives */
	if (access(JOURNAL_SOCKET, F_OK) < 0)
		return -errno;
	return sd_journal_sendv(fields, count);
}

/*
 * Wait up to PATIENCE_MS until the manager's socket has room. sd_notify(3) blocks on a full one
 * (ten messages by default, see net.unix.max_dgram_qlen), and a manager that hangs must not take
 * the main loop with it. A connected datagram socket tells in poll(2).
 */
static bool
service_manager_listens(int patience_ms)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	size_t length = path == NULL ? 0 : strlen(path);
	struct pollfd writable = { .events = POLLOUT };
	bool listens = false;

	if (length == 0 || length >= sizeof(un.sun_path))
		return false;
	memcpy(un.sun_path, path, length);
	if (path[0] == '@')
		un.sun_path[0] = '\0';
	writable.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (writable.fd < 0)
		return false;
	length += offsetof(struct sockaddr_un, sun_path);
	if (connect(writable.fd, (struct sockaddr *)&un, (socklen_t)length) == 0)
		listens = poll(&writable, 1, patience_ms) == 1 && (writable.revents & POLLOUT) != 0;
	close(writable.fd);
	return listens;
}

static void
service_manager_send(const char *state, int patience_ms)
{
	/* a manager that cannot be told is no reason to serve less */
	if (service_manager_listens(patience_ms))
		(void)sd_notify(0, state);
}

#else

int
service_manager_sockets(struct inheritance *ret_inheritance, struct error_list *errors)
{
	(void)errors;
	*ret_inheritance = (struct inheritance)INHERITANCE_NONE;
	return 0;
}

int64_t
service_manager_watchdog_ns(void)
{
	return 0;
}

int
service_manager_journal_send(const struct iovec *fields, int count)
{
	(void)fields;
	(void)count;
	return -ENOSYS;
}

static void
service_manager_send(const char *state, int patience_ms)
{
	(void)state;
	(void)patience_ms;
}

#endif

bool
service_manager_has_journal_stderr(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	uint64_t device, inode;
	struct stat st;

	if (stream == NULL || sscanf(stream, "%" SCNu64 ":%" SCNu64, &device, &inode) != 2)
		return false;
	return fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

void
service_manager_ready(void)
{
	service_manager_send("READY=1", STATE_PATIENCE_MS);
}

void
service_manager_reloading(void)
{
	char state[64];

	/* systemd wants both in one message, see sd_notify(3) */
	(void)snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%" PRId64,
	    clock_now_ns() / NS_PER_US);
	service_manager_send(state, STATE_PATIENCE_MS);
}

void
service_manager_stopping(void)
{
	service_manager_send("STOPPING=1", STOPPING_PATIENCE_MS);
}

void
service_manager_watchdog(void)
{
	service_manager_send("WATCHDOG=1", 0);
}

void
service_manager_extend_timeout(int64_t ns)
{
	char state[64];

	(void)snprintf(state, sizeof(state), "EXTEND_TIMEOUT_USEC=%" PRId64, ns / NS_PER_US);
	service_manager_send(state, 0);
}

void
service_manager_status(const char *format, ...)
{
	char state[256] = "STATUS=";
	size_t used = strlen(state);
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(state + used, sizeof(state) - used, format, ap);
	va_end(ap);
	service_manager_send(state, 0);
}
