/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the daemon counts and measures, as metrics. The families of counters.h are written from
 * its table, by listener; no label is ever a peer. Main loop only.
 */
#ifndef ECHOD_CONTROL_METRICS_TEXT_H
#define ECHOD_CONTROL_METRICS_TEXT_H

#include "base/attributes.h"
#include "control/metrics_writer.h"
#include "control/process_status.h"
#include "engine/engine.h"

/* Append all families to OUT. Returns 0, or -ENOMEM and OUT is not to be used. */
ATTR_MUSTCHECK int metrics_text_write(struct evbuffer *out, enum metrics_format format,
    const struct engine *engine, const struct process_status *status);

#endif
