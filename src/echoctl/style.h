/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How the output looks: units for people and colours on a terminal, exact figures elsewhere.
 */
#ifndef ECHOD_ECHOCTL_STYLE_H
#define ECHOD_ECHOCTL_STYLE_H

#include <stdbool.h>
#include <stdio.h>

/* What a text is, for those who see colours. */
enum echoctl_tone {
	ECHOCTL_PLAIN,
	ECHOCTL_TITLE, /* column titles */
	ECHOCTL_GOOD,
	ECHOCTL_WARN,
	ECHOCTL_BAD,
	ECHOCTL_BAR, /* the title line of a full screen */
};

struct echoctl_style {
	bool terminal; /* standard output is one */
	bool human;    /* figures with units */
	bool colour;   /* tones are shown */
};

/* Look at descriptor FD, TERM and NO_COLOR (see https://no-color.org). */
struct echoctl_style echoctl_style_of(int fd);

/* Begin TONE on OUT; nothing without colour. */
void echoctl_style_begin(const struct echoctl_style *style, enum echoctl_tone tone, FILE *out);

/* End what echoctl_style_begin() began. */
void echoctl_style_end(const struct echoctl_style *style, enum echoctl_tone tone, FILE *out);

#endif
