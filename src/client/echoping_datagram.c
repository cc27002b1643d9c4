/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A UDP socket of a load. Each datagram carries its number, so each is matched for itself:
 * whatever comes back that is not a whole, equal datagram of this socket is a mismatch.
 */
#include <config.h>

#include "client/echoping_worker.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/clock.h"
#include "client/echoping_window.h"

/* Datagrams read before the other sockets get their turn. */
#define DATAGRAM_BURST 32
/* How long to look for a second echo in the end. */
#define DATAGRAM_LINGER_NS (20 * NS_PER_MS)

struct echoping_datagram {
	struct echoping_link link;
	struct echoping_window window;
	bool held;        /* the next datagram is begun, but the socket did not take it yet */
	int64_t start_ns; /* when its time begins */
	int64_t ended_ns; /* when nothing was out any more and nothing to be sent; 0 before */
};

static struct echoping_datagram *
datagram_of(struct echoping_link *link)
{
	return (struct echoping_datagram *)(void *)link;
}

static int
datagram_init(struct echoping_link *link)
{
	int r = echoping_window_init(
	    &datagram_of(link)->window, 2 * link->worker->plan->options->pipeline);

	if (r < 0)
		return r;
	echoping_worker_watch(link, EPOLLIN);
	return link->retired ? -ENOMEM : 0;
}

/* Move what the window counted to the tally. */
static void
datagram_settle(struct echoping_datagram *datagram)
{
	struct echoping_tally *tally = datagram->link.worker->tally;
	struct echoping_window *window = &datagram->window;

	if (window->lost > 0)
		echoping_worker_trouble(&datagram->link, "no echo within the timeout");
	tally->lost += window->lost;
	tally->duplicates += window->duplicates;
	tally->late += window->late;
	tally->reordered += window->reordered;
	window->lost = window->duplicates = window->late = window->reordered = 0;
}

/* This one is over; what is still out will not be waited for. */
static void
datagram_retire(struct echoping_datagram *datagram)
{
	datagram_settle(datagram);
	datagram->link.worker->tally->lost += datagram->window.outstanding;
	echoping_worker_retire(&datagram->link);
}

static void
datagram_done(struct echoping_link *link)
{
	echoping_window_done(&datagram_of(link)->window);
}

static void
datagram_fail(struct echoping_datagram *datagram, int error)
{
	echoping_worker_trouble(&datagram->link, strerror(error));
	datagram_retire(datagram);
}

/*
 * What the port's refusal means, which comes as an ICMP error of some datagram before: nobody
 * there, if nobody ever answered; else a server that restarts, and lost datagrams. Returns
 * whether to go on.
 */
static bool
datagram_refused(struct echoping_datagram *datagram)
{
	struct echoping_tally *tally = datagram->link.worker->tally;

	tally->refused = true;
	if (tally->received > 0)
		return true;
	datagram_fail(datagram, ECONNREFUSED);
	return false;
}

/* Send the datagram that is held; returns whether to go on with the next. */
static bool
datagram_send(struct echoping_datagram *datagram, int64_t now_ns)
{
	struct echoping_link *link = &datagram->link;
	const struct echoping_plan *plan = link->worker->plan;
	const size_t size = plan->options->size;
	uint64_t sequence = echoping_window_add(&datagram->window, datagram->start_ns, now_ns);
	uint64_t seal = echoping_payload_seal(link->number, sequence);
	const unsigned char *body = echoping_payload_body(
	    plan->payload, link->number, sequence, size);
	struct iovec parts[] = { { &seal, sizeof(seal) },
		{ (void *)(uintptr_t)body, size - sizeof(seal) } };
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = ARRAY_SIZE(parts) };

	if (sendmsg(link->fd, &message, MSG_NOSIGNAL) >= 0) {
		datagram->held = false;
		return true;
	}
	echoping_window_undo(&datagram->window);
	if (errno == EAGAIN) {
		echoping_worker_watch(link, EPOLLIN | EPOLLOUT);
		return false;
	}
	if (errno == EINTR)
		return true;
	if (errno == ECONNREFUSED)
		return datagram_refused(datagram);
	datagram->held = false;
	link->worker->tally->lost++;
	datagram_fail(datagram, errno);
	return false;
}

