/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "echoping/run.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <langinfo.h>
#include <math.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/attributes.h"
#include "base/clock.h"
#include "base/text.h"

#define DRAW_LINES 20
#define DRAW_BAR_COLUMNS 44
/* Of a whole line: range, bar and share. */
#define DRAW_LINE_COLUMNS 76

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
draw_bar(FILE *out, double part, unsigned width, bool unicode)
{
	static const char *const eighths[] = { "", "\xe2\x96\x8f", "\xe2\x96\x8e", "\xe2\x96\x8d",
		"\xe2\x96\x8c", "\xe2\x96\x8b", "\xe2\x96\x8a", "\xe2\x96\x89" };
	unsigned length = (unsigned)llround(part * width * 8);
	unsigned columns = unicode ? length / 8 : (length + 4) / 8;
	unsigned rest = unicode ? length % 8 : 0;

	for (unsigned i = 0; i < columns; i++)
		(void)fputs(unicode ? "\xe2\x96\x88" : "#", out);
	(void)fprintf(out, "%s%*s", eighths[rest], (int)(width - columns - (rest > 0)), "");
}

unsigned
echoping_terminal_columns(int fd)
{
	struct winsize size;

	return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

static char *
report_time(double ns, char *buffer, size_t size)
{
	return units_human_seconds(ns / (double)NS_PER_S, buffer, size);
}

void
echoping_draw_histogram(
    FILE *out, const struct histogram *histogram, unsigned columns, bool unicode)
{
	const unsigned fixed = DRAW_LINE_COLUMNS - DRAW_BAR_COLUMNS;
	const unsigned width = columns >= DRAW_LINE_COLUMNS ? DRAW_BAR_COLUMNS
			       : columns > fixed + 1        ? columns - fixed
							    : 1;
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
		draw_bar(out, count / (double)most, width, unicode);
		(void)fprintf(out, "| %6.2f %%\n", count / (double)histogram->count * 100);
	}
}

