/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "control/routes.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>
#include <event2/http.h>

#include "base/attributes.h"
#include "control/config_json.h"
#include "control/history_json.h"
#include "control/inspection_json.h"
#include "control/metrics_text.h"
#include "control/page/page.h"
#include "control/request.h"
#include "control/stats_json.h"
#include "engine/engine.h"

#define GET (EVHTTP_REQ_GET | EVHTTP_REQ_HEAD)
#define POST EVHTTP_REQ_POST

/* Statuses that evhttp has no name for. */
#define FORBIDDEN 403
#define CONFLICT 409
#define UNPROCESSABLE 422

/* Stands for a whole number in a path. */
#define NUMBER "ID"

/* What a handler is called with; valid during the call. It answers the request, then or later. */
struct route_call {
	struct routes *routes;
	struct evhttp_request *req;
	const char *query; /* what follows the "?", "" without one */
	uint64_t id;       /* the number in the path; 0 without one */
};

/* A request for a reload. */
struct reloading {
	struct control_waiter waiter; /* first: what done() is given is all of it */
	struct deferred deferred;
};

/* A connection that is about to be closed, and who asked for it. */
struct closing {
	struct deferred deferred;
	uint64_t id;
};

static void
route_read_page(const struct route_call *call)
{
	reply_page(call->req, page_policy, page_document, page_document_length);
}

static void
route_read_livez(const struct route_call *call)
{
	reply_text(call->req, HTTP_OK, "ok\n");
}

static void
route_read_readyz(const struct route_call *call)
{
	const char *not_ready = call->routes->status->not_ready;
	char text[32];

	(void)snprintf(text, sizeof(text), "%s\n", not_ready == NULL ? "ok" : not_ready);
	reply_text(call->req, not_ready == NULL ? HTTP_OK : HTTP_SERVUNAVAIL, text);
}

static int
route_read_stats(struct answer *answer)
{
	const struct routes *routes = answer->context;

	answer->document = stats_json_new(routes->engine, routes->status);
	return 0;
}

static int
route_read_history(struct answer *answer)
{
	const struct routes *routes = answer->context;

	answer->document = history_json_new(&routes->engine->history);
	return 0;
}

static int
route_read_metrics(struct answer *answer)
{
	const struct routes *routes = answer->context;
	const struct evkeyvalq *headers = evhttp_request_get_input_headers(answer->deferred.req);
	bool openmetrics = request_wants_openmetrics(evhttp_find_header(headers, "Accept"));

	answer->document = metrics_text_new(openmetrics, routes->engine, routes->status);
	return 0;
}

static int
route_read_config(struct answer *answer)
{
	const struct routes *routes = answer->context;

	answer->document = config_json_new(routes->actions->config(routes->actions->context));
	return 0;
}

/* Answer with the one connection in LIST, or none. */
static void
routes_answer_one(struct answer *answer, struct inspection_list *list)
{
	uint64_t id = answer->query.id;
	struct evhttp_request *req = answer_end(answer);

	if (req != NULL && list->count == 0)
		reply_error(req, HTTP_NOTFOUND, "no connection %" PRIu64 " is open", id);
	else if (req != NULL)
		reply_json(req, HTTP_OK, inspection_json_connection(list));
	free(list);
}

static void
routes_on_inspected(void *context, int r, struct inspection_list *list)
{
	struct answer *answer = context;

	if (r < 0)
		answer_go_on(answer, NULL);
	else if (answer->query.id != 0)
		routes_answer_one(answer, list);
	else
		answer_go_on(answer, inspection_json_new(list, &answer->query));
}

static int
routes_begin_inspection(struct answer *answer)
{
	const struct routes *routes = answer->context;
	int r = inspection_ask(
	    &routes->engine->inspection, &answer->query, routes_on_inspected, answer);

	return r < 0 ? r : 1;
}

