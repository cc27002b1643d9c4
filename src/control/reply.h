/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The one way in which a request of the control port is answered, now or later: status, type and
 * body, with the headers that every answer has. HEAD gets the same without the body; the connection
 * is closed after each. Main loop only.
 */
#ifndef ECHOD_CONTROL_REPLY_H
#define ECHOD_CONTROL_REPLY_H

#include <stdbool.h>

#include <jansson.h>

#include "base/attributes.h"

struct bufferevent;
struct evbuffer;
struct evhttp_request;

/* Answer with CODE and BODY (taken; NULL: out of memory, which is a 503) of that Content-Type. */
void reply_send(struct evhttp_request *req, int code, const char *type, struct evbuffer *body);

/*
 * Answer with 200 and an HTML document of LENGTH bytes, which stays where it is; POLICY is its
 * Content-Security-Policy.
 */
void reply_page(
    struct evhttp_request *req, const char *policy, const void *document, size_t length);

/* Answer with CODE and one line of plain text, its end included. */
void reply_text(struct evhttp_request *req, int code, const char *text);

/* Answer with CODE and DOCUMENT (taken; NULL: as reply_no_memory()). */
void reply_json(struct evhttp_request *req, int code, json_t *document);

/* Answer with 503 and nothing else: there is no memory for more. */
void reply_no_memory(struct evhttp_request *req);

/* Answer with 200 and {"ok": true}. */
void reply_ok(struct evhttp_request *req);

/* Answer with 503 and when to ask again. */
void reply_busy(struct evhttp_request *req);

/* Answer with CODE and {"error": text}. */
void reply_error(struct evhttp_request *req, int code, const char *format, ...) ATTR_PRINTF(3, 4);

TAILQ_HEAD(deferred_list, deferred);

/*
 * A request whose answer comes later, embedded in what will answer it. Meanwhile the client may
 * leave and the control port may close; then deferred_take() returns NULL.
 */
struct deferred {
	TAILQ_ENTRY(deferred) next; /* in list while req is not NULL */
	struct deferred_list *list; /* borrowed; valid while req is not NULL */
	struct evhttp_request *req; /* NULL: nobody waits */
	bool patient;               /* see deferred_be_patient() */
};

/* Keep REQ, and note it in LIST, until deferred_take(). */
void deferred_keep(
    struct deferred *deferred, struct deferred_list *list, struct evhttp_request *req);

/*
 * The answer takes as long as what it tells of, such as a name service at a reload: no deadline
 * passes for the client meanwhile.
 */
void deferred_be_patient(struct deferred *deferred);

/* Return whether a request that came over BEV waits patiently for its answer in LIST. */
bool deferred_is_patient(const struct deferred_list *list, const struct bufferevent *bev);

/* Return the request that is now to be answered, NULL if nobody waits any more. */
struct evhttp_request *deferred_take(struct deferred *deferred);

/* Refuse the requests of LIST, which can wait no longer. */
void deferred_refuse_all(struct deferred_list *list);

#endif
