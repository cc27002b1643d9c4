/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "echoping/run.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <langinfo.h>
#include <math.h>
#include <string.h>

#include "base/attributes.h"
#include "base/clock.h"
#include "base/text.h"

#define DRAW_LINES 20
#define DRAW_BAR_COLUMNS 44

/* How many ranges a decade is drawn in; the finest first. */
static const unsigned scales[] = { 10, 5, 3, 1 };

/* Where step STEP of a scale begins, counted from 1 ns on. */
static int64_t
draw_border(unsigned scale, unsigned step)
{
	/* preferred numbers within a decade, rounded as people expect them */
	static const double tenths[] = { 1, 1.25, 1.6, 2, 2.5, 3.2, 4, 5, 6.3, 8 };
	unsigned nearest = (step % scale * 10 + scale / 2) / scale;
	double ns = pow(10, step / scale) * tenths[nearest];

	return ns < (double)INT64_MAX ? (int64_t)llround(ns) : INT64_MAX;
}

/* The last step that is not above a time. */
static unsigned
draw_step(unsigned scale, int64_t ns)
{
	unsigned step = 0;

	while (step < 18 * scale && draw_border(scale, step + 1) <= ns)
		step++;
	return step;
}

static void
draw_bar(FILE *out, double part, bool unicode)
{
	static const char *const eighths[] = { "", "\xe2\x96\x8f", "\xe2\x96\x8e", "\xe2\x96\x8d",
		"\xe2\x96\x8c", "\xe2\x96\x8b", "\xe2\x96\x8a", "\xe2\x96\x89" };
	unsigned length = (unsigned)llround(part * DRAW_BAR_COLUMNS * 8);
	unsigned columns = unicode ? length / 8 : (length + 4) / 8;
	unsigned rest = unicode ? length % 8 : 0;

	for (unsigned i = 0; i < columns; i++)
		(void)fputs(unicode ? "\xe2\x96\x88" : "#", out);
	(void)fprintf(
	    out, "%s%*s", eighths[rest], (int)(DRAW_BAR_COLUMNS - columns - (rest > 0)), "");
}

static char *
report_time(double ns, char *buffer, size_t size)
{
	return units_human_seconds(ns / (double)NS_PER_S, buffer, size);
}

void
echoping_draw_histogram(FILE *out, const struct histogram *histogram, bool unicode)
{
	unsigned scale = 0, first = 0, last = 0;
	uint64_t counts[DRAW_LINES], most = 0, seen = 0;

	if (histogram->count == 0)
		return;
	/* the last one fits: there are 19 decades of nanoseconds */
	for (size_t i = 0; i == 0 || last - first >= DRAW_LINES; i++) {
		scale = scales[i];
		first = draw_step(scale, histogram->min_ns);
		last = draw_step(scale, histogram->max_ns);
	}
	for (unsigned step = first; step <= last; step++) {
		uint64_t upto = histogram_count_up_to(histogram, draw_border(scale, step + 1) - 1);

		counts[step - first] = upto - seen;
		most = upto - seen > most ? upto - seen : most;
		seen = upto;
	}
	for (unsigned step = first; step <= last; step++) {
		double count = (double)counts[step - first];
		char from[UNITS_TEXT_MAX], to[UNITS_TEXT_MAX];

		report_time((double)draw_border(scale, step), from, sizeof(from));
		report_time((double)draw_border(scale, step + 1), to, sizeof(to));
		(void)fprintf(out, "  %7s - %-7s |", from, to);
		draw_bar(out, count / (double)most, unicode);
		(void)fprintf(out, "| %6.2f %%\n", count / (double)histogram->count * 100);
	}
}

static double
report_ratio(uint64_t part, uint64_t whole)
{
	return whole > 0 ? (double)part / (double)whole : 0;
}

/* Messages a second. */
static double
report_rate(const struct echoping_results *results)
{
	double seconds = clock_seconds(results->elapsed_ns);

	return seconds > 0 ? (double)results->received / seconds : 0;
}

/* The standard deviation of all times. */
static double
report_deviation_ns(const struct echoping_results *results)
{
	double mean = histogram_mean(&results->latency), variance;

	if (results->latency.count == 0)
		return 0;
	variance = results->squares / (double)results->latency.count - mean * mean;
	return variance > 0 ? sqrt(variance) : 0;
}

