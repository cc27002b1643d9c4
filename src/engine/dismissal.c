/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "engine/dismissal.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "engine/connection.h"
#include "engine/survey.h"

struct dismissal {
	struct survey survey; /* first: the two have one address */
	uint64_t id;
	atomic_bool found; /* at most one worker has it */
	void (*done)(void *context, bool found);
	void *context;
};

static bool
dismissal_on_visit(struct survey *survey, size_t worker, struct connection *conn)
{
	struct dismissal *dismissal = (struct dismissal *)survey;

	(void)worker;
	if (conn->id != dismissal->id)
		return true;
	connection_close(conn, CLOSE_ADMIN);
	atomic_store_explicit(&dismissal->found, true, memory_order_relaxed);
	return false;
}

static void
dismissal_on_done(struct survey *survey)
{
	struct dismissal *dismissal = (struct dismissal *)survey;

	dismissal->done(
	    dismissal->context, atomic_load_explicit(&dismissal->found, memory_order_relaxed));
	free(dismissal);
}

int
dismissal_start(
    struct engine *engine, uint64_t id, void (*done)(void *context, bool found), void *context)
{
	struct dismissal *dismissal = calloc(1, sizeof(*dismissal));
	int r;

	if (dismissal == NULL)
		return -ENOMEM;
	dismissal->survey.visit = dismissal_on_visit;
	dismissal->survey.done = dismissal_on_done;
	dismissal->id = id;
	dismissal->done = done;
	dismissal->context = context;
	r = survey_start(&dismissal->survey, engine);
	if (r < 0)
		free(dismissal);
	return r;
}
