/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The service manager: what systemd tells us (descriptors, watchdog, the journal) and what we
 * tell it (sd_notify(3)). The only room that knows libsystemd; without it, or without a manager,
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

/* Return how often the manager wants to hear WATCHDOG=1, in ns; 0: never. */
int64_t service_manager_watchdog_ns(void);

/* Return whether stderr is connected to the journal (JOURNAL_STREAM of systemd.exec(5)). */
bool service_manager_has_journal_stderr(void);

/* Send one entry to the journal. Returns 0 or -errno. Any thread; may block. */
int service_manager_journal_send(const struct iovec *fields, int count);

/* Start-up, or a reload good or bad, is over. */
void service_manager_ready(void);

/* A reload begins. */
void service_manager_reloading(void);

/* The daemon will stop, and nothing can change that any more. */
void service_manager_stopping(void);

/* The process and all its workers are alive. */
void service_manager_watchdog(void);

/* The stop needs NS more before the manager may lose patience. */
void service_manager_extend_timeout(int64_t ns);

/* One line for `systemctl status`. */
void service_manager_status(const char *format, ...) ATTR_PRINTF(1, 2);

#endif