/* Write a rate as networks have it, in bits a second with decimal units. Returns BUFFER. */
static char *
report_bits(double bytes, char *buffer, size_t size)
{
	static const char *const units[] = { "bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s" };
	double rate = 8 * bytes;
	size_t i = 0;

	while (rate >= 999.5 && i < ARRAY_SIZE(units) - 1) {
		rate /= 1000;
		i++;
	}
	(void)snprintf(buffer, size, "%.*f %s", rate < 9.95 && i > 0 ? 1 : 0, rate, units[i]);
	return buffer;
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

/* The wall clock at a moment of this run. */
static char *
report_moment(int64_t moment_ns, char *buffer, size_t size)
{
	return text_time(clock_wall_ns() - (clock_now_ns() - moment_ns), buffer, size);
}

static void
report_outages(FILE *out, const struct echoping_outages *outages)
{
	size_t shown = outages->count < DRAW_LINES ? outages->count : DRAW_LINES;
	uint64_t more = outages->count - shown + outages->more;

	for (size_t i = 0; i < shown; i++) {
		const struct echoping_outage *outage = &outages->list[i];
		char text[TEXT_TIME_MAX], span[UNITS_TEXT_MAX];

		(void)fprintf(
		    out, "outage: %s, ", report_moment(outage->begin_ns, text, sizeof(text)));
		if (outage->end_ns == INT64_MAX)
			(void)fputs("to the end", out);
		else
			(void)fputs(report_time((double)(outage->end_ns - outage->begin_ns), span,
					sizeof(span)),
			    out);
		(void)fprintf(out, ", %" PRIu64 " lost", outage->lost);
		if (outage->connections > 1)
			(void)fprintf(out, " on %" PRIu64 " connections", outage->connections);
		(void)fprintf(out, ": %s\n", outage->cause);
	}
	if (more > 0)
		(void)fprintf(out, "and %" PRIu64 " more outages\n", more);
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
		{ results->reconnects, "reconnects" },
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
	report_outages(out, &results->outages);
	if (results->idle_lost_ns > 0)
		(void)fprintf(out, "connection lost while idle: after %.1f s%s\n",
		    clock_seconds(results->idle_lost_ns),
		    results->reconnects > 1 ? " at the soonest" : "");
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
	    (double)echoping_results_percentile(results, 50) / ms,
	    (double)echoping_results_percentile(results, 90) / ms,
	    (double)echoping_results_percentile(results, 99) / ms);
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
		{ "\n         p50", (double)echoping_results_percentile(results, 50) },
		{ ", p90", (double)echoping_results_percentile(results, 90) },
		{ ", p99", (double)echoping_results_percentile(results, 99) },
		{ ", p99.9", (double)echoping_results_percentile(results, 99.9) },
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
	char text[UNITS_TEXT_MAX], bits[UNITS_TEXT_MAX];

	report_load_head(out, url, run->options);
	report_counts(out, results);
	(void)fprintf(out, "%.0f msg/s, %s (%s) for %.2f s\nour own CPU: %.0f %%", rate,
	    units_human_rate(rate * (double)run->options->size, text, sizeof(text)),
	    report_bits(rate * (double)run->options->size, bits, sizeof(bits)), seconds,
	    seconds > 0 ? 100 * clock_seconds(results->cpu_ns) / seconds : 0);
	if (results->received == 0) {
		(void)fputs("\n", out);
		return;
	}
	(void)fprintf(out, ", %s a message\n",
	    report_time((double)results->cpu_ns / (double)results->received, text, sizeof(text)));
	report_latencies(out, results);
	if (!run->options->quiet)
		echoping_draw_histogram(out, &results->latency,
		    echoping_terminal_columns(STDOUT_FILENO),
		    strcmp(nl_langinfo(CODESET), "UTF-8") == 0);
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
		[ECHOPING_EXIT_SYSTEM] = "system",
	};
	const struct echoping_options *options = run->options;
	const char *error = run->results.first_error;

	char host[4 * sizeof(run->target.host)];

	if (*error == '\0' && error_list_count(&run->errors) > 0)
		error = error_list_first(&run->errors);
	return json_pack(
	    "{s:s, s:s, s:s?, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:b, s:s, s:s?}", "form",
	    options->action == ECHOPING_LOAD ? "load" : "ping", "target", url, "host",
	    run->target.host[0] != '\0' ? text_escape_string(run->target.host, host, sizeof(host))
					: NULL,
	    "transport", address_transport_name(run->target.transport), "size_bytes",
	    (json_int_t)options->size, "connections", (json_int_t)options->connections, "pipeline",
	    (json_int_t)options->pipeline, "threads", (json_int_t)options->threads, "rate",
	    (json_int_t)options->rate, "idle", (json_int_t)options->idle, "sample",
	    (json_int_t)options->sample, "burst", options->burst, "churn", options->churn, "result",
	    verdicts[run->code], "first_error", *error != '\0' ? error : NULL);
}

/* A time of messages in seconds; null where no message came back. */
static json_t *
report_latency(const struct echoping_results *results, double ns)
{
	return results->received > 0 ? json_real(ns / (double)NS_PER_S) : json_null();
}

static json_t *
report_percentile(const struct echoping_results *results, double percent)
{
	return report_latency(results, (double)echoping_results_percentile(results, percent));
}

static json_t *
report_outage_list(const struct echoping_outages *outages)
{
	json_t *list = json_array();

	for (size_t i = 0; i < outages->count; i++) {
		const struct echoping_outage *outage = &outages->list[i];
		char text[TEXT_TIME_MAX];

		(void)json_array_append_new(
		    list, json_pack("{s:s, s:o, s:I, s:I, s:s}", "start",
			      report_moment(outage->begin_ns, text, sizeof(text)), "seconds",
			      outage->end_ns == INT64_MAX
				  ? json_null()
				  : json_real(clock_seconds(outage->end_ns - outage->begin_ns)),
			      "lost", (json_int_t)outage->lost, "connections",
			      (json_int_t)outage->connections, "cause", outage->cause));
	}
	if (json_array_size(list) == outages->count)
		return list;
	json_decref(list);
	return NULL;
}

