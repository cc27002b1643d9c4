/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "engine/inspection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "engine/acceptor.h"
#include "engine/loop.h"
#include "engine/worker.h"

/* One slice on a worker ends with whichever comes first. */
#define SLICE_CONNECTIONS 64
#define SLICE_NS (200 * NS_PER_US)

/* Peers that may come while they are counted. */
#define PEERS_SPARE 1000

/* The place of a row in the order that was asked for: the larger key comes first, then the id. */
struct place {
	uint64_t key;
	uint64_t id;
	size_t row; /* in question->rows */
};

struct question {
	TAILQ_ENTRY(question) next; /* inspection->questions */
	struct inspection *inspection;
	struct inspection_query query;
	void (*done)(void *context, int r, struct inspection_list *list);
	void *context;
	struct post post;           /* to the worker that is visited, and back */
	size_t worker;              /* the one that is visited */
	struct shard *shard;        /* whose connections are visited; NULL before and after all */
	bool found;                 /* the one that was meant: nobody else need be asked */
	size_t wanted;              /* rows, those to be skipped included */
	uint64_t matched;           /* rows there are */
	struct place *places;       /* owned; a heap of wanted, the one to lose first at its root */
	union inspection_row *rows; /* owned; wanted of them */
	struct peer_table *peers;   /* owned; of INSPECTION_PEERS, else NULL */
	const struct service *service;   /* whose endpoint is asked for sources; NULL: none yet */
	const struct endpoint *endpoint; /* its endpoint */
};

static void
question_free(struct question *question)
{
	free(question->places);
	free(question->rows);
	peer_table_free(question->peers);
	free(question);
}

/* The rows. */

static bool
place_before(const struct place *a, const struct place *b)
{
	return a->key != b->key ? a->key > b->key : a->id < b->id;
}

static int
place_compare(const void *a, const void *b)
{
	return place_before(a, b) ? -1 : place_before(b, a);
}

/*
 * Return the row to write one with KEY and ID to, which replaces the last of those that are kept;
 * NULL when it comes after all of them.
 */
static union inspection_row *
question_keep(struct question *question, uint64_t key, uint64_t id)
{
	struct place *heap = question->places;
	struct place place = { .key = key, .id = id };
	size_t i = 0;

	question->matched++;
	if (question->wanted == 0 || !place_before(&place, &heap[0]))
		return NULL;
	place.row = heap[0].row;
	for (;;) {
		size_t last = 2 * i + 1;

		if (last + 1 < question->wanted && place_before(&heap[last], &heap[last + 1]))
			last++;
		if (last >= question->wanted || !place_before(&place, &heap[last]))
			break;
		heap[i] = heap[last];
		i = last;
	}
	heap[i] = place;
	return &question->rows[place.row];
}

/* Copy the page that was asked for. NULL: out of memory. */
static struct inspection_list *
question_page(struct question *question)
{
	const struct inspection_query *query = &question->query;
	size_t kept = question->wanted, skipped = query->offset;
	struct inspection_list *list;

	if (kept > question->matched)
		kept = (size_t)question->matched;
	if (skipped > kept)
		skipped = kept;
	list = calloc(1, sizeof(*list) + (kept - skipped) * sizeof(list->rows[0]));
	if (list == NULL)
		return NULL;
	qsort(question->places, question->wanted, sizeof(question->places[0]), place_compare);
	while (skipped + list->count < kept) {
		list->rows[list->count] =
		    question->rows[question->places[skipped + list->count].row];
		list->count++;
	}
	list->taken_ns = clock_now_ns();
	list->total = worker_sum_load(
	    question->inspection->workers, question->inspection->worker_count);
	list->matched = question->matched;
	list->next = question->query.before > 0 ? question->query.before - 1 : 0;
	if (question->peers != NULL)
		list->ungrouped = peer_table_ungrouped(question->peers);
	return list;
}

static void question_do_visit_workers(void *arg);
static void question_do_visit_endpoints(void *arg);

static void
inspection_begin(struct inspection *inspection)
{
	struct question *question = TAILQ_FIRST(&inspection->questions);

	if (question != NULL)
		loop_post(inspection->loop, &question->post,
		    question->query.kind == INSPECTION_SOURCES ? question_do_visit_endpoints
							       : question_do_visit_workers,
		    question);
}

