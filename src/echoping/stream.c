/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A TCP or UNIX connection of a load. Messages follow each other in one stream without a gap: a
 * message is only a number of bytes of it. A byte that is lost, doubled or moved shifts all bytes
 * after it, so that the comparison fails.
 */
#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "echoping/connect.h"
#include "echoping/load.h"

/* How long a server may take to end the stream after our end of it. */
#define STREAM_LINGER_NS NS_PER_S

struct echoping_stream {
	struct echoping_link link;
	int64_t *starts;       /* owned ring: when the time of each message in flight began */
	uint32_t mask;         /* entries of the ring, a power of two, - 1 */
	uint32_t first;        /* of the oldest message in flight; grows without bound */
	uint32_t outstanding;  /* messages in flight */
	uint64_t position_out; /* in the stream: first byte that the kernel has not taken */
	uint64_t position_in;  /* in the stream: first byte that has not come back */
	uint64_t queued;       /* bytes of messages in flight that the kernel has not taken */
	uint64_t partial;      /* bytes of the oldest message that are back */
	int64_t progress_ns;   /* when something came back, or the first message went out */
	bool ended;            /* we have sent our FIN */
};

static struct echoping_stream *
stream_of(struct echoping_link *link)
{
	return (struct echoping_stream *)(void *)link;
}

static int
stream_init(struct echoping_link *link)
{
	struct echoping_stream *stream = stream_of(link);
	uint32_t capacity = 1;

	while (capacity < link->worker->plan->options->pipeline)
		capacity *= 2;
	stream->starts = calloc(capacity, sizeof(*stream->starts));
	if (stream->starts == NULL)
		return -ENOMEM;
	stream->mask = capacity - 1;
	stream->position_out = stream->position_in = echoping_payload_origin(link->number);
	echoping_worker_watch(link, EPOLLIN);
	return link->retired ? -ENOMEM : 0;
}

static void
stream_done(struct echoping_link *link)
{
	free(stream_of(link)->starts);
}

/* The connection broke: what was in flight is lost. */
static void
stream_lose(struct echoping_stream *stream, const char *what)
{
	stream->link.worker->results->lost += stream->outstanding;
	stream->link.worker->results->broken++;
	echoping_worker_note(&stream->link, what);
	echoping_worker_retire(&stream->link);
}

static void
stream_mismatch(struct echoping_stream *stream, const char *what, uint64_t offset)
{
	struct echoping_results *results = stream->link.worker->results;
	uint64_t byte = stream->position_in + offset - echoping_payload_origin(stream->link.number);
	char text[96];

	(void)snprintf(text, sizeof(text), "%s at byte %llu", what, (unsigned long long)byte);
	echoping_worker_note(&stream->link, text);
	results->mismatched++;
	if (stream->outstanding > 1)
		results->lost += stream->outstanding - 1;
	echoping_worker_retire(&stream->link);
}

static void
stream_send(struct echoping_stream *stream)
{
	const struct echoping_payload *payload = stream->link.worker->plan->payload;

	while (stream->queued > 0) {
		size_t length = stream->queued < ECHOPING_PAYLOAD_PIECE ? stream->queued
									: ECHOPING_PAYLOAD_PIECE;
		ssize_t n = echoping_payload_send(
		    payload, stream->link.fd, stream->position_out, length);

		if (n < 0 && n != -EAGAIN && n != -EINTR) {
			stream_lose(stream, strerror((int)-n));
			return;
		}
		if (n > 0) {
			stream->position_out += (uint64_t)n;
			stream->queued -= (uint64_t)n;
		}
		if (n < (ssize_t)length) {
			echoping_worker_watch(&stream->link, EPOLLIN | EPOLLOUT);
			return;
		}
	}
	if (stream->link.watched != EPOLLIN)
		echoping_worker_watch(&stream->link, EPOLLIN);
}

static void
stream_pump(struct echoping_link *link, int64_t now_ns)
{
	struct echoping_stream *stream = stream_of(link);
	const struct echoping_options *options = link->worker->plan->options;
	int64_t start_ns;

	while (stream->outstanding < options->pipeline &&
	       echoping_worker_take(link, now_ns, &start_ns)) {
		if (stream->outstanding == 0)
			stream->progress_ns = now_ns;
		stream->starts[(stream->first + stream->outstanding++) & stream->mask] = start_ns;
		stream->queued += options->size;
	}
	if (stream->queued > 0 && !(link->watched & EPOLLOUT)) {
		stream_send(stream);
	} else if (stream->outstanding == 0 && !link->worker->sending && !stream->ended) {
		/* A good server now sends its FIN, too; after that nothing more can come. */
		stream->ended = true;
		stream->progress_ns = now_ns;
		if (shutdown(link->fd, SHUT_WR) < 0)
			echoping_worker_retire(link);
	}
}

/* The server ended the stream: an error only if an echo is missing or more is to be sent. */
static void
stream_end(struct echoping_stream *stream, const char *what)
{
	if (stream->outstanding == 0 && !echoping_worker_wants_more(&stream->link))
		echoping_worker_retire(&stream->link);
	else
		stream_lose(stream, what);
}

