/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `echoctl events`: who was closed or refused of late, the oldest first as in a log, once or
 * followed until the user ends it.
 */
#ifndef ECHOD_ECHOCTL_EVENTS_H
#define ECHOD_ECHOCTL_EVENTS_H

#include "echoctl/session.h"

/*
 * Print the events that the options of SESSION mean; returns the exit code. With --follow it goes
 * on, also while the daemon is away, until an answer is none or the output cannot be written.
 */
enum echoctl_exit echoctl_events(struct echoctl_session *session);

#endif
