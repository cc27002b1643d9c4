/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "control/route_read.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>

#include "control/config_json.h"
#include "control/connections_json.h"
#include "control/connections_query.h"
#include "control/media_type.h"
#include "control/metrics_text.h"
#include "control/page/page.h"
#include "control/query.h"
#include "control/reply.h"
#include "control/routes.h"
#include "control/sources_json.h"
#include "control/stats_json.h"

/* A snapshot that somebody waits for. */
struct listing {
	struct deferred *deferred;
	struct snapshot_query query;
};

/* A report of sources that somebody waits for. */
struct sources_listing {
	struct deferred *deferred;
	struct sources_query query;
};

void
route_read_page(const struct route_call *call)
{
	struct evbuffer *body = evbuffer_new();

	if (body != NULL &&
	    evbuffer_add_reference(body, page_document, page_document_length, NULL, NULL) < 0) {
		evbuffer_free(body);
		body = NULL;
	}
	reply_page(call->req, "text/html; charset=utf-8", page_policy, body);
}

void
route_read_livez(const struct route_call *call)
{
	reply_text(call->req, HTTP_OK, "ok\n");
}

void
route_read_readyz(const struct route_call *call)
{
	const char *not_ready = call->routes->status->not_ready;
	char text[32];

	if (not_ready == NULL) {
		reply_text(call->req, HTTP_OK, "ok\n");
		return;
	}
	(void)snprintf(text, sizeof(text), "%s\n", not_ready);
	reply_text(call->req, HTTP_SERVUNAVAIL, text);
}

void
route_read_stats(const struct route_call *call)
{
	reply_json(call->req, HTTP_OK, stats_json_new(call->routes->engine, call->routes->status));
}

void
route_read_metrics(const struct route_call *call)
{
	const struct evkeyvalq *headers = evhttp_request_get_input_headers(call->req);
	enum metrics_format format = METRICS_PROMETHEUS;
	struct evbuffer *body = evbuffer_new();

	if (media_type_is_openmetrics(evhttp_find_header(headers, "Accept")))
		format = METRICS_OPENMETRICS;
	if (body != NULL &&
	    metrics_text_write(body, format, call->routes->engine, call->routes->status) < 0) {
		evbuffer_free(body);
		body = NULL;
	}
	reply_send(call->req, HTTP_OK, metrics_writer_type(format), body);
}

static void
route_read_on_list(void *context, const struct snapshot *snapshot)
{
	struct listing *listing = context;
	struct evhttp_request *req = deferred_take(listing->deferred);
	json_t *document = NULL;

	if (req != NULL) {
		if (snapshot != NULL)
			document = connections_json_new(snapshot, &listing->query);
		reply_json(req, HTTP_OK, document);
	}
	free(listing);
}

static void
route_read_on_one(void *context, const struct snapshot *snapshot)
{
	struct listing *listing = context;
	struct evhttp_request *req = deferred_take(listing->deferred);

	if (req != NULL && snapshot == NULL)
		reply_json(req, HTTP_OK, NULL);
	else if (req != NULL && snapshot->count == 0)
		reply_error(
		    req, HTTP_NOTFOUND, "no connection %" PRIu64 " is open", listing->query.id);
	else if (req != NULL)
		reply_json(req, HTTP_OK, connections_json_one(snapshot, 0));
	free(listing);
}

/* Ask the workers; DONE answers. */
static void
route_read_ask(const struct route_call *call, const struct snapshot_query *query,
    void (*done)(void *context, const struct snapshot *snapshot))
{
	struct listing *listing = calloc(1, sizeof(*listing));

	if (listing != NULL) {
		listing->query = *query;
		listing->deferred = deferred_new(&call->routes->deferred, call->req);
	}
	if (listing != NULL && listing->deferred != NULL) {
		if (snapshot_request(call->routes->engine, query, done, listing) == 0)
			return;
		(void)deferred_take(listing->deferred);
	}
	free(listing);
	reply_json(call->req, HTTP_OK, NULL);
}

void
route_read_connections(const struct route_call *call)
{
	struct snapshot_query query;
	char error[QUERY_ERROR_MAX];

	if (connections_query_parse(call->query, &query, error) < 0)
		reply_error(call->req, HTTP_BADREQUEST, "%s", error);
	else
		route_read_ask(call, &query, route_read_on_list);
}

void
route_read_connection(const struct route_call *call)
{
	struct snapshot_query query = { .id = call->id, .limit = 1, .tcp = true };

	/* to a query, 0 is any; no connection has it */
	if (call->id == 0)
		reply_error(call->req, HTTP_NOTFOUND, "no connection 0 is open");
	else
		route_read_ask(call, &query, route_read_on_one);
}

static void
route_read_on_sources(void *context, const struct source_report *report)
{
	struct sources_listing *listing = context;
	struct evhttp_request *req = deferred_take(listing->deferred);
	json_t *document = NULL;

	if (req != NULL) {
		if (report != NULL)
			document = sources_json_new(report, listing->query.limit);
		reply_json(req, HTTP_OK, document);
	}
	free(listing);
}

void
route_read_sources(const struct route_call *call)
{
	struct sources_listing *listing = calloc(1, sizeof(*listing));
	char error[QUERY_ERROR_MAX];

	if (listing != NULL && sources_query_parse(call->query, &listing->query, error) < 0) {
		reply_error(call->req, HTTP_BADREQUEST, "%s", error);
		free(listing);
		return;
	}
	if (listing != NULL)
		listing->deferred = deferred_new(&call->routes->deferred, call->req);
	if (listing != NULL && listing->deferred != NULL) {
		if (source_report_request(call->routes->engine, listing->query.listener,
			route_read_on_sources, listing) == 0)
			return;
		(void)deferred_take(listing->deferred);
	}
	free(listing);
	reply_json(call->req, HTTP_OK, NULL);
}

void
route_read_config(const struct route_call *call)
{
	const struct control_actions *actions = call->routes->actions;

	reply_json(call->req, HTTP_OK, config_json_new(actions->config(actions->context)));
}

void
route_read_version(const struct route_call *call)
{
	reply_json(call->req, HTTP_OK,
	    json_pack("{s:s, s:s, s:s, s:s, s:s}", "name", PACKAGE_NAME, "version", PACKAGE_VERSION,
		"libevent", event_get_version(), "jansson", JANSSON_VERSION, "compiler",
		__VERSION__));
}
