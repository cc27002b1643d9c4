/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "control/route_act.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include <event2/http.h>

#include "control/config_json.h"
#include "control/query.h"
#include "control/reply.h"
#include "control/routes.h"
#include "engine/inspection.h"

/* Statuses that evhttp has no name for. */
#define CONFLICT 409
#define UNPROCESSABLE 422

/* A connection that is about to be closed, and who asked for it. */
struct closing {
	struct deferred *deferred;
	uint64_t id;
};

/* Answer a verb that returned R; gives up what is in ERRORS. */
static void
route_act_answer(const struct route_call *call, int r, struct error_list *errors)
{
	if (r < 0)
		reply_error(call->req, CONFLICT, "%s", error_list_first(errors));
	else
		reply_ok(call->req);
	error_list_done(errors);
}

void
route_act_reload(const struct route_call *call)
{
	const struct control_actions *actions = call->routes->actions;
	struct control_reload reload = { .errors = ERROR_LIST_EMPTY };
	int r = actions->reload(actions->context, &reload);

	if (r == -EBUSY)
		reply_error(call->req, CONFLICT, "%s", error_list_first(&reload.errors));
	else if (r < 0)
		reply_json(call->req, UNPROCESSABLE, config_json_errors(&reload.errors));
	else
		reply_json(call->req, HTTP_OK, config_json_changes(&reload));
	control_reload_done(&reload);
}

void
route_act_drain(const struct route_call *call)
{
	const struct control_actions *actions = call->routes->actions;
	struct error_list errors = ERROR_LIST_EMPTY;

	route_act_answer(call, actions->drain(actions->context, &errors), &errors);
}

void
route_act_undrain(const struct route_call *call)
{
	const struct control_actions *actions = call->routes->actions;
	struct error_list errors = ERROR_LIST_EMPTY;

	route_act_answer(call, actions->undrain(actions->context, &errors), &errors);
}

void
route_act_stop(const struct route_call *call)
{
	const struct control_actions *actions = call->routes->actions;
	struct error_list errors = ERROR_LIST_EMPTY;

	route_act_answer(call, actions->stop(actions->context, &errors), &errors);
}

void
route_act_log_reopen(const struct route_call *call)
{
	const struct control_actions *actions = call->routes->actions;
	struct error_list errors = ERROR_LIST_EMPTY;

	route_act_answer(call, actions->log_reopen(actions->context, &errors), &errors);
}

/* Take the one parameter "level=WORD". */
static int
route_act_parse_level(const char *query, enum log_level *ret_level)
{
	struct query_field field, more;

	if (!query_next(&query, &field) || query_next(&query, &more) || field.value == NULL ||
	    !query_text_is(field.name, field.name_length, "level"))
		return -EINVAL;
	for (int level = LOG_LEVEL_ERROR; level <= LOG_LEVEL_DEBUG; level++) {
		const char *name = log_level_name((enum log_level)level);

		if (query_text_is(field.value, field.value_length, name)) {
			*ret_level = (enum log_level)level;
			return 0;
		}
	}
	return -EINVAL;
}

void
route_act_log_level(const struct route_call *call)
{
	const struct control_actions *actions = call->routes->actions;
	struct error_list errors = ERROR_LIST_EMPTY;
	enum log_level level;

	if (route_act_parse_level(call->query, &level) < 0)
		reply_error(call->req, HTTP_BADREQUEST,
		    "write ?level= with error, warning, notice, info or debug");
	else
		route_act_answer(
		    call, actions->log_level(actions->context, level, &errors), &errors);
}

static void
route_act_on_closed(void *context, int r, struct inspection_list *list)
{
	struct closing *closing = context;
	struct evhttp_request *req = deferred_take(closing->deferred);

	(void)list;
	if (req != NULL && r == 0)
		reply_ok(req);
	else if (req != NULL && r == -ENOENT)
		reply_error(req, HTTP_NOTFOUND, "no connection %" PRIu64 " is open", closing->id);
	else if (req != NULL)
		reply_json(req, HTTP_OK, NULL);
	free(closing);
}

void
route_act_close(const struct route_call *call)
{
	const struct inspection_query query = { .kind = INSPECTION_CLOSE, .id = call->id };
	struct closing *closing = calloc(1, sizeof(*closing));

	if (closing != NULL) {
		closing->id = call->id;
		closing->deferred = deferred_new(&call->routes->deferred, call->req);
	}
	if (closing != NULL && closing->deferred != NULL) {
		if (inspection_ask(call->routes->engine, &query, route_act_on_closed, closing) == 0)
			return;
		(void)deferred_take(closing->deferred);
	}
	free(closing);
	reply_json(call->req, HTTP_OK, NULL);
}
