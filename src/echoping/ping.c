/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "echoping/run.h"

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
#include "echoping/window.h"

/* How long to wait in the end for the server's end of the stream, or for a second echo. */
#define PING_LINGER_NS NS_PER_S
#define PING_LINGER_DATAGRAM_NS (20 * NS_PER_MS)

enum ping_outcome {
	PING_WAITING,     /* not known yet */
	PING_ECHOED,      /* all of it came back, and equal */
	PING_TIMEOUT,     /* not all of it in time */
	PING_BROKEN,      /* the connection ended or the socket failed */
	PING_DIFFERENT,   /* something else came back, or more than was sent */
	PING_INTERRUPTED, /* by a signal, which ends every wait */
};

struct ping {
	struct echoping_run *run;
	bool datagrams;
	int fd;                        /* owned; -1 between two connections */
	unsigned char *buffer;         /* owned; one piece of the payload */
	struct echoping_window window; /* datagrams */
	uint64_t position;             /* stream: where the next message begins */
	char name[ADDRESS_TEXT_MAX];   /* of the target, as printed */
	struct echoping_outage outage; /* that is on */
	uint64_t received;             /* echoes on this connection */
	int64_t active_ns;             /* when the last echo came, or the connection was made */
	/* How long the connection had rested before a probe that nothing came back of; 0: none. */
	int64_t suspect_ns;
	/* The probe under way, or the last one. */
	uint64_t number; /* from 1 */
	int64_t begin_ns;
	int64_t deadline_ns;
	int64_t latency_ns; /* when it is echoed */
	size_t out;         /* bytes that the kernel has taken */
	size_t back;        /* bytes that came back, and equal */
	size_t wrong;       /* bytes in the buffer from the first wrong one on, when it differs */
	int error;          /* when it is broken: errno, 0 for an end of the stream */
	uint64_t sequence;  /* datagrams: its number in the window */
};

static void ping_say(const struct ping *ping, const char *format, ...) ATTR_PRINTF(2, 3);

/* Print one line about the current probe, in the form for people only. */
static void
ping_say(const struct ping *ping, const char *format, ...)
{
	int64_t now_ns = clock_read_ns(CLOCK_REALTIME);
	va_list arguments;

	if (ping->run->options->quiet || ping->run->options->output != ECHOPING_HUMAN)
		return;
	flockfile(stdout); /* other targets have lines, too */
	if (ping->run->options->stamps)
		(void)printf("[%lld.%06lld] ", (long long)(now_ns / NS_PER_S),
		    (long long)(now_ns % NS_PER_S / 1000));
	va_start(arguments, format);
	(void)vprintf(format, arguments);
	va_end(arguments);
	(void)fflush(stdout);
	funlockfile(stdout);
}

static enum ping_outcome
ping_break(struct ping *ping, int error)
{
	if (error == EAGAIN || error == EINTR)
		return PING_WAITING;
	ping->error = error;
	return PING_BROKEN;
}

static enum ping_outcome
ping_send(struct ping *ping)
{
	const struct echoping_payload *payload = ping->run->payload;
	const size_t size = ping->run->options->size, left = size - ping->out;
	struct iovec parts[2];
	union echoping_head head;
	ssize_t n;

	if (ping->datagrams) {
		echoping_payload_compose(payload, 0, ping->sequence,
		    ping->run->options->timestamps ? clock_wall_ns() : 0, size, &head, parts);
		n = writev(ping->fd, parts, ARRAY_SIZE(parts));
	} else {
		n = send(ping->fd, echoping_payload_at(payload, ping->position + ping->out),
		    left < ECHOPING_PAYLOAD_PIECE ? left : ECHOPING_PAYLOAD_PIECE, MSG_NOSIGNAL);
	}
	if (n < 0)
		return ping_break(ping, errno);
	ping->out += (size_t)n;
	return PING_WAITING;
}

