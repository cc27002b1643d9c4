/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "engine/snapshot.h"

#include <errno.h>
#include <linux/tcp.h> /* the C library's copy of struct tcp_info is years behind */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "engine/engine.h"
#include "engine/survey.h"
#include "engine/worker.h"

/* What one worker has found so far; its own while the survey is under way. */
struct snapshot_part {
	struct connection_info *infos; /* owned; a heap, the record to lose first at the root */
	size_t count;
	size_t room;
	uint64_t matched;
	bool failed; /* out of memory */
};

struct snapshot_task {
	struct survey survey; /* first: the two have one address */
	struct snapshot_query query;
	size_t wanted; /* records that each part has to keep: limit and offset */
	void (*done)(void *context, const struct snapshot *snapshot);
	void *context;
	size_t part_count;
	struct snapshot_part parts[]; /* by worker id */
};

/* What INFO is sorted by; age and idleness grow with time, so they are distances from the epoch. */
static uint64_t
snapshot_key(const struct connection_info *info, enum snapshot_sort sort)
{
	switch (sort) {
	case SNAPSHOT_BY_IDLE:
		return (uint64_t)(INT64_MAX - info->active_ns);
	case SNAPSHOT_BY_BYTES_IN:
		return info->bytes_in;
	case SNAPSHOT_BY_BYTES_OUT:
		return info->bytes_out;
	case SNAPSHOT_BY_PENDING:
		return info->pending_bytes;
	case SNAPSHOT_BY_AGE:
		break;
	}
	return UINT64_MAX - info->id;
}

/* Return whether A comes before B in the order of QUERY; among equals the older one does. */
static bool
snapshot_before(const struct snapshot_query *query, const struct connection_info *a,
    const struct connection_info *b)
{
	uint64_t left = snapshot_key(a, query->sort), right = snapshot_key(b, query->sort);

	if (left != right)
		return query->ascending ? left < right : left > right;
	return a->id < b->id;
}

static void
snapshot_swap(struct connection_info *a, struct connection_info *b)
{
	struct connection_info c = *a;

	*a = *b;
	*b = c;
}

/* Restore the heap below I. */
static void
snapshot_sift_down(
    const struct snapshot_query *query, struct connection_info *infos, size_t count, size_t i)
{
	for (;;) {
		size_t last = i;

		for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < count; child++) {
			if (snapshot_before(query, &infos[last], &infos[child]))
				last = child;
		}
		if (last == i)
			return;
		snapshot_swap(&infos[i], &infos[last]);
		i = last;
	}
}

