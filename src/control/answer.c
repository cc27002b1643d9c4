/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "control/answer.h"

#include <stdlib.h>

#include <event2/buffer.h>
#include <event2/http.h>

#include "base/clock.h"
#include "control/document.h"
#include "control/gzip.h"
#include "control/reply.h"
#include "control/request.h"
#include "engine/loop.h"

/* How many may wait. */
#define WAITING_MAX 8

/* No new answer begins while more than this waits to be sent. */
#define UNSENT_MAX ((size_t)8 << 20)

/* One turn of writing. */
#define SLICE_NS (500 * NS_PER_US)

static void
answer_free(struct answer *answer)
{
	if (answer->document != NULL)
		document_free(answer->document);
	if (answer->body != NULL)
		evbuffer_free(answer->body);
	gzip_free(answer->gzip);
	free(answer);
}

static void answers_plan_turn(struct answers *answers);
static struct answer *answers_next(const struct answers *answers);

struct evhttp_request *
answer_end(struct answer *answer)
{
	struct answers *answers = answer->answers;
	struct evhttp_request *req = deferred_take(&answer->deferred);

	if (answers != NULL && answers->current == answer)
		answers->current = NULL;
	if (answers != NULL && answers->asking == answer)
		answers->asking = NULL;
	answer_free(answer);
	/* one more may have its turn */
	if (answers != NULL && answers_next(answers) != NULL)
		answers_plan_turn(answers);
	return req;
}

/* End ANSWER for want of memory. */
static void
answer_fail(struct answer *answer)
{
	struct evhttp_request *req = answer_end(answer);

	if (req != NULL)
		reply_no_memory(req);
}

static void
answers_remove(struct answers *answers, struct answer *answer)
{
	TAILQ_REMOVE(&answers->waiting, answer, next);
	answers->count--;
}

/* In the next turn of the loop: what others wait for comes in between. */
static void
answers_plan_turn(struct answers *answers)
{
	const struct timeval now = { .tv_sec = 0 };

	if (event_add(&answers->turn, &now) == 0)
		return;
	/* there is no memory for a timer */
	if (answers->current != NULL)
		answer_fail(answers->current);
	if (answers->asking != NULL && answers->asking->document != NULL)
		answer_fail(answers->asking);
	while (!TAILQ_EMPTY(&answers->waiting)) {
		struct answer *answer = TAILQ_FIRST(&answers->waiting);

		answers_remove(answers, answer);
		answer_fail(answer);
	}
}

/* Drop those that wait for nobody: their clients have left. */
static void
answers_prune(struct answers *answers)
{
	struct answer *answer, *next;

	TAILQ_FOREACH_SAFE (answer, &answers->waiting, next, next) {
		if (answer->deferred.req != NULL)
			continue;
		answers_remove(answers, answer);
		answer_free(answer);
	}
}

/* Return the first that may begin now, NULL if there is none. */
static struct answer *
answers_next(const struct answers *answers)
{
	struct answer *answer;

	TAILQ_FOREACH (answer, &answers->waiting, next) {
		if (answers->asking == NULL || !answer->asks)
			break;
	}
	return answer;
}

static bool
answers_are_full(const struct answers *answers)
{
	return answers->unsent != NULL && answers->unsent(answers->context) > UNSENT_MAX;
}

/* Begin with those whose turn it is, until there is one to be written. */
static void
answers_begin(struct answers *answers)
{
	struct answer *answer;

	answers_prune(answers);
	if (answers->current == NULL && answers->asking != NULL &&
	    answers->asking->document != NULL) {
		answers->current = answers->asking;
		answers->asking = NULL;
	}
	while (answers->current == NULL && (answer = answers_next(answers)) != NULL) {
		struct answer **place = answer->asks ? &answers->asking : &answers->current;

		answers_remove(answers, answer);
		*place = answer;
		if (answers_are_full(answers))
			reply_busy(answer_end(answer));
		else if (answer->begin(answer) < 0 || (!answer->asks && answer->document == NULL))
			answer_fail(answer);
	}
}

/* Write the next piece. Returns 1 while there is more, 0 at the end, or -ENOMEM. */
static int
answer_write_piece(struct answer *answer)
{
	int r, packed;

	if (answer->gzip == NULL)
		return document_write(answer->document, answer->body);
	r = document_write(answer->document, gzip_input(answer->gzip));
	if (r < 0)
		return r;
	packed = gzip_run(answer->gzip, r == 0, answer->body);
	return packed < 0 ? packed : r;
}