/* Between probes everything is back: each byte that comes then is one too many. */
static enum ping_outcome
ping_receive_stream(struct ping *ping)
{
	size_t length = ping->out - ping->back, same;
	ssize_t n = recv(ping->fd, ping->buffer, ECHOPING_PAYLOAD_PIECE, 0);

	if (n <= 0)
		return ping_break(ping, n < 0 ? errno : 0);
	if ((size_t)n < length)
		length = (size_t)n;
	same = echoping_payload_match(
	    ping->run->payload, ping->position + ping->back, ping->buffer, length);
	ping->back += same;
	ping->wrong = (size_t)n - same;
	if (ping->wrong > 0)
		return PING_DIFFERENT;
	return ping->back == ping->run->options->size ? PING_ECHOED : PING_WAITING;
}

/* Between probes, what comes is late, a duplicate, or wrong. */
static enum ping_outcome
ping_receive_datagram(struct ping *ping)
{
	ssize_t n = recv(ping->fd, ping->buffer, ECHOPING_PAYLOAD_PIECE, MSG_TRUNC);
	uint64_t sequence;
	int64_t start_ns;

	if (n < 0)
		return ping_break(ping, errno);
	ping->wrong = (size_t)n;
	if (echoping_payload_open(ping->run->payload, 0, ping->buffer, (size_t)n,
		ping->run->options->timestamps, ping->run->options->size, &sequence) < 0)
		return PING_DIFFERENT;
	switch (echoping_window_receive(&ping->window, sequence, &start_ns)) {
	case ECHOPING_MATCHED:
		return PING_ECHOED;
	case ECHOPING_UNKNOWN:
		return PING_DIFFERENT;
	default:
		return PING_WAITING;
	}
}

/* Wait for the socket, the signals, the deadline, and receive or send when the socket is ready. */
static enum ping_outcome
ping_wait(struct ping *ping, short events)
{
	struct pollfd fds[] = { { .fd = ping->fd, .events = events },
		{ .fd = ping->run->signal_fd, .events = POLLIN },
		{ .fd = ping->run->quit_fd, .events = POLLIN } };
	int64_t left_ns = ping->deadline_ns - clock_now_ns();
	struct timespec left = { .tv_sec = left_ns / NS_PER_S, .tv_nsec = left_ns % NS_PER_S };
	enum ping_outcome outcome = PING_WAITING;

	if (left_ns <= 0)
		return PING_TIMEOUT;
	if (ppoll(fds, ARRAY_SIZE(fds), &left, NULL) <= 0)
		return PING_WAITING;
	if (fds[1].revents != 0)
		return PING_INTERRUPTED;
	if (fds[2].revents != 0)
		echoping_report_so_far(ping->run);
	if (fds[0].revents & POLLOUT)
		outcome = ping_send(ping);
	if (outcome == PING_WAITING && (fds[0].revents & ~POLLOUT))
		outcome = ping->datagrams ? ping_receive_datagram(ping) : ping_receive_stream(ping);
	return outcome;
}

/* Send the next message and wait for its echo. */
static enum ping_outcome
ping_exchange(struct ping *ping)
{
	const struct echoping_options *options = ping->run->options;
	enum ping_outcome outcome;

	ping->begin_ns = clock_now_ns();
	ping->deadline_ns = ping->begin_ns + options->timeout_ns;
	ping->out = ping->back = 0;
	if (ping->datagrams)
		ping->sequence = echoping_window_add(&ping->window, ping->begin_ns, ping->begin_ns);
	outcome = ping_send(ping);
	while (outcome == PING_WAITING)
		outcome = ping_wait(ping, ping->out < options->size ? POLLIN | POLLOUT : POLLIN);
	ping->latency_ns = clock_now_ns() - ping->begin_ns;
	ping->position += options->size;
	if (ping->datagrams && outcome != PING_ECHOED)
		echoping_window_expire(&ping->window, INT64_MAX);
	return outcome;
}

static void
ping_disconnect(struct ping *ping)
{
	if (ping->fd >= 0)
		(void)close(ping->fd);
	ping->fd = -1;
}

