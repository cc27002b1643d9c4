/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The routes that are read (GET, HEAD). None changes anything. Main loop only.
 */
#ifndef ECHOD_CONTROL_ROUTE_READ_H
#define ECHOD_CONTROL_ROUTE_READ_H

#include "control/route_call.h"

/* Handlers, one for each route: see the table in routes.c. */
void route_read_page(const struct route_call *call);
void route_read_livez(const struct route_call *call);
void route_read_readyz(const struct route_call *call);
void route_read_stats(const struct route_call *call);
void route_read_connections(const struct route_call *call);
void route_read_connection(const struct route_call *call);
void route_read_sources(const struct route_call *call);
void route_read_config(const struct route_call *call);
void route_read_version(const struct route_call *call);
void route_read_metrics(const struct route_call *call);

#endif
