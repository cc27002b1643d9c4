/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What /connections may be asked for: the words of its query as a struct inspection_query.
 */
#ifndef ECHOD_CONTROL_CONNECTIONS_QUERY_H
#define ECHOD_CONTROL_CONNECTIONS_QUERY_H

#include "base/attributes.h"
#include "engine/inspection.h"

#define CONNECTIONS_QUERY_DEFAULT 100
#define CONNECTIONS_QUERY_MAX INSPECTION_ROWS_MAX

/*
 * Read QUERY (what follows the "?", "" without one). Returns 0, or -EINVAL with a message in ERROR
 * (QUERY_ERROR_MAX bytes) that says what would be right.
 */
ATTR_MUSTCHECK int connections_query_parse(
    const char *query, struct inspection_query *ret_query, char *error);

#endif