static json_t *
report_rates(const struct echoping_results *results, size_t size)
{
	const struct histogram *latency = &results->latency;
	double rate = report_rate(results);

	return json_pack("{s:f, s:f, s:f, s:f, s:f, s:{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}, "
			 "s:o, s:o}",
	    "loss_ratio", report_ratio(results->lost, results->sent), "seconds",
	    clock_seconds(results->elapsed_ns), "messages_per_second", rate, "bytes_per_second",
	    rate * (double)size, "cpu_seconds", clock_seconds(results->cpu_ns), "latency_seconds",
	    "min", report_latency(results, (double)latency->min_ns), "mean",
	    report_latency(results, histogram_mean(latency)), "max",
	    report_latency(results, (double)latency->max_ns), "stddev",
	    report_latency(results, report_deviation_ns(results)), "p50",
	    report_percentile(results, 50), "p90", report_percentile(results, 90), "p99",
	    report_percentile(results, 99), "p999", report_percentile(results, 99.9),
	    "idle_lost_seconds",
	    results->idle_lost_ns > 0 ? json_real(clock_seconds(results->idle_lost_ns))
				      : json_null(),
	    "outages", report_outage_list(&results->outages));
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
	else if (json_is_array(value))
		(void)fprintf(out, "%zu", json_array_size(value));
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
report_csv(FILE *out, json_t *document, bool header)
{
	for (int keys = header; keys >= 0; keys--) {
		const char *separator = "";

		csv_row(out, document, "", &separator, keys);
		(void)fputc('\n', out);
	}
}

/* Print OBJECT, which is freed, as one line; a pipe has it at once. */
static void
report_line(json_t *object)
{
	flockfile(stdout); /* other targets have lines, too */
	if (json_dumpf(object, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9)) == 0)
		(void)fputc('\n', stdout);
	(void)fflush(stdout);
	funlockfile(stdout);
	json_decref(object);
}

void
echoping_report_probe(
    const struct echoping_run *run, uint64_t number, int64_t latency_ns, const char *what)
{
	char time[TEXT_TIME_MAX], url[ADDRESS_TEXT_MAX];

	if (run->options->output != ECHOPING_JSON_LINES)
		return;
	report_line(json_pack("{s:s, s:s, s:s, s:I, s:o, s:s?}", "form", "probe", "time",
	    text_time(clock_wall_ns(), time, sizeof(time)), "target",
	    address_format(&run->target.addresses[0], url, sizeof(url)), "seq", (json_int_t)number,
	    "latency_seconds", what == NULL ? json_real(clock_seconds(latency_ns)) : json_null(),
	    "error", what));
}

void
echoping_report_interval(const struct echoping_run *run, int64_t span_ns, int64_t elapsed_ns,
    uint64_t received, uint64_t failed)
{
	const double rate = (double)received / clock_seconds(span_ns);
	char time[TEXT_TIME_MAX], speed[UNITS_TEXT_MAX], bits[UNITS_TEXT_MAX];

	if (run->options->output == ECHOPING_JSON_LINES) {
		report_line(json_pack("{s:s, s:s, s:f, s:f, s:I, s:I, s:f}", "form", "interval",
		    "time", text_time(clock_wall_ns(), time, sizeof(time)), "elapsed_seconds",
		    clock_seconds(elapsed_ns), "seconds", clock_seconds(span_ns), "received",
		    (json_int_t)received, "failed", (json_int_t)failed, "messages_per_second",
		    rate));
		return;
	}
	(void)printf("%7.1f s  %8.0f msg/s  %10s  %10s  %" PRIu64 " failed\n",
	    clock_seconds(elapsed_ns), rate,
	    units_human_rate(rate * (double)run->options->size, speed, sizeof(speed)),
	    report_bits(rate * (double)run->options->size, bits, sizeof(bits)), failed);
	(void)fflush(stdout);
}

void
echoping_report_so_far(const struct echoping_run *run)
{
	const struct echoping_results *results = &run->results;
	const struct histogram *latency = &results->latency;
	struct signalfd_siginfo info;

	while (read(run->quit_fd, &info, sizeof(info)) == sizeof(info))
		;
	(void)fprintf(stderr, "%" PRIu64 " sent, %" PRIu64 " received, %" PRIu64 " lost (%.4g %%)",
	    results->sent, results->received, results->lost,
	    report_ratio(results->lost, results->sent) * 100);
	if (latency->count > 0)
		(void)fprintf(stderr, ", min/avg/max = %.3f/%.3f/%.3f ms",
		    (double)latency->min_ns / (double)NS_PER_MS,
		    histogram_mean(latency) / (double)NS_PER_MS,
		    (double)latency->max_ns / (double)NS_PER_MS);
	(void)fputs("\n", stderr);
}

