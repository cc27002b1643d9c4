/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tables of text: columns as wide as their widest cell, two blanks between them. A cell without a
 * text is "-", so that each row has as many words as there are titles.
 */
#ifndef ECHOD_ECHOCTL_TABLE_H
#define ECHOD_ECHOCTL_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/attributes.h"
#include "echoctl/text.h"

struct echoctl_column {
	const char *title; /* NULL in all columns: a table without titles */
	bool right;        /* figures stand at the right */
	size_t least;      /* so wide at least: for tables that are drawn again and again */
};

struct echoctl_table;

/* Make an empty table; COLUMNS must live as long. NULL when memory is short. */
struct echoctl_table *echoctl_table_new(const struct echoctl_column *columns, size_t count);

/* Free TABLE; NULL is fine. */
void echoctl_table_free(struct echoctl_table *table);

/*
 * Add the next cell, from left to right, row by row; TEXT is escaped and copied, NULL and "" are
 * no text. TABLE may be NULL. What memory was short for makes echoctl_table_print() fail.
 */
void echoctl_table_add(struct echoctl_table *table, const char *text);

/* As echoctl_table_add(), in a tone. */
void echoctl_table_add_tone(struct echoctl_table *table, const char *text, enum echoctl_tone tone);

/* As echoctl_table_add() of what printf(3) makes; cut at 255 bytes. */
void echoctl_table_addf(struct echoctl_table *table, const char *format, ...) ATTR_PRINTF(2, 3);

/*
 * Print TABLE to OUT, titles in the tone TITLE; lines are cut at WIDTH columns and end with END;
 * 0 is no limit. A line has no blanks at its end, unless the title tone is a bar: that one is
 * WIDTH wide. Returns 0 or -ENOMEM.
 */
ATTR_MUSTCHECK int echoctl_table_print(const struct echoctl_table *table,
    const struct echoctl_style *style, enum echoctl_tone title, size_t width, const char *end,
    FILE *out);

#endif
