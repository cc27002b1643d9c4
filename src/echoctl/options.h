/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The command line of echoctl: where to ask, the verb with its operand, and the options that only
 * some verbs have. What a verb does is elsewhere.
 */
#ifndef ECHOD_ECHOCTL_OPTIONS_H
#define ECHOD_ECHOCTL_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/attributes.h"
#include "base/error_list.h"

enum echoctl_verb {
	ECHOCTL_STATUS,
	ECHOCTL_STATS,
	ECHOCTL_CONNECTIONS,
	ECHOCTL_CONNECTION,
	ECHOCTL_PEERS,
	ECHOCTL_SOURCES,
	ECHOCTL_EVENTS,
	ECHOCTL_TOP,
	ECHOCTL_METRICS,
	ECHOCTL_CONFIG,
	ECHOCTL_HEALTH,
	ECHOCTL_RELOAD,
	ECHOCTL_DRAIN,
	ECHOCTL_UNDRAIN,
	ECHOCTL_STOP,
	ECHOCTL_CLOSE,
	ECHOCTL_LOG_LEVEL,
	ECHOCTL_LOG_REOPEN,
	ECHOCTL_DAEMON_VERSION,
	ECHOCTL_HELP_ON,
	ECHOCTL_VERBS, /* how many there are */
};

enum echoctl_action {
	ECHOCTL_ASK,  /* run the verb */
	ECHOCTL_HELP, /* on the verb; ECHOCTL_VERBS: on all */
	ECHOCTL_VERSION,
};

/* An option that the daemon takes as it is: it goes by the same name in a query. */
struct echoctl_filter {
	const char *name;
	const char *value; /* NULL: not given, the daemon decides */
};

#define ECHOCTL_FILTERS 8

/* All texts are borrowed from the command line. */
struct echoctl_options {
	enum echoctl_action action;
	enum echoctl_verb verb;
	const char *operand; /* NULL where there is none; an ID is digits */
	const char *socket;  /* -s; at most one of these two is given */
	const char *url;     /* -u */
	bool json;
	bool wide;           /* tables need not fit the terminal */
	bool wait;           /* stop: until the daemon is gone */
	bool follow;         /* events: go on */
	const char *prefix;  /* peers: "IPV4" or "IPV4,IPV6", lengths; NULL: by address */
	int64_t timeout_ns;  /* 0: not given */
	int64_t interval_ns; /* top: from one sample to the next */
	struct echoctl_filter filters[ECHOCTL_FILTERS];
};

/*
 * Parse the command line. Returns 0, or -EINVAL with at least one line added to ERRORS (getopt's
 * own complaints excepted: those are on stderr already). getopt(3) reorders ARGV.
 */
ATTR_MUSTCHECK int echoctl_options_parse(
    int argc, char **argv, struct error_list *errors, struct echoctl_options *ret_options);

/* Return the filter of that NAME, or NULL when it was not given. */
struct echoctl_filter *echoctl_options_filter(struct echoctl_options *options, const char *name);

/* Print the help text on VERB, or with ECHOCTL_VERBS on all, to OUT. */
void echoctl_options_print_help(enum echoctl_verb verb, FILE *out);

#endif
