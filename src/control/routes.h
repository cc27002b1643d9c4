/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The routes of the control port: one table of methods, path, access, handler and help, and the
 * handlers. What is read (GET, HEAD) changes nothing; what is posted is a verb of the daemon, or
 * ends one connection. Paths are compared as the client sent them, never decoded. Main loop only.
 */
#ifndef ECHOD_CONTROL_ROUTES_H
#define ECHOD_CONTROL_ROUTES_H

#include <stdbool.h>

#include "control/answer.h"
#include "control/control_actions.h"
#include "control/process_status.h"

struct engine;
struct evhttp_request;

/* What the handlers answer about, and with. */
struct routes {
	struct engine *engine;                 /* borrowed */
	const struct process_status *status;   /* borrowed */
	const struct control_actions *actions; /* borrowed */
	struct answers answers;                /* those that are owed */
};

/* Prepare to answer about ENGINE and STATUS, on its loop, and to have ACTIONS done. */
void routes_init(struct routes *routes, struct engine *engine, const struct process_status *status,
    const struct control_actions *actions);

/* Return whether a request is not answered yet. */
bool routes_are_busy(const struct routes *routes);

/* Refuse what is not answered yet. */
void routes_refuse(struct routes *routes);

/* The same for the last time: called before the listeners are freed, with no turn in between. */
void routes_done(struct routes *routes);

/* Answer REQ, now or later. MAY_ACT: it came in where things may be changed. */
void routes_answer(struct routes *routes, struct evhttp_request *req, bool may_act);

#endif
