/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The routes of the control port: one table of methods, path, handler and help. Paths are
 * compared as the client sent them, never decoded. Main loop only.
 */
#ifndef ECHOD_CONTROL_ROUTES_H
#define ECHOD_CONTROL_ROUTES_H

#include "control/deferred.h"
#include "control/process_status.h"

struct engine;
struct evhttp_request;

/* What the handlers answer about, and what they owe. */
struct routes {
	struct engine *engine;               /* borrowed */
	const struct process_status *status; /* borrowed */
	struct deferred_list deferred;       /* answers under way */
};

/* Prepare to answer about ENGINE and STATUS. */
void routes_init(struct routes *routes, struct engine *engine, const struct process_status *status);

/* Forget the answers under way. Called before the doors are freed. */
void routes_done(struct routes *routes);

/* Answer REQ, now or later. */
void routes_answer(struct routes *routes, struct evhttp_request *req);

#endif
