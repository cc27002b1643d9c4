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
#include "base/units.h"

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
		(void)fprintf(out, "first trouble: %s\n", results->first_error);
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
 * The figures for programs. JSON and CSV come from one list, so that they have the same names: in
 * CSV those of an inner object are joined by an underscore.
 */

#define EXPORT_FIGURES_MAX 48

enum figure_type { FIGURE_TEXT, FIGURE_FLAG, FIGURE_COUNT, FIGURE_REAL };

struct figure {
	const char *group; /* inner object; NULL: outside */
	const char *name;
	enum figure_type type;
	const char *text; /* NULL: null, and empty in CSV */
	uint64_t count;   /* FIGURE_FLAG: 0 or 1 */
	double real;
};

struct figures {
	struct figure rows[EXPORT_FIGURES_MAX];
	size_t used;
	char url[ADDRESS_TEXT_MAX];
};

static struct figure *
figures_next(struct figures *figures, const char *group, const char *name)
{
	struct figure *figure = &figures->rows[figures->used++];

	figure->group = group;
	figure->name = name;
	return figure;
}

static void
figures_add_text(struct figures *figures, const char *name, const char *text)
{
	struct figure *figure = figures_next(figures, NULL, name);

	figure->type = FIGURE_TEXT;
	figure->text = text;
}

static void
figures_add_count(struct figures *figures, const char *name, uint64_t count)
{
	struct figure *figure = figures_next(figures, NULL, name);

	figure->type = FIGURE_COUNT;
	figure->count = count;
}

static void
figures_add_flag(struct figures *figures, const char *name, bool flag)
{
	figures_add_count(figures, name, flag);
	figures->rows[figures->used - 1].type = FIGURE_FLAG;
}

static void
figures_add_real(struct figures *figures, const char *group, const char *name, double real)
{
	struct figure *figure = figures_next(figures, group, name);

	figure->type = FIGURE_REAL;
	figure->real = real;
}

static void
figures_add_options(struct figures *figures, const struct echoping_options *options)
{
	bool load = options->action == ECHOPING_LOAD;

	figures_add_text(figures, "form", load ? "load" : "ping");
	figures_add_text(figures, "target", figures->url);
	figures_add_text(figures, "transport", address_transport_name(options->target.transport));
	figures_add_count(figures, "size_bytes", options->size);
	figures_add_count(figures, "connections", options->connections);
	figures_add_count(figures, "pipeline", options->pipeline);
	figures_add_count(figures, "threads", options->threads);
	figures_add_count(figures, "rate", options->rate);
	figures_add_count(figures, "idle", options->idle);
	figures_add_count(figures, "sample", options->sample);
	figures_add_flag(figures, "burst", options->burst);
	figures_add_flag(figures, "churn", options->churn);
}

static void
figures_add_results(struct figures *figures, const struct echoping_results *results, size_t size)
{
	double seconds = clock_seconds(results->elapsed_ns);
	double rate = seconds > 0 ? (double)results->received / seconds : 0;

	figures_add_text(figures, "result", echoping_results_verdict(results));
	figures_add_text(figures, "first_trouble",
	    results->first_error[0] != '\0' ? results->first_error : NULL);
	figures_add_count(figures, "sent", results->sent);
	figures_add_count(figures, "received", results->received);
	figures_add_count(figures, "lost", results->lost);
	figures_add_count(figures, "mismatched", results->mismatched);
	figures_add_count(figures, "broken", results->broken);
	figures_add_count(figures, "unsent", results->unsent);
	figures_add_count(figures, "duplicates", results->duplicates);
	figures_add_count(figures, "reordered", results->reordered);
	figures_add_count(figures, "late", results->late);
	figures_add_count(figures, "idle_lost", results->idle_lost);
	figures_add_count(figures, "port_waits", results->port_waits);
	figures_add_real(figures, NULL, "loss_ratio",
	    results->sent > 0 ? (double)results->lost / (double)results->sent : 0);
	figures_add_real(figures, NULL, "seconds", seconds);
	figures_add_real(figures, NULL, "messages_per_second", rate);
	figures_add_real(figures, NULL, "bytes_per_second", rate * (double)size);
	figures_add_real(figures, NULL, "cpu_seconds", clock_seconds(results->cpu_ns));
}

