/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "echoctl/sample.h"

#include <stdlib.h>
#include <string.h>

#include "echoctl/json.h"

double
echoctl_sample_rate(double before, double after, double seconds)
{
	if (before < 0 || after < before || seconds <= 0)
		return ECHOCTL_RATE_UNKNOWN;
	return (after - before) / seconds;
}

static int
sample_compare_ids(const void *a, const void *b)
{
	const struct echoctl_row *x = a, *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

static bool
sample_read_rows(struct echoctl_sample *sample)
{
	const json_t *list = echoctl_json_get(sample->connections, "connections"), *json;
	size_t i, count = json_array_size(list);

	sample->rows = calloc(count + 1, sizeof(*sample->rows));
	sample->order = calloc(count + 1, sizeof(struct echoctl_row *));
	if (sample->rows == NULL || sample->order == NULL)
		return false;
	json_array_foreach(list, i, json)
	{
		sample->rows[i] = (struct echoctl_row){
			.id = echoctl_json_integer(json, "id"),
			.json = json,
			.age_seconds = echoctl_json_number(json, "age_seconds"),
			.bytes_in = echoctl_json_number(json, "bytes_in"),
			.bytes_out = echoctl_json_number(json, "bytes_out"),
			.pending_bytes = echoctl_json_number(json, "pending_bytes"),
			.in_rate = ECHOCTL_RATE_UNKNOWN,
			.out_rate = ECHOCTL_RATE_UNKNOWN,
		};
	}
	sample->count = count;
	qsort(sample->rows, count, sizeof(*sample->rows), sample_compare_ids);
	for (i = 0; i < count; i++)
		sample->order[i] = &sample->rows[i];
	return true;
}

/* Whether both samples are of one run of the daemon. */
static bool
sample_is_same_run(const struct echoctl_sample *a, const struct echoctl_sample *b)
{
	const char *started_a = echoctl_json_text(a->stats, "process.started");
	const char *started_b = echoctl_json_text(b->stats, "process.started");

	if (echoctl_json_integer(a->stats, "process.pid") !=
	    echoctl_json_integer(b->stats, "process.pid"))
		return false;
	return started_a == NULL || started_b == NULL || strcmp(started_a, started_b) == 0;
}

/* Rate of the count at PATH, or of the sum of those that have a label. */
static double
sample_total_rate(const struct echoctl_sample *before, const struct echoctl_sample *after,
    const char *path, double seconds)
{
	return echoctl_sample_rate((double)echoctl_json_sum(before->stats, path),
	    (double)echoctl_json_sum(after->stats, path), seconds);
}

static void
sample_rate_totals(
    struct echoctl_sample *sample, const struct echoctl_sample *before, double seconds)
{
	struct echoctl_total_rates *rates = &sample->rates;

	rates->received_bytes = sample_total_rate(before, sample, "totals.received_bytes", seconds);
	rates->sent_bytes = sample_total_rate(before, sample, "totals.sent_bytes", seconds);
	rates->accepted = sample_total_rate(before, sample, "totals.connections_accepted", seconds);
	rates->closed = sample_total_rate(before, sample, "totals.connections_closed", seconds);
	rates->rejected = sample_total_rate(before, sample, "totals.connections_rejected", seconds);
}

static void
sample_rate_row(struct echoctl_row *row, const struct echoctl_sample *before, double seconds)
{
	const struct echoctl_row *old = bsearch(
	    row, before->rows, before->count, sizeof(*row), sample_compare_ids);
	double age = row->age_seconds;

	if (old != NULL) {
		row->in_rate = echoctl_sample_rate(
		    old->bytes_in, row->bytes_in, age - old->age_seconds);
		row->out_rate = echoctl_sample_rate(
		    old->bytes_out, row->bytes_out, age - old->age_seconds);
	} else if (age <= seconds) {
		/* it came since then; older ones were only not among those that were told */
		row->in_rate = echoctl_sample_rate(0, row->bytes_in, age);
		row->out_rate = echoctl_sample_rate(0, row->bytes_out, age);
	}
}

static void
sample_compare(struct echoctl_sample *sample, const struct echoctl_sample *before)
{
	double seconds = echoctl_json_number(sample->stats, "process.uptime_seconds") -
			 echoctl_json_number(before->stats, "process.uptime_seconds");

	if (!sample_is_same_run(before, sample))
		return;
	sample_rate_totals(sample, before, seconds);
	for (size_t i = 0; i < sample->count; i++)
		sample_rate_row(&sample->rows[i], before, seconds);
}

struct echoctl_sample *
echoctl_sample_new(json_t *stats, json_t *connections, const struct echoctl_sample *before)
{
	struct echoctl_sample *sample = calloc(1, sizeof(*sample));

	if (sample == NULL) {
		json_decref(stats);
		json_decref(connections);
		return NULL;
	}
	sample->stats = stats;
	sample->connections = connections;
	sample->rates = (struct echoctl_total_rates){ ECHOCTL_RATE_UNKNOWN, ECHOCTL_RATE_UNKNOWN,
		ECHOCTL_RATE_UNKNOWN, ECHOCTL_RATE_UNKNOWN, ECHOCTL_RATE_UNKNOWN };
	if (!sample_read_rows(sample)) {
		echoctl_sample_free(sample);
		return NULL;
	}
	if (before != NULL)
		sample_compare(sample, before);
	return sample;
}

void
echoctl_sample_free(struct echoctl_sample *sample)
{
	if (sample == NULL)
		return;
	free(sample->order);
	free(sample->rows);
	json_decref(sample->stats);
	json_decref(sample->connections);
	free(sample);
}

struct order {
	enum echoctl_sort sort;
	bool ascending;
};

static double
sample_sort_value(const struct echoctl_row *row, enum echoctl_sort sort)
{
	switch (sort) {
	case ECHOCTL_SORT_IN:
		return row->in_rate;
	case ECHOCTL_SORT_OUT:
		return row->out_rate;
	case ECHOCTL_SORT_PENDING:
		return row->pending_bytes;
	case ECHOCTL_SORT_AGE:
		return row->age_seconds;
	case ECHOCTL_SORT_RATE:
		break;
	}
	return row->in_rate + row->out_rate;
}

static int
sample_compare_rows(const void *a, const void *b, void *context)
{
	const struct order *order = context;
	const struct echoctl_row *x = *(struct echoctl_row *const *)a;
	const struct echoctl_row *y = *(struct echoctl_row *const *)b;
	double value_x = sample_sort_value(x, order->sort);
	double value_y = sample_sort_value(y, order->sort);
	int larger = (value_x > value_y) - (value_x < value_y);

	if (larger == 0)
		return (x->id > y->id) - (x->id < y->id);
	return order->ascending ? larger : -larger;
}

void
echoctl_sample_sort(struct echoctl_sample *sample, enum echoctl_sort sort, bool ascending)
{
	struct order order = { sort, ascending };

	qsort_r(sample->order, sample->count, sizeof(struct echoctl_row *), sample_compare_rows,
	    &order);
}