/* Send BODY (taken; NULL: out of memory). */
static void
answer_send(struct evhttp_request *req, const char *type, bool packed, struct evbuffer *body)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(req);

	(void)evhttp_add_header(headers, "Vary", "Accept-Encoding");
	if (packed && body != NULL)
		(void)evhttp_add_header(headers, "Content-Encoding", "gzip");
	reply_send(req, HTTP_OK, type, body);
}

/* Write for a while. */
static void
answer_write(struct answer *answer)
{
	int64_t end_ns = clock_now_ns() + SLICE_NS;
	struct document *document = answer->document;
	struct evhttp_request *req;
	struct evbuffer *body;
	bool packed;
	int r;

	if (answer->deferred.req == NULL) {
		(void)answer_end(answer);
		return;
	}
	/* one is written at a time: so this memory is there once, and where it is not, nothing
	 * fails */
	if (answer->wants_gzip && answer->gzip == NULL)
		answer->gzip = gzip_new();
	answer->wants_gzip = false;
	do
		r = answer_write_piece(answer);
	while (r > 0 && clock_now_ns() < end_ns);
	if (r > 0)
		return;
	packed = answer->gzip != NULL;
	body = answer->body;
	answer->body = NULL;
	answer->document = NULL;
	req = answer_end(answer);
	if (r < 0) {
		evbuffer_free(body);
		body = NULL;
	}
	answer_send(req, document->type, packed, body);
	document_free(document);
}

static void
answers_on_turn(evutil_socket_t fd, short what, void *arg)
{
	struct answers *answers = arg;

	(void)fd;
	(void)what;
	answers_begin(answers);
	if (answers->current != NULL)
		answer_write(answers->current);
	/* when nothing can be written, answer_go_on() or answer_later() plans the next one */
	if (answers->current != NULL || answers_next(answers) != NULL ||
	    (answers->asking != NULL && answers->asking->document != NULL))
		answers_plan_turn(answers);
}

void
answers_init(struct answers *answers, struct loop *loop)
{
	TAILQ_INIT(&answers->waiting);
	TAILQ_INIT(&answers->deferred);
	(void)evtimer_assign(&answers->turn, loop_base(loop), answers_on_turn, answers);
}

void
answer_later(struct answers *answers, struct evhttp_request *req,
    int (*begin)(struct answer *answer), void *context, const struct inspection_query *query)
{
	struct answer *answer;

	answers_prune(answers);
	if (answers->count >= WAITING_MAX) {
		reply_busy(req);
		return;
	}
	answer = calloc(1, sizeof(*answer));
	if (answer != NULL)
		answer->body = evbuffer_new();
	if (answer == NULL || answer->body == NULL) {
		free(answer);
		reply_no_memory(req);
		return;
	}
	deferred_keep(&answer->deferred, &answers->deferred, req);
	answer->answers = answers;
	answer->begin = begin;
	answer->context = context;
	answer->wants_gzip = request_wants_gzip(req);
	answer->asks = query != NULL;
	if (query != NULL)
		answer->query = *query;
	TAILQ_INSERT_TAIL(&answers->waiting, answer, next);
	answers->count++;
	if (answers->current == NULL && answers_next(answers) != NULL)
		answers_plan_turn(answers);
}

void
answer_go_on(struct answer *answer, struct document *document)
{
	struct answers *answers = answer->answers;

	answer->document = document;
	if (document == NULL || answers == NULL)
		answer_fail(answer);
	if (answers != NULL)
		answers_plan_turn(answers);
}

void
answers_done(struct answers *answers)
{
	struct answer *answer;

	deferred_refuse_all(&answers->deferred);
	while ((answer = TAILQ_FIRST(&answers->waiting)) != NULL) {
		answers_remove(answers, answer);
		(void)answer_end(answer);
	}
	if (answers->current != NULL)
		(void)answer_end(answers->current);
	answer = answers->asking;
	if (answer != NULL && answer->document != NULL)
		(void)answer_end(answer);
	else if (answer != NULL)
		answer->answers = NULL; /* the workers have it: see answer_go_on() */
	(void)event_del(&answers->turn);
}
