/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "control/metrics_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "control/document.h"
#include "control/process_figures.h"

#define TOTAL "_total"
#define LABEL_MAX (sizeof("listener=\"\"") + 2 * CONFIG_LISTENER_NAME_MAX)

/* What one service has counted. */
struct metrics_row {
	char label[LABEL_MAX]; /* 'listener="NAME"' */
	int64_t connections;
	struct peaks peaks;
	struct counters_sum sum;
	struct distribution_sum duration;
	struct distribution_sum echo_delay;
};

struct metrics_text {
	struct document document; /* first: the two have one address */
	bool openmetrics;
	const struct engine *engine;
	const struct process_status *status;
	int64_t now_ns;                /* by which services are forgotten, or not */
	const struct service *service; /* to be read next; services live as long as the engine */
	struct metrics_row *rows;      /* owned by document; read first, so that families agree */
	size_t count;
	int family; /* the counter whose family comes next */
};

/* A family of one sample, or with a NULL help one more sample of the family before. */
struct metric {
	const char *name; /* with its label; what is named in seconds has its value in ns */
	const char *type;
	int64_t value; /* negative: it could not be read, and is left out */
	const char *help;
};

/* Begin a family: its samples have to follow, all of them, before the next. */
static void
metrics_family(struct metrics_text *text, const char *name, const char *type, const char *help)
{
	size_t length = strcspn(name, "{");

	/* OpenMetrics: the family is named without what its samples end with */
	if (text->openmetrics && strcmp(type, "counter") == 0 && length > strlen(TOTAL) &&
	    strncmp(name + length - strlen(TOTAL), TOTAL, strlen(TOTAL)) == 0)
		length -= strlen(TOTAL);
	document_print(&text->document, "# HELP %.*s %s\n# TYPE %.*s %s\n", (int)length, name, help,
	    (int)length, name, type);
}

static void
metrics_print(struct metrics_text *text, const struct metric *metrics, size_t count)
{
	for (const struct metric *metric = metrics; metric < metrics + count; metric++) {
		if (metric->value < 0)
			continue;
		if (metric->help != NULL)
			metrics_family(text, metric->name, metric->type, metric->help);
		if (strstr(metric->name, "_seconds") != NULL)
			document_print(&text->document, "%s %.6f\n", metric->name,
			    clock_seconds(metric->value));
		else
			document_print(
			    &text->document, "%s %" PRId64 "\n", metric->name, metric->value);
	}
}

/*
 * A bound in seconds in the one form that OpenMetrics has for a number: as short as it is exact,
 * and always with a point, so that both formats give the same series.
 */
static char *
metrics_bound(int64_t ns, char *buffer, size_t size)
{
	(void)snprintf(buffer, size, "%" PRId64 ".%09" PRId64, ns / NS_PER_S, ns % NS_PER_S);
	for (char *end = buffer + strlen(buffer) - 1; *end == '0' && end[-1] != '.'; end--)
		*end = '\0';
	return buffer;
}

/* Write one histogram of the family NAME; LABEL is 'name="value"', its value escaped. */
static void
metrics_histogram(struct metrics_text *text, const char *name, const char *label,
    const struct distribution_scale *scale, const struct distribution_sum *sum)
{
	struct document *document = &text->document;
	uint64_t count = 0;
	char bound[32];

	for (size_t i = 0; i < DISTRIBUTION_BUCKETS; i++) {
		count += sum->buckets[i];
		document_print(document, "%s_bucket{%s,le=\"%s\"} %" PRIu64 "\n", name, label,
		    metrics_bound(scale->bounds_ns[i], bound, sizeof(bound)), count);
	}
	count += sum->buckets[DISTRIBUTION_BUCKETS];
	document_print(document, "%s_bucket{%s,le=\"+Inf\"} %" PRIu64 "\n", name, label, count);
	document_print(document, "%s_sum{%s} %.9f\n", name, label, clock_seconds(sum->sum_ns));
	document_print(document, "%s_count{%s} %" PRIu64 "\n", name, label, count);
}

/* Write the label for NAME: backslash, quote and newline escaped. */
static void
metrics_label(const char *name, char *buffer, size_t size)
{
	size_t used = (size_t)snprintf(buffer, size, "listener=\"");

	for (; *name != '\0' && used + 3 < size; name++) {
		if (*name == '\\' || *name == '"' || *name == '\n')
			buffer[used++] = '\\';
		buffer[used++] = *name == '\n' ? 'n' : *name;
	}
	buffer[used++] = '"';
	buffer[used] = '\0';
}

/* Read one service. */
static bool
metrics_read(struct document *document)
{
	struct metrics_text *text = (struct metrics_text *)document;
	struct metrics_row *row = &text->rows[document->piece];
	const struct service *service = text->service;

	/* services that a reload has added since are left to the next scrape */
	if (document->piece == text->count)
		return false;
	while (service_is_forgotten(service, text->now_ns))
		service = TAILQ_NEXT(service, next);
	metrics_label(service->name, row->label, sizeof(row->label));
	row->connections = atomic_load_explicit(&service->connections, memory_order_relaxed);
	row->peaks = service->peaks;
	service_sum(service, &row->sum);
	for (size_t i = 0; i < service->worker_count; i++) {
		distribution_add(&service->shards[i].duration, &row->duration);
		distribution_add(&service->shards[i].echo_delay, &row->echo_delay);
	}
	text->service = TAILQ_NEXT(service, next);
	return true;
}

