/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Text of the daemon on its way to a terminal: made harmless, measured in columns, cut.
 */
#ifndef ECHOD_ECHOCTL_TEXT_H
#define ECHOD_ECHOCTL_TEXT_H

#include <stddef.h>
#include <stdio.h>

/*
 * As text_escape(), but a backslash stays one: what the daemon says is escaped already, and is
 * to be read as it was written. Returns BUFFER.
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

#endif