static int
ping_connect(struct ping *ping)
{
	int r = echoping_target_connect(
	    &ping->run->target, ping->run->options->timeout_ns, ping->run->signal_fd, &ping->fd);
	const struct address *address = &ping->run->target.addresses[0];

	/* of a name's addresses the one that answered, or the first */
	if (address->transport == ADDRESS_UNIX_DATAGRAM)
		address_format(address, ping->name, sizeof(ping->name));
	else
		address_format_sockaddr(
		    &address->u.sa, address->length, ping->name, sizeof(ping->name));
	ping->received = 0;
	ping->active_ns = clock_now_ns();
	return r;
}

/* A connection was lost while it rested for so long. */
static void
ping_note_cut(struct ping *ping, int64_t rested_ns)
{
	struct echoping_results *results = &ping->run->results;

	if (results->idle_lost_ns == 0 || rested_ns < results->idle_lost_ns)
		results->idle_lost_ns = rested_ns;
}

/* With --spread: " from port N", of the probe. */
static const char *
ping_port(const struct ping *ping, char *buffer, size_t size)
{
	struct address local;

	buffer[0] = '\0';
	if (ping->run->options->spread && ping->fd >= 0 && address_of_socket(ping->fd, &local) == 0)
		(void)snprintf(buffer, size, " from port %u", address_port(&local));
	return buffer;
}

/* Count and print that the probe came back different, or else not at all. */
static void
ping_fail(struct ping *ping, enum ping_outcome outcome, const char *what)
{
	const bool different = outcome == PING_DIFFERENT;
	char port[24];

	ping->run->results.mismatched += different;
	ping->run->results.lost += !different;
	if (!different)
		echoping_outage_extend(&ping->outage, ping->begin_ns, 1, what);
	echoping_results_note(&ping->run->results, "probe %" PRIu64 ": %s", ping->number, what);
	echoping_report_probe(ping->run, ping->number, 0, what);
	ping_say(ping, "%s echo from %s: seq=%" PRIu64 " %s%s\n", different ? "wrong" : "no",
	    ping->name, ping->number, what, ping_port(ping, port, sizeof(port)));
}

/* Say in RET_WHAT how what came back is different. */
static void
ping_describe(const struct ping *ping, char *ret_what, size_t length)
{
	const size_t size = ping->run->options->size;
	char text[64];

	/* what answers with something else from its first byte on is another service */
	if (ping->back == 0 && ping->received == 0 &&
	    echoping_quote_answer(ping->buffer, ping->wrong, text, sizeof(text)))
		(void)snprintf(ret_what, length, "got \"%s\": is this an echo service?", text);
	else if (!ping->datagrams)
		(void)snprintf(ret_what, length, "differs at byte %zu of %zu", ping->back, size);
	else if (ping->wrong != size)
		(void)snprintf(ret_what, length, "%zu bytes came back of %zu", ping->wrong, size);
	else
		(void)snprintf(ret_what, length, "the datagram is not the one that was sent");
}

/* Tell in RET_WHAT why the probe did not come back. */
static void
ping_explain(const struct ping *ping, enum ping_outcome outcome, char *ret_what, size_t length)
{
	const char *why = outcome == PING_TIMEOUT ? "timeout"
			  : ping->error != 0      ? strerror(ping->error)
						  : "closed by the server";

	if (ping->back > 0)
		(void)snprintf(ret_what, length, "%s: %zu of %zu bytes came back", why, ping->back,
		    ping->run->options->size);
	else
		(void)snprintf(ret_what, length, "%s", why);
}

/* The probe is back: what was lost before it is over. */
static void
ping_succeed(struct ping *ping)
{
	struct echoping_results *results = &ping->run->results;
	char port[24];

	ping->active_ns = ping->begin_ns + ping->latency_ns;
	ping->received++;
	echoping_results_receive(results, ping->latency_ns);
	echoping_report_probe(ping->run, ping->number, ping->latency_ns, NULL);
	ping_say(ping, "%zu bytes from %s: seq=%" PRIu64 " time=%.3f ms%s\n",
	    ping->run->options->size, ping->name, ping->number,
	    (double)ping->latency_ns / (double)NS_PER_MS, ping_port(ping, port, sizeof(port)));
	if (ping->suspect_ns > 0) {
		ping_say(ping,
		    "a new connection works: the one before was lost while idle for %.1f s\n",
		    clock_seconds(ping->suspect_ns));
		ping_note_cut(ping, ping->suspect_ns);
	}
	ping->suspect_ns = 0;
	echoping_outage_end(&ping->outage, ping->active_ns, &results->outages);
}

