/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "control/answer.h"

#include <errno.h>
#include <stdlib.h>

#include <event2/buffer.h>
#include <event2/http.h>

#include "base/clock.h"
#include "control/document.h"
#include "control/reply.h"
#include "control/routes.h"
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
		answer->document->free(answer->document);
	if (answer->body != NULL)
		evbuffer_free(answer->body);
	free(answer);
}

struct evhttp_request *
answer_take(struct answer *answer)
{
	struct evhttp_request *req = deferred_take(answer->deferred);

	if (answer->routes != NULL && answer->routes->answers.current == answer)
		answer->routes->answers.current = NULL;
	answer_free(answer);
	return req;
}

/* End ANSWER for want of memory. */
static void
answer_fail(struct answer *answer)
{
	struct evhttp_request *req = answer_take(answer);

	if (req != NULL)
		reply_json(req, HTTP_OK, NULL);
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
	while (!TAILQ_EMPTY(&answers->waiting)) {
		struct answer *answer = TAILQ_FIRST(&answers->waiting);

		TAILQ_REMOVE(&answers->waiting, answer, next);
		answers->count--;
		answer_fail(answer);
	}
}

static bool
answers_are_crowded(const struct answers *answers)
{
	return answers->unsent != NULL && answers->unsent(answers->context) > UNSENT_MAX;
}

/* Begin with the next one whose client still waits. */
static void
answers_begin(struct answers *answers)
{
	struct answer *answer;

	while (answers->current == NULL && (answer = TAILQ_FIRST(&answers->waiting)) != NULL) {
		int r;

		TAILQ_REMOVE(&answers->waiting, answer, next);
		answers->count--;
		answers->current = answer;
		if (!deferred_is_wanted(answer->deferred)) {
			(void)answer_take(answer);
			continue;
		}
		if (answers_are_crowded(answers)) {
			reply_busy(answer_take(answer));
			continue;
		}
		r = answer->begin(answer);
		if (r < 0 || (r == 0 && answer->document == NULL))
			answer_fail(answer);
	}
}

/* Write for a while. */
static void
answer_write(struct answer *answer)
{
	int64_t end_ns = clock_now_ns() + SLICE_NS;
	struct document *document = answer->document;
	struct evhttp_request *req;
	struct evbuffer *body;
	int r;

	do
		r = document->write(document, answer->body);
	while (r > 0 && clock_now_ns() < end_ns);
	if (r > 0 && deferred_is_wanted(answer->deferred))
		return;
	body = answer->body;
	answer->body = NULL;
	answer->document = NULL;
	req = answer_take(answer);
	if (r != 0 || req == NULL) {
		evbuffer_free(body);
		body = NULL;
	}
	if (req != NULL)
		reply_send(req, HTTP_OK, document->type, body);
	document->free(document);
}

static void
answers_on_turn(evutil_socket_t fd, short what, void *arg)
{
	struct answers *answers = arg;

	(void)fd;
	(void)what;
	answers_begin(answers);
	if (answers->current != NULL && answers->current->document != NULL)
		answer_write(answers->current);
	/* else the workers are asked, and answer_go_on() will come */
	if (answers->current != NULL ? answers->current->document != NULL : answers->count > 0)
		answers_plan_turn(answers);
}

void
answers_init(struct answers *answers, struct loop *loop)
{
	TAILQ_INIT(&answers->waiting);
	(void)evtimer_assign(&answers->turn, loop_base(loop), answers_on_turn, answers);
}

void
answer_later(struct routes *routes, struct evhttp_request *req, int (*begin)(struct answer *answer),
    const struct inspection_query *query, bool openmetrics)
{
	struct answers *answers = &routes->answers;
	struct answer *answer;

	if (answers->count >= WAITING_MAX) {
		reply_busy(req);
		return;
	}
	answer = calloc(1, sizeof(*answer));
	if (answer != NULL) {
		answer->body = evbuffer_new();
		answer->deferred = answer->body != NULL ? deferred_new(&routes->deferred, req)
							: NULL;
	}
	if (answer == NULL || answer->deferred == NULL) {
		if (answer != NULL)
			answer_free(answer);
		reply_json(req, HTTP_OK, NULL);
		return;
	}
	answer->routes = routes;
	answer->begin = begin;
	answer->openmetrics = openmetrics;
	if (query != NULL)
		answer->query = *query;
	TAILQ_INSERT_TAIL(&answers->waiting, answer, next);
	answers->count++;
	if (answers->current == NULL)
		answers_plan_turn(answers);
}

void
answer_go_on(struct answer *answer, struct document *document)
{
	struct routes *routes = answer->routes;

	answer->document = document;
	if (document == NULL || routes == NULL)
		answer_fail(answer);
	if (routes != NULL)
		answers_plan_turn(&routes->answers);
}

void
answers_done(struct answers *answers)
{
	struct answer *answer = answers->current;

	(void)event_del(&answers->turn);
	if (answer != NULL && answer->document != NULL)
		(void)answer_take(answer);
	else if (answer != NULL)
		answer->routes = NULL; /* the workers have it: see answer_go_on() */
	while ((answer = TAILQ_FIRST(&answers->waiting)) != NULL) {
		TAILQ_REMOVE(&answers->waiting, answer, next);
		(void)answer_take(answer);
	}
}
