/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "echoctl/style.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct echoctl_style
echoctl_style_of(int fd)
{
	const char *term = getenv("TERM"), *refused = getenv("NO_COLOR");
	bool terminal = isatty(fd) == 1;
	bool able = term != NULL && *term != '\0' && strcmp(term, "dumb") != 0;

	return (struct echoctl_style){
		.terminal = terminal,
		.human = terminal,
		.colour = terminal && able && (refused == NULL || *refused == '\0'),
	};
}

void
echoctl_style_begin(const struct echoctl_style *style, enum echoctl_tone tone, FILE *out)
{
	static const char *const codes[] = {
		[ECHOCTL_PLAIN] = "",
		[ECHOCTL_TITLE] = "\033[1m",
		[ECHOCTL_GOOD] = "\033[32m",
		[ECHOCTL_WARN] = "\033[33m",
		[ECHOCTL_BAD] = "\033[31m",
		[ECHOCTL_BAR] = "\033[7m",
	};

	if (style->colour)
		(void)fputs(codes[tone], out);
}

void
echoctl_style_end(const struct echoctl_style *style, enum echoctl_tone tone, FILE *out)
{
	if (style->colour && tone != ECHOCTL_PLAIN)
		(void)fputs("\033[0m", out);
}
