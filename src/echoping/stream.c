/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A TCP or UNIX connection of a load. Messages follow each other in one stream without a gap: a
 * message is only a number of bytes of it. A byte that is lost, doubled or moved shifts all bytes
 * after it, so that the comparison fails.
 *
 * With --churn a link makes one connection after the other: connect, send one message, read it
 * back, close. The stream goes on from one to the next. The latency of a message is the time of the
 * whole cycle. A cycle that fails is a loss, and the link pauses until the next tick, so that it
 * does not flood a server that is down.
 */
#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "echoping/load.h"

/* How long a server may take to end the stream after our end of it. */
#define STREAM_LINGER_NS NS_PER_S
/* How long to try to connect anew, in a run that does not end by time. */
#define STREAM_GIVE_UP_NS (60 * NS_PER_S)

struct echoping_stream {
	struct echoping_link link;
	bool churn;            /* a connection for each message */
	int64_t *starts;       /* owned ring: when the time of each message in flight began */
	uint32_t mask;         /* entries of the ring, a power of two, - 1 */
	uint32_t first;        /* of the oldest message in flight; grows without bound */
	uint32_t outstanding;  /* messages in flight */
	uint64_t position_out; /* in the stream: first byte that the kernel has not taken */
	uint64_t position_in;  /* in the stream: first byte that has not come back */
	uint64_t queued;       /* bytes of messages in flight that the kernel has not taken */
	uint64_t partial;      /* bytes of the oldest message that are back */
	size_t received;       /* bytes in the worker's buffer, of the last read */
	int64_t progress_ns;   /* when something came back, or the first message was begun */
	bool ended;            /* we have sent our FIN */
	bool connecting;       /* not yet known whether somebody is there */
	bool echoed;           /* something came back on this connection */
	bool no_port;          /* churn: it waits for a free local port */
};

static struct echoping_stream *
stream_of(struct echoping_link *link)
{
	return (struct echoping_stream *)(void *)link;
}

static void stream_connect(struct echoping_stream *stream);
static void stream_pump(struct echoping_link *link, int64_t now_ns);

static int
stream_init(struct echoping_link *link)
{
	struct echoping_stream *stream = stream_of(link);
	uint32_t capacity = 1;

	while (capacity < link->worker->options->pipeline)
		capacity *= 2;
	stream->starts = calloc(capacity, sizeof(*stream->starts));
	if (stream->starts == NULL)
		return -ENOMEM;
	stream->mask = capacity - 1;
	stream->churn = link->worker->options->churn;
	stream->position_out = stream->position_in = echoping_payload_origin(link->number);
	if (link->fd >= 0)
		echoping_worker_watch(link, EPOLLIN);
	return link->retired ? -ENOMEM : 0;
}

static void
stream_done(struct echoping_link *link)
{
	free(stream_of(link)->starts);
}

static bool
stream_may_reconnect(const struct echoping_stream *stream, int64_t now_ns)
{
	const struct echoping_worker *worker = stream->link.worker;
	const struct echoping_outage *outage = &stream->link.outage;

	if (!worker->sending || worker->options->no_reconnect)
		return false;
	/* a run that only a number of messages ends must end without a server, too */
	return worker->plan->end_ns != INT64_MAX || outage->begin_ns == 0 ||
	       now_ns - outage->begin_ns < STREAM_GIVE_UP_NS;
}

/* The connection broke or cannot be trusted any more: what is in flight does not come back. */
static void
stream_fail(struct echoping_stream *stream, bool mismatch, const char *what)
{
	struct echoping_link *link = &stream->link;
	struct echoping_results *results = link->worker->results;
	const uint64_t lost = stream->outstanding > mismatch
				  ? stream->outstanding - (uint64_t)mismatch
				  : 0;
	const int64_t now_ns = clock_now_ns();
	const bool echoed = stream->echoed;

	results->mismatched += mismatch;
	results->lost += lost;
	if (!mismatch)
		echoping_outage_extend(&link->outage,
		    stream->outstanding > 0 ? stream->progress_ns : now_ns, lost, what);
	if (mismatch || lost > 0 || !stream_may_reconnect(stream, now_ns))
		echoping_worker_note(link, what);
	if (!stream->churn && (mismatch || !stream_may_reconnect(stream, now_ns))) {
		results->broken += !mismatch;
		echoping_outage_end(&link->outage, INT64_MAX, &results->outages);
		echoping_worker_retire(link);
		return;
	}
	echoping_worker_close(link);
	/* the next message begins where this one ends */
	stream->position_out += stream->queued;
	stream->position_in = stream->position_out;
	stream->queued = stream->partial = 0;
	stream->outstanding = 0;
	stream->connecting = stream->echoed = false;
	/* at once after one that worked, else at the next tick */
	if (!stream->churn && echoed)
		stream_connect(stream);
}

