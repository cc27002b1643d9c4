/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The verbs of echoctl as words: name, operand, options, help. One table for the command line,
 * the help text and the tests; what a verb does is elsewhere.
 */
#ifndef ECHOD_ECHOCTL_VERBS_H
#define ECHOD_ECHOCTL_VERBS_H

#include <stddef.h>

enum echoctl_verb {
	ECHOCTL_STATUS,
	ECHOCTL_STATS,
	ECHOCTL_CONNECTIONS,
	ECHOCTL_CONNECTION,
	ECHOCTL_SOURCES,
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
	ECHOCTL_VERBS, /* how many there are */
};

struct echoctl_verb_info {
	const char *name;
	const char *operand; /* "ID", "LEVEL"; NULL: takes none */
	const char *help;
};

/* Return what is known of VERB. */
const struct echoctl_verb_info *echoctl_verb_info(enum echoctl_verb verb);

/* Return the verb called NAME, or ECHOCTL_VERBS. */
enum echoctl_verb echoctl_verb_find(const char *name);

/* Return the name most like NAME, or NULL when none is near. */
const char *echoctl_verb_nearest(const char *name);

#endif
