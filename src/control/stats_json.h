/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The figures of the daemon as a JSON document. Members for counters come from the table in
 * counters.h. Main loop only.
 */
#ifndef ECHOD_CONTROL_STATS_JSON_H
#define ECHOD_CONTROL_STATS_JSON_H

#include "control/server_interface.h"
#include "engine/engine.h"

struct document;

/* Build the document of /stats; it reads the figures while it is written. NULL: out of memory. */
struct document *stats_json_new(const struct engine *engine, const struct process_status *status);

#endif
