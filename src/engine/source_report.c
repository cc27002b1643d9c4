/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "engine/source_report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "engine/datagram/endpoint.h"
#include "engine/engine.h"

/* What is asked of one endpoint. Its post goes to the worker and comes back. */
struct report_part {
	struct post post;
	struct report *report;
	const char *listener;
	const struct endpoint *endpoint; /* the question is ahead of its end */
	size_t count;
	struct source sources[SOURCES_MAX];
};

struct report {
	struct loop *loop; /* the main loop */
	struct post post;  /* when nobody has to be asked */
	size_t part_count;
	size_t waiting; /* parts that have not come back */
	void (*done)(void *context, const struct source_report *report);
	void *context;
	struct report_part *parts[]; /* owned */
};

static void
report_free(struct report *report)
{
	for (size_t i = 0; i < report->part_count; i++)
		free(report->parts[i]);
	free(report);
}

static int
report_compare(const void *a, const void *b)
{
	const struct source *x = &((const struct source_report_row *)a)->source;
	const struct source *y = &((const struct source_report_row *)b)->source;
	uint64_t left = x->echoed + x->dropped, right = y->echoed + y->dropped;

	return left < right ? 1 : left > right ? -1 : 0;
}

static void
report_do_answer(void *arg)
{
	struct report *report = arg;
	struct source_report answer = { .taken_ns = clock_now_ns() };
	size_t total = 0;

	for (size_t i = 0; i < report->part_count; i++)
		total += report->parts[i]->count;
	answer.rows = calloc(total + 1, sizeof(*answer.rows));
	for (size_t i = 0; answer.rows != NULL && i < report->part_count; i++) {
		const struct report_part *part = report->parts[i];

		for (size_t j = 0; j < part->count; j++)
			answer.rows[answer.count++] = (struct source_report_row){ part->listener,
				part->sources[j] };
	}
	if (answer.rows != NULL)
		qsort(answer.rows, answer.count, sizeof(*answer.rows), report_compare);
	report->done(report->context, answer.rows != NULL ? &answer : NULL);
	free(answer.rows);
	report_free(report);
}

static void
report_do_collect(void *arg)
{
	struct report_part *part = arg;

	if (--part->report->waiting == 0)
		report_do_answer(part->report);
}

static void
report_do_copy(void *arg)
{
	struct report_part *part = arg;

	part->count = sources_copy(part->endpoint->sources, part->sources);
	loop_post(part->report->loop, &part->post, report_do_collect, part);
}

static int
report_add_parts(struct report *report, struct engine *engine, const char *listener)
{
	const struct endpoint *endpoint;

	LIST_FOREACH (endpoint, &engine->endpoints, next) {
		struct report_part *part;

		if (*listener != '\0' && strcmp(endpoint->service->name, listener) != 0)
			continue;
		part = malloc(sizeof(*part));
		if (part == NULL)
			return -ENOMEM;
		part->report = report;
		part->listener = endpoint->service->name;
		part->endpoint = endpoint;
		report->parts[report->part_count++] = part;
	}
	return 0;
}

int
source_report_request(struct engine *engine, const char *listener,
    void (*done)(void *context, const struct source_report *report), void *context)
{
	const struct endpoint *endpoint;
	struct report *report;
	size_t count = 0;

	LIST_FOREACH (endpoint, &engine->endpoints, next)
		count++;
	report = calloc(1, sizeof(*report) + count * sizeof(struct report_part *));
	if (report == NULL)
		return -ENOMEM;
	report->loop = engine->loop;
	report->done = done;
	report->context = context;
	if (report_add_parts(report, engine, listener) < 0) {
		report_free(report);
		return -ENOMEM;
	}
	report->waiting = report->part_count;
	for (size_t i = 0; i < report->part_count; i++)
		loop_post(report->parts[i]->endpoint->worker->loop, &report->parts[i]->post,
		    report_do_copy, report->parts[i]);
	if (report->part_count == 0)
		loop_post(engine->loop, &report->post, report_do_answer, report);
	return 0;
}