static void
figures_add_latency(struct figures *figures, const struct echoping_results *results)
{
	static const struct {
		const char *name;
		double percent;
	} rows[] = { { "p50", 50 }, { "p90", 90 }, { "p99", 99 }, { "p999", 99.9 } };
	static const char group[] = "latency_seconds";
	const struct histogram *latency = &results->latency;

	figures_add_real(figures, group, "min", clock_seconds(latency->min_ns));
	figures_add_real(figures, group, "mean", histogram_mean(latency) / (double)NS_PER_S);
	figures_add_real(figures, group, "max", clock_seconds(latency->max_ns));
	figures_add_real(
	    figures, group, "stddev", echoping_results_deviation(results) / (double)NS_PER_S);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		figures_add_real(figures, group, rows[i].name,
		    clock_seconds(histogram_percentile(latency, rows[i].percent)));
}

static void
figures_fill(struct figures *figures, const struct echoping_options *options,
    const struct echoping_target *target, const struct echoping_results *results)
{
	*figures = (struct figures){ .used = 0 };
	echoping_target_url(target, figures->url, sizeof(figures->url));
	figures_add_options(figures, options);
	figures_add_results(figures, results, options->size);
	figures_add_latency(figures, results);
}

static json_t *
figure_json(const struct figure *figure)
{
	switch (figure->type) {
	case FIGURE_TEXT:
		return figure->text != NULL ? json_string(figure->text) : json_null();
	case FIGURE_FLAG:
		return json_boolean(figure->count);
	case FIGURE_COUNT:
		return json_integer((json_int_t)figure->count);
	case FIGURE_REAL:
		return json_real(figure->real);
	}
	return NULL;
}

int
echoping_report_json(FILE *out, const struct echoping_options *options,
    const struct echoping_target *target, const struct echoping_results *results)
{
	struct figures figures;
	json_t *root = json_object();
	int r = 0;

	figures_fill(&figures, options, target, results);
	for (size_t i = 0; i < figures.used && r == 0; i++) {
		const struct figure *figure = &figures.rows[i];
		json_t *object = root;

		if (figure->group != NULL) {
			object = json_object_get(root, figure->group);
			if (object == NULL) {
				object = json_object();
				r |= json_object_set_new(root, figure->group, object);
			}
		}
		r |= json_object_set_new(object, figure->name, figure_json(figure));
	}
	if (r == 0)
		r = json_dumpf(root, out, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
	json_decref(root);
	(void)fputs("\n", out);
	return r == 0 ? 0 : -ENOMEM;
}

/* RFC 4180: a quote within quotes is doubled. */
static void
figure_quote(FILE *out, const char *text)
{
	(void)fputc('"', out);
	for (; *text != '\0'; text++) {
		if (*text == '"')
			(void)fputc('"', out);
		(void)fputc(*text, out);
	}
	(void)fputc('"', out);
}

void
echoping_report_csv(FILE *out, const struct echoping_options *options,
    const struct echoping_target *target, const struct echoping_results *results)
{
	struct figures figures;

	figures_fill(&figures, options, target, results);
	for (size_t i = 0; i < figures.used; i++) {
		const struct figure *figure = &figures.rows[i];

		(void)fprintf(out, "%s%s%s%s", i > 0 ? "," : "",
		    figure->group != NULL ? figure->group : "", figure->group != NULL ? "_" : "",
		    figure->name);
	}
	(void)fputc('\n', out);
	for (size_t i = 0; i < figures.used; i++) {
		const struct figure *figure = &figures.rows[i];

		if (i > 0)
			(void)fputc(',', out);
		if (figure->type == FIGURE_COUNT || figure->type == FIGURE_FLAG)
			(void)fprintf(out, "%" PRIu64, figure->count);
		else if (figure->type == FIGURE_REAL)
			(void)fprintf(out, "%.9g", figure->real);
		else if (figure->text != NULL)
			figure_quote(out, figure->text);
	}
	(void)fputc('\n', out);
}
