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

/* A rate that is not known: there is nothing to compare with. */
#define ECHOCTL_RATE_UNKNOWN (-1.0)

enum echoctl_sort {
	ECHOCTL_SORT_RATE, /* in and out together */
	ECHOCTL_SORT_IN,
	ECHOCTL_SORT_OUT,
	ECHOCTL_SORT_PENDING,
	ECHOCTL_SORT_AGE,
};

/* One connection. Figures that are missing in the answer are -1. */
struct echoctl_row {
	json_int_t id;
	const json_t *json; /* the whole row; borrowed from the sample */
	double age_seconds;
	double bytes_in;
	double bytes_out;
	double pending_bytes;
	double in_rate; /* bytes a second, or ECHOCTL_RATE_UNKNOWN */
	double out_rate;
};

/* Rates of the totals, a second; each may be ECHOCTL_RATE_UNKNOWN. */
struct echoctl_total_rates {
	double received_bytes;
	double sent_bytes;
	double accepted;
	double closed;
	double rejected;
};

struct echoctl_sample {
	json_t *stats;              /* owned */
	json_t *connections;        /* owned */
	struct echoctl_row *rows;   /* owned; by id */
	struct echoctl_row **order; /* owned; as they are to be shown */
	size_t count;
	struct echoctl_total_rates rates;
};

/*
 * Make a sample of the answers of /stats and /connections, which it takes over, also on failure.
 * BEFORE, the sample before this one, is only read; NULL for the first. Rows are in no order
 * until echoctl_sample_sort(). NULL when memory is short.
 */
struct echoctl_sample *echoctl_sample_new(
    json_t *stats, json_t *connections, const struct echoctl_sample *before);

/* Free SAMPLE; NULL is fine. */
void echoctl_sample_free(struct echoctl_sample *sample);

/* Put the rows in order: the largest first, or the smallest when ASCENDING; ties by id. */
void echoctl_sample_sort(struct echoctl_sample *sample, enum echoctl_sort sort, bool ascending);

/*
 * Return the growth from BEFORE to AFTER in SECONDS as a rate; unknown when a figure is missing
 * (below 0), when it shrank or when no time has passed.
 */
double echoctl_sample_rate(double before, double after, double seconds);

/* What the user chose. */
struct echoctl_top_choice {
	enum echoctl_sort sort;
	bool ascending; /* the smallest first */
	bool paused;
};

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