static bool
metrics_build(struct document *document)
{
	static const struct metric build = { "echod_build_info{version=\"" PACKAGE_VERSION "\"}",
		"gauge", 1, "Always 1; the label is the version." };

	metrics_print((struct metrics_text *)document, &build, 1);
	return false;
}

/* Return the counter behind those of the family of FIRST: they follow each other in the table. */
static int
metrics_family_end(int first)
{
	const char *metric = counter_info((enum counter)first)->metric;
	int end = first + 1;

	while (end < COUNTER_COUNT && strcmp(counter_info((enum counter)end)->metric, metric) == 0)
		end++;
	return end;
}

static void
metrics_counter_row(struct metrics_text *text, const struct metrics_row *row, int end)
{
	struct document *document = &text->document;

	for (int id = text->family; id < end; id++) {
		const struct counter_info *sample = counter_info((enum counter)id);

		document_print(document, "%s{%s", sample->metric, row->label);
		if (sample->label != NULL)
			document_print(document, ",%s=\"%s\"", sample->label, sample->value);
		document_print(document, "} %" PRIu64 "\n", row->sum.values[id]);
	}
}

/* One family of one service. */
static bool
metrics_counters(struct document *document)
{
	struct metrics_text *text = (struct metrics_text *)document;
	const struct counter_info *info = counter_info((enum counter)text->family);
	size_t row = text->count > 0 ? document->piece % text->count : 0;
	int end = metrics_family_end(text->family);

	if (row == 0)
		metrics_family(text, info->metric,
		    info->kind == COUNTER_KIND_COUNTER ? "counter" : "gauge", info->help);
	if (row < text->count)
		metrics_counter_row(text, &text->rows[row], end);
	if (row + 1 >= text->count)
		text->family = end;
	return text->family < COUNTER_COUNT;
}

static bool
metrics_connections(struct document *document)
{
	struct metrics_text *text = (struct metrics_text *)document;
	const struct metrics_row *row = &text->rows[document->piece];
	const struct metric limit = { "echod_connections_limit", "gauge",
		text->engine->acceptor.limit, "Most connections served at a time." };

	if (document->piece == 0)
		metrics_family(text, "echod_connections", "gauge", "Connections now served.");
	if (document->piece < text->count) {
		document_print(
		    document, "echod_connections{%s} %" PRId64 "\n", row->label, row->connections);
		return true;
	}
	metrics_print(text, &limit, 1);
	return false;
}

static int64_t
metrics_peak(const struct peaks *peaks, size_t figure)
{
	return figure == 0 ? peaks->connections : (int64_t)peaks->rates[figure - 1];
}

/* Each figure is two families, for the peaks of listeners are not of one moment: no sum of them. */
static bool
metrics_peaks(struct document *document)
{
	static const char *const names[] = { "connections",
#define X(ID, key) #key,
		PEAK_RATE_LIST(X)
#undef X
	};
#define BOTH(most) \
	{ \
		most " since the start, of this listener.", \
		    most " since the start, of all together." \
	}
	static const char *const helps[][2] = {
		BOTH("Most connections served at one time"),
		BOTH("Most connections accepted per second, over about a second,"),
		BOTH("Most bytes read per second, over about a second,"),
		BOTH("Most bytes echoed per second, over about a second,"),
	};
#undef BOTH
	struct metrics_text *text = (struct metrics_text *)document;
	size_t figure = document->piece / (text->count + 1);
	size_t row = document->piece % (text->count + 1);
	bool all = row == text->count;
	char name[64];

	(void)snprintf(
	    name, sizeof(name), "echod%s_peak_%s", all ? "" : "_listener", names[figure]);
	if (row == 0 || all)
		metrics_family(text, name, "gauge", helps[figure][all]);
	if (!all)
		document_print(document, "%s{%s} %" PRId64 "\n", name, text->rows[row].label,
		    metrics_peak(&text->rows[row].peaks, figure));
	else
		document_print(document, "%s %" PRId64 "\n", name,
		    metrics_peak(&text->engine->history.peaks, figure));
	return !all || figure + 1 < ARRAY_SIZE(names);
}

static bool
metrics_durations(struct document *document)
{
	static const char name[] = "echod_connection_duration_seconds";
	struct metrics_text *text = (struct metrics_text *)document;
	const struct metrics_row *row = &text->rows[document->piece];

	if (document->piece == 0)
		metrics_family(text, name, "histogram", "Lives of the connections that ended.");
	if (document->piece == text->count)
		return false;
	metrics_histogram(text, name, row->label, &distribution_lives, &row->duration);
	return true;
}

