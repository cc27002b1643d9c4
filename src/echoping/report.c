/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "echoping/report.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <langinfo.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/attributes.h"
#include "base/clock.h"
#include "base/text.h"

#define DRAW_LINES 20
#define DRAW_BAR_COLUMNS 44

/* Preferred numbers within a decade, rounded as people expect them; the finest first. */
static const double tenths[] = { 1, 1.25, 1.6, 2, 2.5, 3.2, 4, 5, 6.3, 8 };
static const double fifths[] = { 1, 1.6, 2.5, 4, 6.3 };
static const double thirds[] = { 1, 2, 5 };
static const double decade[] = { 1 };

static const struct draw_scale {
	const double *steps;
	unsigned count;
} scales[] = {
	{ tenths, ARRAY_SIZE(tenths) },
	{ fifths, ARRAY_SIZE(fifths) },
	{ thirds, ARRAY_SIZE(thirds) },
	{ decade, ARRAY_SIZE(decade) },
};

static char *
report_time(double ns, char *buffer, size_t size)
{
	return units_human_seconds(ns / (double)NS_PER_S, buffer, size);
}

/* Step STEP of a scale, counted from 1 ns on. */
static int64_t
draw_border(const struct draw_scale *scale, unsigned step)
{
	double ns = pow(10, step / scale->count) * scale->steps[step % scale->count];

	return ns < (double)INT64_MAX ? (int64_t)llround(ns) : INT64_MAX;
}

/* The last step that is not above a time. */
static unsigned
draw_step(const struct draw_scale *scale, int64_t ns)
{
	unsigned step = 0;

	while (step < 18 * scale->count && draw_border(scale, step + 1) <= ns)
		step++;
	return step;
}

static void
draw_bar(FILE *out, double share, bool unicode)
{
	static const char *const eighths[] = { "", "\xe2\x96\x8f", "\xe2\x96\x8e", "\xe2\x96\x8d",
		"\xe2\x96\x8c", "\xe2\x96\x8b", "\xe2\x96\x8a", "\xe2\x96\x89" };
	unsigned length = (unsigned)llround(share * DRAW_BAR_COLUMNS * 8);
	unsigned columns = length / 8, rest = length % 8;

	for (unsigned i = 0; i < columns; i++)
		(void)fputs(unicode ? "\xe2\x96\x88" : "#", out);
	if (unicode)
		(void)fputs(eighths[rest], out);
	else if (rest >= 4)
		(void)fputs("#", out);
	else
		rest = 0;
	for (unsigned i = columns + (rest > 0); i < DRAW_BAR_COLUMNS; i++)
		(void)fputs(" ", out);
}

void
echoping_draw_histogram(FILE *out, const struct histogram *histogram, bool unicode)
{
	const struct draw_scale *scale = scales;
	unsigned first = draw_step(scale, histogram->min_ns), last;
	uint64_t most = 0, seen;

	if (histogram->count == 0)
		return;
	last = draw_step(scale, histogram->max_ns);
	while (last - first >= DRAW_LINES && scale < scales + ARRAY_SIZE(scales) - 1) {
		scale++;
		first = draw_step(scale, histogram->min_ns);
		last = draw_step(scale, histogram->max_ns);
	}
	seen = 0;
	for (unsigned step = first; step <= last; step++) {
		uint64_t upto = histogram_count_up_to(histogram, draw_border(scale, step + 1) - 1);

		if (upto - seen > most)
			most = upto - seen;
		seen = upto;
	}
	seen = 0;
	for (unsigned step = first; step <= last; step++) {
		uint64_t upto = histogram_count_up_to(histogram, draw_border(scale, step + 1) - 1);
		double share = (double)(upto - seen) / (double)histogram->count;
		char from[UNITS_TEXT_MAX], to[UNITS_TEXT_MAX];

		report_time((double)draw_border(scale, step), from, sizeof(from));
		report_time((double)draw_border(scale, step + 1), to, sizeof(to));
		(void)fprintf(out, "  %7s - %-7s |", from, to);
		draw_bar(out, (double)(upto - seen) / (double)most, unicode);
		(void)fprintf(out, "| %6.2f %%\n", share * 100);
		seen = upto;
	}
}

