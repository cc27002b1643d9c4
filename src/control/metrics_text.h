/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the daemon counts, in the text format 0.0.4 of Prometheus. The families of counters.h are
 * written from its table, by listener. Main loop only.
 */
#ifndef ECHOD_CONTROL_METRICS_TEXT_H
#define ECHOD_CONTROL_METRICS_TEXT_H

#include "base/attributes.h"
#include "control/process_status.h"
#include "engine/engine.h"

#define METRICS_TEXT_TYPE "text/plain; version=0.0.4; charset=utf-8"

struct evbuffer;

/* Append all families to OUT. Returns 0, or -ENOMEM and OUT is not to be used. */
ATTR_MUSTCHECK int metrics_text_write(
    struct evbuffer *out, const struct engine *engine, const struct process_status *status);

/*
 * Write VALUE between the quotes of a label: backslash, quote and newline escaped, cut where it
 * does not fit. Returns BUFFER.
 */
char *metrics_text_escape(const char *value, char *buffer, size_t size);

#endif
