/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the messages say about a directive: its numbers, its range, its words. The other half of
 * directive_value.c, which decides.
 */
#ifndef ECHOD_CONFIG_DIRECTIVE_TEXT_H
#define ECHOD_CONFIG_DIRECTIVE_TEXT_H

#include "config/directives.h"

/* Write a number of ROW as a user would: a field's value or a bound of its range. */
char *directive_text_number(const struct directive *row, int64_t value, char *buffer, size_t size);

/* Write the range of ROW: "1 to 64". */
char *directive_text_range(const struct directive *row, char *buffer, size_t size);

/* Write the words of a closed set: "\"a\", \"b\"". */
char *directive_text_words(const struct directive_word *words, char *buffer, size_t size);

#endif
