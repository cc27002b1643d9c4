/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Answers that come later. Between the request and its answer the client may leave and the
 * control port may close: a deferred answer outlives both, and then simply finds nobody.
 * Main loop only.
 */
#ifndef ECHOD_CONTROL_DEFERRED_H
#define ECHOD_CONTROL_DEFERRED_H

#include <stdbool.h>

#include "base/attributes.h"

struct deferred;
struct evhttp_request;

TAILQ_HEAD(deferred_list, deferred);

/*
 * Keep REQ for an answer that comes later, and note it in LIST. NULL: out of memory, REQ is still
 * to be answered. The result is freed by deferred_take(), and by nothing else.
 */
struct deferred *deferred_new(struct deferred_list *list, struct evhttp_request *req);

/* Return whether somebody still waits. */
bool deferred_is_wanted(const struct deferred *deferred);

/* Return the request that is now to be answered, NULL if nobody waits any more. Frees DEFERRED. */
struct evhttp_request *deferred_take(struct deferred *deferred);

/* Refuse the requests of LIST, which can wait no longer: their answers find nobody. */
void deferred_refuse_all(struct deferred_list *list);

#endif