static double
report_percent(uint64_t part, uint64_t whole)
{
	return whole > 0 ? 100.0 * (double)part / (double)whole : 0;
}

static double
report_ms(double ns)
{
	return ns / (double)NS_PER_MS;
}

/* Print the counts that are not 0. */
static void
report_oddities(FILE *out, const struct echoping_results *results)
{
	const struct {
		uint64_t count;
		const char *what;
	} rows[] = {
		{ results->broken, "connections broken" },
		{ results->duplicates, "duplicates" },
		{ results->reordered, "reordered" },
		{ results->late, "late" },
		{ results->unsent, "due but not sent" },
		{ results->idle_lost, "idle connections closed by the server" },
		{ results->port_waits, "waits for a free local port" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].count > 0)
			(void)fprintf(out, ", %" PRIu64 " %s", rows[i].count, rows[i].what);
	(void)fputs("\n", out);
	if (results->first_error[0] != '\0')
		(void)fprintf(out, "first error: %s\n", results->first_error);
}

static void
report_counts(FILE *out, const struct echoping_results *results)
{
	(void)fprintf(out,
	    "%" PRIu64 " sent, %" PRIu64 " received, %" PRIu64 " lost (%.4g %%), %" PRIu64
	    " mismatched",
	    results->sent, results->received, results->lost,
	    report_percent(results->lost, results->sent), results->mismatched);
	report_oddities(out, results);
}

static void
report_ping(FILE *out, const struct echoping_target *target, const struct echoping_results *results)
{
	const struct histogram *latency = &results->latency;
	char url[ADDRESS_TEXT_MAX];

	(void)fprintf(out, "\n--- %s ---\n", echoping_target_url(target, url, sizeof(url)));
	report_counts(out, results);
	if (latency->count == 0)
		return;
	(void)fprintf(out, "min/avg/max/stddev = %.3f/%.3f/%.3f/%.3f ms\n",
	    report_ms((double)latency->min_ns), report_ms(histogram_mean(latency)),
	    report_ms((double)latency->max_ns), report_ms(echoping_results_deviation(results)));
	(void)fprintf(out, "p50/p90/p99 = %.3f/%.3f/%.3f ms\n",
	    report_ms((double)histogram_percentile(latency, 50)),
	    report_ms((double)histogram_percentile(latency, 90)),
	    report_ms((double)histogram_percentile(latency, 99)));
}

static void
report_load_head(
    FILE *out, const struct echoping_options *options, const struct echoping_target *target)
{
	char url[ADDRESS_TEXT_MAX];

	(void)fprintf(out, "echoping %s: %zu bytes, %" PRIu32 " connection%s",
	    echoping_target_url(target, url, sizeof(url)), options->size, options->connections,
	    options->connections == 1 ? "" : "s");
	if (options->churn)
		(void)fputs(" at once, a new one for each message", out);
	else
		(void)fprintf(out, ", %" PRIu32 " in flight on each%s", options->pipeline,
		    options->rate > 0 ? " at most" : "");
	if (options->rate > 0)
		(void)fprintf(out, ", %" PRIu64 " msg/s wanted", options->rate);
	if (options->idle > 0)
		(void)fprintf(out, ", %" PRIu32 " idle", options->idle);
	if (options->threads > 1)
		(void)fprintf(out, ", %" PRIu32 " threads", options->threads);
	(void)fputs("\n", out);
}