static void
snapshot_sift_up(const struct snapshot_query *query, struct connection_info *infos, size_t i)
{
	while (i > 0 && snapshot_before(query, &infos[(i - 1) / 2], &infos[i])) {
		snapshot_swap(&infos[i], &infos[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
}

/* The figures that queries look at: cheap, for every connection. */
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
}

/* What only the kernel knows: a system call each, for the records that are kept. */
static void
snapshot_ask_kernel(const struct connection *conn, bool tcp, struct connection_info *info)
{
	struct tcp_info kernel;
	socklen_t length = sizeof(kernel);

	if (address_of_socket(conn->fd, &info->local) < 0)
		info->local.length = 0;
	if (!tcp || info->transport != ADDRESS_TCP)
		return;
	memset(&kernel, 0, sizeof(kernel));
	if (getsockopt(conn->fd, IPPROTO_TCP, TCP_INFO, &kernel, &length) < 0)
		return;
	info->has_tcp = true;
	info->tcp = (struct connection_tcp_info){ .rtt_ns = kernel.tcpi_rtt * NS_PER_US,
		.rttvar_ns = kernel.tcpi_rttvar * NS_PER_US,
		.min_rtt_ns = kernel.tcpi_min_rtt * NS_PER_US,
		.retransmits = kernel.tcpi_total_retrans,
		.mss = kernel.tcpi_snd_mss,
		.cwnd = kernel.tcpi_snd_cwnd,
		.delivery_rate = kernel.tcpi_delivery_rate };
}

static bool
snapshot_matches(const struct snapshot_query *query, const struct connection *conn)
{
	if (query->id != 0 && conn->id != query->id)
		return false;
	if (query->by_state && conn->state != query->state)
		return false;
	if (query->listener[0] != '\0' && strcmp(conn->share->name, query->listener) != 0)
		return false;
	return !query->by_peer ||
	       network_has(&query->peer, (const struct sockaddr *)&conn->peer.in6);
}

/* Room for one more record, up to what is wanted. */
static bool
snapshot_grow(struct snapshot_part *part, size_t wanted)
{
	size_t room = part->room == 0 ? 64 : part->room * 2;
	struct connection_info *infos;

	if (room > wanted)
		room = wanted;
	infos = reallocarray(part->infos, room, sizeof(*infos));
	if (infos == NULL)
		return false;
	part->infos = infos;
	part->room = room;
	return true;
}

static bool
snapshot_on_visit(struct survey *survey, size_t worker, struct connection *conn)
{
	struct snapshot_task *task = (struct snapshot_task *)survey;
	struct snapshot_part *part = &task->parts[worker];
	const struct snapshot_query *query = &task->query;
	struct connection_info info;

	if (!snapshot_matches(query, conn))
		return true;
	part->matched++;
	if (task->wanted == 0)
		return true;
	snapshot_copy(conn, clock_coarse_ns(), &info);
	if (part->count < task->wanted) {
		if (part->count == part->room && !snapshot_grow(part, task->wanted)) {
			part->failed = true;
			return false;
		}
		snapshot_ask_kernel(conn, query->tcp, &info);
		part->infos[part->count] = info;
		snapshot_sift_up(query, part->infos, part->count++);
	} else if (snapshot_before(query, &info, &part->infos[0])) {
		snapshot_ask_kernel(conn, query->tcp, &info);
		part->infos[0] = info;
		snapshot_sift_down(query, part->infos, part->count, 0);
	}
	return query->id == 0;
}

static int
snapshot_compare(const void *a, const void *b, void *query)
{
	return snapshot_before(query, a, b) ? -1 : 1;
}

/* Put the parts together in order. NULL: out of memory. */
static struct connection_info *
snapshot_merge(struct snapshot_task *task, struct snapshot *snapshot)
{
	struct connection_info *infos;
	size_t count = 0, skipped;

	for (size_t i = 0; i < task->part_count; i++) {
		if (task->parts[i].failed)
			return NULL;
		count += task->parts[i].count;
		snapshot->matched += task->parts[i].matched;
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
	qsort_r(infos, count, sizeof(*infos), snapshot_compare, &task->query);
	skipped = count < task->query.offset ? count : task->query.offset;
	snapshot->infos = infos + skipped;
	snapshot->count = count - skipped < task->query.limit ? count - skipped : task->query.limit;
	return infos;
}

static void
snapshot_on_done(struct survey *survey)
{
	struct snapshot_task *task = (struct snapshot_task *)survey;
	struct snapshot snapshot = { .taken_ns = clock_now_ns(),
		.total = engine_connections(survey->engine) };
	struct connection_info *infos = snapshot_merge(task, &snapshot);

	task->done(task->context, infos != NULL ? &snapshot : NULL);
	free(infos);
	for (size_t i = 0; i < task->part_count; i++)
		free(task->parts[i].infos);
	free(task);
}

int
snapshot_request(struct engine *engine, const struct snapshot_query *query,
    void (*done)(void *context, const struct snapshot *snapshot), void *context)
{
	struct snapshot_task *task;
	int r;

	if (query->limit > SNAPSHOT_MAX || query->offset > SNAPSHOT_MAX - query->limit)
		return -EINVAL;
	task = calloc(1, sizeof(*task) + engine->worker_count * sizeof(task->parts[0]));
	if (task == NULL)
		return -ENOMEM;
	task->survey.visit = snapshot_on_visit;
	task->survey.done = snapshot_on_done;
	task->query = *query;
	task->wanted = query->limit == 0 ? 0 : query->limit + query->offset;
	task->done = done;
	task->context = context;
	task->part_count = engine->worker_count;
	r = survey_start(&task->survey, engine);
	if (r < 0)
		free(task);
	return r;
}
