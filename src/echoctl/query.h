/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Request targets (path and query, RFC 3986) from what the user wrote.
 */
#ifndef ECHOD_ECHOCTL_QUERY_H
#define ECHOD_ECHOCTL_QUERY_H

#include "echoctl/options.h"

/*
 * Return the target of /connections for rows with TCP figures and with what FILTER has, in a fixed
 * order; the caller frees it. Bytes that a query cannot hold are percent-encoded. NULL when memory
 * is short.
 */
char *echoctl_query_connections(const struct echoctl_filter *filter);

/* The same of /sources, which takes a listener and a limit. */
char *echoctl_query_sources(const struct echoctl_filter *filter);

/* Return PATH "?" KEY "=" VALUE, encoded; the caller frees it. NULL when memory is short. */
char *echoctl_query_one(const char *path, const char *key, const char *value);

#endif