static void
stream_lose(struct echoping_stream *stream, int error)
{
	if (error == ECONNREFUSED)
		stream->link.worker->results->refused = true;
	stream_fail(stream, false, strerror(error));
}

static void
stream_mismatch(struct echoping_stream *stream, const char *what, uint64_t offset)
{
	uint64_t byte = stream->position_in + offset - echoping_payload_origin(stream->link.number);
	char text[128] = "something else came back", quote[64];

	if (!stream->echoed && offset == 0 &&
	    echoping_quote_answer(
		stream->link.worker->buffer, stream->received, quote, sizeof(quote)))
		(void)snprintf(text, sizeof(text), "got \"%s\": is this an echo service?", quote);
	else if (!stream->churn)
		(void)snprintf(
		    text, sizeof(text), "%s at byte %llu", what, (unsigned long long)byte);
	stream_fail(stream, true, text);
}

/* Churn watches for everything at once, edge-triggered: one call to epoll for the whole cycle. */
static void
stream_watch(struct echoping_stream *stream, uint32_t events)
{
	if (stream->churn)
		events = EPOLLIN | EPOLLOUT | EPOLLET;
	if (events != stream->link.watched)
		echoping_worker_watch(&stream->link, events);
}

static void
stream_send(struct echoping_stream *stream)
{
	while (stream->queued > 0) {
		size_t length = stream->queued < ECHOPING_PAYLOAD_PIECE ? stream->queued
									: ECHOPING_PAYLOAD_PIECE;
		ssize_t n = echoping_payload_send(
		    stream->link.worker->payload, stream->link.fd, stream->position_out, length);

		if (n < 0 && n != -EAGAIN && n != -EINTR) {
			stream_lose(stream, (int)-n);
			return;
		}
		if (n > 0) {
			stream->position_out += (uint64_t)n;
			stream->queued -= (uint64_t)n;
		}
		if (n < (ssize_t)length) {
			stream_watch(stream, EPOLLIN | EPOLLOUT);
			return;
		}
	}
	stream_watch(stream, EPOLLIN);
}

/*
 * Begin to connect, for a message of --churn that has begun or after a connection that ended; at
 * the next tick again where that is not possible yet.
 */
static void
stream_connect(struct echoping_stream *stream)
{
	struct echoping_link *link = &stream->link;
	int r = echoping_target_open(&link->worker->plan->run->target, &link->fd);

	if (r == -EAGAIN) /* the backlog of a UNIX server is full */
		return;
	/* a limit of this machine is not the server's: the timeout does not run meanwhile */
	if (r == -EADDRNOTAVAIL || !stream->churn)
		stream->progress_ns = link->worker->now_ns;
	if (r == -EADDRNOTAVAIL) {
		link->worker->results->port_waits++;
		stream->no_port = true;
	} else if (r < 0 && r != -EINPROGRESS) {
		stream_lose(stream, -r);
	} else {
		stream->connecting = true;
		stream_watch(stream, EPOLLOUT);
	}
}

/* The socket can be written: it is connected, or that has failed. Returns whether to go on. */
static bool
stream_connected(struct echoping_stream *stream)
{
	struct echoping_link *link = &stream->link;
	int error = 0;
	socklen_t length = sizeof(error);

	if (!stream->connecting)
		return true;
	stream->connecting = false;
	if (!stream->churn)
		(void)getsockopt(link->fd, SOL_SOCKET, SO_ERROR, &error, &length);
	if (error == 0 && echoping_target_is_self(&link->worker->plan->run->target, link->fd))
		error = ECONNREFUSED;
	if (error != 0) {
		stream_lose(stream, error);
		return false;
	}
	if (stream->churn)
		return true;
	link->worker->results->reconnects++;
	stream_watch(stream, EPOLLIN);
	stream_pump(link, link->worker->now_ns);
	return link->fd >= 0;
}

static void
stream_pump(struct echoping_link *link, int64_t now_ns)
{
	struct echoping_stream *stream = stream_of(link);
	const struct echoping_options *options = link->worker->options;
	bool first = stream->outstanding == 0;
	bool connected = stream->churn || (link->fd >= 0 && !stream->connecting);
	int64_t start_ns;

	while (connected && stream->outstanding < options->pipeline &&
	       echoping_worker_take(link, now_ns, &start_ns)) {
		if (stream->outstanding == 0)
			stream->progress_ns = now_ns;
		stream->starts[(stream->first + stream->outstanding++) & stream->mask] = start_ns;
		stream->queued += options->size;
	}
	if (stream->outstanding > 0) {
		if (!stream->churn && stream->queued > 0 && !(link->watched & EPOLLOUT))
			stream_send(stream);
		else if (stream->churn && first)
			stream_connect(stream);
	} else if (!link->worker->sending && !stream->ended) {
		/* A good server now sends its FIN, too; after that nothing more can come. */
		stream->ended = true;
		stream->progress_ns = now_ns;
		/* connected again, and nothing was left to send: it is over */
		if (connected && !stream->churn)
			echoping_outage_end(&link->outage, now_ns, &link->worker->results->outages);
		if (stream->churn || !connected || shutdown(link->fd, SHUT_WR) < 0)
			echoping_worker_retire(link);
	}
}

