/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "engine/survey.h"

#include <errno.h>
#include <stdlib.h>

#include "engine/engine.h"

static void
survey_do_finish(void *arg)
{
	struct survey *survey = arg;

	free(survey->parts);
	survey->parts = NULL;
	survey->done(survey);
}

/* Give up one hold. Returns whether it was the last: then the survey is the caller's alone. */
static bool
survey_release(struct survey *survey)
{
	return atomic_fetch_sub_explicit(&survey->holds, 1, memory_order_acq_rel) == 1;
}

static bool
survey_on_visit(struct walk *walk, struct connection *conn)
{
	struct survey *survey = ((struct survey_part *)walk)->survey;

	return survey->visit(survey, walk->worker->id, conn);
}

static void
survey_on_walked(struct walk *walk)
{
	struct survey *survey = ((struct survey_part *)walk)->survey;

	if (survey_release(survey))
		loop_post(survey->engine->loop, &survey->post, survey_do_finish, survey);
}

int
survey_start(struct survey *survey, struct engine *engine)
{
	survey->engine = engine;
	survey->parts = calloc(engine->worker_count, sizeof(*survey->parts));
	if (survey->parts == NULL)
		return -ENOMEM;
	atomic_init(&survey->holds, 1);
	for (size_t i = 0; i < engine->worker_count; i++) {
		struct survey_part *part = &survey->parts[i];

		if (!engine->workers[i]->started)
			continue;
		part->survey = survey;
		part->walk.visit = survey_on_visit;
		part->walk.done = survey_on_walked;
		atomic_fetch_add_explicit(&survey->holds, 1, memory_order_relaxed);
		walk_start(&part->walk, engine->workers[i]);
	}
	/* nobody was asked, or all are through already */
	if (survey_release(survey))
		loop_post(engine->loop, &survey->post, survey_do_finish, survey);
	return 0;
}
