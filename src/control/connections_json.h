/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Connections as JSON documents, from a snapshot. Main loop only.
 */
#ifndef ECHOD_CONTROL_CONNECTIONS_JSON_H
#define ECHOD_CONTROL_CONNECTIONS_JSON_H

#include <jansson.h>

#include "engine/snapshot.h"

/* Build the document of /connections for QUERY. The caller owns it. NULL: out of memory. */
json_t *connections_json_new(const struct snapshot *snapshot, const struct snapshot_query *query);

/* Build the document of /connections/ID for record INDEX. The caller owns it. NULL as above. */
json_t *connections_json_one(const struct snapshot *snapshot, size_t index);

#endif
