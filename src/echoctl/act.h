/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The verbs that change something. Each sends one request, prints in one line what was done, and
 * returns the exit code; a refusal is printed to stderr.
 */
#ifndef ECHOD_ECHOCTL_ACT_H
#define ECHOD_ECHOCTL_ACT_H

#include "echoctl/session.h"

/* Have the configuration read again; print each change, and what a restart is needed for. */
enum echoctl_exit echoctl_act_reload(struct echoctl_session *session);

/* Take no more clients; reversible. */
enum echoctl_exit echoctl_act_drain(struct echoctl_session *session);

/* Take clients again. */
enum echoctl_exit echoctl_act_undrain(struct echoctl_session *session);

/* Have the daemon drain and end; with --wait, return when it is gone. */
enum echoctl_exit echoctl_act_stop(struct echoctl_session *session);

/* Close the connection that the operand names. */
enum echoctl_exit echoctl_act_close(struct echoctl_session *session);

/* Set the level of the log to the operand. */
enum echoctl_exit echoctl_act_log_level(struct echoctl_session *session);

/* Have the log file opened again. */
enum echoctl_exit echoctl_act_log_reopen(struct echoctl_session *session);

#endif
