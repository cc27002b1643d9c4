/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The command line of echoctl: where to ask, the verb with its operand, and the options that
 * only some verbs have.
 */
#ifndef ECHOD_ECHOCTL_OPTIONS_H
#define ECHOD_ECHOCTL_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/attributes.h"
#include "base/error_list.h"
#include "echoctl/verbs.h"

/* How long an answer may take, and a stop with --wait, unless --timeout says otherwise. */
#define ECHOCTL_ANSWER_TIMEOUT_NS (INT64_C(10) * 1000000000)
#define ECHOCTL_STOP_TIMEOUT_NS (INT64_C(90) * 1000000000)

enum echoctl_action {
	ECHOCTL_ASK, /* run the verb */
	ECHOCTL_HELP,
	ECHOCTL_VERSION,
};

/* What `connections` is to show; NULL: not given, the daemon decides. */
struct echoctl_filter {
	const char *listener;
	const char *peer;
	const char *state;
	const char *sort;
	const char *order;
	const char *limit;  /* digits */
	const char *offset; /* digits */
};

/* All texts are borrowed from the command line. */
struct echoctl_options {
	enum echoctl_action action;
	enum echoctl_verb verb;
	const char *operand; /* NULL where the verb takes none; an ID is digits */
	const char *socket;  /* -s; at most one of these two is given */
	const char *url;     /* -u */
	bool json;
	bool wait;           /* stop: until the daemon is gone */
	int64_t timeout_ns;  /* 0: not given */
	int64_t interval_ns; /* top: from one sample to the next */
	struct echoctl_filter filter;
};

/*
 * Parse the command line. Returns 0, or -EINVAL with at least one line added to ERRORS (getopt's
 * own complaints excepted: those are on stderr already). getopt(3) reorders ARGV.
 */
ATTR_MUSTCHECK int echoctl_options_parse(
    int argc, char **argv, struct error_list *errors, struct echoctl_options *ret_options);

/* Print the help text to OUT. */
void echoctl_options_print_help(FILE *out);

#endif