/* Count and print the outcome of the probe; returns whether to go on. */
static bool
ping_judge(struct ping *ping, enum ping_outcome outcome)
{
	struct echoping_results *results = &ping->run->results;
	int64_t rested_ns = ping->begin_ns - ping->active_ns;
	char what[160];

	switch (outcome) {
	case PING_ECHOED:
		ping_succeed(ping);
		return !ping->run->options->until_up;
	case PING_TIMEOUT:
	case PING_BROKEN:
		/* nothing at all came back of the first probe after a rest: was it the rest? */
		if (!ping->datagrams && ping->back == 0 && ping->received > 0)
			ping->suspect_ns = rested_ns;
		else
			ping->suspect_ns = 0;
		ping_explain(ping, outcome, what, sizeof(what));
		ping_fail(ping, outcome, what);
		if (outcome == PING_BROKEN && ping->error == ECONNREFUSED &&
		    results->received == 0 && !ping->run->options->until_up) {
			results->refused = true;
			return false;
		}
		break;
	case PING_DIFFERENT:
		ping_describe(ping, what, sizeof(what));
		ping_fail(ping, outcome, what);
		break;
	case PING_INTERRUPTED:
	case PING_WAITING:
		/* unknown whether it would have come back */
		results->sent--;
		results->interrupted = true;
		return false;
	}
	/* A late echo on this stream would look like the next one. */
	if (!ping->datagrams)
		ping_disconnect(ping);
	return true;
}

/* Connect anew after the last connection ended; as ping_connect(). */
static int
ping_reconnect(struct ping *ping)
{
	struct echoping_results *results = &ping->run->results;
	int r;

	ping->begin_ns = clock_now_ns();
	if (ping->run->options->no_reconnect) {
		results->broken++;
		echoping_results_note(results, "the connection ended");
		return -ENOTCONN;
	}
	r = ping_connect(ping);
	if (r < 0)
		return r;
	/* the first one, or one that was meant to be another */
	if (results->received == 0 || ping->run->options->spread)
		return 0;
	results->reconnects++;
	ping_say(ping, "connected again in %.3f ms\n",
	    (double)(ping->active_ns - ping->begin_ns) / (double)NS_PER_MS);
	return 0;
}

/* One probe; returns whether to go on. */
static bool
ping_probe(struct ping *ping)
{
	int r = 0;

	ping->number++;
	ping->run->results.sent++;
	if (ping->run->options->spread && ping->number > 1)
		ping_disconnect(ping);
	if (ping->fd < 0)
		r = ping_reconnect(ping);
	if (r == -ECANCELED || r == -ENOTCONN)
		return ping_judge(ping, PING_INTERRUPTED);
	if (r == 0)
		return ping_judge(ping, ping_exchange(ping));
	ping->suspect_ns = 0;
	ping_fail(ping, PING_BROKEN, strerror(-r));
	return true;
}

/*
 * Let time pass until UNTIL_NS while nothing is in flight. Returns PING_TIMEOUT then, or at once
 * what is not as it should be; what comes now is one too many. Without a socket it only waits.
 */
static enum ping_outcome
ping_rest_once(struct ping *ping, int64_t until_ns)
{
	enum ping_outcome outcome = PING_WAITING;

	ping->deadline_ns = until_ns;
	while (outcome == PING_WAITING)
		outcome = ping_wait(ping, POLLIN);
	if (outcome == PING_INTERRUPTED)
		ping->run->results.interrupted = true;
	if (outcome == PING_DIFFERENT)
		ping_fail(ping, outcome, "more came back than was sent");
	return outcome;
}

