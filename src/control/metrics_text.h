/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the daemon counts and measures, as metrics. The families of counters.h are written from
 * its table, by listener; no label is ever a peer. Main loop only.
 */
#ifndef ECHOD_CONTROL_METRICS_TEXT_H
#define ECHOD_CONTROL_METRICS_TEXT_H

#include "control/metrics_writer.h"
#include "control/server_interface.h"
#include "engine/engine.h"

struct document;

/* Build the document of /metrics; it reads the figures while it is written. NULL: out of memory. */
struct document *metrics_text_new(
    enum metrics_format format, const struct engine *engine, const struct process_status *status);

#endif