static void
report_load(FILE *out, const struct echoping_options *options, const struct echoping_target *target,
    const struct echoping_results *results)
{
	static const struct {
		const char *name;
		double percent;
	} rows[] = { { "p50", 50 }, { "p90", 90 }, { "p99", 99 }, { "p99.9", 99.9 },
		{ "max", 100 } };
	double seconds = clock_seconds(results->elapsed_ns);
	double rate = seconds > 0 ? (double)results->received / seconds : 0;
	char text[UNITS_TEXT_MAX], speed[UNITS_TEXT_MAX];

	report_load_head(out, options, target);
	report_counts(out, results);
	(void)fprintf(out, "%.0f msg/s, %s for %.2f s; our own CPU %.0f %%", rate,
	    units_human_rate(rate * (double)options->size, speed, sizeof(speed)), seconds,
	    seconds > 0 ? 100 * clock_seconds(results->cpu_ns) / seconds : 0);
	if (results->received > 0)
		(void)fprintf(out, ", %s a message",
		    report_time(
			(double)results->cpu_ns / (double)results->received, text, sizeof(text)));
	(void)fputs("\n", out);
	if (results->received == 0)
		return;
	(void)fprintf(out, "latency: min %s",
	    report_time((double)results->latency.min_ns, text, sizeof(text)));
	(void)fprintf(
	    out, ", mean %s", report_time(histogram_mean(&results->latency), text, sizeof(text)));
	(void)fprintf(out, ", stddev %s\n        ",
	    report_time(echoping_results_deviation(results), text, sizeof(text)));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		(void)fprintf(out, " %s %s%s", rows[i].name,
		    report_time((double)histogram_percentile(&results->latency, rows[i].percent),
			text, sizeof(text)),
		    i + 1 < ARRAY_SIZE(rows) ? "," : "\n");
	if (!options->quiet)
		echoping_draw_histogram(
		    out, &results->latency, strcmp(nl_langinfo(CODESET), "UTF-8") == 0);
}

void
echoping_report_human(FILE *out, const struct echoping_options *options,
    const struct echoping_target *target, const struct echoping_results *results)
{
	if (options->action == ECHOPING_PING)
		report_ping(out, target, results);
	else
		report_load(out, options, target, results);
}

/*
 * The results for programs, as one JSON object. CSV has the same figures under the same names;
 * those of an inner object are joined by an underscore.
 */

static json_t *
report_options_document(
    const struct echoping_options *options, const struct echoping_target *target)
{
	char url[ADDRESS_TEXT_MAX];

	return json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:b}", "form",
	    options->action == ECHOPING_LOAD ? "load" : "ping", "target",
	    echoping_target_url(target, url, sizeof(url)), "transport",
	    address_transport_name(options->target.transport), "size_bytes",
	    (json_int_t)options->size, "connections", (json_int_t)options->connections, "pipeline",
	    (json_int_t)options->pipeline, "threads", (json_int_t)options->threads, "rate",
	    (json_int_t)options->rate, "idle", (json_int_t)options->idle, "sample",
	    (json_int_t)options->sample, "burst", options->burst, "churn", options->churn);
}

static json_t *
report_counts_document(const struct echoping_results *results)
{
	return json_pack("{s:s, s:s?, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
	    "result", echoping_results_verdict(results), "first_error",
	    results->first_error[0] != '\0' ? results->first_error : NULL, "sent",
	    (json_int_t)results->sent, "received", (json_int_t)results->received, "lost",
	    (json_int_t)results->lost, "mismatched", (json_int_t)results->mismatched, "broken",
	    (json_int_t)results->broken, "unsent", (json_int_t)results->unsent, "duplicates",
	    (json_int_t)results->duplicates, "reordered", (json_int_t)results->reordered, "late",
	    (json_int_t)results->late, "idle_lost", (json_int_t)results->idle_lost, "port_waits",
	    (json_int_t)results->port_waits);
}

