/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The command line of echoping: which form, which numbers, and whether they go together.
 */
#ifndef ECHOD_ECHOPING_OPTIONS_H
#define ECHOD_ECHOPING_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/attributes.h"
#include "base/error_list.h"
#include "echoping/target.h"

/* One thread for each. */
#define ECHOPING_TARGETS_MAX 64

enum echoping_action {
	ECHOPING_PING, /* one probe after the other, a line for each */
	ECHOPING_LOAD, /* many messages, figures in the end */
	ECHOPING_HELP,
	ECHOPING_VERSION,
};

/* How the figures are written. */
enum echoping_output {
	ECHOPING_HUMAN,
	ECHOPING_JSON,
	ECHOPING_JSON_LINES, /* an object for each probe or interval, and one for the whole */
	ECHOPING_CSV,
};

struct echoping_options {
	enum echoping_action action;
	enum echoping_output output;
	struct echoping_target targets[ECHOPING_TARGETS_MAX]; /* parsed, not resolved */
	size_t target_count;                                  /* more than one: ping alone */
	struct echoping_socket_options socket;                /* which each target has, too */
	int family;          /* AF_UNSPEC, AF_INET (-4) or AF_INET6 (-6) */
	size_t size;         /* bytes of a message */
	uint64_t count;      /* messages in all; 0: no such limit */
	int64_t duration_ns; /* load: how long to send; 0: no such limit */
	int64_t interval_ns; /* ping: from one probe to the next; load: from one line to the next */
	int64_t timeout_ns;  /* without any echo for so long is a loss */
	uint64_t rate;       /* messages a second over all connections; 0: closed loop */
	uint64_t connections;
	uint64_t pipeline; /* messages in flight on each connection, at most */
	uint64_t threads;
	uint64_t idle;   /* silent connections besides */
	uint64_t sample; /* one message of so many is verified, the others are counted */
	bool churn;      /* a connection for each message */
	bool burst;      /* the pipeline is sent at once, and again when all came back; UDP only */
	bool quiet;      /* no line per probe, no progress, no histogram */
	bool no_reconnect; /* a connection that ends is an error */
	bool timestamps;   /* datagrams have a head that others can read */
	bool spread;       /* ping: each probe from another port */
	bool until_up;     /* ping: end with the first echo, and do not mind what was lost before */
	bool stamps;       /* ping: the time of day before each line */
};

/*
 * Parse the command line. Returns 0, or -EINVAL with at least one line added to ERRORS (getopt's
 * own complaints excepted: those are on stderr already). getopt(3) reorders ARGV.
 */
ATTR_MUSTCHECK int echoping_options_parse(
    int argc, char **argv, struct error_list *errors, struct echoping_options *ret_options);

/* Print the help text to OUT. */
void echoping_options_print_help(FILE *out);

#endif