static bool
metrics_delays(struct document *document)
{
	static const char name[] = "echod_echo_delay_seconds";
	struct metrics_text *text = (struct metrics_text *)document;
	const struct metrics_row *row = &text->rows[document->piece];

	if (document->piece == 0)
		metrics_family(text, name, "histogram",
		    "Time from reading bytes to the moment when the kernel had taken their echo, "
		    "sampled.");
	if (document->piece == text->count)
		return false;
	metrics_histogram(text, name, row->label, &distribution_delays, &row->echo_delay);
	return true;
}

/* The main loop, then the workers. */
static bool
metrics_lag(struct document *document)
{
	static const char name[] = "echod_event_loop_lag_seconds";
	struct metrics_text *text = (struct metrics_text *)document;
	const struct distribution *lag = &text->engine->lag;
	struct distribution_sum sum = { .sum_ns = 0 };
	char label[sizeof("loop=\"worker\"") + 20] = "loop=\"main\"";

	if (document->piece == 0)
		metrics_family(
		    text, name, "histogram", "How late an event loop comes to its timer.");
	if (document->piece > text->engine->worker_count)
		return false;
	if (document->piece > 0) {
		size_t worker = document->piece - 1;

		lag = &text->engine->workers[worker]->lag;
		(void)snprintf(label, sizeof(label), "loop=\"worker%zu\"", worker);
	}
	distribution_add(lag, &sum);
	metrics_histogram(text, name, label, &distribution_delays, &sum);
	return true;
}

static void
metrics_process(struct metrics_text *text, struct log_totals log, struct process_figures process)
{
	const struct process_status *status = text->status;
	const struct metric metrics[] = {
		{ "echod_config_last_reload_successful", "gauge", status->last_reload_succeeded,
		    "Whether the last reload, or the start, succeeded." },
		{ "echod_config_last_reload_success_timestamp_seconds", "gauge",
		    status->wall_offset_ns + status->last_success_boot_ns,
		    "When the configuration in use was read, since the epoch." },
		{ "echod_config_needs_restart", "gauge", (int64_t)status->needs_restart,
		    "Directives whose value in the file waits for a restart." },
		{ "echod_config_reloads_total{result=\"success\"}", "counter",
		    (int64_t)status->reloads_succeeded, "Reloads since the start, by result." },
		{ "echod_config_reloads_total{result=\"failure\"}", "counter",
		    (int64_t)status->reloads_failed, NULL },
		{ "echod_draining", "gauge", status->draining,
		    "Whether the daemon takes no more clients, to stop or because it was told "
		    "to." },
		{ "echod_log_written_total", "counter", (int64_t)log.written,
		    "Log lines that the target took." },
		{ "echod_log_dropped_total", "counter", (int64_t)log.dropped,
		    "Log lines lost because the target was slow, full or gone." },
		{ "echod_log_suppressed_total", "counter", (int64_t)log.suppressed,
		    "Log lines over log.rate_limit." },
		{ "process_cpu_seconds_total", "counter", process.cpu_ns,
		    "Processor time used, user and system." },
		{ "process_open_fds", "gauge", process.open_fds,
		    "Number of open file descriptors." },
		{ "process_max_fds", "gauge", process.max_fds,
		    "Most file descriptors that may be open." },
		{ "process_virtual_memory_bytes", "gauge", process.virtual_bytes,
		    "Virtual memory size." },
		{ "process_virtual_memory_max_bytes", "gauge", process.virtual_max_bytes,
		    "Most virtual memory that may be had." },
		{ "process_resident_memory_bytes", "gauge", process.resident_bytes,
		    "Resident memory size." },
		{ "process_threads", "gauge", process.threads, "Number of threads." },
		{ "process_start_time_seconds", "gauge",
		    status->wall_offset_ns + status->started_boot_ns,
		    "When the process started, since the epoch." },
	};

	metrics_print(text, metrics, ARRAY_SIZE(metrics));
}

static bool
metrics_rest(struct document *document)
{
	struct metrics_text *text = (struct metrics_text *)document;
	struct log_totals log;

	log_totals_read(&log);
	metrics_process(text, log, process_figures_read());
	if (text->openmetrics)
		document_print(document, "# EOF\n");
	return false;
}

struct document *
metrics_text_new(bool openmetrics, const struct engine *engine, const struct process_status *status)
{
	static document_step *const steps[] = { metrics_read, metrics_build, metrics_counters,
		metrics_connections, metrics_peaks, metrics_durations, metrics_delays, metrics_lag,
		metrics_rest, NULL };
	struct metrics_text *text = document_new(sizeof(*text),
	    openmetrics ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
			: "text/plain; version=0.0.4; charset=utf-8",
	    steps);
	const struct service *service;

	if (text == NULL)
		return NULL;
	text->openmetrics = openmetrics;
	text->engine = engine;
	text->status = status;
	text->now_ns = clock_now_ns();
	text->service = TAILQ_FIRST(&engine->services);
	TAILQ_FOREACH (service, &engine->services, next)
		text->count += !service_is_forgotten(service, text->now_ns);
	/* one row more than is used: the last call of a step still points to one */
	text->rows = calloc(text->count + 1, sizeof(*text->rows));
	if (text->rows == NULL) {
		document_free(&text->document);
		return NULL;
	}
	text->document.owned = text->rows;
	text->document.release = free;
	return &text->document;
}
