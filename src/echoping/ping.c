/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "echoping/ping.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "echoping/connect.h"
#include "echoping/probe.h"

/* How long to wait in the end for the server's end of the stream, or for a second echo. */
#define PING_LINGER_NS NS_PER_S
#define PING_LINGER_DATAGRAM_NS (20 * NS_PER_MS)

struct ping {
	const struct echoping_options *options;
	struct echoping_target *target;
	struct echoping_tally *tally;
	struct echoping_probe probe; /* its descriptor is ours */
	uint64_t sequence;           /* from 1 */
	char name[ADDRESS_TEXT_MAX]; /* of the target, for the lines */
};

static void ping_say(const struct ping *ping, const char *format, ...) ATTR_PRINTF(2, 3);

/* One line about the probe at hand, on the way to a person. */
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
	ping->tally->lost++;
	echoping_tally_trouble(ping->tally, "probe %" PRIu64 ": %s", ping->sequence, what);
	ping_say(ping, "no echo from %s: seq=%" PRIu64 " %s\n", ping->name, ping->sequence, what);
}

static void
ping_differ(struct ping *ping, const char *what)
{
	ping->tally->mismatched++;
	echoping_tally_trouble(ping->tally, "probe %" PRIu64 ": %s", ping->sequence, what);
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

/* Count and tell what became of the probe; returns whether to go on. */
static bool
ping_judge(struct ping *ping, enum echoping_outcome outcome)
{
	struct echoping_tally *tally = ping->tally;

	switch (outcome) {
	case ECHOPING_ECHOED:
		echoping_tally_receive(tally, ping->probe.latency_ns);
		ping_say(ping, "%zu bytes from %s: seq=%" PRIu64 " time=%.3f ms\n",
		    ping->options->size, ping->name, ping->sequence,
		    (double)ping->probe.latency_ns / (double)NS_PER_MS);
		return true;
	case ECHOPING_TIMEOUT:
		ping_lose(ping, "timeout");
		break;
	case ECHOPING_BROKEN:
		ping_lose(ping,
		    ping->probe.error != 0 ? strerror(ping->probe.error) : "closed by the server");
		if (ping->probe.error == ECONNREFUSED && tally->received == 0) {
			tally->refused = true;
			return false;
		}
		break;
	case ECHOPING_DIFFERENT:
		ping_judge_difference(ping);
		break;
	case ECHOPING_INTERRUPTED:
	case ECHOPING_QUIET:
		/* nobody knows whether it would have come back */
		tally->sent--;
		tally->interrupted = true;
		return false;
	}
	/* What comes later on this stream could not be told from the next echo. */
	if (!ping->probe.datagrams)
		ping_disconnect(ping);
	return true;
}

/* One probe; returns whether to go on. */
static bool
ping_probe(struct ping *ping)
{
	ping->sequence++;
	ping->tally->sent++;
	if (ping->probe.fd < 0) {
		int r = ping_connect(ping);

		if (r == -ECANCELED)
			return ping_judge(ping, ECHOPING_INTERRUPTED);
		if (r < 0) {
			ping_lose(ping, strerror(-r));
			return true;
		}
	}
	return ping_judge(ping, echoping_probe_exchange(&ping->probe, ping->options->timeout_ns));
}

/* Wait until then. Nothing may come now, or it is one too many. Returns whether to go on. */
static bool
ping_rest(struct ping *ping, int64_t until_ns)
{
	for (;;) {
		switch (echoping_probe_rest(&ping->probe, until_ns)) {
		case ECHOPING_QUIET:
			return true;
		case ECHOPING_INTERRUPTED:
			ping->tally->interrupted = true;
			return false;
		case ECHOPING_DIFFERENT:
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

/* Our end of the stream: what a good server still sends is its own, and nothing else. */
static void
ping_finish(struct ping *ping)
{
	int64_t linger_ns = ping->probe.datagrams ? PING_LINGER_DATAGRAM_NS : PING_LINGER_NS;

	if (ping->probe.fd < 0 || ping->tally->interrupted)
		return;
	if (!ping->probe.datagrams)
		(void)shutdown(ping->probe.fd, SHUT_WR);
	if (echoping_probe_rest(&ping->probe, clock_now_ns() + linger_ns) == ECHOPING_DIFFERENT)
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
	ping->tally->elapsed_ns = clock_now_ns() - start_ns;
	ping_finish(ping);
	ping->tally->cpu_ns = clock_read_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_ns;
	ping->tally->duplicates = window->duplicates;
	ping->tally->late = window->late;
	ping->tally->reordered = window->reordered;
}

int
echoping_ping_run(const struct echoping_options *options, struct echoping_target *target,
    const struct echoping_payload *payload, int signal_fd, struct error_list *errors,
    struct echoping_tally *ret_tally)
{
	struct ping ping = {
		.options = options,
		.target = target,
		.tally = ret_tally,
		.probe = { .payload = payload,
		    .size = options->size,
		    .datagrams = target->transport == ECHOPING_UDP,
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
	if (target->transport == ECHOPING_UDP)
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