static void
report_counts(FILE *out, const struct echoping_results *results)
{
	/* those that are not 0 are told */
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

	(void)fprintf(out,
	    "%" PRIu64 " sent, %" PRIu64 " received, %" PRIu64 " lost (%.4g %%), %" PRIu64
	    " mismatched",
	    results->sent, results->received, results->lost,
	    report_ratio(results->lost, results->sent) * 100, results->mismatched);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].count > 0)
			(void)fprintf(out, ", %" PRIu64 " %s", rows[i].count, rows[i].what);
	(void)fputs("\n", out);
	if (results->first_error[0] != '\0')
		(void)fprintf(out, "first error: %s\n", results->first_error);
}

static void
report_ping(FILE *out, const char *url, const struct echoping_results *results)
{
	const struct histogram *latency = &results->latency;
	const double ms = (double)NS_PER_MS;

	(void)fprintf(out, "\n--- %s ---\n", url);
	report_counts(out, results);
	if (latency->count == 0)
		return;
	(void)fprintf(out, "min/avg/max/stddev = %.3f/%.3f/%.3f/%.3f ms\n",
	    (double)latency->min_ns / ms, histogram_mean(latency) / ms,
	    (double)latency->max_ns / ms, report_deviation_ns(results) / ms);
	(void)fprintf(out, "p50/p90/p99 = %.3f/%.3f/%.3f ms\n",
	    (double)histogram_percentile(latency, 50) / ms,
	    (double)histogram_percentile(latency, 90) / ms,
	    (double)histogram_percentile(latency, 99) / ms);
}

static void
report_load_head(FILE *out, const char *url, const struct echoping_options *options)
{
	(void)fprintf(out, "echoping %s: %zu bytes, %" PRIu64 " connection%s", url, options->size,
	    options->connections, options->connections == 1 ? "" : "s");
	if (options->churn)
		(void)fputs(" at once, a new one for each message", out);
	else
		(void)fprintf(out, ", %" PRIu64 " in flight on each%s", options->pipeline,
		    options->rate > 0 ? " at most" : "");
	if (options->rate > 0)
		(void)fprintf(out, ", %" PRIu64 " msg/s wanted", options->rate);
	if (options->idle > 0)
		(void)fprintf(out, ", %" PRIu64 " idle", options->idle);
	if (options->threads > 1)
		(void)fprintf(out, ", %" PRIu64 " threads", options->threads);
	(void)fputs("\n", out);
}

static void
report_latencies(FILE *out, const struct echoping_results *results)
{
	const struct histogram *latency = &results->latency;
	const struct {
		const char *name;
		double ns;
	} rows[] = {
		{ "latency: min", (double)latency->min_ns },
		{ ", mean", histogram_mean(latency) },
		{ ", stddev", report_deviation_ns(results) },
		{ "\n         p50", (double)histogram_percentile(latency, 50) },
		{ ", p90", (double)histogram_percentile(latency, 90) },
		{ ", p99", (double)histogram_percentile(latency, 99) },
		{ ", p99.9", (double)histogram_percentile(latency, 99.9) },
		{ ", max", (double)latency->max_ns },
	};
	char text[UNITS_TEXT_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		(void)fprintf(
		    out, "%s %s", rows[i].name, report_time(rows[i].ns, text, sizeof(text)));
	(void)fputs("\n", out);
}

static void
report_load(FILE *out, const char *url, const struct echoping_run *run)
{
	const struct echoping_results *results = &run->results;
	double seconds = clock_seconds(results->elapsed_ns), rate = report_rate(results);
	char text[UNITS_TEXT_MAX];

	report_load_head(out, url, run->options);
	report_counts(out, results);
	(void)fprintf(out, "%.0f msg/s, %s for %.2f s; our own CPU %.0f %%", rate,
	    units_human_rate(rate * (double)run->options->size, text, sizeof(text)), seconds,
	    seconds > 0 ? 100 * clock_seconds(results->cpu_ns) / seconds : 0);
	if (results->received == 0) {
		(void)fputs("\n", out);
		return;
	}
	(void)fprintf(out, ", %s a message\n",
	    report_time((double)results->cpu_ns / (double)results->received, text, sizeof(text)));
	report_latencies(out, results);
	if (!run->options->quiet)
		echoping_draw_histogram(
		    out, &results->latency, strcmp(nl_langinfo(CODESET), "UTF-8") == 0);
}

/*
 * The results for programs, as one JSON object. CSV has the same figures under the same names;
 * those of an inner object are joined by an underscore.
 */

/* The run as the options wanted it, and its verdict. */
static json_t *
report_facts(const char *url, const struct echoping_run *run)
{
	static const char *const verdicts[] = {
		[ECHOPING_EXIT_OK] = "ok",
		[ECHOPING_EXIT_LOSS] = "loss",
		[ECHOPING_EXIT_MISMATCH] = "mismatch",
		[ECHOPING_EXIT_UNREACHABLE] = "unreachable",
	};
	const struct echoping_options *options = run->options;
	const char *error = run->results.first_error;

	return json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:b, s:s, s:s?}",
	    "form", options->action == ECHOPING_LOAD ? "load" : "ping", "target", url, "transport",
	    address_transport_name(options->target.transport), "size_bytes",
	    (json_int_t)options->size, "connections", (json_int_t)options->connections, "pipeline",
	    (json_int_t)options->pipeline, "threads", (json_int_t)options->threads, "rate",
	    (json_int_t)options->rate, "idle", (json_int_t)options->idle, "sample",
	    (json_int_t)options->sample, "burst", options->burst, "churn", options->churn, "result",
	    verdicts[echoping_results_exit(&run->results)], "first_error",
	    *error != '\0' ? error : NULL);
}