static void
routes_inspect(const struct route_call *call, const struct inspection_query *query)
{
	answer_later(
	    &call->routes->answers, call->req, routes_begin_inspection, call->routes, query);
}

static void
routes_answer_list(const struct route_call *call, enum inspection_kind kind)
{
	struct inspection_query query;
	char error[QUERY_ERROR_MAX];

	if (inspection_json_parse(kind, call->query, &query, error) < 0)
		reply_error(call->req, HTTP_BADREQUEST, "%s", error);
	else if (*query.listener != '\0' &&
		 service_find(&call->routes->engine->services, query.listener) == NULL)
		reply_error(call->req, HTTP_NOTFOUND, "no listener \"%s\"", query.listener);
	else
		routes_inspect(call, &query);
}

static void
route_read_connections(const struct route_call *call)
{
	routes_answer_list(call, INSPECTION_CONNECTIONS);
}

static void
route_read_sources(const struct route_call *call)
{
	routes_answer_list(call, INSPECTION_SOURCES);
}

static void
route_read_events(const struct route_call *call)
{
	routes_answer_list(call, INSPECTION_EVENTS);
}

static void
route_read_connection(const struct route_call *call)
{
	struct inspection_query query = { .id = call->id, .limit = 1, .tcp = true };

	/* 0 would mean any in a query; no connection has it */
	if (call->id == 0)
		reply_error(call->req, HTTP_NOTFOUND, "no connection 0 is open");
	else
		routes_inspect(call, &query);
}

static void
route_read_version(const struct route_call *call)
{
	reply_json(call->req, HTTP_OK,
	    json_pack("{s:s, s:s, s:s, s:s, s:s}", "name", PACKAGE_NAME, "version", PACKAGE_VERSION,
		"libevent", event_get_version(), "jansson", JANSSON_VERSION, "compiler",
		__VERSION__));
}

static void
routes_on_reloaded(struct control_waiter *waiter, int r, const struct control_reload *outcome)
{
	struct reloading *reloading = (struct reloading *)(void *)waiter;
	struct evhttp_request *req = deferred_take(&reloading->deferred);

	if (req != NULL && r == -EBUSY)
		reply_error(req, CONFLICT, "%s", error_list_first(&outcome->errors));
	else if (req != NULL && r < 0)
		reply_json(req, UNPROCESSABLE, config_json_errors(&outcome->errors));
	else if (req != NULL)
		reply_json(req, HTTP_OK, config_json_changes(outcome));
	free(reloading);
}

static void
route_act_reload(const struct route_call *call)
{
	const struct control_actions *actions = call->routes->actions;
	struct reloading *reloading = calloc(1, sizeof(*reloading));

	if (reloading == NULL) {
		reply_no_memory(call->req);
		return;
	}
	reloading->waiter.done = routes_on_reloaded;
	deferred_keep(&reloading->deferred, &call->routes->answers.deferred, call->req);
	deferred_be_patient(&reloading->deferred);
	actions->reload(actions->context, &reloading->waiter);
}

/* Answer a verb that returned R; frees what is in ERRORS. */
static void
routes_answer_verb(const struct route_call *call, int r, struct error_list *errors)
{
	if (r < 0)
		reply_error(call->req, CONFLICT, "%s", error_list_first(errors));
	else
		reply_ok(call->req);
	error_list_done(errors);
}

static void
routes_act(const struct route_call *call, int (*verb)(void *context, struct error_list *errors))
{
	struct error_list errors = ERROR_LIST_EMPTY;

	routes_answer_verb(call, verb(call->routes->actions->context, &errors), &errors);
}

static void
route_act_drain(const struct route_call *call)
{
	routes_act(call, call->routes->actions->drain);
}

static void
route_act_undrain(const struct route_call *call)
{
	routes_act(call, call->routes->actions->undrain);
}

static void
route_act_stop(const struct route_call *call)
{
	routes_act(call, call->routes->actions->stop);
}

