/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the daemon counts and measures, as metrics: in the text format 0.0.4 of Prometheus or in
 * OpenMetrics 1.0.0, which differ in the name of a counter's family and in the end. The families
 * of counters.h are written from its table, by listener; no label is ever a peer. Main loop only.
 */
#ifndef ECHOD_CONTROL_METRICS_TEXT_H
#define ECHOD_CONTROL_METRICS_TEXT_H

#include <stdbool.h>

#include "control/server_interface.h"
#include "engine/engine.h"

struct document;

/* Build the document of /metrics; it reads the figures while it is written. NULL: out of memory. */
struct document *metrics_text_new(
    bool openmetrics, const struct engine *engine, const struct process_status *status);

#endif
