/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A walk over a worker's connections in small slices, so that no echo waits for an operator's
 * question. Between two slices connections come and go: those that go are stepped over. The
 * worker's thread, but for walk_start().
 */
#ifndef ECHOD_ENGINE_WALK_H
#define ECHOD_ENGINE_WALK_H

#include <stdbool.h>
#include <stddef.h>

#include "base/list.h"
#include "engine/loop.h"

struct connection;
struct share;
struct worker;

/* One walk; embedded in what it serves, which lives until done() is called. */
struct walk {
	TAILQ_ENTRY(walk) next; /* worker->walks */
	struct post post;       /* for the next slice */
	struct worker *worker;
	struct share *share;     /* the one being walked; NULL at the end */
	struct connection *conn; /* the next one to visit; NULL at the end of share */
	/* Look at one connection, which it may close. Returns whether to go on. */
	bool (*visit)(struct walk *walk, struct connection *conn);
	/* The walk is over; it is called once. */
	void (*done)(struct walk *walk);
};

TAILQ_HEAD(walk_list, walk);

/*
 * Walk over the connections of WORKER on its thread, each share's oldest first. visit and done
 * are set by the caller. Main loop.
 */
void walk_start(struct walk *walk, struct worker *worker);

/* CONN is about to be freed: no walk of WALKS may visit it any more. */
void walk_skip(struct walk_list *walks, const struct connection *conn);

#endif
