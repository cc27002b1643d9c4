/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "control/reply.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>

#define ERROR_TEXT_MAX 512

/* Milliseconds in a float: more digits would only show how it is stored. */
#define JSON_FORMAT (JSON_COMPACT | JSON_REAL_PRECISION(15))

static void
reply_write(struct evhttp_request *req, int code, const char *type, const char *policy,
    struct evbuffer *body)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(req);
	struct evhttp_connection *conn = evhttp_request_get_connection(req);
	bool head = evhttp_request_get_command(req) == EVHTTP_REQ_HEAD;
	char length[24];

	if (body == NULL)
		code = HTTP_SERVUNAVAIL;
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
	reply_write(req, code, type, "default-src 'none'", body);
}

void
reply_page(struct evhttp_request *req, const char *type, const char *policy, struct evbuffer *body)
{
	reply_write(req, HTTP_OK, type, policy, body);
}

static struct evbuffer *
reply_body(const char *text, size_t length)
{
	struct evbuffer *body = evbuffer_new();

	if (body != NULL && evbuffer_add(body, text, length) < 0) {
		evbuffer_free(body);
		return NULL;
	}
	return body;
}

void
reply_text(struct evhttp_request *req, int code, const char *text)
{
	reply_send(req, code, "text/plain; charset=utf-8", reply_body(text, strlen(text)));
}

void
reply_json(struct evhttp_request *req, int code, json_t *document)
{
	char *text = document != NULL ? json_dumps(document, JSON_FORMAT) : NULL;
	struct evbuffer *body = text != NULL ? reply_body(text, strlen(text)) : NULL;

	if (body != NULL)
		(void)evbuffer_add(body, "\n", 1);
	reply_send(req, code, "application/json", body);
	free(text);
	json_decref(document);
}

void
reply_ok(struct evhttp_request *req)
{
	reply_json(req, HTTP_OK, json_pack("{s:b}", "ok", 1));
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
