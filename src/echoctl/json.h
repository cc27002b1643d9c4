/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads the daemon's JSON without trusting it (a value of the wrong type counts as missing), and
 * makes text of it: single figures, lines, rows of a table, whole documents. PATH is a list of keys
 * with dots between, such as "process.uptime_seconds". The unit of a figure follows from its key.
 */
#ifndef ECHOD_ECHOCTL_JSON_H
#define ECHOD_ECHOCTL_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/attributes.h"
#include "echoctl/table.h"
#include "echoctl/text.h"

/* Parse LENGTH bytes that must be an object; the caller owns it. NULL when it is none. */
json_t *echoctl_json_parse(const char *text, size_t length);

/* Return the value at PATH, borrowed, or NULL. */
json_t *echoctl_json_get(const json_t *object, const char *path);

/* Return the number at PATH, or -1: no figure of the daemon is negative. */
double echoctl_json_number(const json_t *object, const char *path);

/* Return the whole number at PATH, or -1. */
json_int_t echoctl_json_integer(const json_t *object, const char *path);

/* Return the text at PATH, borrowed, or NULL. */
const char *echoctl_json_text(const json_t *object, const char *path);

/* Return the integer at PATH, or the sum of those in the object at PATH; -1 when there is none. */
json_int_t echoctl_json_sum(const json_t *object, const char *path);

/* Return the state of the process in the answer of /stats: "ready", "draining", "not ready". */
const char *echoctl_json_state(const json_t *stats);

/* Return whether LISTENER, a row of /stats, takes datagrams; one that is closed may not say. */
bool echoctl_json_is_datagrams(const json_t *listener);

/* Return whether datagrams are or were served, by the answer of /stats. */
bool echoctl_json_has_datagrams(const json_t *stats);

/*
 * Write the number VALUE of the directive or field KEY as text, with its unit where HUMAN is set.
 * Returns BUFFER.
 */
char *echoctl_json_format(const char *key, double value, bool human, char *buffer, size_t size);

/*
 * Return TEMPLATE with the figure of DOCUMENT (with its unit) in the place of each {PATH}, and the
 * text (not escaped) in the place of {$PATH}; "-" for what is missing. On the heap; NULL when
 * memory is short.
 */
char *echoctl_json_fill(const json_t *document, const char *template);

/* One more than the widest view has. */
#define ECHOCTL_VIEW_COLUMNS 12

/*
 * Where in an answer the rows of a table are, and its columns: one without a key ends them. The key
 * `warn` of a column names the value of a row that makes the cell stand out: a figure above 0, or a
 * text.
 */
struct echoctl_view {
	const char *list; /* path of the list of rows */
	struct echoctl_column columns[ECHOCTL_VIEW_COLUMNS];
};

/* Make an empty table with the columns of VIEW, which must live as long. NULL: memory is short. */
struct echoctl_table *echoctl_json_table(const struct echoctl_view *view);

/* Add ROW to such a table; counts that have a label are shown as their sum. */
void echoctl_json_add_row(
    struct echoctl_table *table, const struct echoctl_view *view, const json_t *row, bool human);

/*
 * Print the rows of DOCUMENT that VIEW shows to OUT, after FIRST unless that is NULL. Returns 0 or
 * -ENOMEM.
 */
ATTR_MUSTCHECK int echoctl_json_print_rows(const json_t *document, const struct echoctl_view *view,
    const json_t *first, const struct echoctl_style *style, FILE *out);

/*
 * Print all values in DOCUMENT to OUT, in its order. A member of a list goes by its "name" or
 * "id", else by its number; null is "-". Returns 0 or -ENOMEM.
 */
ATTR_MUSTCHECK int echoctl_json_print(
    const json_t *document, const struct echoctl_style *style, FILE *out);

#endif
