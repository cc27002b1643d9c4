/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The figures of the daemon as a JSON document. Members for counters come from the table in
 * counters.h. Main loop only.
 */
#ifndef ECHOD_CONTROL_STATS_JSON_H
#define ECHOD_CONTROL_STATS_JSON_H

#include <jansson.h>

#include "base/attributes.h"
#include "control/server_interface.h"
#include "engine/counters.h"
#include "engine/engine.h"

struct document;

/* Build the document of /stats; it reads the figures while it is written. NULL: out of memory. */
struct document *stats_json_new(const struct engine *engine, const struct process_status *status);

/*
 * Add one member to OBJECT for each counter without a label, and one object for each family with
 * one. Returns 0 or -ENOMEM.
 */
ATTR_MUSTCHECK int stats_json_add_counters(json_t *object, const struct counters_sum *sum);

#endif
