/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A question to all workers: each walks over its connections in slices, and when the last one is
 * through the main loop hears of it. Started on the main loop.
 */
#ifndef ECHOD_ENGINE_SURVEY_H
#define ECHOD_ENGINE_SURVEY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/attributes.h"
#include "engine/walk.h"

struct connection;
struct engine;
struct survey;

/* One worker's share of the question. */
struct survey_part {
	struct walk walk;
	struct survey *survey;
};

/* Embedded in what asks; lives until done() is called. The caller sets visit and done. */
struct survey {
	struct engine *engine;     /* borrowed */
	struct survey_part *parts; /* owned; by worker id */
	struct post post;          /* for the answer */
	atomic_size_t holds;       /* workers that are not through, and the start itself */
	/* Look at one connection on the thread of WORKER; it may be closed. Returns whether to go
	 * on. */
	bool (*visit)(struct survey *survey, size_t worker, struct connection *conn);
	/* All are through; called once, on the main loop. It may free what embeds SURVEY. */
	void (*done)(struct survey *survey);
};

/*
 * Ask the workers of ENGINE that run. Returns 0, or -ENOMEM: then done is not called.
 */
ATTR_MUSTCHECK int survey_start(struct survey *survey, struct engine *engine);

#endif
