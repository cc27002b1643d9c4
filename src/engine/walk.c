/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "engine/walk.h"

#include "engine/connection.h"
#include "engine/worker.h"

/* Connections of one slice: a few system calls each at most, so some tenths of a millisecond. */
#define SLICE 128

static void
walk_enter_share(struct walk *walk, struct share *share)
{
	walk->share = share;
	walk->conn = share != NULL ? TAILQ_FIRST(&share->by_age) : NULL;
}

/* Return the next connection, and step beyond it before anybody can free it; NULL at the end. */
static struct connection *
walk_step(struct walk *walk)
{
	struct connection *conn;

	while (walk->conn == NULL && walk->share != NULL)
		walk_enter_share(walk, TAILQ_NEXT(walk->share, next));
	conn = walk->conn;
	if (conn != NULL)
		walk->conn = TAILQ_NEXT(conn, by_age);
	return conn;
}

static void
walk_do_slice(void *arg)
{
	struct walk *walk = arg;
	bool more = true;

	for (int i = 0; i < SLICE && more; i++) {
		struct connection *conn = walk_step(walk);

		more = conn != NULL && walk->visit(walk, conn);
	}
	if (more) {
		loop_post(walk->worker->loop, &walk->post, walk_do_slice, walk);
		return;
	}
	TAILQ_REMOVE(&walk->worker->walks, walk, next);
	walk->done(walk);
}

static void
walk_do_begin(void *arg)
{
	struct walk *walk = arg;

	TAILQ_INSERT_TAIL(&walk->worker->walks, walk, next);
	walk_enter_share(walk, TAILQ_FIRST(&walk->worker->shares));
	walk_do_slice(walk);
}

void
walk_start(struct walk *walk, struct worker *worker)
{
	walk->worker = worker;
	loop_post(worker->loop, &walk->post, walk_do_begin, walk);
}

void
walk_skip(struct walk_list *walks, const struct connection *conn)
{
	struct walk *walk;

	TAILQ_FOREACH (walk, walks, next) {
		if (walk->conn == conn)
			walk->conn = TAILQ_NEXT(conn, by_age);
	}
}
