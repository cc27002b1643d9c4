/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "echoctl/verbs.h"

#include <string.h>

#include "base/text.h"

/* So many edits away is still taken for a slip of the finger. */
#define NEAR 2

static const struct echoctl_verb_info verbs[ECHOCTL_VERBS] = {
	[ECHOCTL_STATUS] = { "status", NULL, "what runs, how it is, what it does" },
	[ECHOCTL_STATS] = { "stats", NULL, "all figures, one a line" },
	[ECHOCTL_CONNECTIONS] = { "connections", NULL, "who is connected" },
	[ECHOCTL_CONNECTION] = { "connection", "ID", "all about one connection" },
	[ECHOCTL_SOURCES] = { "sources", NULL, "who sends datagrams" },
	[ECHOCTL_TOP] = { "top", NULL, "connections and rates, live; q leaves" },
	[ECHOCTL_METRICS] = { "metrics", NULL, "the counters as Prometheus reads them" },
	[ECHOCTL_CONFIG] = { "config", NULL, "the configuration in force, with origins" },
	[ECHOCTL_HEALTH] = { "health", NULL, "fail unless clients are served" },
	[ECHOCTL_RELOAD] = { "reload", NULL, "read the configuration again" },
	[ECHOCTL_DRAIN] = { "drain", NULL, "take no more clients, finish with the present ones" },
	[ECHOCTL_UNDRAIN] = { "undrain", NULL, "take clients again" },
	[ECHOCTL_STOP] = { "stop", NULL, "drain, then end the daemon" },
	[ECHOCTL_CLOSE] = { "close", "ID", "close one connection" },
	[ECHOCTL_LOG_LEVEL] = { "log-level", "LEVEL", "error, warning, notice, info or debug" },
	[ECHOCTL_LOG_REOPEN] = { "log-reopen", NULL, "open the log file again" },
};

const struct echoctl_verb_info *
echoctl_verb_info(enum echoctl_verb verb)
{
	return &verbs[verb];
}

enum echoctl_verb
echoctl_verb_find(const char *name)
{
	int verb = 0;

	while (verb < ECHOCTL_VERBS && strcmp(verbs[verb].name, name) != 0)
		verb++;
	return (enum echoctl_verb)verb;
}

const char *
echoctl_verb_nearest(const char *name)
{
	const char *nearest = NULL;
	size_t least = NEAR + 1;

	for (int verb = 0; verb < ECHOCTL_VERBS; verb++) {
		size_t distance = text_distance(name, verbs[verb].name);

		/* for short names two edits are most of the word */
		if (distance < least && distance < strlen(verbs[verb].name) - 1) {
			least = distance;
			nearest = verbs[verb].name;
		}
	}
	return nearest;
}