/* The sort key of a peer, largest first. */
static uint64_t
peer_key(const struct inspection_query *query, const struct peer_info *peer)
{
	uint64_t key = query->sort == INSPECTION_BY_BYTES_IN    ? peer->bytes_in
		       : query->sort == INSPECTION_BY_BYTES_OUT ? peer->bytes_out
		       : query->sort == INSPECTION_BY_PENDING   ? peer->pending_bytes
								: peer->connections;

	return query->ascending ? UINT64_MAX - key : key;
}

/* All connections are counted: keep the peers that come first. */
static void
question_keep_peers(struct question *question)
{
	const struct peer_info *peer;

	for (size_t i = 0; (peer = peer_table_at(question->peers, i)) != NULL; i++) {
		union inspection_row *row = question_keep(
		    question, peer_key(&question->query, peer), i);

		if (row != NULL)
			row->peer = *peer;
	}
}

/* All have been asked: the question leaves the queue, and the next one begins. */
static void
question_finish(struct question *question)
{
	struct inspection *inspection = question->inspection;
	bool closing = question->query.kind == INSPECTION_CLOSE;
	struct inspection_list *list;
	int r;

	if (question->peers != NULL)
		question_keep_peers(question);
	list = closing ? NULL : question_page(question);

	TAILQ_REMOVE(&inspection->questions, question, next);
	inspection->listing &= closing;
	inspection_begin(inspection);
	if (closing)
		r = question->found ? 0 : -ENOENT;
	else
		r = list != NULL ? 0 : -ENOMEM;
	question->done(question->context, r, list);
	question_free(question);
}

/* Connections: one worker after the other. */

/* The sort key, largest first: the oldest has the smallest id, the most idle the smallest time. */
static uint64_t
connection_key(const struct inspection_query *query, const struct connection *conn)
{
	const uint64_t keys[] = {
		[INSPECTION_BY_AGE] = UINT64_MAX - conn->id,
		[INSPECTION_BY_IDLE] = (uint64_t)(INT64_MAX - conn->active_ns),
		[INSPECTION_BY_BYTES_IN] = conn->bytes_in,
		[INSPECTION_BY_BYTES_OUT] = conn->bytes_out,
		[INSPECTION_BY_PENDING] = conn->waiting,
		[INSPECTION_BY_CONNECTIONS] = 0,
	};

	return query->ascending ? UINT64_MAX - keys[query->sort] : keys[query->sort];
}

static bool
connection_matches(const struct inspection_query *query, const struct connection *conn)
{
	if ((query->id != 0 || query->kind == INSPECTION_CLOSE) && conn->id != query->id)
		return false;
	if (query->by_state && conn->state != query->state)
		return false;
	if (query->listener[0] != '\0' && strcmp(conn->shard->service->name, query->listener) != 0)
		return false;
	return !query->by_peer ||
	       network_has(&query->peer, (const struct sockaddr *)&conn->peer.in6);
}

