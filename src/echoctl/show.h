/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The verbs that look: each asks, prints to standard output and returns the exit code.
 */
#ifndef ECHOD_ECHOCTL_SHOW_H
#define ECHOD_ECHOCTL_SHOW_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/attributes.h"
#include "echoctl/session.h"
#include "echoctl/text.h"

/*
 * Print all values in DOCUMENT to OUT, in its order. A member of a list goes by its "name" or
 * "id", else by its number; null is "-". Returns 0 or -ENOMEM.
 */
ATTR_MUSTCHECK int echoctl_figures_print(
    const json_t *document, const struct echoctl_style *style, FILE *out);

/*
 * Write the number VALUE of the directive or field KEY as text; the unit follows from the name.
 * Returns BUFFER.
 */
char *echoctl_figures_format(const char *key, double value, bool human, char *buffer, size_t size);

/* One function for each verb that looks; what it prints is in echoctl(1). */
enum echoctl_exit echoctl_show_status(struct echoctl_session *session);
enum echoctl_exit echoctl_show_stats(struct echoctl_session *session);
enum echoctl_exit echoctl_show_connections(struct echoctl_session *session);
enum echoctl_exit echoctl_show_connection(struct echoctl_session *session);
enum echoctl_exit echoctl_show_sources(struct echoctl_session *session);
enum echoctl_exit echoctl_show_config(struct echoctl_session *session);
enum echoctl_exit echoctl_show_metrics(struct echoctl_session *session);
enum echoctl_exit echoctl_show_health(struct echoctl_session *session);

/*
 * Return the request target of PATH with the filter of OPTIONS, in a fixed order; TCP asks for
 * the kernel's figures, too. The caller frees it. NULL when memory is short.
 */
char *echoctl_show_target(const struct echoctl_options *options, const char *path, bool tcp);

/* Return the state of the process in STATS: "ready", "draining", "not ready". */
const char *echoctl_show_state(const json_t *stats);

/* Return the tone of such a word, or of a connection's state. */
enum echoctl_tone echoctl_show_tone(const char *state);

#endif
