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

#include "control/document.h"

#define ERROR_TEXT_MAX 512

/* The Content-Security-Policy of what is no page. */
#define POLICY "default-src 'none'"

/* Seconds after which one who was refused for a while may ask again. */
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
	struct evbuffer *body = evbuffer_new();

	if (body == NULL) {
		json_decref(document);
	} else if (document_write_json(body, document) < 0 || evbuffer_add(body, "\n", 1) < 0) {
		evbuffer_free(body);
		body = NULL;
	}
	reply_send(req, code, DOCUMENT_JSON, body);
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