static void
datagram_pump(struct echoping_link *link, int64_t now_ns)
{
	struct echoping_datagram *datagram = datagram_of(link);
	struct echoping_worker *worker = link->worker;

	while (!datagram->held && datagram->window.outstanding < worker->plan->options->pipeline &&
	       echoping_worker_take(link, now_ns, &datagram->start_ns)) {
		datagram->held = true;
		while (datagram->held && datagram_send(datagram, now_ns))
			;
	}
	if (link->retired || worker->sending)
		return;
	if (datagram->held) {
		datagram->held = false;
		worker->tally->sent--;
		worker->tally->unsent++;
	}
	if (datagram->window.outstanding == 0 && datagram->ended_ns == 0)
		datagram->ended_ns = now_ns;
}

/* Read and judge one; false when there is none or the link is over. */
static bool
datagram_receive(struct echoping_datagram *datagram, int64_t *ret_now_ns)
{
	struct echoping_link *link = &datagram->link;
	struct echoping_worker *worker = link->worker;
	uint64_t sequence;
	int64_t start_ns;
	ssize_t n = recv(link->fd, worker->buffer, ECHOPING_PAYLOAD_PIECE, MSG_TRUNC);

	if (n < 0) {
		if (errno == ECONNREFUSED)
			return datagram_refused(datagram);
		if (errno != EAGAIN && errno != EINTR)
			datagram_fail(datagram, errno);
		return false;
	}
	*ret_now_ns = clock_now_ns();
	if (echoping_payload_open(worker->plan->payload, link->number, worker->buffer, (size_t)n,
		worker->plan->options->size, &sequence) < 0) {
		worker->tally->mismatched++;
		echoping_worker_trouble(link, "a datagram came back different");
		return true;
	}
	switch (echoping_window_receive(&datagram->window, sequence, &start_ns)) {
	case ECHOPING_MATCHED:
		echoping_worker_receive(worker, start_ns, *ret_now_ns);
		break;
	case ECHOPING_UNKNOWN:
		worker->tally->mismatched++;
		echoping_worker_trouble(link, "a datagram came that was never sent");
		break;
	case ECHOPING_DUPLICATE:
	case ECHOPING_LATE:
		break;
	}
	return true;
}

static void
datagram_on_event(struct echoping_link *link, uint32_t events)
{
	struct echoping_datagram *datagram = datagram_of(link);
	int64_t now_ns = link->worker->now_ns;

	if (events & EPOLLOUT) {
		echoping_worker_watch(link, EPOLLIN);
		while (datagram->held && datagram_send(datagram, now_ns))
			;
	}
	if (link->retired)
		return;
	for (int i = 0; i < DATAGRAM_BURST && datagram_receive(datagram, &now_ns); i++)
		if (datagram->window.outstanding == 0)
			break;
	if (!link->retired)
		datagram_pump(link, now_ns);
}

static void
datagram_on_tick(struct echoping_link *link, int64_t now_ns)
{
	struct echoping_datagram *datagram = datagram_of(link);

	echoping_window_expire(&datagram->window, now_ns - link->worker->plan->options->timeout_ns);
	datagram_settle(datagram);
	datagram_pump(link, now_ns);
	if (!link->retired && datagram->ended_ns != 0 &&
	    now_ns - datagram->ended_ns >= DATAGRAM_LINGER_NS)
		datagram_retire(datagram);
}

const struct echoping_link_kind echoping_datagram_kind = {
	.size = sizeof(struct echoping_datagram),
	.init = datagram_init,
	.done = datagram_done,
	.pump = datagram_pump,
	.on_event = datagram_on_event,
	.on_tick = datagram_on_tick,
};
