/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * /sources: what it may be asked for, and its answer.
 */
#ifndef ECHOD_CONTROL_SOURCES_JSON_H
#define ECHOD_CONTROL_SOURCES_JSON_H

#include "base/attributes.h"
#include "engine/inspection.h"

#define SOURCES_QUERY_DEFAULT 100
#define SOURCES_QUERY_MAX INSPECTION_ROWS_MAX

struct document;

/*
 * Read QUERY (what follows the "?", "" without one). Returns 0, or -EINVAL with a message in ERROR
 * (QUERY_ERROR_MAX bytes) that says what would be right.
 */
ATTR_MUSTCHECK int sources_query_parse(
    const char *query, struct inspection_query *ret_query, char *error);

/* Build the document from LIST (taken), which was asked for with LIMIT. NULL: out of memory. */
struct document *sources_json_new(struct inspection_list *list, size_t limit);

#endif
