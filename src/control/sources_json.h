/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * /sources: what it may be asked for, and its answer.
 */
#ifndef ECHOD_CONTROL_SOURCES_JSON_H
#define ECHOD_CONTROL_SOURCES_JSON_H

#include <jansson.h>
#include <stddef.h>

#include "base/attributes.h"
#include "config/config.h"
#include "engine/source_report.h"

#define SOURCES_QUERY_DEFAULT 100
#define SOURCES_QUERY_MAX 1000

struct sources_query {
	char listener[CONFIG_LISTENER_NAME_MAX + 1]; /* "": any */
	size_t limit;
};

/*
 * Read QUERY (what follows the "?", "" without one). Returns 0, or -EINVAL with a message in ERROR
 * (QUERY_ERROR_MAX bytes) that says what would be right.
 */
ATTR_MUSTCHECK int sources_query_parse(
    const char *query, struct sources_query *ret_query, char *error);

/* Write the LIMIT busiest of REPORT. NULL: out of memory. */
json_t *sources_json_new(const struct source_report *report, size_t limit);

#endif
