/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the workers are asked for, as HTTP and JSON: /connections, /connections/ID, /events and
 * /sources, their queries and their answers. Main loop only.
 */
#ifndef ECHOD_CONTROL_INSPECTION_JSON_H
#define ECHOD_CONTROL_INSPECTION_JSON_H

#include <jansson.h>

#include "base/attributes.h"
#include "engine/inspection.h"

struct document;

/*
 * Read TEXT (what follows the "?", "" without one) as a query for a list of KIND, which a group
 * makes one of INSPECTION_PEERS out of INSPECTION_CONNECTIONS. Returns 0, or
 * -EINVAL with a message in ERROR (QUERY_ERROR_MAX bytes) that says what would be right.
 */
ATTR_MUSTCHECK int inspection_json_parse(
    enum inspection_kind kind, const char *text, struct inspection_query *ret_query, char *error);

/* Build the document of LIST (taken), the answer to QUERY. NULL: out of memory. */
struct document *inspection_json_new(
    struct inspection_list *list, const struct inspection_query *query);

/* Build the document of /connections/ID for LIST's first row. The caller owns it. NULL as above. */
json_t *inspection_json_connection(const struct inspection_list *list);

#endif
