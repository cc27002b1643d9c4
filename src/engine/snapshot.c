/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "engine/snapshot.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "engine/engine.h"
#include "engine/worker.h"

/*
 * One request. The main loop makes it and posts a part to each worker; whoever gives up the last
 * hold posts the whole back. So each part has one owner at a time: the main loop, its worker,
 * the main loop again.
 */
struct snapshot_part {
	struct snapshot_task *task;
	const struct worker *worker;
	struct connection_info *infos; /* owned; ascending by id */
	size_t count;
	bool failed; /* out of memory */
};

struct snapshot_task {
	struct engine *engine;
	size_t limit;
	void (*done)(void *context, const struct snapshot *snapshot);
	void *context;
	atomic_size_t holds; /* workers that still have to answer, and the request itself */
	size_t part_count;
	struct snapshot_part parts[];
};

static void
snapshot_task_free(struct snapshot_task *task)
{
	for (size_t i = 0; i < task->part_count; i++)
		free(task->parts[i].infos);
	free(task);
}

/* Give up one hold. Returns whether it was the last: then the task is the caller's alone. */
static bool
snapshot_task_release(struct snapshot_task *task)
{
	return atomic_fetch_sub_explicit(&task->holds, 1, memory_order_acq_rel) == 1;
}

static void
snapshot_copy(struct connection *conn, int64_t now_ns, struct connection_info *info)
{
	connection_account(conn);
	*info = (struct connection_info){ .id = conn->id,
		.listener = conn->share->name,
		.worker = conn->worker->id,
		.transport = conn->peer.family == AF_UNIX ? ADDRESS_UNIX : ADDRESS_TCP,
		.peer = conn->peer,
		.accepted_ns = conn->accepted_ns,
		.active_ns = conn->active_ns,
		.state = conn->state,
		.bytes_in = conn->bytes_in,
		.bytes_out = conn->bytes_out,
		.reads = conn->reads,
		.pending_bytes = conn->waiting,
		.read_paused = conn->read_paused,
		.pauses = conn->pauses,
		.paused_ns = conn->paused_ns };
	if (conn->read_paused)
		info->paused_ns += now_ns - conn->paused_since_ns;
	if (address_of_socket(conn->fd, &info->local) < 0)
		info->local.length = 0;
}

/* Take the one with the lowest id off the heads, each of which is the oldest left of a share. */
static struct connection *
snapshot_next(struct connection **heads, size_t count)
{
	struct connection *conn;
	size_t best = count;

	for (size_t i = 0; i < count; i++) {
		if (heads[i] != NULL && (best == count || heads[i]->id < heads[best]->id))
			best = i;
	}
	if (best == count)
		return NULL;
	conn = heads[best];
	heads[best] = TAILQ_NEXT(conn, by_age);
	return conn;
}

/* by_age is in the order of the ids: the LIMIT oldest are found without a look at the others. */
static int
snapshot_collect(struct snapshot_part *part, size_t limit)
{
	const struct worker *worker = part->worker;
	int64_t load = atomic_load_explicit(&worker->load, memory_order_relaxed);
	size_t room = load < (int64_t)limit ? (size_t)load : limit;
	struct connection **heads;
	const struct share *share;
	struct connection *conn;
	size_t shares = 0;
	int64_t now_ns;

	if (room == 0)
		return 0;
	TAILQ_FOREACH (share, &worker->shares, next)
		shares++;
	heads = calloc(shares + 1, sizeof(struct connection *));
	part->infos = calloc(room, sizeof(*part->infos));
	if (heads == NULL || part->infos == NULL) {
		free(heads);
		return -ENOMEM;
	}
	shares = 0;
	TAILQ_FOREACH (share, &worker->shares, next)
		heads[shares++] = TAILQ_FIRST(&share->by_age);
	now_ns = clock_coarse_ns();
	while (part->count < room && (conn = snapshot_next(heads, shares)) != NULL)
		snapshot_copy(conn, now_ns, &part->infos[part->count++]);
	free(heads);
	return 0;
}

static int
snapshot_compare(const void *a, const void *b)
{
	const struct connection_info *left = a, *right = b;

	return left->id < right->id ? -1 : left->id > right->id;
}

/* Put the parts together, in the order of the ids. NULL: out of memory. */
static struct connection_info *
snapshot_merge(const struct snapshot_task *task, size_t *ret_count)
{
	struct connection_info *infos;
	size_t count = 0;

	for (size_t i = 0; i < task->part_count; i++) {
		if (task->parts[i].failed)
			return NULL;
		count += task->parts[i].count;
	}
	infos = calloc(count + 1, sizeof(*infos));
	if (infos == NULL)
		return NULL;
	count = 0;
	for (size_t i = 0; i < task->part_count; i++) {
		const struct snapshot_part *part = &task->parts[i];

		if (part->count > 0)
			memcpy(infos + count, part->infos, part->count * sizeof(*infos));
		count += part->count;
	}
	qsort(infos, count, sizeof(*infos), snapshot_compare);
	*ret_count = count < task->limit ? count : task->limit;
	return infos;
}

/* On the main loop, when all have answered. */
static void
snapshot_do_finish(void *arg)
{
	struct snapshot_task *task = arg;
	struct snapshot snapshot = { .taken_ns = clock_now_ns(),
		.total = engine_connections(task->engine) };

	snapshot.infos = snapshot_merge(task, &snapshot.count);
	task->done(task->context, snapshot.infos != NULL ? &snapshot : NULL);
	free(snapshot.infos);
	snapshot_task_free(task);
}

/*
 * On the worker. Somebody waits for the answer, so it has to be posted in the end: when memory is
 * so short that a post fails, all the records go first, and that nearly always makes the room.
 */
static void
snapshot_do_collect(void *arg)
{
	struct snapshot_part *part = arg;
	struct snapshot_task *task = part->task;
	struct timespec moment = { .tv_nsec = NS_PER_MS };

	part->failed = snapshot_collect(part, task->limit) < 0;
	if (!snapshot_task_release(task))
		return;
	while (loop_post(task->engine->loop, snapshot_do_finish, task) < 0) {
		for (size_t i = 0; i < task->part_count; i++) {
			free(task->parts[i].infos);
			task->parts[i].infos = NULL;
			task->parts[i].failed = true;
		}
		(void)nanosleep(&moment, NULL);
	}
}

int
snapshot_request(struct engine *engine, size_t limit,
    void (*done)(void *context, const struct snapshot *snapshot), void *context)
{
	struct snapshot_task *task = calloc(
	    1, sizeof(*task) + engine->worker_count * sizeof(task->parts[0]));
	int r;

	if (task == NULL)
		return -ENOMEM;
	task->engine = engine;
	task->limit = limit;
	task->done = done;
	task->context = context;
	task->part_count = engine->worker_count;
	atomic_init(&task->holds, 1);
	for (size_t i = 0; i < task->part_count; i++) {
		struct snapshot_part *part = &task->parts[i];

		part->task = task;
		part->worker = engine->workers[i];
		if (!engine->workers[i]->started)
			continue;
		atomic_fetch_add_explicit(&task->holds, 1, memory_order_relaxed);
		if (loop_post(engine->workers[i]->loop, snapshot_do_collect, part) == 0)
			continue;
		/* never the last: the request's own hold is still there */
		part->failed = true;
		(void)snapshot_task_release(task);
	}
	if (!snapshot_task_release(task))
		return 0;
	/* nobody was asked, or all have answered already */
	r = loop_post(engine->loop, snapshot_do_finish, task);
	if (r < 0)
		snapshot_task_free(task);
	return r;
}