/* The server ended the stream: an error only if an echo is missing or more is to be sent. */
static void
stream_end(struct echoping_stream *stream, const char *what)
{
	const struct echoping_link *link = &stream->link;
	bool more = link->worker->sending &&
		    (link->worker->quota > 0 || link->released > link->taken);

	if (stream->outstanding == 0 && !more)
		echoping_worker_retire(&stream->link);
	else
		stream_fail(stream, false, what);
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
		    worker->payload, stream->position_in, worker->buffer, compared);
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
	const struct echoping_options *options = stream->link.worker->options;
	uint32_t place = stream->first % (uint32_t)options->sample;
	size_t length = place == 0 ? 1 : options->sample - place;

	*ret_verified = place == 0;
	if (options->sample == 1)
		return ECHOPING_PAYLOAD_PIECE;
	length = length * options->size - (size_t)stream->partial;
	return length < ECHOPING_PAYLOAD_PIECE ? length : ECHOPING_PAYLOAD_PIECE;
}

/* Count the messages that are complete, and begin others. */
static void
stream_advance(struct echoping_stream *stream, size_t length)
{
	struct echoping_worker *worker = stream->link.worker;
	int64_t now_ns = clock_now_ns();

	stream->progress_ns = now_ns;
	stream->echoed = true;
	stream->position_in += length;
	stream->partial += length;
	while (stream->partial >= worker->options->size) {
		stream->partial -= worker->options->size;
		echoping_worker_receive(
		    worker, stream->starts[stream->first++ & stream->mask], now_ns);
		stream->outstanding--;
		echoping_outage_end(&stream->link.outage, now_ns, &worker->results->outages);
	}
	if (stream->churn && stream->outstanding == 0)
		echoping_worker_close(&stream->link);
	stream_pump(&stream->link, now_ns);
}

/* Read once; returns whether something came that is right. */
static bool
stream_receive(struct echoping_stream *stream)
{
	bool verified;
	size_t length = stream_next_length(stream, &verified);
	ssize_t n = recv(
	    stream->link.fd, stream->link.worker->buffer, length, verified ? 0 : MSG_TRUNC);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		stream_end(stream, n < 0 ? strerror(errno) : "closed by the server");
		return false;
	}
	stream->received = (size_t)n;
	if (!stream_verify(stream, (size_t)n, verified))
		return false;
	stream_advance(stream, (size_t)n);
	return true;
}

static void
stream_on_event(struct echoping_link *link, uint32_t events)
{
	struct echoping_stream *stream = stream_of(link);
	const uint32_t first = stream->first;

	if (events & EPOLLOUT) {
		if (!stream_connected(stream))
			return;
		stream_send(stream);
	}
	if (!(events & (EPOLLIN | EPOLLERR | EPOLLHUP)))
		return;
	/* until EAGAIN or the end: edge-triggered, a FIN behind these bytes is not told again */
	while (link->fd >= 0 && stream_receive(stream) && stream->churn && stream->first == first)
		;
}

static void
stream_on_tick(struct echoping_link *link, int64_t now_ns)
{
	struct echoping_stream *stream = stream_of(link);
	const struct echoping_options *options = link->worker->options;
	int64_t silent_ns = now_ns - stream->progress_ns;

	if (stream->ended && silent_ns >= STREAM_LINGER_NS)
		echoping_worker_retire(link);
	else if (stream->outstanding > 0 && silent_ns >= options->timeout_ns)
		stream_fail(stream, false, "no echo within the timeout");
	else if (stream->connecting && !stream->churn && silent_ns >= options->timeout_ns)
		stream_fail(stream, false, strerror(ETIMEDOUT));
	if (link->retired)
		return;
	if (!stream->churn) {
		if (link->fd < 0 && link->worker->sending)
			stream_connect(stream);
		return;
	}
	if (stream->outstanding > 0 && link->fd < 0) {
		/* a closed loop begins a message when it can be begun */
		if (stream->no_port && options->rate == 0)
			stream->starts[stream->first & stream->mask] = now_ns;
		stream->no_port = false;
		stream_connect(stream);
	}
	stream_pump(link, now_ns);
}

const struct echoping_link_kind echoping_stream_kind = {
	.size = sizeof(struct echoping_stream),
	.init = stream_init,
	.done = stream_done,
	.pump = stream_pump,
	.on_event = stream_on_event,
	.on_tick = stream_on_tick,
};