/* The address that answered, or what the user wrote where none was found. */
static void
report_target(const struct echoping_run *run, char *buffer, size_t size)
{
	const struct echoping_target *target = &run->target;
	char host[sizeof(target->host)];

	text_escape_string(target->host, host, sizeof(host));
	if (target->count > 0)
		address_format(&target->addresses[0], buffer, size);
	else
		(void)snprintf(buffer, size,
		    strchr(target->host, ':') == NULL ? "%s://%s:%s" : "%s://[%s]:%s",
		    address_transport_name(target->transport), host, target->port);
}

/* One of several pings in a line. */
static void
report_short(FILE *out, const struct echoping_run *run)
{
	const struct echoping_results *results = &run->results;
	const double ms = (double)NS_PER_MS;
	char title[ECHOPING_TITLE_MAX];

	(void)fprintf(out, "%s: %" PRIu64 " sent, %" PRIu64 " received, %" PRIu64 " lost (%.4g %%)",
	    echoping_target_title(&run->target, title, sizeof(title)), results->sent,
	    results->received, results->lost, report_ratio(results->lost, results->sent) * 100);
	if (results->mismatched > 0)
		(void)fprintf(out, ", %" PRIu64 " mismatched", results->mismatched);
	if (results->received > 0)
		(void)fprintf(out, ", min/avg/max = %.3f/%.3f/%.3f ms",
		    (double)results->latency.min_ns / ms, histogram_mean(&results->latency) / ms,
		    (double)results->latency.max_ns / ms);
	else if (results->first_error[0] != '\0')
		(void)fprintf(out, ": %s", results->first_error);
	(void)fputs("\n", out);
}

/* What there was no run of, the errors tell. */
static void
report_people(FILE *out, const struct echoping_run *runs, size_t count)
{
	char url[ADDRESS_TEXT_MAX];

	if (count > 1)
		(void)fputs("\n", out);
	for (size_t i = 0; i < count; i++) {
		if (error_list_count(&runs[i].errors) > 0)
			continue;
		address_format(&runs[i].target.addresses[0], url, sizeof(url));
		if (count > 1)
			report_short(out, &runs[i]);
		else if (runs[i].options->action == ECHOPING_PING)
			report_ping(out, url, &runs[i].results);
		else
			report_load(out, url, &runs[i]);
	}
}

/* Write the documents of all runs; of several one array, or a row or a line each. */
static int
report_programs(FILE *out, const struct echoping_run *runs, size_t count)
{
	const enum echoping_output output = runs[0].options->output;
	size_t flags = JSON_REAL_PRECISION(9);
	json_t *all = json_array(), *document;
	int r = 0;
	size_t i;

	for (i = 0; i < count; i++) {
		char url[ADDRESS_TEXT_MAX + sizeof(runs[i].target.host)];

		report_target(&runs[i], url, sizeof(url));
		r |= json_array_append_new(all, report_document(url, &runs[i]));
	}
	flags |= output == ECHOPING_JSON ? JSON_INDENT(2) : JSON_COMPACT;
	if (r == 0 && output == ECHOPING_JSON && count > 1) {
		r = json_dumpf(all, out, flags);
		(void)fputc('\n', out);
	} else if (r == 0) {
		json_array_foreach(all, i, document)
		{
			if (output == ECHOPING_CSV) {
				report_csv(out, document, i == 0);
				continue;
			}
			r |= json_dumpf(document, out, flags);
			(void)fputc('\n', out);
		}
	}
	json_decref(all);
	return r == 0 ? 0 : -ENOMEM;
}

int
echoping_report(FILE *out, const struct echoping_run *runs, size_t count)
{
	if (runs[0].options->output != ECHOPING_HUMAN)
		return report_programs(out, runs, count);
	report_people(out, runs, count);
	return 0;
}
