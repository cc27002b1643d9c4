/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Connections as JSON documents, from what the workers told. Main loop only.
 */
#ifndef ECHOD_CONTROL_CONNECTIONS_JSON_H
#define ECHOD_CONTROL_CONNECTIONS_JSON_H

#include <jansson.h>

#include "engine/inspection.h"

struct document;

/* Build the document of /connections from LIST (taken), the answer to QUERY. NULL: out of memory.
 */
struct document *connections_json_new(
    struct inspection_list *list, const struct inspection_query *query);

/* Build the document of /connections/ID for row INDEX. The caller owns it. NULL as above. */
json_t *connections_json_one(const struct inspection_list *list, size_t index);

#endif