static json_t *
report_rates(const struct echoping_results *results, size_t size)
{
	const struct histogram *latency = &results->latency;
	double rate = report_rate(results);

	return json_pack("{s:f, s:f, s:f, s:f, s:f, s:{s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f}}",
	    "loss_ratio", report_ratio(results->lost, results->sent), "seconds",
	    clock_seconds(results->elapsed_ns), "messages_per_second", rate, "bytes_per_second",
	    rate * (double)size, "cpu_seconds", clock_seconds(results->cpu_ns), "latency_seconds",
	    "min", clock_seconds(latency->min_ns), "mean",
	    histogram_mean(latency) / (double)NS_PER_S, "max", clock_seconds(latency->max_ns),
	    "stddev", report_deviation_ns(results) / (double)NS_PER_S, "p50",
	    clock_seconds(histogram_percentile(latency, 50)), "p90",
	    clock_seconds(histogram_percentile(latency, 90)), "p99",
	    clock_seconds(histogram_percentile(latency, 99)), "p999",
	    clock_seconds(histogram_percentile(latency, 99.9)));
}

/* Return all results, or NULL when memory is short. */
static json_t *
report_document(const char *url, const struct echoping_run *run)
{
	json_t *document = report_facts(url, run);
	json_t *rates = report_rates(&run->results, run->options->size);
	int r = 0;

#define COUNTER(name, meaning) \
	r |= json_object_set_new(document, #name, json_integer((json_int_t)run->results.name));
	ECHOPING_COUNTERS(COUNTER)
	r |= json_object_update(document, rates);
	json_decref(rates);
	if (r == 0)
		return document;
	json_decref(document);
	return NULL;
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

static void
report_csv(FILE *out, json_t *document)
{
	for (int keys = 1; keys >= 0; keys--) {
		const char *separator = "";

		csv_row(out, document, "", &separator, keys);
		(void)fputc('\n', out);
	}
}

int
echoping_report(FILE *out, const struct echoping_run *run)
{
	char url[ADDRESS_TEXT_MAX];
	json_t *document;
	int r = 0;

	address_format(&run->target.addresses[0], url, sizeof(url));
	if (run->options->output == ECHOPING_HUMAN) {
		if (run->options->action == ECHOPING_PING)
			report_ping(out, url, &run->results);
		else
			report_load(out, url, run);
		return 0;
	}
	document = report_document(url, run);
	if (document == NULL)
		return -ENOMEM;
	if (run->options->output == ECHOPING_CSV)
		report_csv(out, document);
	else if (json_dumpf(document, out, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) < 0)
		r = -ENOMEM;
	else
		(void)fputc('\n', out);
	json_decref(document);
	return r;
}
