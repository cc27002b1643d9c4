/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `echoctl top`: samples again and again, drawn in place, until the user, a signal or the daemon
 * ends it.
 */
#ifndef ECHOD_ECHOCTL_TOP_H
#define ECHOD_ECHOCTL_TOP_H

#include "echoctl/session.h"

/*
 * Draw until told to end. The terminal is given back in each case; a signal other than SIGINT
 * then ends the process as it would have without `top`.
 */
enum echoctl_exit echoctl_top(struct echoctl_session *session);

#endif
