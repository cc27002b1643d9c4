/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tables of text: columns as wide as their widest cell, two blanks between them. Where that is
 * wider than the terminal, long texts are shortened and columns of little use left out. A cell
 * without a text is "-", so that each row has as many words as there are titles.
 */
#ifndef ECHOD_ECHOCTL_TABLE_H
#define ECHOD_ECHOCTL_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/attributes.h"
#include "echoctl/text.h"

struct echoctl_column {
	const char *key;   /* for the caller: where it finds the cells; may be NULL */
	const char *title; /* NULL in all columns: a table without titles */
	bool right;        /* figures stand at the right */
	bool prose;        /* what is too wide goes on in the next line */
	size_t least;      /* so wide at least: for tables that are drawn again and again */
	size_t shorten;    /* too wide a text is shortened, to so many columns at least; 0: never */
	unsigned drop;     /* where that is not enough the greatest is left out first */
	bool optional;     /* left out where no row has a value */
	const char *warn;  /* for the caller: what says that a cell stands out; may be NULL */
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

/*
 * Fit TABLE to the width of STYLE, which changes it, and print it to OUT, titles in the tone
 * TITLE; each line ends with END. A line has no blanks at its end, unless the title tone is a
 * bar: that one is as wide as the screen. Returns 0 or -ENOMEM.
 */
ATTR_MUSTCHECK int echoctl_table_print(struct echoctl_table *table,
    const struct echoctl_style *style, enum echoctl_tone title, const char *end, FILE *out);

/*
 * Remove the rows of TABLE, which was printed: those that are added and printed from now on stand
 * below them in the same columns, without titles.
 */
void echoctl_table_continue(struct echoctl_table *table);

#endif
