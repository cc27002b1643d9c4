/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `echoctl top`: asks for the figures again and again, computes rates from one answer to the next,
 * and draws the connections, or the sources of datagrams, in place until the user, a signal or the
 * daemon ends it. Time is the daemon's own (its uptime, a connection's age), so that a slow answer
 * does not look like slow traffic.
 */
#ifndef ECHOD_ECHOCTL_TOP_H
#define ECHOD_ECHOCTL_TOP_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/attributes.h"
#include "echoctl/session.h"
#include "echoctl/text.h"

/* What the rows are. */
enum echoctl_list {
	ECHOCTL_LIST_CONNECTIONS,
	ECHOCTL_LIST_SOURCES, /* of datagrams */
};

enum echoctl_sort {
	ECHOCTL_SORT_RATE, /* in and out together */
	ECHOCTL_SORT_IN,
	ECHOCTL_SORT_OUT,
	ECHOCTL_SORT_PENDING,
	ECHOCTL_SORT_AGE,
	ECHOCTL_SORT_DATAGRAMS, /* from here on sources: echoed and dropped together */
	ECHOCTL_SORT_ECHOED,
	ECHOCTL_SORT_DROPPED,
};

/* What the user chose. */
struct echoctl_top_choice {
	enum echoctl_list list;
	enum echoctl_sort sort; /* one of the list */
	bool ascending;         /* the smallest first */
	bool paused;
};

/*
 * What was shown at one time. The answers are those of the daemon with the state and, where they
 * are known, rates added: "state" and "rates" in the stats, and in each row "in_rate" and
 * "out_rate", or for sources "echoed_per_second" and "dropped_per_second".
 */
struct echoctl_sample {
	enum echoctl_list list;
	json_t *stats;    /* owned */
	json_t *document; /* owned; has the list */
	json_t **rows;    /* owned, the rows are borrowed; by what they are of, or as sorted */
	size_t count;
};

/*
 * Make a sample of the answers of /stats and of the route for LIST, which it takes over, also on
 * failure. BEFORE, the sample before this one, is put in order of id, for sources of listener and
 * source; NULL for the first. Rows are in that order until echoctl_sample_sort(). NULL when memory
 * is short.
 */
struct echoctl_sample *echoctl_sample_new(
    enum echoctl_list list, json_t *stats, json_t *document, struct echoctl_sample *before);

/* Free SAMPLE; NULL is fine. */
void echoctl_sample_free(struct echoctl_sample *sample);

/* Put the rows in the order of CHOICE, which is of their list; ties as they were made. */
void echoctl_sample_sort(struct echoctl_sample *sample, const struct echoctl_top_choice *choice);

/*
 * Take KEY: s chooses the other list; r, i, o, p, a, or r, e, d for sources, what to sort by, the
 * same one again turns the order round; space pauses. Returns whether the choice has changed.
 */
bool echoctl_top_choice_take(struct echoctl_top_choice *choice, int key);

/*
 * Draw SAMPLE (already sorted, of the list of CHOICE) to OUT in LINES lines of less than COLUMNS
 * columns; each erases what was to the right of it. Returns 0 or -ENOMEM.
 */
ATTR_MUSTCHECK int echoctl_top_view(const struct echoctl_sample *sample,
    const struct echoctl_top_choice *choice, const struct echoctl_style *style, size_t lines,
    size_t columns, FILE *out);

/*
 * Draw until the user, a signal or the daemon ends it. The terminal is given back in each case; a
 * signal other than SIGINT then ends the process as it would have without `top`.
 */
enum echoctl_exit echoctl_top(struct echoctl_session *session);

#endif
