/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "echoping/ping.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"
#include "echoping/connect.h"
#include "echoping/window.h"

enum probe_outcome {
	PROBE_ECHOED,      /* all of it came back, and equal */
	PROBE_TIMEOUT,     /* not all of it in time */
	PROBE_BROKEN,      /* the connection ended or the socket failed */
	PROBE_DIFFERENT,   /* something else came back, or more than was sent */
	PROBE_INTERRUPTED, /* by a signal */
	PROBE_QUIET,       /* nothing came between two probes */
};

/* One probe: a message out and its echo back over one socket. A signal ends every wait. */
struct probe {
	const struct echoping_payload *payload;
	unsigned char *buffer; /* owned by the caller; one piece of the payload */
	size_t size;           /* of a message */
	bool datagrams;
	int fd; /* borrowed; non-blocking; may change from probe to probe */
	int signal_fd;
	uint64_t position;             /* stream: where the next message begins */
	struct echoping_window window; /* datagrams; the caller's to init and free */
	/* What an exchange leaves behind. */
	int64_t latency_ns; /* PROBE_ECHOED */
	int error;          /* PROBE_BROKEN: errno, 0 for an end of the stream */
	uint64_t offset;    /* PROBE_DIFFERENT: the first byte of the message that is not equal */
};

/* Progress of one exchange. */
struct exchange {
	int64_t begin_ns;
	int64_t deadline_ns;
	size_t out;        /* bytes that the kernel has taken */
	size_t back;       /* bytes that came back */
	uint64_t sequence; /* datagrams */
	enum probe_outcome outcome;
	bool over;
};

static void
exchange_end(struct exchange *exchange, enum probe_outcome outcome)
{
	exchange->outcome = outcome;
	exchange->over = true;
}

static void
exchange_break(struct probe *probe, struct exchange *exchange, int error)
{
	if (error == EAGAIN || error == EINTR)
		return;
	probe->error = error;
	exchange_end(exchange, PROBE_BROKEN);
}

static void
exchange_echoed(struct probe *probe, struct exchange *exchange)
{
	probe->latency_ns = clock_now_ns() - exchange->begin_ns;
	exchange_end(exchange, PROBE_ECHOED);
}

static void
exchange_differ(struct probe *probe, struct exchange *exchange, size_t offset)
{
	probe->offset = offset;
	exchange_end(exchange, PROBE_DIFFERENT);
}

static void
exchange_send_stream(struct probe *probe, struct exchange *exchange)
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
exchange_receive_stream(struct probe *probe, struct exchange *exchange)
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
exchange_send_datagram(struct probe *probe, struct exchange *exchange)
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
exchange_receive_datagram(struct probe *probe, struct exchange *exchange)
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
exchange_wait(struct probe *probe, struct exchange *exchange, short events)
{
	struct pollfd fds[] = { { .fd = probe->fd, .events = events },
		{ .fd = probe->signal_fd, .events = POLLIN } };
	int64_t left_ns = exchange->deadline_ns - clock_now_ns();
	struct timespec left = { .tv_sec = left_ns / NS_PER_S, .tv_nsec = left_ns % NS_PER_S };

	if (left_ns <= 0) {
		exchange_end(exchange, PROBE_TIMEOUT);
		return 0;
	}
	if (ppoll(fds, ARRAY_SIZE(fds), &left, NULL) <= 0)
		return 0;
	if (fds[1].revents != 0) {
		exchange_end(exchange, PROBE_INTERRUPTED);
		return 0;
	}
	return fds[0].revents;
}

static void
exchange_send(struct probe *probe, struct exchange *exchange)
{
	if (probe->datagrams)
		exchange_send_datagram(probe, exchange);
	else
		exchange_send_stream(probe, exchange);
}

static void
exchange_receive(struct probe *probe, struct exchange *exchange)
{
	if (probe->datagrams)
		exchange_receive_datagram(probe, exchange);
	else
		exchange_receive_stream(probe, exchange);
}

/* Send the next message and wait for its echo, TIMEOUT_NS at most. */
static enum probe_outcome
probe_exchange(struct probe *probe, int64_t timeout_ns)
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
	if (probe->datagrams && exchange.outcome != PROBE_ECHOED)
		echoping_window_expire(&probe->window, INT64_MAX);
	return exchange.outcome;
}

