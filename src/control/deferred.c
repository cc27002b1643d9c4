/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "control/deferred.h"

#include <stdlib.h>

#include <event2/http.h>

#include "control/reply.h"

struct deferred {
	TAILQ_ENTRY(deferred) next; /* in list while req is not NULL */
	struct deferred_list *list; /* borrowed; valid while req is not NULL */
	struct evhttp_request *req; /* NULL: nobody waits */
};

static void
deferred_detach(struct deferred *deferred)
{
	TAILQ_REMOVE(deferred->list, deferred, next);
	deferred->req = NULL;
}

/*
 * The connection ends before its answer. After an error on it evhttp has cut the request loose,
 * and leaves it to us; when it frees the connection for another reason it frees both.
 */
static void
deferred_on_close(struct evhttp_connection *conn, void *arg)
{
	struct deferred *deferred = arg;
	struct evhttp_request *req = deferred->req;

	(void)conn;
	deferred_detach(deferred);
	if (evhttp_request_get_connection(req) == NULL)
		evhttp_request_free(req);
}

struct deferred *
deferred_new(struct deferred_list *list, struct evhttp_request *req)
{
	struct deferred *deferred = calloc(1, sizeof(*deferred));

	if (deferred == NULL)
		return NULL;
	deferred->req = req;
	deferred->list = list;
	TAILQ_INSERT_TAIL(list, deferred, next);
	evhttp_connection_set_closecb(
	    evhttp_request_get_connection(req), deferred_on_close, deferred);
	return deferred;
}

bool
deferred_is_wanted(const struct deferred *deferred)
{
	return deferred->req != NULL;
}

struct evhttp_request *
deferred_take(struct deferred *deferred)
{
	struct evhttp_request *req = deferred->req;

	if (req != NULL) {
		evhttp_connection_set_closecb(evhttp_request_get_connection(req), NULL, NULL);
		deferred_detach(deferred);
	}
	free(deferred);
	return req;
}

void
deferred_refuse_all(struct deferred_list *list)
{
	struct deferred *deferred;

	while ((deferred = TAILQ_FIRST(list)) != NULL) {
		struct evhttp_request *req = deferred->req;

		evhttp_connection_set_closecb(evhttp_request_get_connection(req), NULL, NULL);
		deferred_detach(deferred);
		reply_error(req, HTTP_SERVUNAVAIL, "the control port closes");
	}
}
