/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "daemon/service_manager.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"

#ifdef HAVE_SYSTEMD
#include <systemd/sd-daemon.h>
/* the log's fields have the place where a message was written; one in this file says nothing */
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>
#else
/* Nothing was passed in. */
#define SD_LISTEN_FDS_START 3
#define sd_listen_fds_with_names(UNSET, NAMES) 0
#define sd_watchdog_enabled(UNSET, USEC) 0
#define sd_journal_sendv(FIELDS, COUNT) ((void)(FIELDS), (void)(COUNT), -ENOSYS)
#endif

/*
 * Whether standard input is a socket with an address, as inetd(8) passes one. Others may well be
 * there: a pair of sockets without addresses is what some programs use as a pipe.
 */
static bool
service_manager_is_inetd(void)
{
	struct address address;

	if (address_of_socket(STDIN_FILENO, &address) < 0)
		return false;
	return address.u.sa.sa_family == AF_UNIX
		   ? address.length > offsetof(struct sockaddr_un, sun_path)
		   : address_port(&address) != 0;
}

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
	if (count == 0 && service_manager_is_inetd()) {
		error_list_add(errors,
		    "standard input is a socket, as inetd passes one: echod takes sockets from "
		    "$LISTEN_FDS alone (use StandardInput=null; systemd-socket-activate without "
		    "--inetd)");
		return -EINVAL;
	}
	inheritance.sockets = calloc((size_t)count + 1, sizeof(*inheritance.sockets));
	if (inheritance.sockets == NULL)
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
		error_list_add(
		    errors, "cannot take over the descriptors in $LISTEN_FDS: out of memory");
		return r;
	}
	*ret_inheritance = inheritance;
	return 0;
}

bool
service_manager_passes_sockets(void)
{
	const char *process = getenv("LISTEN_PID");

	/* not by sd_listen_fds(3), which looks at the descriptors: they may be others' by now */
	return SERVICE_MANAGER_SUPPORTED && process != NULL && getenv("LISTEN_FDS") != NULL &&
	       strtol(process, NULL, 10) == (long)getpid();
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
	return sd_journal_sendv(fields, count);
}

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
