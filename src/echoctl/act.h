/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The verbs that change something. Each sends one request, prints in one line what was done, and
 * returns the exit code; a refusal is printed to stderr.
 */
#ifndef ECHOD_ECHOCTL_ACT_H
#define ECHOD_ECHOCTL_ACT_H

#include "echoctl/session.h"

/* One function for each of these verbs; what it does is in echoctl(1). */
enum echoctl_exit echoctl_act_reload(struct echoctl_session *session);
enum echoctl_exit echoctl_act_drain(struct echoctl_session *session);
enum echoctl_exit echoctl_act_undrain(struct echoctl_session *session);
enum echoctl_exit echoctl_act_stop(struct echoctl_session *session);
enum echoctl_exit echoctl_act_close(struct echoctl_session *session);
enum echoctl_exit echoctl_act_log_level(struct echoctl_session *session);
enum echoctl_exit echoctl_act_log_reopen(struct echoctl_session *session);

#endif
