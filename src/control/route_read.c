/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "control/route_read.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>

#include "control/answer.h"
#include "control/config_json.h"
#include "control/inspection_json.h"
#include "control/media_type.h"
#include "control/metrics_text.h"
#include "control/page/page.h"
#include "control/query.h"
#include "control/reply.h"
#include "control/routes.h"
#include "control/stats_json.h"

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

static int
route_read_begin_stats(struct answer *answer)
{
	answer->document = stats_json_new(answer->routes->engine, answer->routes->status);
	return 0;
}

void
route_read_stats(const struct route_call *call)
{
	answer_later(call->routes, call->req, route_read_begin_stats, NULL, false);
}

static int
route_read_begin_metrics(struct answer *answer)
{
	answer->document = metrics_text_new(
	    answer->openmetrics, answer->routes->engine, answer->routes->status);
	return 0;
}

void
route_read_metrics(const struct route_call *call)
{
	const struct evkeyvalq *headers = evhttp_request_get_input_headers(call->req);

	answer_later(call->routes, call->req, route_read_begin_metrics, NULL,
	    media_type_is_openmetrics(evhttp_find_header(headers, "Accept")));
}

static void
route_read_on_list(void *context, int r, struct inspection_list *list)
{
	struct answer *answer = context;

	answer_go_on(answer, r < 0 ? NULL : inspection_json_new(list, &answer->query));
}

static int
route_read_begin_list(struct answer *answer)
{
	int r = inspection_ask(answer->routes->engine, &answer->query, route_read_on_list, answer);

	return r < 0 ? r : 1;
}

static void
route_read_list(const struct route_call *call, enum inspection_kind kind)
{
	struct inspection_query query;
	char error[QUERY_ERROR_MAX];

	if (inspection_json_parse(kind, call->query, &query, error) < 0)
		reply_error(call->req, HTTP_BADREQUEST, "%s", error);
	else
		answer_later(call->routes, call->req, route_read_begin_list, &query, false);
}

void
route_read_connections(const struct route_call *call)
{
	route_read_list(call, INSPECTION_CONNECTIONS);
}

void
route_read_sources(const struct route_call *call)
{
	route_read_list(call, INSPECTION_SOURCES);
}

static void
route_read_on_one(void *context, int r, struct inspection_list *list)
{
	struct answer *answer = context;
	uint64_t id = answer->query.id;
	struct evhttp_request *req = answer_take(answer);

	if (req != NULL && r == 0 && list->count == 0)
		reply_error(req, HTTP_NOTFOUND, "no connection %" PRIu64 " is open", id);
	else if (req != NULL)
		reply_json(req, HTTP_OK, r == 0 ? inspection_json_connection(list) : NULL);
	free(list);
}

static int
route_read_begin_one(struct answer *answer)
{
	int r = inspection_ask(answer->routes->engine, &answer->query, route_read_on_one, answer);

	return r < 0 ? r : 1;
}

void
route_read_connection(const struct route_call *call)
{
	struct inspection_query query = { .id = call->id, .limit = 1, .tcp = true };

	/* to a query, 0 is any; no connection has it */
	if (call->id == 0)
		reply_error(call->req, HTTP_NOTFOUND, "no connection 0 is open");
	else
		answer_later(call->routes, call->req, route_read_begin_one, &query, false);
}

static int
route_read_begin_config(struct answer *answer)
{
	answer->document = config_json_new(answer->routes->actions);
	return 0;
}

void
route_read_config(const struct route_call *call)
{
	answer_later(call->routes, call->req, route_read_begin_config, NULL, false);
}

void
route_read_version(const struct route_call *call)
{
	reply_json(call->req, HTTP_OK,
	    json_pack("{s:s, s:s, s:s, s:s, s:s}", "name", PACKAGE_NAME, "version", PACKAGE_VERSION,
		"libevent", event_get_version(), "jansson", JANSSON_VERSION, "compiler",
		__VERSION__));
}