/* The connection has ended between two probes. */
static void
ping_lose_connection(struct ping *ping)
{
	int64_t rested_ns = clock_now_ns() - ping->active_ns;

	ping_say(ping, "connection lost after %.1f s idle: %s\n", clock_seconds(rested_ns),
	    ping->error != 0 ? strerror(ping->error) : "closed by the server");
	ping_note_cut(ping, rested_ns);
	ping_disconnect(ping);
}

/* Wait until then. Returns whether to go on. */
static bool
ping_rest(struct ping *ping, int64_t until_ns)
{
	enum ping_outcome outcome;

	/* a server may end a connection that rests; an ICMP error may be late */
	while ((outcome = ping_rest_once(ping, until_ns)) != PING_TIMEOUT) {
		if (outcome == PING_INTERRUPTED)
			return false;
		if (!ping->datagrams && outcome == PING_BROKEN)
			ping_lose_connection(ping);
		else if (!ping->datagrams)
			ping_disconnect(ping);
	}
	return true;
}

/* End the stream: now a good server sends its FIN and no more bytes. */
static void
ping_finish(struct ping *ping)
{
	int64_t linger_ns = ping->datagrams ? PING_LINGER_DATAGRAM_NS : PING_LINGER_NS;

	if (ping->fd < 0 || ping->run->results.interrupted)
		return;
	if (!ping->datagrams)
		(void)shutdown(ping->fd, SHUT_WR);
	(void)ping_rest_once(ping, clock_now_ns() + linger_ns);
}

static void
ping_loop(struct ping *ping)
{
	const struct echoping_options *options = ping->run->options;
	struct echoping_results *results = &ping->run->results;
	int64_t start_ns = clock_now_ns(), next_ns = start_ns;
	int64_t cpu_ns = clock_read_ns(CLOCK_PROCESS_CPUTIME_ID);

	while (ping_probe(ping) && ping->number != options->count) {
		/* no burst after one that took longer than the interval */
		next_ns += options->interval_ns;
		if (next_ns < clock_now_ns())
			next_ns = clock_now_ns();
		if (!ping_rest(ping, next_ns))
			break;
	}
	results->elapsed_ns = clock_now_ns() - start_ns;
	if (options->until_up && results->received > 0)
		ping_say(ping, "up after %.1f s\n", clock_seconds(results->elapsed_ns));
	echoping_outage_end(&ping->outage, INT64_MAX, &results->outages);
	ping_finish(ping);
	results->cpu_ns = clock_read_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_ns;
	results->duplicates = ping->window.duplicates;
	results->late = ping->window.late;
	results->reordered = ping->window.reordered;
}

int
echoping_ping_run(struct echoping_run *run)
{
	struct ping ping = {
		.run = run,
		.datagrams = echoping_target_is_datagram(&run->target),
		.fd = -1,
	};
	char title[ECHOPING_TITLE_MAX];
	int64_t begin_ns = clock_now_ns();
	int r = ping_connect(&ping);

	if (r < 0 && (r == -ECANCELED || !run->options->until_up))
		return echoping_target_fail(&run->target, "connect", r, &run->errors);
	echoping_target_title(&run->target, title, sizeof(title));
	if (r < 0)
		ping_say(&ping, "waiting for %s: %s\n", title, strerror(-r));
	else if (ping.datagrams)
		ping_say(&ping, "echoping %s: %zu bytes\n", title, run->options->size);
	else
		ping_say(&ping, "echoping %s: %zu bytes, connected in %.3f ms\n", title,
		    run->options->size, (double)(clock_now_ns() - begin_ns) / (double)NS_PER_MS);
	r = 0;
	ping.buffer = malloc(ECHOPING_PAYLOAD_PIECE);
	if (ping.datagrams)
		r = echoping_window_init(&ping.window, 0);
	if (ping.buffer == NULL || r < 0) {
		error_list_add(&run->errors, "%s", strerror(ENOMEM));
		r = -ENOMEM;
	} else {
		ping_loop(&ping);
	}
	ping_disconnect(&ping);
	free(ping.buffer);
	echoping_window_done(&ping.window);
	return r;
}
