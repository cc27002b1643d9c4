/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * User-facing errors on their way up: an ordered list of complete sentences. The room that
 * finds a mistake adds a line, the top (main, reload, control port) prints or answers it once.
 */
#ifndef ECHOD_BASE_ERROR_LIST_H
#define ECHOD_BASE_ERROR_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/attributes.h"

struct error_list {
	char **lines;   /* owned; each without a newline */
	size_t count;   /* lines in use */
	size_t lost;    /* lines that did not fit in memory, but for the first of them */
	size_t most;    /* lines to keep, 0: all */
	size_t surplus; /* lines beyond those, which are counted alone */
	char kept[256]; /* the first that did not fit in memory, cut; "" while there is none */
};

#define ERROR_LIST_EMPTY \
	{ \
		NULL, 0, 0, 0, 0, "" \
	}

/*
 * Add one line. Out of memory it is kept in the list itself, or counted where one is already; in a
 * list that is full it is counted in `surplus`.
 */
void error_list_add(struct error_list *list, const char *format, ...) ATTR_PRINTF(2, 3);

/* Add the lines of MORE, which is left empty. */
void error_list_move(struct error_list *list, struct error_list *more);

/* Return whether another line would be counted alone: it need not be made. */
bool error_list_is_full(const struct error_list *list);

/* Return how many lines were added, lost ones and the surplus included; 0 means no error. */
size_t error_list_count(const struct error_list *list);

/* Return line I, NULL where there is none; a line that was lost has none. The list owns it. */
const char *error_list_line(const struct error_list *list, size_t i);

/* Return the first line, or "no error"; the list owns it. */
const char *error_list_first(const struct error_list *list);

/*
 * Drop the lines beyond the first MOST, and lift the bound; where lines were dropped, one at the
 * end says how many of WHAT ("mistakes") there are in all.
 */
void error_list_cut(struct error_list *list, size_t most, const char *what);

/* Write each line to OUT, as it is, until OUT fails: the top's one way to tell a user. */
void error_list_print(const struct error_list *list, FILE *out);

/* Free the lines and leave an empty list. */
void error_list_done(struct error_list *list);

#endif
