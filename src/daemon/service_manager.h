/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The service manager: what systemd tells us (descriptors, watchdog) and the journal; what we tell
 * it is notifier.h. The only room that knows libsystemd; without it, or without a manager,
 * every call does nothing and succeeds. Main thread only but for service_manager_journal_send().
 */
#ifndef ECHOD_DAEMON_SERVICE_MANAGER_H
#define ECHOD_DAEMON_SERVICE_MANAGER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/attributes.h"
#include "base/error_list.h"
#include "engine/listen_socket.h"

/* Whether this build knows systemd at all. */
#ifdef HAVE_SYSTEMD
#define SERVICE_MANAGER_SUPPORTED true
#else
#define SERVICE_MANAGER_SUPPORTED false
#endif

/*
 * Take the descriptors that were passed in, see sd_listen_fds_with_names(3). Returns 0, with an
 * empty list where there are none, or -errno with a line in ERRORS.
 */
ATTR_MUSTCHECK int service_manager_sockets(
    struct inheritance *ret_inheritance, struct error_list *errors);

/* Return whether descriptors were passed in when this process began. */
bool service_manager_passes_sockets(void);

/* Return how often the manager wants to hear WATCHDOG=1, in ns; 0: never. */
int64_t service_manager_watchdog_ns(void);

/* Return whether stderr is connected to the journal (JOURNAL_STREAM of systemd.exec(5)). */
bool service_manager_has_journal_stderr(void);

/* Where journald receives entries, see sd_journal_sendv(3). */
#define SERVICE_MANAGER_JOURNAL "/run/systemd/journal/socket"

/* Send one entry to the journal; 0 also where nobody receives. Returns 0 or -errno. Any thread; may
 * block. */
int service_manager_journal_send(const struct iovec *fields, int count);

#endif