/*
 * Let time pass until UNTIL_NS while nothing is in flight. Returns PROBE_QUIET then, or at once
 * what is not as it should be. Without a socket (-1) it only waits.
 */
static enum probe_outcome
probe_rest(struct probe *probe, int64_t until_ns)
{
	/* nothing sent and all of it back: every byte that comes is one too many */
	struct exchange exchange = { .deadline_ns = until_ns };

	while (!exchange.over)
		if (exchange_wait(probe, &exchange, POLLIN) != 0)
			exchange_receive(probe, &exchange);
	return exchange.outcome == PROBE_TIMEOUT ? PROBE_QUIET : exchange.outcome;
}

/* How long to wait in the end for the server's end of the stream, or for a second echo. */
#define PING_LINGER_NS NS_PER_S
#define PING_LINGER_DATAGRAM_NS (20 * NS_PER_MS)

struct ping {
	const struct echoping_options *options;
	struct echoping_target *target;
	struct echoping_results *results;
	struct probe probe;          /* we own its descriptor */
	uint64_t sequence;           /* from 1 */
	char name[ADDRESS_TEXT_MAX]; /* of the target, as printed */
};

static void ping_say(const struct ping *ping, const char *format, ...) ATTR_PRINTF(2, 3);

/* Print one line about the current probe, in the form for people only. */
static void
ping_say(const struct ping *ping, const char *format, ...)
{
	va_list arguments;

	if (ping->options->quiet || ping->options->output != ECHOPING_HUMAN)
		return;
	va_start(arguments, format);
	(void)vprintf(format, arguments);
	va_end(arguments);
	(void)fflush(stdout);
}

static void
ping_disconnect(struct ping *ping)
{
	if (ping->probe.fd >= 0)
		(void)close(ping->probe.fd);
	ping->probe.fd = -1;
}

static int
ping_connect(struct ping *ping)
{
	return echoping_connect_first(
	    ping->target, ping->options->timeout_ns, ping->probe.signal_fd, &ping->probe.fd);
}

static void
ping_lose(struct ping *ping, const char *what)
{
	ping->results->lost++;
	echoping_results_note(ping->results, "probe %" PRIu64 ": %s", ping->sequence, what);
	ping_say(ping, "no echo from %s: seq=%" PRIu64 " %s\n", ping->name, ping->sequence, what);
}

static void
ping_differ(struct ping *ping, const char *what)
{
	ping->results->mismatched++;
	echoping_results_note(ping->results, "probe %" PRIu64 ": %s", ping->sequence, what);
	ping_say(
	    ping, "wrong echo from %s: seq=%" PRIu64 " %s\n", ping->name, ping->sequence, what);
}

static void
ping_judge_difference(struct ping *ping)
{
	char what[80] = "the datagram is not the one that was sent";

	if (!ping->probe.datagrams)
		(void)snprintf(what, sizeof(what), "differs at byte %" PRIu64 " of %zu",
		    ping->probe.offset, ping->options->size);
	ping_differ(ping, what);
}

/* Count and print the outcome of the probe; returns whether to go on. */
static bool
ping_judge(struct ping *ping, enum probe_outcome outcome)
{
	struct echoping_results *results = ping->results;

	switch (outcome) {
	case PROBE_ECHOED:
		echoping_results_receive(results, ping->probe.latency_ns);
		ping_say(ping, "%zu bytes from %s: seq=%" PRIu64 " time=%.3f ms\n",
		    ping->options->size, ping->name, ping->sequence,
		    (double)ping->probe.latency_ns / (double)NS_PER_MS);
		return true;
	case PROBE_TIMEOUT:
		ping_lose(ping, "timeout");
		break;
	case PROBE_BROKEN:
		ping_lose(ping,
		    ping->probe.error != 0 ? strerror(ping->probe.error) : "closed by the server");
		if (ping->probe.error == ECONNREFUSED && results->received == 0) {
			results->refused = true;
			return false;
		}
		break;
	case PROBE_DIFFERENT:
		ping_judge_difference(ping);
		break;
	case PROBE_INTERRUPTED:
	case PROBE_QUIET:
		/* unknown whether it would have come back */
		results->sent--;
		results->interrupted = true;
		return false;
	}
	/* A late echo on this stream would look like the next one. */
	if (!ping->probe.datagrams)
		ping_disconnect(ping);
	return true;
}

