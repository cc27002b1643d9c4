/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The routes of the control port: one table of method, path, handler and help, and the
 * handlers. What is read (GET, HEAD) changes nothing; what is posted is a verb of the daemon, or
 * ends one connection. Paths are compared as the client sent them, never decoded. Main loop only.
 */
#ifndef ECHOD_CONTROL_ROUTES_H
#define ECHOD_CONTROL_ROUTES_H

#include <stdbool.h>

#include "control/answer.h"
#include "control/server_interface.h"

struct engine;
struct evhttp_request;

/* What the handlers answer about, and with. */
struct routes {
	struct engine *engine;                 /* borrowed */
	const struct process_status *status;   /* borrowed */
	const struct control_actions *actions; /* borrowed */
	struct answers answers;                /* that come later */
};

/*
 * Return whether REQ asks for /livez or /readyz, which tell so little that they answer to any name:
 * who checks health calls the daemon by names of its own.
 */
bool routes_is_probe(const struct evhttp_request *req);

/* Answer REQ, now or later. MAY_ACT: it came in where things may be changed. */
void routes_answer(struct routes *routes, struct evhttp_request *req, bool may_act);

#endif
