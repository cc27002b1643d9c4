/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "echoping/report.h"

#include <inttypes.h>
#include <langinfo.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "echoping/draw.h"

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

/* The counts that are worth a word only when they are not 0. */
static void
report_oddities(FILE *out, const struct echoping_tally *tally)
{
	const struct {
		uint64_t count;
		const char *what;
	} rows[] = {
		{ tally->broken, "connections broken" },
		{ tally->duplicates, "duplicates" },
		{ tally->reordered, "reordered" },
		{ tally->late, "late" },
		{ tally->unsent, "due but not sent" },
		{ tally->idle_lost, "idle connections closed by the server" },
		{ tally->port_waits, "waits for a free local port" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].count > 0)
			(void)fprintf(out, ", %" PRIu64 " %s", rows[i].count, rows[i].what);
	(void)fputs("\n", out);
	if (tally->trouble[0] != '\0')
		(void)fprintf(out, "first trouble: %s\n", tally->trouble);
}

static void
report_counts(FILE *out, const struct echoping_tally *tally)
{
	(void)fprintf(out,
	    "%" PRIu64 " sent, %" PRIu64 " received, %" PRIu64 " lost (%.4g %%), %" PRIu64
	    " mismatched",
	    tally->sent, tally->received, tally->lost, report_percent(tally->lost, tally->sent),
	    tally->mismatched);
	report_oddities(out, tally);
}

static void
report_ping(FILE *out, const struct echoping_target *target, const struct echoping_tally *tally)
{
	const struct histogram *latency = &tally->latency;
	char url[ADDRESS_TEXT_MAX];

	(void)fprintf(out, "\n--- %s ---\n", echoping_target_url(target, url, sizeof(url)));
	report_counts(out, tally);
	if (latency->count == 0)
		return;
	(void)fprintf(out, "min/avg/max/stddev = %.3f/%.3f/%.3f/%.3f ms\n",
	    report_ms((double)latency->min_ns), report_ms(histogram_mean(latency)),
	    report_ms((double)latency->max_ns), report_ms(echoping_tally_deviation(tally)));
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
    const struct echoping_tally *tally)
{
	static const struct {
		const char *name;
		double percent;
	} rows[] = { { "p50", 50 }, { "p90", 90 }, { "p99", 99 }, { "p99.9", 99.9 },
		{ "max", 100 } };
	double seconds = clock_seconds(tally->elapsed_ns);
	double rate = seconds > 0 ? (double)tally->received / seconds : 0;
	char text[ECHOPING_TIME_TEXT_MAX];

	report_load_head(out, options, target);
	report_counts(out, tally);
	(void)fprintf(out, "%.0f msg/s, %.2f MB/s for %.2f s; our own CPU %.0f %%", rate,
	    rate * (double)options->size / 1e6, seconds,
	    seconds > 0 ? 100 * clock_seconds(tally->cpu_ns) / seconds : 0);
	if (tally->received > 0)
		(void)fprintf(out, ", %s a message",
		    echoping_draw_time(
			(double)tally->cpu_ns / (double)tally->received, text, sizeof(text)));
	(void)fputs("\n", out);
	if (tally->received == 0)
		return;
	(void)fprintf(out, "latency: min %s",
	    echoping_draw_time((double)tally->latency.min_ns, text, sizeof(text)));
	(void)fprintf(out, ", mean %s",
	    echoping_draw_time(histogram_mean(&tally->latency), text, sizeof(text)));
	(void)fprintf(out, ", stddev %s\n        ",
	    echoping_draw_time(echoping_tally_deviation(tally), text, sizeof(text)));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		(void)fprintf(out, " %s %s%s", rows[i].name,
		    echoping_draw_time(
			(double)histogram_percentile(&tally->latency, rows[i].percent), text,
			sizeof(text)),
		    i + 1 < ARRAY_SIZE(rows) ? "," : "\n");
	if (!options->quiet)
		echoping_draw_histogram(
		    out, &tally->latency, strcmp(nl_langinfo(CODESET), "UTF-8") == 0);
}

void
echoping_report_human(FILE *out, const struct echoping_options *options,
    const struct echoping_target *target, const struct echoping_tally *tally)
{
	if (options->action == ECHOPING_PING)
		report_ping(out, target, tally);
	else
		report_load(out, options, target, tally);
}
