/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A new configuration for a running daemon: built, checked and prepared as a whole, then
 * swapped in. Whatever fails before leaves the running configuration as it is. Main thread only.
 */
#ifndef ECHOD_DAEMON_RELOAD_H
#define ECHOD_DAEMON_RELOAD_H

#include "base/error_list.h"

struct control_reload;

/*
 * Read the configuration again and put it in force, or say why not; reopen the log file. What
 * changed, or the errors, are logged and written to RET_RELOAD, which the caller releases with
 * control_reload_done(). CONTEXT is the server, as in control_actions. Returns 0; -EBUSY while the
 * daemon drains or stops; or another -errno, and nothing was changed.
 */
int reload_run(void *context, struct control_reload *ret_reload);

/* Open the log file again, after it was rotated. CONTEXT is not looked at. Returns 0, or -errno
 * with a line in ERRORS. */
int reload_reopen_log(void *context, struct error_list *errors);

#endif
