/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The one way in which a request of the control port is answered: status, type and body, with the
 * headers that every answer has. HEAD gets the same without the body; the connection is closed
 * after each. Main loop only.
 */
#ifndef ECHOD_CONTROL_REPLY_H
#define ECHOD_CONTROL_REPLY_H

#include <jansson.h>

#include "base/attributes.h"

struct evbuffer;
struct evhttp_request;

/* Answer with CODE and BODY (taken; NULL: out of memory, which is a 503) of that Content-Type. */
void reply_send(struct evhttp_request *req, int code, const char *type, struct evbuffer *body);

/* The same with 200 for a page: POLICY is its Content-Security-Policy, others have "nothing". */
void reply_page(
    struct evhttp_request *req, const char *type, const char *policy, struct evbuffer *body);

/* Answer with CODE and one line of plain text, its end included. */
void reply_text(struct evhttp_request *req, int code, const char *text);

/* Answer with CODE and DOCUMENT (taken; NULL: out of memory). */
void reply_json(struct evhttp_request *req, int code, json_t *document);

/* Answer with 200 and {"ok": true}. */
void reply_ok(struct evhttp_request *req);

/* Answer with 503 and when to ask again. */
void reply_busy(struct evhttp_request *req);

/* Answer with CODE and {"error": text}. */
void reply_error(struct evhttp_request *req, int code, const char *format, ...) ATTR_PRINTF(3, 4);

#endif
