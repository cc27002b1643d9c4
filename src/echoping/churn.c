/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A place in which connections follow each other: connect, send one message, read it back, close.
 * The time of a message is that of the whole cycle. A cycle that fails is a loss, and the place
 * rests until the next tick, so that a server that is gone is not hammered.
 */
#include <config.h>

#include "echoping/worker.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "echoping/connect.h"

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
	struct echoping_tally *tally = churn->link.worker->tally;

	if (mismatch)
		tally->mismatched++;
	else
		tally->lost++;
	echoping_worker_trouble(&churn->link, what);
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
				churn->link.worker->tally->refused = true;
			if (errno != EAGAIN && errno != EINTR)
				churn_fail(churn, strerror(errno), false);
			return;
		}
		churn->position_out += (uint64_t)n;
		churn->unsent -= (uint64_t)n;
	}
}

/* Make the connection of a cycle that is begun; one that cannot be made yet is left for a tick. */
static void
churn_connect(struct echoping_churn *churn)
{
	struct echoping_link *link = &churn->link;
	const struct echoping_target *target = link->worker->plan->target;
	int r = echoping_connect_begin(target->transport, &target->places[0], 0, &link->fd);

	if (r == -EAGAIN) /* the backlog of a UNIX server is full */
		return;
	if (r == -EADDRNOTAVAIL) {
		/* our own limit, not the server's: its time does not run meanwhile */
		link->worker->tally->port_waits++;
		churn->progress_ns = link->worker->now_ns;
		churn->no_port = true;
		return;
	}
	if (r < 0 && r != -EINPROGRESS) {
		if (r == -ECONNREFUSED)
			link->worker->tally->refused = true;
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

/* Read what is there; the cycle may be over then, for good or ill. */
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
		/* Else on to EAGAIN: a FIN behind these bytes would not be told again. */
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