static void
connection_describe(const struct connection *conn, struct connection_info *ret_info)
{
	*ret_info = (struct connection_info){ .id = conn->id,
		.listener = conn->shard->service->name,
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
		ret_info->paused_ns += clock_coarse_ns() - conn->paused_since_ns;
	if (address_of_socket(conn->fd, &ret_info->local) < 0)
		ret_info->local.length = 0;
}

/* Look at one connection, which may be closed. Returns whether to go on. */
static bool
question_visit(struct question *question, struct connection *conn)
{
	const struct inspection_query *query = &question->query;
	union inspection_row *row;

	if (!connection_matches(query, conn))
		return true;
	question->found = query->id != 0;
	if (query->kind == INSPECTION_CLOSE) {
		connection_close(conn, CLOSE_ADMIN);
		return false;
	}
	connection_account(conn);
	if (question->peers != NULL) {
		peer_table_add(question->peers, conn);
		return true;
	}
	row = question_keep(question, connection_key(query, conn), conn->id);
	if (row != NULL) {
		connection_describe(conn, &row->connection);
		row->connection.worker = (unsigned)question->worker;
		if (query->tcp && row->connection.transport == ADDRESS_TCP)
			row->connection.has_tcp = connection_read_tcp_info(
			    conn, &row->connection.tcp);
	}
	return !question->found;
}

/* Return the next connection, and step beyond it before anybody can free it; NULL at the end. */
static struct connection *
question_step(struct question *question, struct connection_set *set)
{
	struct connection *conn;

	while (set->visited == NULL) {
		question->shard = question->shard == NULL ? TAILQ_FIRST(&set->shards)
							  : TAILQ_NEXT(question->shard, next);
		if (question->shard == NULL)
			return NULL;
		set->visited = TAILQ_FIRST(&question->shard->by_age);
	}
	conn = set->visited;
	set->visited = TAILQ_NEXT(conn, by_age);
	return conn;
}

static void
question_do_slice(void *arg)
{
	struct question *question = arg;
	struct worker *worker = question->inspection->workers[question->worker];
	struct connection_set *set = &worker->connections;
	int64_t end_ns = clock_now_ns() + SLICE_NS;

	for (int i = 0; i < SLICE_CONNECTIONS && clock_now_ns() < end_ns; i++) {
		struct connection *conn = question_step(question, set);

		if (conn != NULL && question_visit(question, conn))
			continue;
		set->visited = NULL;
		question->worker++;
		loop_post(question->inspection->loop, &question->post, question_do_visit_workers,
		    question);
		return;
	}
	loop_post(worker->loop, &question->post, question_do_slice, question);
}

/* Events: each ring in one go. */

static bool
event_matches(const struct inspection_query *query, const struct recent_event *event)
{
	const union connection_peer *peer = &event->peer;

	if (query->by_reason && event->reason != query->reason)
		return false;
	if (query->by_kind && recent_event_is_refusal(event->reason) != query->refused)
		return false;
	if (query->listener[0] != '\0' && strcmp(event->service->name, query->listener) != 0)
		return false;
	return !query->by_peer || network_has(&query->peer, (const struct sockaddr *)&peer->in6);
}

static void
question_visit_events(struct question *question, const struct recent_events *events)
{
	const struct recent_event *event = NULL;

	while ((event = recent_events_next(events, event)) != NULL &&
	       event->id > question->query.since) {
		union inspection_row *row;

		/* what came after the question may still lack in the ring of another thread */
		if (event->id >= question->query.before || !event_matches(&question->query, event))
			continue;
		row = question_keep(question, event->id, question->matched);
		if (row != NULL)
			row->event = *event;
	}
}

static void
question_do_visit_events(void *arg)
{
	struct question *question = arg;
	const struct worker *worker = question->inspection->workers[question->worker];

	question_visit_events(question, worker->connections.recent);
	question->worker++;
	loop_post(question->inspection->loop, &question->post, question_do_visit_workers, question);
}

/* Whether a post to WORKER comes back: it runs, and its last one is not posted yet. */
static bool
question_may_ask(const struct worker *worker)
{
	return worker->started && !worker->stopping;
}

/* Send the question to the next worker that runs; after the last it is finished. */
static void
question_do_visit_workers(void *arg)
{
	struct question *question = arg;
	const struct inspection *inspection = question->inspection;

	for (; !question->found && question->worker < inspection->worker_count;
	     question->worker++) {
		struct worker *worker = inspection->workers[question->worker];

		if (!question_may_ask(worker))
			continue;
		loop_post(worker->loop, &question->post,
		    question->query.kind == INSPECTION_EVENTS ? question_do_visit_events
							      : question_do_slice,
		    question);
		return;
	}
	if (question->query.kind == INSPECTION_EVENTS)
		question_visit_events(question, inspection->acceptor->recent);
	question_finish(question);
}

/* Sources: one endpoint after the other, the table of each in one go. */

static void
question_do_visit_sources(void *arg)
{
	struct question *question = arg;
	const struct source *source = NULL;

	while ((source = sources_next(question->endpoint->sources, source)) != NULL) {
		union inspection_row *row = question_keep(
		    question, source->echoed + source->dropped, question->matched);

		if (row != NULL)
			row->source = (struct source_info){ question->service->name, *source };
	}
	loop_post(
	    question->inspection->loop, &question->post, question_do_visit_endpoints, question);
}

/* Ask the next endpoint. It is open: the question reaches its worker before what closes it. */
static void
question_do_visit_endpoints(void *arg)
{
	struct question *question = arg;
	const struct inspection *inspection = question->inspection;
	const char *wanted = question->query.listener;
	const struct service *service = question->service == NULL
					    ? TAILQ_FIRST(inspection->services)
					    : TAILQ_NEXT(question->service, next);
	const struct endpoint *endpoint;

	for (; service != NULL && question_may_ask(inspection->workers[0]);
	     service = TAILQ_NEXT(service, next)) {
		LIST_FOREACH (endpoint, inspection->endpoints, next) {
			if (endpoint->service != service ||
			    (*wanted != '\0' && strcmp(service->name, wanted) != 0))
				continue;
			question->service = service;
			question->endpoint = endpoint;
			loop_post(endpoint->worker->loop, &question->post,
			    question_do_visit_sources, question);
			return;
		}
	}
	question_finish(question);
}

/* The questions. */

/*
 * Build a question for the rows of QUERY; a closing has none. The heap is full from the start, of
 * places that come after every real one. NULL: out of memory.
 */
static struct question *
question_new(const struct inspection_query *query)
{
	struct question *question = calloc(1, sizeof(*question));

	if (question == NULL)
		return NULL;
	question->query = *query;
	if (query->kind != INSPECTION_CLOSE && query->limit > 0)
		question->wanted = query->limit + query->offset;
	question->places = reallocarray(NULL, question->wanted + 1, sizeof(question->places[0]));
	question->rows = reallocarray(NULL, question->wanted + 1, sizeof(question->rows[0]));
	if (question->places == NULL || question->rows == NULL) {
		question_free(question);
		return NULL;
	}
	for (size_t i = 0; i < question->wanted; i++)
		question->places[i] = (struct place){ .id = UINT64_MAX, .row = i };
	return question;
}

/* Make a table with a place for each connection that there is, and for some that come meanwhile. */
static struct peer_table *
inspection_count_peers(const struct inspection *inspection, const struct inspection_query *query)
{
	size_t capacity = (size_t)worker_sum_load(inspection->workers, inspection->worker_count) +
			  PEERS_SPARE;

	if (capacity > INSPECTION_PEERS_MAX)
		capacity = INSPECTION_PEERS_MAX;
	return peer_table_new(capacity, query->ipv4_bits, query->ipv6_bits);
}

int
inspection_ask(struct inspection *inspection, const struct inspection_query *query,
    void (*done)(void *context, int r, struct inspection_list *list), void *context)
{
	struct question *first = TAILQ_FIRST(&inspection->questions);
	struct question *last = TAILQ_LAST(&inspection->questions, question_list);
	struct question *question;

	if (query->limit > INSPECTION_ROWS_MAX ||
	    query->offset > INSPECTION_REACH_MAX - query->limit)
		return -EINVAL;
	if (inspection->listing && query->kind != INSPECTION_CLOSE)
		return -EBUSY;
	question = question_new(query);
	if (question == NULL)
		return -ENOMEM;
	if (query->kind == INSPECTION_PEERS) {
		question->peers = inspection_count_peers(inspection, query);
		if (question->peers == NULL) {
			question_free(question);
			return -ENOMEM;
		}
	}
	question->inspection = inspection;
	question->query.before = recent_events_now();
	question->done = done;
	question->context = context;
	if (query->kind != INSPECTION_CLOSE)
		inspection->listing = true;
	/* a closing goes ahead of a list that waits */
	if (last != first && last->query.kind != INSPECTION_CLOSE)
		TAILQ_INSERT_BEFORE(last, question, next);
	else
		TAILQ_INSERT_TAIL(&inspection->questions, question, next);
	if (first == NULL)
		inspection_begin(inspection);
	return 0;
}

void
inspection_done(struct inspection *inspection)
{
	struct question *question;

	while ((question = TAILQ_FIRST(&inspection->questions)) != NULL) {
		TAILQ_REMOVE(&inspection->questions, question, next);
		question->done(question->context, -ECANCELED, NULL);
		question_free(question);
	}
}
