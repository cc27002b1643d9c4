/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "control/routes.h"

#include <string.h>

#include <event2/http.h>

#include "base/attributes.h"
#include "control/query.h"
#include "control/reply.h"
#include "control/route_act.h"
#include "control/route_read.h"
#include "engine/engine.h"

#define GET (EVHTTP_REQ_GET | EVHTTP_REQ_HEAD)
#define POST EVHTTP_REQ_POST

/* Stands for a whole number in a path. */
#define NUMBER "ID"

/* Where a route may be used. */
enum route_access {
	ROUTE_READ, /* at both doors */
	ROUTE_ACT,  /* at the UNIX socket alone */
};

struct route {
	unsigned methods; /* mask of enum evhttp_cmd_type */
	const char *path; /* with NUMBER where one stands */
	enum route_access access;
	void (*answer)(const struct route_call *call);
	const char *help;
};

/* tests/lint/routes.py reads this table: one row, one entry in doc/control.md. */
static const struct route route_table[] = {
	{ GET, "/", ROUTE_READ, route_read_page, "the status page (HTML)" },
	{ GET, "/livez", ROUTE_READ, route_read_livez, "200 while the main loop runs" },
	{ GET, "/readyz", ROUTE_READ, route_read_readyz,
	    "200 when clients are served, else 503 and why" },
	{ GET, "/stats", ROUTE_READ, route_read_stats,
	    "process, totals, listeners, workers (JSON)" },
	{ GET, "/connections", ROUTE_READ, route_read_connections,
	    "connections, ?listener= peer= state= sort= order= limit= offset= tcp= (JSON)" },
	{ GET, "/connections/ID", ROUTE_READ, route_read_connection,
	    "one connection with what the kernel knows of it (JSON)" },
	{ GET, "/sources", ROUTE_READ, route_read_sources,
	    "who sends datagrams, busiest first, ?listener= limit= (JSON)" },
	{ GET, "/config", ROUTE_READ, route_read_config,
	    "the configuration in force, with origins (JSON)" },
	{ GET, "/version", ROUTE_READ, route_read_version, "what was built of what (JSON)" },
	{ GET, "/metrics", ROUTE_READ, route_read_metrics,
	    "metrics in the text format of Prometheus, or OpenMetrics by Accept" },
	{ POST, "/reload", ROUTE_ACT, route_act_reload, "read the configuration again" },
	{ POST, "/drain", ROUTE_ACT, route_act_drain,
	    "take no more clients, finish with the present ones" },
	{ POST, "/undrain", ROUTE_ACT, route_act_undrain, "take clients again" },
	{ POST, "/stop", ROUTE_ACT, route_act_stop, "drain, then end" },
	{ POST, "/log/reopen", ROUTE_ACT, route_act_log_reopen, "open the log file again" },
	{ POST, "/log/level", ROUTE_ACT, route_act_log_level,
	    "log from ?level= on, until the next reload" },
	{ POST, "/connections/ID/close", ROUTE_ACT, route_act_close, "close one connection" },
};

static const struct {
	enum evhttp_cmd_type command;
	const char *name;
} method_names[] = {
	{ EVHTTP_REQ_GET, "GET" },
	{ EVHTTP_REQ_HEAD, "HEAD" },
	{ EVHTTP_REQ_POST, "POST" },
};

static void
routes_refuse_method(struct evhttp_request *req, const struct route *route)
{
	char allow[64] = "";

	for (size_t i = 0; i < ARRAY_SIZE(method_names); i++) {
		if ((route->methods & method_names[i].command) == 0)
			continue;
		if (allow[0] != '\0')
			strcat(allow, ", ");
		strcat(allow, method_names[i].name);
	}
	(void)evhttp_add_header(evhttp_request_get_output_headers(req), "Allow", allow);
	reply_error(req, HTTP_BADMETHOD, "%s takes %s", route->path, allow);
}

static void
routes_refuse_path(struct evhttp_request *req)
{
	json_t *document = json_object(), *known = json_object();

	for (size_t i = 0; i < ARRAY_SIZE(route_table); i++)
		(void)json_object_set_new(
		    known, route_table[i].path, json_string(route_table[i].help));
	(void)json_object_set_new(document, "error", json_string("unknown path"));
	(void)json_object_set_new(document, "paths", known);
	reply_json(req, HTTP_NOTFOUND, document);
}

/* Nothing that is known here is written otherwise: what would need decoding is not known. */
static bool
routes_target_is_plain(const char *target)
{
	if (target[0] != '/')
		return false;
	for (const unsigned char *p = (const unsigned char *)target; *p != '\0'; p++) {
		if (*p <= ' ' || *p >= 0x7f || *p == '%')
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

void
routes_init(struct routes *routes, struct engine *engine, const struct process_status *status,
    const struct control_actions *actions)
{
	routes->engine = engine;
	routes->status = status;
	routes->actions = actions;
	TAILQ_INIT(&routes->deferred);
	answers_init(&routes->answers, engine->loop);
}

bool
routes_are_busy(const struct routes *routes)
{
	return !TAILQ_EMPTY(&routes->deferred);
}

void
routes_refuse(struct routes *routes)
{
	deferred_refuse_all(&routes->deferred);
}

void
routes_done(struct routes *routes)
{
	routes_refuse(routes);
	answers_done(&routes->answers);
}

void
routes_answer(struct routes *routes, struct evhttp_request *req, bool may_act)
{
	const char *target = evhttp_request_get_uri(req);
	size_t length = strcspn(target, "?");
	struct route_call call = { .routes = routes, .req = req };
	const struct route *route;

	if (!routes_target_is_plain(target)) {
		reply_error(req, HTTP_BADREQUEST,
		    "the target starts with / and has neither %% nor bytes outside ASCII");
		return;
	}
	call.query = target[length] == '?' ? target + length + 1 : "";
	route = routes_find(target, length, &call.id);
	if (route == NULL)
		routes_refuse_path(req);
	else if ((route->methods & evhttp_request_get_command(req)) == 0)
		routes_refuse_method(req, route);
	else if (route->access == ROUTE_ACT && !may_act)
		reply_error(
		    req, 403, "%s is for the UNIX socket alone: see control.socket", route->path);
	else
		route->answer(&call);
}