static json_t *
report_rates_document(const struct echoping_results *results, size_t size)
{
	const struct histogram *latency = &results->latency;
	double seconds = clock_seconds(results->elapsed_ns);
	double rate = seconds > 0 ? (double)results->received / seconds : 0;

	return json_pack("{s:f, s:f, s:f, s:f, s:f, s:{s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f}}",
	    "loss_ratio", report_percent(results->lost, results->sent) / 100, "seconds", seconds,
	    "messages_per_second", rate, "bytes_per_second", rate * (double)size, "cpu_seconds",
	    clock_seconds(results->cpu_ns), "latency_seconds", "min",
	    clock_seconds(latency->min_ns), "mean", histogram_mean(latency) / (double)NS_PER_S,
	    "max", clock_seconds(latency->max_ns), "stddev",
	    echoping_results_deviation(results) / (double)NS_PER_S, "p50",
	    clock_seconds(histogram_percentile(latency, 50)), "p90",
	    clock_seconds(histogram_percentile(latency, 90)), "p99",
	    clock_seconds(histogram_percentile(latency, 99)), "p999",
	    clock_seconds(histogram_percentile(latency, 99.9)));
}

/* Move all of MORE to DOCUMENT. */
static int
report_add(json_t *document, json_t *more)
{
	int r = json_object_update(document, more);

	json_decref(more);
	return r;
}

/* Return all results, or NULL when memory is short. */
static json_t *
report_document(const struct echoping_options *options, const struct echoping_target *target,
    const struct echoping_results *results)
{
	json_t *document = report_options_document(options, target);
	int r = report_add(document, report_counts_document(results));

	if (r == 0)
		r = report_add(document, report_rates_document(results, options->size));
	if (r == 0)
		return document;
	json_decref(document);
	return NULL;
}

int
echoping_report_json(FILE *out, const struct echoping_options *options,
    const struct echoping_target *target, const struct echoping_results *results)
{
	json_t *document = report_document(options, target, results);
	int r = json_dumpf(document, out, JSON_INDENT(2) | JSON_REAL_PRECISION(9));

	json_decref(document);
	(void)fputs("\n", out);
	return r == 0 ? 0 : -ENOMEM;
}

/* RFC 4180: a quote within quotes is doubled. */
static void
csv_quote(FILE *out, const char *text)
{
	(void)fputc('"', out);
	for (; *text != '\0'; text++) {
		if (*text == '"')
			(void)fputc('"', out);
		(void)fputc(*text, out);
	}
	(void)fputc('"', out);
}

static void
csv_value(FILE *out, const json_t *value)
{
	if (json_is_real(value))
		(void)fprintf(out, "%.9g", json_real_value(value));
	else if (json_is_string(value))
		csv_quote(out, json_string_value(value));
	else if (json_is_integer(value) || json_is_boolean(value))
		(void)fprintf(out, "%" JSON_INTEGER_FORMAT,
		    json_is_boolean(value) ? json_is_true(value) : json_integer_value(value));
}

/* Write the keys or the values of OBJECT, each after SEPARATOR, which is a comma from then on. */
static void
csv_row(FILE *out, json_t *object, const char *prefix, const char **separator, bool keys)
{
	const char *key;
	json_t *value;

	json_object_foreach(object, key, value)
	{
		char inner[64];

		(void)snprintf(inner, sizeof(inner), "%s%s_", prefix, key);
		if (json_is_object(value)) {
			csv_row(out, value, inner, separator, keys);
			continue;
		}
		(void)fputs(*separator, out);
		*separator = ",";
		if (keys)
			(void)fprintf(out, "%s%s", prefix, key);
		else
			csv_value(out, value);
	}
}

int
echoping_report_csv(FILE *out, const struct echoping_options *options,
    const struct echoping_target *target, const struct echoping_results *results)
{
	json_t *document = report_document(options, target, results);

	if (document == NULL)
		return -ENOMEM;
	for (int keys = 1; keys >= 0; keys--) {
		const char *separator = "";

		csv_row(out, document, "", &separator, keys);
		(void)fputc('\n', out);
	}
	json_decref(document);
	return 0;
}
