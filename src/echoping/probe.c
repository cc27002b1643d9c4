/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "echoping/probe.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/clock.h"

/* Progress of one exchange. */
struct exchange {
	int64_t begin_ns;
	int64_t deadline_ns;
	size_t out;        /* bytes that the kernel has taken */
	size_t back;       /* bytes that came back */
	uint64_t sequence; /* datagrams */
	enum echoping_outcome outcome;
	bool over;
};

static void
exchange_end(struct exchange *exchange, enum echoping_outcome outcome)
{
	exchange->outcome = outcome;
	exchange->over = true;
}

static void
exchange_break(struct echoping_probe *probe, struct exchange *exchange, int error)
{
	if (error == EAGAIN || error == EINTR)
		return;
	probe->error = error;
	exchange_end(exchange, ECHOPING_BROKEN);
}

static void
exchange_echoed(struct echoping_probe *probe, struct exchange *exchange)
{
	probe->latency_ns = clock_now_ns() - exchange->begin_ns;
	exchange_end(exchange, ECHOPING_ECHOED);
}

static void
exchange_differ(struct echoping_probe *probe, struct exchange *exchange, size_t offset)
{
	probe->offset = offset;
	exchange_end(exchange, ECHOPING_DIFFERENT);
}

static void
exchange_send_stream(struct echoping_probe *probe, struct exchange *exchange)
{
	size_t left = probe->size - exchange->out;
	ssize_t n = send(probe->fd,
	    echoping_payload_at(probe->payload, probe->position + exchange->out),
	    left < ECHOPING_PAYLOAD_PIECE ? left : ECHOPING_PAYLOAD_PIECE, MSG_NOSIGNAL);

	if (n < 0)
		exchange_break(probe, exchange, errno);
	else
		exchange->out += (size_t)n;
}

static void
exchange_receive_stream(struct echoping_probe *probe, struct exchange *exchange)
{
	size_t expected = exchange->out - exchange->back, length, same;
	ssize_t n = recv(probe->fd, probe->buffer, ECHOPING_PAYLOAD_PIECE, 0);

	if (n <= 0) {
		exchange_break(probe, exchange, n < 0 ? errno : 0);
		return;
	}
	length = (size_t)n < expected ? (size_t)n : expected;
	same = echoping_payload_match(
	    probe->payload, probe->position + exchange->back, probe->buffer, length);
	if (same < (size_t)n) {
		exchange_differ(probe, exchange, exchange->back + same);
		return;
	}
	exchange->back += same;
	if (exchange->back == probe->size)
		exchange_echoed(probe, exchange);
}

static void
exchange_send_datagram(struct echoping_probe *probe, struct exchange *exchange)
{
	uint64_t seal = echoping_payload_seal(0, exchange->sequence);
	const unsigned char *body = echoping_payload_body(
	    probe->payload, 0, exchange->sequence, probe->size);
	struct iovec parts[] = { { &seal, sizeof(seal) },
		{ (void *)(uintptr_t)body, probe->size - sizeof(seal) } };
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = ARRAY_SIZE(parts) };

	if (sendmsg(probe->fd, &message, MSG_NOSIGNAL) < 0)
		exchange_break(probe, exchange, errno);
	else
		exchange->out = probe->size;
}

/* Also between probes: what comes then is late, a duplicate, or wrong. */
static void
exchange_receive_datagram(struct echoping_probe *probe, struct exchange *exchange)
{
	ssize_t n = recv(probe->fd, probe->buffer, ECHOPING_PAYLOAD_PIECE, MSG_TRUNC);
	uint64_t sequence;
	int64_t start_ns;

	if (n < 0) {
		exchange_break(probe, exchange, errno);
		return;
	}
	if (echoping_payload_open(
		probe->payload, 0, probe->buffer, (size_t)n, probe->size, &sequence) < 0) {
		exchange_differ(probe, exchange, 0);
		return;
	}
	switch (echoping_window_receive(&probe->window, sequence, &start_ns)) {
	case ECHOPING_MATCHED:
		exchange_echoed(probe, exchange);
		break;
	case ECHOPING_UNKNOWN:
		exchange_differ(probe, exchange, 0);
		break;
	case ECHOPING_DUPLICATE:
	case ECHOPING_LATE:
		break;
	}
}

/* Wait for the socket, the signals, the deadline; returns what the socket is ready for. */
static short
exchange_wait(struct echoping_probe *probe, struct exchange *exchange, short events)
{
	struct pollfd fds[] = { { .fd = probe->fd, .events = events },
		{ .fd = probe->signal_fd, .events = POLLIN } };
	int64_t left_ns = exchange->deadline_ns - clock_now_ns();
	struct timespec left = { .tv_sec = left_ns / NS_PER_S, .tv_nsec = left_ns % NS_PER_S };

	if (left_ns <= 0) {
		exchange_end(exchange, ECHOPING_TIMEOUT);
		return 0;
	}
	if (ppoll(fds, ARRAY_SIZE(fds), &left, NULL) <= 0)
		return 0;
	if (fds[1].revents != 0) {
		exchange_end(exchange, ECHOPING_INTERRUPTED);
		return 0;
	}
	return fds[0].revents;
}

static void
exchange_send(struct echoping_probe *probe, struct exchange *exchange)
{
	if (probe->datagrams)
		exchange_send_datagram(probe, exchange);
	else
		exchange_send_stream(probe, exchange);
}

static void
exchange_receive(struct echoping_probe *probe, struct exchange *exchange)
{
	if (probe->datagrams)
		exchange_receive_datagram(probe, exchange);
	else
		exchange_receive_stream(probe, exchange);
}

enum echoping_outcome
echoping_probe_exchange(struct echoping_probe *probe, int64_t timeout_ns)
{
	struct exchange exchange = { .begin_ns = clock_now_ns() };

	exchange.deadline_ns = exchange.begin_ns + timeout_ns;
	if (probe->datagrams)
		exchange.sequence = echoping_window_add(
		    &probe->window, exchange.begin_ns, exchange.begin_ns);
	exchange_send(probe, &exchange);
	while (!exchange.over) {
		short ready = exchange_wait(
		    probe, &exchange, exchange.out < probe->size ? POLLIN | POLLOUT : POLLIN);

		if (ready & POLLOUT)
			exchange_send(probe, &exchange);
		if (!exchange.over && (ready & ~POLLOUT))
			exchange_receive(probe, &exchange);
	}
	probe->position += probe->size;
	if (probe->datagrams && exchange.outcome != ECHOPING_ECHOED)
		echoping_window_expire(&probe->window, INT64_MAX);
	return exchange.outcome;
}

enum echoping_outcome
echoping_probe_rest(struct echoping_probe *probe, int64_t until_ns)
{
	/* nothing sent and all of it back: every byte that comes is one too many */
	struct exchange exchange = { .deadline_ns = until_ns };

	while (!exchange.over)
		if (exchange_wait(probe, &exchange, POLLIN) != 0)
			exchange_receive(probe, &exchange);
	return exchange.outcome == ECHOPING_TIMEOUT ? ECHOPING_QUIET : exchange.outcome;
}
