/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the handler of a route is called with; routes.c makes it, route_read.c and route_act.c
 * answer it.
 */
#ifndef ECHOD_CONTROL_ROUTE_CALL_H
#define ECHOD_CONTROL_ROUTE_CALL_H

#include <stdint.h>

struct evhttp_request;
struct routes;

/* Valid during the call of the handler; REQ is answered once, then or later. */
struct route_call {
	struct routes *routes;
	struct evhttp_request *req;
	const char *query; /* what follows the "?", "" without one */
	uint64_t id;       /* the number in the path; 0 without one */
};

#endif
