/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A new configuration for a running daemon: built, checked and prepared as a whole, then
 * swapped in. Whatever fails before leaves the running configuration as it is. Main thread only.
 */
#ifndef ECHOD_DAEMON_RELOAD_H
#define ECHOD_DAEMON_RELOAD_H

struct server;

/* Read the configuration again and put it in force, or say why not; reopen the log file. */
void reload_run(struct server *server);

/* Open the log file again, after it was rotated. */
void reload_reopen_log(void);

#endif
