/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `echoctl status`: the overview for people, so that figures have units also in a pipe. What a
 * daemon does not tell has no line.
 */
#ifndef ECHOD_ECHOCTL_STATUS_H
#define ECHOD_ECHOCTL_STATUS_H

#include "echoctl/session.h"

/* Ask for the figures and print them; returns the exit code. */
enum echoctl_exit echoctl_status(struct echoctl_session *session);

#endif
