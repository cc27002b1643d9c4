/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The verbs that look: each asks, prints to standard output and returns the code to leave with.
 */
#ifndef ECHOD_ECHOCTL_SHOW_H
#define ECHOD_ECHOCTL_SHOW_H

#include "echoctl/session.h"

/* Print what runs and how it is: the process, its figures, listeners, workers. */
enum echoctl_exit echoctl_show_status(struct echoctl_session *session);

/* Print all figures of /stats, one a line. */
enum echoctl_exit echoctl_show_stats(struct echoctl_session *session);

/* Print a table of connections, as the filter of the options says. */
enum echoctl_exit echoctl_show_connections(struct echoctl_session *session);

/* Print all about the connection that the operand names. */
enum echoctl_exit echoctl_show_connection(struct echoctl_session *session);

/* Print a table of who sends datagrams, as the filter of the options says. */
enum echoctl_exit echoctl_show_sources(struct echoctl_session *session);

/* Print the configuration in force, with origins. */
enum echoctl_exit echoctl_show_config(struct echoctl_session *session);

/* Print the metrics as they come. */
enum echoctl_exit echoctl_show_metrics(struct echoctl_session *session);

/* Print the word of /readyz; fail unless clients are served. */
enum echoctl_exit echoctl_show_health(struct echoctl_session *session);

/* Return the state of the process that STATS tell of: "ready", "draining", "not ready". */
const char *echoctl_show_state(const json_t *stats);

/* Return the tone of such a word, or of a connection's state. */
enum echoctl_tone echoctl_show_tone(const char *state);

#endif