/* Returns whether all of it, or at least its length, is what was to come next. */
static bool
stream_verify(struct echoping_stream *stream, size_t length, bool bytes)
{
	struct echoping_worker *worker = stream->link.worker;
	uint64_t expected = stream->position_out - stream->position_in;
	size_t compared = length < expected ? length : (size_t)expected;
	size_t same = compared;

	if (bytes)
		same = echoping_payload_match(
		    worker->plan->payload, stream->position_in, worker->buffer, compared);
	if (same < compared)
		stream_mismatch(stream, "something else came back", same);
	else if (length > expected)
		stream_mismatch(stream, "more came back than was sent,", expected);
	else
		return true;
	return false;
}

/*
 * Return how many bytes to receive next, and whether to verify them. With --sample the kernel
 * discards other messages without copying, see MSG_TRUNC in tcp(7); a byte that is lost or doubled
 * there makes the next verified message differ.
 */
static size_t
stream_next_length(const struct echoping_stream *stream, bool *ret_verified)
{
	const struct echoping_options *options = stream->link.worker->plan->options;
	uint32_t place = stream->first % options->sample;
	size_t length = place == 0 ? 1 : options->sample - place;

	*ret_verified = place == 0;
	if (options->sample == 1)
		return ECHOPING_PAYLOAD_PIECE;
	length = length * options->size - (size_t)stream->partial;
	return length < ECHOPING_PAYLOAD_PIECE ? length : ECHOPING_PAYLOAD_PIECE;
}

static void
stream_receive(struct echoping_stream *stream)
{
	struct echoping_worker *worker = stream->link.worker;
	const size_t size = worker->plan->options->size;
	bool verified;
	size_t length = stream_next_length(stream, &verified);
	ssize_t n = recv(stream->link.fd, worker->buffer, length, verified ? 0 : MSG_TRUNC);
	int64_t now_ns;

	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			stream_end(stream, strerror(errno));
		return;
	}
	if (n == 0) {
		stream_end(stream, "closed by the server");
		return;
	}
	if (!stream_verify(stream, (size_t)n, verified))
		return;
	now_ns = clock_now_ns();
	stream->progress_ns = now_ns;
	stream->position_in += (uint64_t)n;
	stream->partial += (uint64_t)n;
	while (stream->partial >= size) {
		stream->partial -= size;
		echoping_worker_receive(
		    worker, stream->starts[stream->first++ & stream->mask], now_ns);
		stream->outstanding--;
	}
	stream_pump(&stream->link, now_ns);
}

static void
stream_on_event(struct echoping_link *link, uint32_t events)
{
	struct echoping_stream *stream = stream_of(link);

	if (events & EPOLLOUT) {
		stream_send(stream);
		if (link->retired)
			return;
	}
	if (events & (EPOLLIN | EPOLLERR | EPOLLHUP))
		stream_receive(stream);
}

static void
stream_on_tick(struct echoping_link *link, int64_t now_ns)
{
	struct echoping_stream *stream = stream_of(link);
	int64_t silent_ns = now_ns - stream->progress_ns;

	if (stream->ended && silent_ns >= STREAM_LINGER_NS)
		echoping_worker_retire(link);
	else if (stream->outstanding > 0 && silent_ns >= link->worker->plan->options->timeout_ns)
		stream_lose(stream, "no echo within the timeout");
}

const struct echoping_link_kind echoping_stream_kind = {
	.size = sizeof(struct echoping_stream),
	.init = stream_init,
	.done = stream_done,
	.pump = stream_pump,
	.on_event = stream_on_event,
	.on_tick = stream_on_tick,
};

/*
 * A link that makes one connection after the other: connect, send one message, read it back, close.
 * The latency of a message is the time of the whole cycle. A cycle that fails is a loss, and the
 * link pauses until the next tick, so that it does not flood a server that is down.
 */

struct echoping_churn {
	struct echoping_link link;
	bool running;          /* a cycle is begun */
	bool no_port;          /* it waits for a free local port */
	int64_t start_ns;      /* when its time begins */
	int64_t progress_ns;   /* when it was begun or something came back */
	uint64_t position_out; /* in the stream, which goes on from cycle to cycle */
	uint64_t position_in;
	uint64_t unsent; /* bytes of the message that the kernel has not taken */
};

static struct echoping_churn *
churn_of(struct echoping_link *link)
{
	return (struct echoping_churn *)(void *)link;
}

static int
churn_init(struct echoping_link *link)
{
	struct echoping_churn *churn = churn_of(link);

	churn->position_out = churn->position_in = echoping_payload_origin(link->number);
	return 0;
}

static void
churn_done(struct echoping_link *link)
{
	(void)link;
}

/* The cycle is over without an echo. */
static void
churn_fail(struct echoping_churn *churn, const char *what, bool mismatch)
{
	struct echoping_results *results = churn->link.worker->results;

	if (mismatch)
		results->mismatched++;
	else
		results->lost++;
	echoping_worker_note(&churn->link, what);
	echoping_worker_close(&churn->link);
	churn->running = false;
}