static void
route_act_log_reopen(const struct route_call *call)
{
	routes_act(call, call->routes->actions->log_reopen);
}

static void
route_act_log_level(const struct route_call *call)
{
	const struct control_actions *actions = call->routes->actions;
	struct error_list errors = ERROR_LIST_EMPTY;
	const char *rest = call->query;
	struct query_field field;
	bool given = query_next(&rest, &field) > 0 && *rest == '\0' &&
		     strcmp(field.name, "level") == 0;

	for (int level = LOG_LEVEL_ERROR; given && level <= LOG_LEVEL_DEBUG; level++) {
		if (strcmp(field.value, log_level_name(level)) == 0) {
			routes_answer_verb(
			    call, actions->log_level(actions->context, level, &errors), &errors);
			return;
		}
	}
	reply_error(
	    call->req, HTTP_BADREQUEST, "write ?level= with error, warning, notice, info or debug");
}

static void
routes_on_closed(void *context, int r, struct inspection_list *list ATTR_UNUSED)
{
	struct closing *closing = context;
	struct evhttp_request *req = deferred_take(&closing->deferred);

	if (req != NULL && r == 0)
		reply_ok(req);
	else if (req != NULL && r == -ENOENT)
		reply_error(req, HTTP_NOTFOUND, "no connection %" PRIu64 " is open", closing->id);
	else if (req != NULL)
		reply_no_memory(req);
	free(closing);
}

static void
route_act_close(const struct route_call *call)
{
	const struct inspection_query query = { .kind = INSPECTION_CLOSE, .id = call->id };
	struct closing *closing = calloc(1, sizeof(*closing));

	if (closing == NULL) {
		reply_no_memory(call->req);
		return;
	}
	closing->id = call->id;
	deferred_keep(&closing->deferred, &call->routes->answers.deferred, call->req);
	if (inspection_ask(&call->routes->engine->inspection, &query, routes_on_closed, closing) <
	    0)
		routes_on_closed(closing, -ENOMEM, NULL);
}

struct route {
	unsigned methods; /* GET; or POST, which the UNIX socket alone serves */
	const char *path; /* with NUMBER where one stands */
	void (*answer)(const struct route_call *call); /* NULL: the answer comes later, by begin */
	int (*begin)(struct answer *answer);
	const char *help;
};

/* tests/lint/routes.py reads this table: one row, one entry in doc/control.md. */
static const struct route route_table[] = {
	{ GET, "/", route_read_page, NULL, "the status page (HTML)" },
	{ GET, "/livez", route_read_livez, NULL, "200 while the main loop runs" },
	{ GET, "/readyz", route_read_readyz, NULL,
	    "200 when clients are served, else 503 and why" },
	{ GET, "/stats", NULL, route_read_stats, "process, totals, listeners, workers (JSON)" },
	{ GET, "/history", NULL, route_read_history, "the last hour in steps of 10 s (JSON)" },
	{ GET, "/connections", route_read_connections, NULL,
	    "connections, ?listener= peer= state= sort= order= limit= offset= tcp= group= "
	    "(JSON)" },
	{ GET, "/connections/ID", route_read_connection, NULL,
	    "one connection with what the kernel knows of it (JSON)" },
	{ GET, "/events", route_read_events, NULL,
	    "what ended or was refused last, ?listener= peer= reason= kind= since= limit= (JSON)" },
	{ GET, "/sources", route_read_sources, NULL,
	    "who sends datagrams, busiest first, ?listener= limit= (JSON)" },
	{ GET, "/config", NULL, route_read_config,
	    "the configuration in force, with origins (JSON)" },
	{ GET, "/version", route_read_version, NULL, "what was built of what (JSON)" },
	{ GET, "/metrics", NULL, route_read_metrics,
	    "metrics in the text format of Prometheus, or OpenMetrics by Accept" },
	{ POST, "/reload", route_act_reload, NULL, "read the configuration again" },
	{ POST, "/drain", route_act_drain, NULL,
	    "take no more clients, finish with the present ones" },
	{ POST, "/undrain", route_act_undrain, NULL, "take clients again" },
	{ POST, "/stop", route_act_stop, NULL, "drain, then end" },
	{ POST, "/log/reopen", route_act_log_reopen, NULL, "open the log file again" },
	{ POST, "/log/level", route_act_log_level, NULL,
	    "log from ?level= on, until the next reload" },
	{ POST, "/connections/ID/close", route_act_close, NULL, "close one connection" },
};

