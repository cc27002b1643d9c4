/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the daemon knows, as JSON documents. Members for counters come from the table in
 * counters.h; times are seconds, moments are RFC 3339 in UTC. Main loop only.
 */
#ifndef ECHOD_CONTROL_STATS_JSON_H
#define ECHOD_CONTROL_STATS_JSON_H

#include <jansson.h>

#include "control/process_status.h"
#include "engine/counters.h"
#include "engine/engine.h"
#include "engine/snapshot.h"

/* Build the document of /stats. The caller owns it. NULL: out of memory. */
json_t *stats_json_new(const struct engine *engine, const struct process_status *status);

/* Build the document of /connections. The caller owns it. NULL: out of memory. */
json_t *stats_json_connections(const struct snapshot *snapshot);

/*
 * Add one member to OBJECT for each counter without a label, and one object for each family with
 * one. Returns 0 or -ENOMEM.
 */
ATTR_MUSTCHECK int stats_json_add_counters(json_t *object, const struct counters_sum *sum);

#endif
