/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Answers that take long: one after the other, each a document that is written in pieces over many
 * turns of the main loop, compressed on the way for whoever asks for that, and sent whole. A few
 * wait; one more is told to come again (503), and so it is while answers that nobody reads fill
 * much memory. While the workers are asked for one, those that need no worker go on, also when a
 * worker hangs. Main loop only.
 */
#ifndef ECHOD_CONTROL_ANSWER_H
#define ECHOD_CONTROL_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "base/attributes.h"
#include "control/reply.h"
#include "engine/inspection.h"

struct answers;
struct document;
struct evbuffer;
struct gzip;
struct loop;

struct answer {
	TAILQ_ENTRY(answer) next; /* answers->waiting */
	struct answers *answers;  /* borrowed; NULL once the control port has closed */
	struct deferred deferred; /* who asked */
	/*
	 * Its turn has come: set document and return 0; or, when it asks, return 1, and
	 * answer_go_on() or answer_end() will be called later; or return -errno.
	 */
	int (*begin)(struct answer *answer);
	void *context;                 /* for begin; borrowed */
	struct inspection_query query; /* for begin */
	bool asks;                     /* its document needs the workers' answer to query */
	struct document *document;     /* owned */
	struct evbuffer *body;         /* owned; what is written so far */
	bool wants_gzip;               /* who asked takes it compressed */
	struct gzip *gzip;             /* owned; compresses into body, once that has begun */
};

struct answers {
	struct event turn;
	struct deferred_list deferred; /* all requests that are not answered yet, others' too */
	TAILQ_HEAD(answer_list, answer) waiting;
	size_t count;           /* of those that wait */
	struct answer *asking;  /* owned; the workers are asked, or have answered already */
	struct answer *current; /* owned; its document is written */
	/* How many bytes of answers wait to be sent; NULL: that does not matter. */
	size_t (*unsent)(void *context);
	void *context;
};

/* Prepare to answer on LOOP. */
void answers_init(struct answers *answers, struct loop *loop);

/*
 * Answer REQ when its turn comes, or refuse it now: busy with others, or out of memory. BEGIN is
 * called with an answer that has CONTEXT. QUERY (copied) is what the workers are asked; it may be
 * NULL.
 */
void answer_later(struct answers *answers, struct evhttp_request *req,
    int (*begin)(struct answer *answer), void *context, const struct inspection_query *query);

/* Go on with ANSWER, whose document is there now; NULL: out of memory. Takes the document. */
void answer_go_on(struct answer *answer, struct document *document);

/* End ANSWER without a document: its request, if not NULL, is now the caller's to be answered. */
struct evhttp_request *answer_end(struct answer *answer);

/*
 * Refuse all requests and forget the answers. Called before their connections are freed, with no
 * turn of the loop in between.
 */
void answers_done(struct answers *answers);

#endif