static void
churn_send(struct echoping_churn *churn)
{
	const struct echoping_payload *payload = churn->link.worker->plan->payload;

	while (churn->unsent > 0) {
		size_t length = churn->unsent < ECHOPING_PAYLOAD_PIECE ? churn->unsent
								       : ECHOPING_PAYLOAD_PIECE;
		ssize_t n = send(churn->link.fd, echoping_payload_at(payload, churn->position_out),
		    length, MSG_NOSIGNAL);

		if (n < 0) {
			if (errno == ECONNREFUSED)
				churn->link.worker->results->refused = true;
			if (errno != EAGAIN && errno != EINTR)
				churn_fail(churn, strerror(errno), false);
			return;
		}
		churn->position_out += (uint64_t)n;
		churn->unsent -= (uint64_t)n;
	}
}

/* Connect for a cycle that has begun; try again at the next tick where that is not possible yet. */
static void
churn_connect(struct echoping_churn *churn)
{
	struct echoping_link *link = &churn->link;
	const struct echoping_target *target = link->worker->plan->target;
	int r = echoping_connect_begin(&target->addresses[0], 0, &link->fd);

	if (r == -EAGAIN) /* the backlog of a UNIX server is full */
		return;
	if (r == -EADDRNOTAVAIL) {
		/* a limit of this machine, not of the server: the timeout does not run meanwhile */
		link->worker->results->port_waits++;
		churn->progress_ns = link->worker->now_ns;
		churn->no_port = true;
		return;
	}
	if (r < 0 && r != -EINPROGRESS) {
		if (r == -ECONNREFUSED)
			link->worker->results->refused = true;
		churn_fail(churn, strerror(-r), false);
		return;
	}
	/* edge-triggered: one call to epoll for the whole cycle */
	echoping_worker_watch(link, EPOLLIN | EPOLLOUT | EPOLLET);
}

static void
churn_pump(struct echoping_link *link, int64_t now_ns)
{
	struct echoping_churn *churn = churn_of(link);
	const size_t size = link->worker->plan->options->size;

	if (churn->running)
		return;
	if (!echoping_worker_take(link, now_ns, &churn->start_ns)) {
		if (!link->worker->sending)
			echoping_worker_retire(link);
		return;
	}
	churn->running = true;
	churn->progress_ns = now_ns;
	/* after a failure the two are apart; the next message begins where the last one ended */
	churn->position_out += churn->unsent;
	churn->position_in = churn->position_out;
	churn->unsent = size;
	churn_connect(churn);
}

/* Read what is there; this may end the cycle, with or without an error. */
static void
churn_receive(struct echoping_churn *churn)
{
	struct echoping_worker *worker = churn->link.worker;

	for (;;) {
		uint64_t expected = churn->position_out - churn->position_in;
		ssize_t n = recv(churn->link.fd, worker->buffer, ECHOPING_PAYLOAD_PIECE, 0);

		if (n < 0) {
			if (errno != EAGAIN && errno != EINTR)
				churn_fail(churn, strerror(errno), false);
			return;
		}
		if (n == 0) {
			churn_fail(churn, "closed by the server", false);
			return;
		}
		if ((uint64_t)n > expected ||
		    echoping_payload_match(worker->plan->payload, churn->position_in,
			worker->buffer, (size_t)n) < (size_t)n) {
			churn_fail(churn, "something else came back", true);
			return;
		}
		churn->position_in += (uint64_t)n;
		churn->progress_ns = worker->now_ns;
		/*
		 * Otherwise read until EAGAIN: edge-triggered, a FIN behind these bytes is not
		 * reported again.
		 */
		if ((uint64_t)n == expected && churn->unsent == 0)
			return;
	}
}

static void
churn_on_event(struct echoping_link *link, uint32_t events)
{
	struct echoping_churn *churn = churn_of(link);
	int64_t now_ns;

	if (events & EPOLLOUT)
		churn_send(churn);
	if (churn->running && (events & (EPOLLIN | EPOLLERR | EPOLLHUP)))
		churn_receive(churn);
	if (!churn->running || churn->unsent > 0 || churn->position_in < churn->position_out)
		return;
	echoping_worker_close(link);
	churn->running = false;
	now_ns = clock_now_ns();
	echoping_worker_receive(link->worker, churn->start_ns, now_ns);
	churn_pump(link, now_ns);
}

static void
churn_on_tick(struct echoping_link *link, int64_t now_ns)
{
	struct echoping_churn *churn = churn_of(link);

	if (churn->running &&
	    now_ns - churn->progress_ns >= link->worker->plan->options->timeout_ns)
		churn_fail(churn, "no echo within the timeout", false);
	if (churn->running && link->fd < 0) {
		if (churn->no_port && link->worker->plan->options->rate == 0)
			churn->start_ns = now_ns;
		churn->no_port = false;
		churn_connect(churn);
	}
	churn_pump(link, now_ns);
}

const struct echoping_link_kind echoping_churn_kind = {
	.size = sizeof(struct echoping_churn),
	.init = churn_init,
	.done = churn_done,
	.pump = churn_pump,
	.on_event = churn_on_event,
	.on_tick = churn_on_tick,
};
