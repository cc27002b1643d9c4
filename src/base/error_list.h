/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * User-facing errors on their way up: an ordered list of complete sentences. The room that
 * finds a mistake adds a line, the top (main, reload, control port) prints or answers it once.
 */
#ifndef ECHOD_BASE_ERROR_LIST_H
#define ECHOD_BASE_ERROR_LIST_H

#include <stddef.h>
#include <stdio.h>

#include "base/attributes.h"

struct error_list {
	char **lines;   /* owned; each without a newline */
	size_t count;   /* lines in use */
	size_t lost;    /* lines that did not fit in memory, but for the first of them */
	char kept[256]; /* that one, cut; "" while there is none */
};

#define ERROR_LIST_EMPTY \
	{ \
		NULL, 0, 0, "" \
	}

/* Add one line. Out of memory it is kept in the list itself, or counted where one is already. */
void error_list_add(struct error_list *list, const char *format, ...) ATTR_PRINTF(2, 3);

/* Add the lines of MORE, which is left empty. */
void error_list_move(struct error_list *list, struct error_list *more);

/* Return how many lines were added, lost ones included; 0 means no error. */
size_t error_list_count(const struct error_list *list);

/* Return line I, NULL where there is none; a line that was lost has none. The list owns it. */
const char *error_list_line(const struct error_list *list, size_t i);

/* Return the first line, or "no error"; the list owns it. */
const char *error_list_first(const struct error_list *list);

/* Write each line to OUT, as it is, until OUT fails: the top's one way to tell a user. */
void error_list_print(const struct error_list *list, FILE *out);

/* Free the lines and leave an empty list. */
void error_list_done(struct error_list *list);

#endif