/* One probe; returns whether to go on. */
static bool
ping_probe(struct ping *ping)
{
	ping->sequence++;
	ping->results->sent++;
	if (ping->probe.fd < 0) {
		int r = ping_connect(ping);

		if (r == -ECANCELED)
			return ping_judge(ping, PROBE_INTERRUPTED);
		if (r < 0) {
			ping_lose(ping, strerror(-r));
			return true;
		}
	}
	return ping_judge(ping, probe_exchange(&ping->probe, ping->options->timeout_ns));
}

/* Wait until then. Nothing may come now, or it is one too many. Returns whether to go on. */
static bool
ping_rest(struct ping *ping, int64_t until_ns)
{
	for (;;) {
		switch (probe_rest(&ping->probe, until_ns)) {
		case PROBE_QUIET:
			return true;
		case PROBE_INTERRUPTED:
			ping->results->interrupted = true;
			return false;
		case PROBE_DIFFERENT:
			ping_differ(ping, "more came back than was sent");
			break;
		default:
			/* a server may end a connection that rests; an ICMP error may be late */
			break;
		}
		if (!ping->probe.datagrams)
			ping_disconnect(ping);
	}
}

/* End the stream: now a good server sends its FIN and no more bytes. */
static void
ping_finish(struct ping *ping)
{
	int64_t linger_ns = ping->probe.datagrams ? PING_LINGER_DATAGRAM_NS : PING_LINGER_NS;

	if (ping->probe.fd < 0 || ping->results->interrupted)
		return;
	if (!ping->probe.datagrams)
		(void)shutdown(ping->probe.fd, SHUT_WR);
	if (probe_rest(&ping->probe, clock_now_ns() + linger_ns) == PROBE_DIFFERENT)
		ping_differ(ping, "more came back than was sent");
}

static void
ping_loop(struct ping *ping)
{
	const struct echoping_options *options = ping->options;
	int64_t start_ns = clock_now_ns(), next_ns = start_ns;
	int64_t cpu_ns = clock_read_ns(CLOCK_PROCESS_CPUTIME_ID);
	const struct echoping_window *window = &ping->probe.window;

	while (ping_probe(ping) && ping->sequence != options->count) {
		/* no burst after one that took longer than the interval */
		next_ns += options->interval_ns;
		if (next_ns < clock_now_ns())
			next_ns = clock_now_ns();
		if (!ping_rest(ping, next_ns))
			break;
	}
	ping->results->elapsed_ns = clock_now_ns() - start_ns;
	ping_finish(ping);
	ping->results->cpu_ns = clock_read_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_ns;
	ping->results->duplicates = window->duplicates;
	ping->results->late = window->late;
	ping->results->reordered = window->reordered;
}

int
echoping_ping_run(const struct echoping_options *options, struct echoping_target *target,
    const struct echoping_payload *payload, int signal_fd, struct error_list *errors,
    struct echoping_results *ret_results)
{
	struct ping ping = {
		.options = options,
		.target = target,
		.results = ret_results,
		.probe = { .payload = payload,
		    .size = options->size,
		    .datagrams = target->transport == ADDRESS_UDP,
		    .fd = -1,
		    .signal_fd = signal_fd },
	};
	char name[ADDRESS_TEXT_MAX];
	int64_t begin_ns = clock_now_ns();
	int r = ping_connect(&ping);

	echoping_target_url(target, name, sizeof(name));
	if (r < 0) {
		error_list_add(errors, "%s: connect: %s", name, strerror(-r));
		return r;
	}
	echoping_target_format(target, ping.name, sizeof(ping.name));
	if (target->transport == ADDRESS_UDP)
		ping_say(&ping, "echoping %s: %zu bytes\n", name, options->size);
	else
		ping_say(&ping, "echoping %s: %zu bytes, connected in %.3f ms\n", name,
		    options->size, (double)(clock_now_ns() - begin_ns) / (double)NS_PER_MS);
	ping.probe.buffer = malloc(ECHOPING_PAYLOAD_PIECE);
	if (ping.probe.datagrams)
		r = echoping_window_init(&ping.probe.window, 0);
	if (ping.probe.buffer == NULL || r < 0) {
		error_list_add(errors, "%s", strerror(ENOMEM));
		r = -ENOMEM;
	} else {
		ping_loop(&ping);
	}
	ping_disconnect(&ping);
	free(ping.probe.buffer);
	echoping_window_done(&ping.probe.window);
	return r;
}
