/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `echoctl top`: asks for the figures again and again, computes rates from one answer to the next,
 * and draws the connections in place until the user, a signal or the daemon ends it. Time is the
 * daemon's own (its uptime, a connection's age), so that a slow answer does not look like slow
 * traffic.
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

enum echoctl_sort {
	ECHOCTL_SORT_RATE, /* in and out together */
	ECHOCTL_SORT_IN,
	ECHOCTL_SORT_OUT,
	ECHOCTL_SORT_PENDING,
	ECHOCTL_SORT_AGE,
};

/* What the user chose. */
struct echoctl_top_choice {
	enum echoctl_sort sort;
	bool ascending; /* the smallest first */
	bool paused;
};

/*
 * What was shown at one time. The answers are those of the daemon with the state and, where they
 * are known, rates added: "state" and "rates" in the stats, "in_rate" and "out_rate" in each row.
 */
struct echoctl_sample {
	json_t *stats;       /* owned */
	json_t *connections; /* owned */
	json_t **rows;       /* owned, the rows are borrowed; by id, or as they were sorted */
	size_t count;
};

/*
 * Make a sample of the answers of /stats and /connections, which it takes over, also on failure.
 * BEFORE, the sample before this one, is put in order of id; NULL for the first. Rows are in that
 * order until echoctl_sample_sort(). NULL when memory is short.
 */
struct echoctl_sample *echoctl_sample_new(
    json_t *stats, json_t *connections, struct echoctl_sample *before);

/* Free SAMPLE; NULL is fine. */
void echoctl_sample_free(struct echoctl_sample *sample);

/* Put the rows in the order of CHOICE; ties by id. */
void echoctl_sample_sort(struct echoctl_sample *sample, const struct echoctl_top_choice *choice);

/*
 * Take KEY: r, i, o, p, a choose what to sort by, the same one again turns the order round, space
 * pauses. Returns whether the choice has changed.
 */
bool echoctl_top_choice_take(struct echoctl_top_choice *choice, int key);

/*
 * Draw SAMPLE (already sorted) to OUT in LINES lines of less than COLUMNS columns; each erases
 * what was to the right of it. Returns 0 or -ENOMEM.
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