static void
routes_refuse_method(struct evhttp_request *req, const struct route *route)
{
	const char *allow = route->methods == POST ? "POST" : "GET, HEAD";

	(void)evhttp_add_header(evhttp_request_get_output_headers(req), "Allow", allow);
	reply_error(req, HTTP_BADMETHOD, "%s takes %s", route->path, allow);
}

static void
routes_refuse_path(struct evhttp_request *req)
{
	json_t *paths = json_object(), *document;
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(route_table); i++)
		r |= json_object_set_new(
		    paths, route_table[i].path, json_string(route_table[i].help));
	document = json_pack("{s:s, s:o}", "error", "unknown path", "paths", paths);
	if (r != 0) {
		json_decref(document);
		document = NULL;
	}
	reply_json(req, HTTP_NOTFOUND, document);
}

/* No path that is known here needs decoding, so one that does is not known. A query is decoded. */
static bool
routes_target_is_plain(const char *target)
{
	if (target[0] != '/' || target[strcspn(target, "?%")] == '%')
		return false;
	for (const unsigned char *p = (const unsigned char *)target; *p != '\0'; p++) {
		if (*p <= ' ' || *p >= 0x7f)
			return false;
	}
	return true;
}

/* Compare LENGTH bytes of PATH with PATTERN, and take the number where there is one. */
static bool
routes_match(const char *pattern, const char *path, size_t length, uint64_t *ret_id)
{
	const char *end = path + length;

	while (*pattern != '\0') {
		if (strncmp(pattern, NUMBER, strlen(NUMBER)) == 0) {
			size_t digits = strspn(path, "0123456789");

			if (query_number(path, digits, UINT64_MAX, ret_id) < 0)
				return false;
			path += digits;
			pattern += strlen(NUMBER);
		} else if (path == end || *path++ != *pattern++) {
			return false;
		}
	}
	return path == end;
}

static const struct route *
routes_find(const char *path, size_t length, uint64_t *ret_id)
{
	*ret_id = 0;
	for (size_t i = 0; i < ARRAY_SIZE(route_table); i++) {
		if (routes_match(route_table[i].path, path, length, ret_id))
			return &route_table[i];
	}
	return NULL;
}

bool
routes_is_probe(const struct evhttp_request *req)
{
	const char *target = request_target(req);

	return strcmp(target, "/livez") == 0 || strcmp(target, "/readyz") == 0;
}

void
routes_answer(struct routes *routes, struct evhttp_request *req, bool may_act)
{
	const char *target = request_target(req);
	size_t length = strcspn(target, "?");
	struct route_call call = { .routes = routes, .req = req };
	const struct route *route;

	if (!routes_target_is_plain(target)) {
		reply_error(req, HTTP_BADREQUEST,
		    "the target starts with /, has no byte outside ASCII and no %% in its path");
		return;
	}
	call.query = target[length] == '?' ? target + length + 1 : "";
	route = routes_find(target, length, &call.id);
	if (route == NULL)
		routes_refuse_path(req);
	else if ((route->methods & evhttp_request_get_command(req)) == 0)
		routes_refuse_method(req, route);
	else if (route->methods == POST && !may_act)
		reply_error(req, FORBIDDEN, "%s is for the UNIX socket alone: see control.socket",
		    route->path);
	else if (route->answer != NULL)
		route->answer(&call);
	else
		answer_later(&routes->answers, req, route->begin, routes, NULL);
}
