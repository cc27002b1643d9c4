/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Prepares text of the daemon for standard output: escapes it, measures it in terminal columns,
 * cuts it, colours it.
 */
#ifndef ECHOD_ECHOCTL_TEXT_H
#define ECHOD_ECHOCTL_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/attributes.h"

/*
 * As text_escape(), but keep backslashes: the daemon's texts are escaped already. Returns BUFFER.
 */
char *echoctl_text_escape(const char *source, size_t length, char *buffer, size_t size);

/* As echoctl_text_escape() of a NUL-terminated string, on the heap; NULL when memory is short. */
char *echoctl_text_dup(const char *source);

/* Write LENGTH bytes of SOURCE to OUT, escaped. */
void echoctl_text_write(FILE *out, const char *source, size_t length);

/* As echoctl_text_write(), but line ends and tabs stay. */
void echoctl_text_write_lines(FILE *out, const char *source, size_t length);

/* Return how many columns of a terminal TEXT (escaped) takes. */
size_t echoctl_text_columns(const char *text);

/*
 * Return how many bytes of TEXT (escaped) fit in COLUMNS; *ret_columns is what these take. A wide
 * character is not cut in halves.
 */
size_t echoctl_text_fit(const char *text, size_t columns, size_t *ret_columns);

/*
 * Return TEXT (escaped) shortened to COLUMNS, both ends of it with an ellipsis between them; on
 * the heap, NULL when memory is short.
 */
char *echoctl_text_shorten(const char *text, size_t columns);

/*
 * Return TEXT (escaped) with line ends for blanks, so that no line is wider than COLUMNS; a word
 * that is wider goes on in the next line. On the heap, NULL when memory is short.
 */
char *echoctl_text_break(const char *text, size_t columns);

/* What a text means; decides its colour. */
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
	bool able;     /* it knows escape sequences */
	bool human;    /* figures with units */
	bool colour;   /* tones are shown */
	size_t width;  /* of the terminal in columns; 0: as wide as need be */
};

/* Look at descriptor FD, its size, TERM and NO_COLOR (see https://no-color.org). */
struct echoctl_style echoctl_style_of(int fd);

/* Return the escape sequence that begins TONE; NULL: none. */
const char *echoctl_style_code(enum echoctl_tone tone);

/* Return the tone of the state of a process, a listener or a connection; NULL has none. */
enum echoctl_tone echoctl_style_tone(const char *state);

/* Return how many lines and columns the terminal FD has; 24 and 80 where it does not say. */
void echoctl_style_size(int fd, size_t *ret_lines, size_t *ret_columns);

/* Print to OUT what printf(3) makes, in TONE where STYLE has colour. */
void echoctl_style_printf(const struct echoctl_style *style, enum echoctl_tone tone, FILE *out,
    const char *format, ...) ATTR_PRINTF(4, 5);

#endif
