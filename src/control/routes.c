/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "control/routes.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <event2/buffer.h>
#include <event2/http.h>

#include "base/attributes.h"
#include "base/text.h"
#include "control/metrics_text.h"
#include "control/reply.h"
#include "control/stats_json.h"
#include "engine/snapshot.h"

#define CONNECTIONS_DEFAULT 100
#define CONNECTIONS_MAX 1000

#define READ (EVHTTP_REQ_GET | EVHTTP_REQ_HEAD)

struct route {
	unsigned methods; /* mask of enum evhttp_cmd_type */
	const char *path;
	/* Answer REQ, now or later; QUERY is what follows the "?", "" without one. */
	void (*answer)(struct routes *routes, struct evhttp_request *req, const char *query);
	const char *help;
};

static void
routes_get_livez(struct routes *routes, struct evhttp_request *req, const char *query)
{
	(void)routes;
	(void)query;
	reply_text(req, HTTP_OK, "ok\n");
}

static void
routes_get_readyz(struct routes *routes, struct evhttp_request *req, const char *query)
{
	const char *not_ready = routes->status->not_ready;
	char text[32];

	(void)query;
	if (not_ready == NULL) {
		reply_text(req, HTTP_OK, "ok\n");
		return;
	}
	(void)snprintf(text, sizeof(text), "%s\n", not_ready);
	reply_text(req, HTTP_SERVUNAVAIL, text);
}

static void
routes_get_stats(struct routes *routes, struct evhttp_request *req, const char *query)
{
	(void)query;
	reply_json(req, HTTP_OK, stats_json_new(routes->engine, routes->status));
}

static void
routes_get_metrics(struct routes *routes, struct evhttp_request *req, const char *query)
{
	struct evbuffer *body = evbuffer_new();

	(void)query;
	if (body != NULL && metrics_text_write(body, routes->engine, routes->status) < 0) {
		evbuffer_free(body);
		body = NULL;
	}
	reply_send(req, HTTP_OK, METRICS_TEXT_TYPE, body);
}

/* Take a whole number up to CONNECTIONS_MAX, and nothing else. */
static bool
routes_parse_limit(const char *text, size_t length, size_t *ret_limit)
{
	size_t limit = 0;

	if (length == 0 || length > 4 || strspn(text, "0123456789") < length)
		return false;
	for (size_t i = 0; i < length; i++)
		limit = limit * 10 + (size_t)(text[i] - '0');
	if (limit > CONNECTIONS_MAX)
		return false;
	*ret_limit = limit;
	return true;
}

/* Read the query of /connections. Answers REQ and returns false when it is wrong. */
static bool
routes_parse_connections(struct evhttp_request *req, const char *query, size_t *ret_limit)
{
	size_t limit = CONNECTIONS_DEFAULT;
	bool given = false;

	while (*query != '\0') {
		size_t length = strcspn(query, "&"), name = strcspn(query, "=&");
		char text[128];

		if (name != 5 || strncmp(query, "limit", name) != 0) {
			text_escape(query, name, text, sizeof(text));
			reply_error(req, HTTP_BADREQUEST,
			    "unknown parameter \"%s\": only limit is known", text);
			return false;
		}
		if (given || name == length ||
		    !routes_parse_limit(query + name + 1, length - name - 1, &limit)) {
			reply_error(req, HTTP_BADREQUEST,
			    "limit is given once, as a whole number from 0 to %d", CONNECTIONS_MAX);
			return false;
		}
		given = true;
		query += length;
		query += *query == '&';
	}
	*ret_limit = limit;
	return true;
}

static void
routes_on_snapshot(void *context, const struct snapshot *snapshot)
{
	struct evhttp_request *req = deferred_take(context);

	if (req != NULL)
		reply_json(
		    req, HTTP_OK, snapshot != NULL ? stats_json_connections(snapshot) : NULL);
}

static void
routes_get_connections(struct routes *routes, struct evhttp_request *req, const char *query)
{
	struct deferred *deferred;
	size_t limit;

	if (!routes_parse_connections(req, query, &limit))
		return;
	deferred = deferred_new(&routes->deferred, req);
	if (deferred != NULL &&
	    snapshot_request(routes->engine, limit, routes_on_snapshot, deferred) == 0)
		return;
	if (deferred != NULL)
		(void)deferred_take(deferred);
	reply_json(req, HTTP_OK, NULL);
}

static const struct route route_table[] = {
	{ READ, "/livez", routes_get_livez, "200 while the main loop runs" },
	{ READ, "/readyz", routes_get_readyz, "200 when clients are served, else 503 and why" },
	{ READ, "/stats", routes_get_stats, "process, totals, listeners, workers (JSON)" },
	{ READ, "/connections", routes_get_connections,
	    "the oldest connections, ?limit=100 (JSON)" },
	{ READ, "/metrics", routes_get_metrics, "counters in the text format of Prometheus" },
};

static const struct {
	enum evhttp_cmd_type command;
	const char *name;
} method_names[] = {
	{ EVHTTP_REQ_GET, "GET" },
	{ EVHTTP_REQ_HEAD, "HEAD" },
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

/* Every path of the table is plain: what would need decoding cannot be one of them. */
static bool
routes_path_is_plain(const char *path, size_t length)
{
	if (length == 0 || path[0] != '/')
		return false;
	for (size_t i = 0; i < length; i++) {
		if (path[i] <= ' ' || path[i] >= 0x7f || path[i] == '%')
			return false;
	}
	return true;
}

void
routes_init(struct routes *routes, struct engine *engine, const struct process_status *status)
{
	routes->engine = engine;
	routes->status = status;
	TAILQ_INIT(&routes->deferred);
}

void
routes_done(struct routes *routes)
{
	deferred_cancel_all(&routes->deferred);
}

void
routes_answer(struct routes *routes, struct evhttp_request *req)
{
	const char *target = evhttp_request_get_uri(req);
	size_t length = strcspn(target, "?");
	const char *query = target[length] == '?' ? target + length + 1 : "";

	if (!routes_path_is_plain(target, length)) {
		reply_error(req, HTTP_BADREQUEST,
		    "the path starts with / and has neither %% nor bytes outside ASCII");
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(route_table); i++) {
		const struct route *route = &route_table[i];

		if (strlen(route->path) != length || strncmp(route->path, target, length) != 0)
			continue;
		if ((route->methods & evhttp_request_get_command(req)) == 0)
			routes_refuse_method(req, route);
		else
			route->answer(routes, req, query);
		return;
	}
	routes_refuse_path(req);
}
