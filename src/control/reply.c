/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "control/reply.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>

#include "base/attributes.h"
#include "control/document.h"

#define ERROR_TEXT_MAX 512

/* The Content-Security-Policy of all answers but the status page. */
#define POLICY "default-src 'none'"

/* Retry-After of a 503, in seconds. */
#define RETRY_AFTER "1"

static void
reply_write(struct evhttp_request *req, int code, const char *type, const char *policy,
    struct evbuffer *body)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(req);
	struct evhttp_connection *conn = evhttp_request_get_connection(req);
	bool head = evhttp_request_get_command(req) == EVHTTP_REQ_HEAD;
	char length[24];

	if (body == NULL) {
		code = HTTP_SERVUNAVAIL;
		(void)evhttp_add_header(headers, "Retry-After", RETRY_AFTER);
	}
	(void)snprintf(length, sizeof(length), "%zu", body == NULL ? 0 : evbuffer_get_length(body));
	(void)evhttp_add_header(headers, "Content-Type", type);
	(void)evhttp_add_header(headers, "Content-Length", length);
	(void)evhttp_add_header(headers, "Cache-Control", "no-store");
	(void)evhttp_add_header(headers, "X-Content-Type-Options", "nosniff");
	(void)evhttp_add_header(headers, "Content-Security-Policy", policy);
	(void)evhttp_add_header(headers, "Connection", "close");
	/* to HTTP/1.0 with keep-alive evhttp would say keep-alive on top */
	while (evhttp_remove_header(evhttp_request_get_input_headers(req), "Connection") == 0)
		continue;
	/* evhttp knows the names of the older ones */
	evhttp_send_reply(
	    req, code, code == 422 ? "Unprocessable Content" : NULL, head ? NULL : body);
	/* a client that has sent its FIN gets its answer all the same */
	(void)bufferevent_disable(evhttp_connection_get_bufferevent(conn), EV_READ);
	if (body != NULL)
		evbuffer_free(body);
}

void
reply_send(struct evhttp_request *req, int code, const char *type, struct evbuffer *body)
{
	reply_write(req, code, type, POLICY, body);
}

/* Return BODY, or NULL where appending to it failed (R), which is a 503. */
static struct evbuffer *
reply_checked(struct evbuffer *body, int r)
{
	if (r >= 0)
		return body;
	if (body != NULL)
		evbuffer_free(body);
	return NULL;
}

void
reply_page(struct evhttp_request *req, const char *policy, const void *document, size_t length)
{
	struct evbuffer *body = evbuffer_new();
	int r = body == NULL ? -1 : evbuffer_add_reference(body, document, length, NULL, NULL);

	reply_write(req, HTTP_OK, "text/html; charset=utf-8", policy, reply_checked(body, r));
}

void
reply_text(struct evhttp_request *req, int code, const char *text)
{
	struct evbuffer *body = evbuffer_new();
	int r = body == NULL ? -1 : evbuffer_add(body, text, strlen(text));

	reply_send(req, code, "text/plain; charset=utf-8", reply_checked(body, r));
}

void
reply_json(struct evhttp_request *req, int code, json_t *document)
{
	struct evbuffer *body = evbuffer_new();
	int r = -1;

	if (body == NULL)
		json_decref(document);
	else
		r = document_write_json(body, document) < 0 ? -1 : evbuffer_add(body, "\n", 1);
	reply_send(req, code, DOCUMENT_JSON, reply_checked(body, r));
}

void
reply_no_memory(struct evhttp_request *req)
{
	reply_send(req, HTTP_OK, DOCUMENT_JSON, NULL);
}

void
reply_ok(struct evhttp_request *req)
{
	reply_json(req, HTTP_OK, json_pack("{s:b}", "ok", 1));
}

void
reply_busy(struct evhttp_request *req)
{
	(void)evhttp_add_header(evhttp_request_get_output_headers(req), "Retry-After", RETRY_AFTER);
	reply_error(req, HTTP_SERVUNAVAIL, "busy with other questions: try again in a second");
}

void
reply_error(struct evhttp_request *req, int code, const char *format, ...)
{
	char text[ERROR_TEXT_MAX];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	reply_json(req, code, json_pack("{s:s}", "error", text));
}

struct evhttp_request *
deferred_take(struct deferred *deferred)
{
	struct evhttp_request *req = deferred->req;

	if (req == NULL)
		return NULL;
	if (evhttp_request_get_connection(req) != NULL)
		evhttp_connection_set_closecb(evhttp_request_get_connection(req), NULL, NULL);
	TAILQ_REMOVE(deferred->list, deferred, next);
	deferred->req = NULL;
	return req;
}

/*
 * The connection ends before its answer. After an error on it evhttp has cut the request loose,
 * and leaves it to us; when it frees the connection for another reason it frees both.
 */
static void
deferred_on_close(struct evhttp_connection *conn ATTR_UNUSED, void *arg)
{
	struct evhttp_request *req = deferred_take(arg);

	if (evhttp_request_get_connection(req) == NULL)
		evhttp_request_free(req);
}

void
deferred_keep(struct deferred *deferred, struct deferred_list *list, struct evhttp_request *req)
{
	deferred->req = req;
	deferred->list = list;
	deferred->patient = false;
	TAILQ_INSERT_TAIL(list, deferred, next);
	evhttp_connection_set_closecb(
	    evhttp_request_get_connection(req), deferred_on_close, deferred);
}

void
deferred_be_patient(struct deferred *deferred)
{
	deferred->patient = true;
}

bool
deferred_is_patient(const struct deferred_list *list, const struct bufferevent *bev)
{
	const struct deferred *deferred;

	TAILQ_FOREACH (deferred, list, next) {
		struct evhttp_connection *conn = evhttp_request_get_connection(deferred->req);

		if (deferred->patient && conn != NULL &&
		    evhttp_connection_get_bufferevent(conn) == bev)
			return true;
	}
	return false;
}

void
deferred_refuse_all(struct deferred_list *list)
{
	struct deferred *deferred;

	while ((deferred = TAILQ_FIRST(list)) != NULL)
		reply_error(deferred_take(deferred), HTTP_SERVUNAVAIL, "the control port closes");
}
