/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "control/metrics_text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>

#include "base/clock.h"
#include "base/log.h"
#include "control/process_figures.h"

struct metrics {
	struct evbuffer *out; /* borrowed */
	bool failed;          /* a line was lost */
};

static void metrics_print(struct metrics *metrics, const char *format, ...) ATTR_PRINTF(2, 3);

static void
metrics_print(struct metrics *metrics, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	if (evbuffer_add_vprintf(metrics->out, format, ap) < 0)
		metrics->failed = true;
	va_end(ap);
}

/* Begin a family: its samples have to follow, all of them, before the next. */
static void
metrics_family(struct metrics *metrics, const char *name, enum counter_kind kind, const char *help)
{
	metrics_print(metrics, "# HELP %s %s\n# TYPE %s %s\n", name, help, name,
	    kind == COUNTER_KIND_COUNTER ? "counter" : "gauge");
}

/* A family of one sample without a label. */
static void
metrics_one(struct metrics *metrics, const char *name, enum counter_kind kind, int64_t value,
    const char *help)
{
	metrics_family(metrics, name, kind, help);
	metrics_print(metrics, "%s %" PRId64 "\n", name, value);
}

/* The same, for a time. */
static void
metrics_one_seconds(
    struct metrics *metrics, const char *name, enum counter_kind kind, int64_t ns, const char *help)
{
	metrics_family(metrics, name, kind, help);
	metrics_print(metrics, "%s %.6f\n", name, clock_seconds(ns));
}

/* The same, for a figure that is left out when it is not known. */
static void
metrics_known(struct metrics *metrics, const char *name, int64_t value, const char *help)
{
	if (value >= 0)
		metrics_one(metrics, name, COUNTER_KIND_GAUGE, value, help);
}

char *
metrics_text_escape(const char *value, char *buffer, size_t size)
{
	size_t used = 0;

	for (; *value != '\0' && used + 2 < size; value++) {
		if (*value == '\\' || *value == '"' || *value == '\n')
			buffer[used++] = '\\';
		buffer[used++] = *value == '\n' ? 'n' : *value;
	}
	buffer[used] = '\0';
	return buffer;
}

/* What one service has counted. */
struct metrics_row {
	char listener[2 * CONFIG_LISTENER_NAME_MAX + 2];
	int64_t connections;
	struct counters_sum sum;
};

static struct metrics_row *
metrics_rows_new(const struct engine *engine, size_t *ret_count)
{
	const struct service *service;
	struct metrics_row *rows;
	size_t count = 0;

	TAILQ_FOREACH (service, &engine->services, next)
		count++;
	rows = calloc(count + 1, sizeof(*rows));
	if (rows == NULL)
		return NULL;
	count = 0;
	TAILQ_FOREACH (service, &engine->services, next) {
		struct metrics_row *row = &rows[count++];

		metrics_text_escape(service->name, row->listener, sizeof(row->listener));
		row->connections = atomic_load_explicit(
		    &service->connections, memory_order_relaxed);
		service_sum(service, &row->sum);
	}
	*ret_count = count;
	return rows;
}

/* The rows of the table that have one metric's name follow each other: write those from FIRST. */
static int
metrics_counter_family(
    struct metrics *metrics, const struct metrics_row *rows, size_t count, int first)
{
	const struct counter_info *info = counter_info((enum counter)first);
	int end = first + 1;

	while (end < COUNTER_COUNT &&
	       strcmp(counter_info((enum counter)end)->metric, info->metric) == 0)
		end++;
	metrics_family(metrics, info->metric, info->kind, info->help);
	for (size_t i = 0; i < count; i++) {
		for (int id = first; id < end; id++) {
			const struct counter_info *sample = counter_info((enum counter)id);

			metrics_print(
			    metrics, "%s{listener=\"%s\"", sample->metric, rows[i].listener);
			if (sample->label != NULL)
				metrics_print(metrics, ",%s=\"%s\"", sample->label, sample->value);
			metrics_print(metrics, "} %" PRIu64 "\n", rows[i].sum.values[id]);
		}
	}
	return end;
}

static void
metrics_connections(struct metrics *metrics, const struct engine *engine,
    const struct metrics_row *rows, size_t count)
{
	for (int id = 0; id < COUNTER_COUNT;)
		id = metrics_counter_family(metrics, rows, count, id);
	metrics_family(metrics, "echod_connections", COUNTER_KIND_GAUGE, "Connections now served.");
	for (size_t i = 0; i < count; i++)
		metrics_print(metrics, "echod_connections{listener=\"%s\"} %" PRId64 "\n",
		    rows[i].listener, rows[i].connections);
	metrics_one(metrics, "echod_connections_limit", COUNTER_KIND_GAUGE, engine->admission.limit,
	    "Most connections served at a time.");
}

static void
metrics_state(struct metrics *metrics, const struct process_status *status)
{
	struct log_totals log;

	log_totals_read(&log);
	metrics_one(metrics, "echod_config_last_reload_successful", COUNTER_KIND_GAUGE,
	    status->last_reload_succeeded, "Whether the last reload, or the start, succeeded.");
	metrics_one_seconds(metrics, "echod_config_last_reload_success_timestamp_seconds",
	    COUNTER_KIND_GAUGE, status->last_success_wall_ns,
	    "When the configuration in use was read, since the epoch.");
	metrics_family(metrics, "echod_config_reloads_total", COUNTER_KIND_COUNTER,
	    "Reloads since the start, by result.");
	metrics_print(metrics, "echod_config_reloads_total{result=\"success\"} %" PRIu64 "\n",
	    status->reloads_succeeded);
	metrics_print(metrics, "echod_config_reloads_total{result=\"failure\"} %" PRIu64 "\n",
	    status->reloads_failed);
	metrics_one(metrics, "echod_draining", COUNTER_KIND_GAUGE, status->draining,
	    "Whether the daemon is about to stop.");
	metrics_one(metrics, "echod_log_written_total", COUNTER_KIND_COUNTER, (int64_t)log.written,
	    "Log lines that the target took.");
	metrics_one(metrics, "echod_log_dropped_total", COUNTER_KIND_COUNTER, (int64_t)log.dropped,
	    "Log lines lost because the target was slow, full or gone.");
	metrics_one(metrics, "echod_log_suppressed_total", COUNTER_KIND_COUNTER,
	    (int64_t)log.suppressed, "Log lines over log.rate_limit.");
}

static void
metrics_process(struct metrics *metrics, const struct process_status *status)
{
	struct process_figures figures;

	process_figures_read(&figures);
	if (figures.cpu_ns >= 0)
		metrics_one_seconds(metrics, "process_cpu_seconds_total", COUNTER_KIND_COUNTER,
		    figures.cpu_ns, "Processor time used, user and system.");
	metrics_known(
	    metrics, "process_open_fds", figures.open_fds, "Number of open file descriptors.");
	metrics_known(
	    metrics, "process_max_fds", figures.max_fds, "Most file descriptors that may be open.");
	metrics_known(
	    metrics, "process_virtual_memory_bytes", figures.virtual_bytes, "Virtual memory size.");
	metrics_known(metrics, "process_virtual_memory_max_bytes", figures.virtual_max_bytes,
	    "Most virtual memory that may be had.");
	metrics_known(metrics, "process_resident_memory_bytes", figures.resident_bytes,
	    "Resident memory size.");
	metrics_known(metrics, "process_threads", figures.threads, "Number of threads.");
	metrics_one_seconds(metrics, "process_start_time_seconds", COUNTER_KIND_GAUGE,
	    status->started_wall_ns, "When the process started, since the epoch.");
}

int
metrics_text_write(
    struct evbuffer *out, const struct engine *engine, const struct process_status *status)
{
	struct metrics metrics = { .out = out };
	size_t count;
	struct metrics_row *rows = metrics_rows_new(engine, &count);

	if (rows == NULL)
		return -ENOMEM;
	metrics_family(&metrics, "echod_build_info", COUNTER_KIND_GAUGE,
	    "Always 1; the label is the version.");
	metrics_print(&metrics, "echod_build_info{version=\"%s\"} 1\n", PACKAGE_VERSION);
	metrics_connections(&metrics, engine, rows, count);
	metrics_state(&metrics, status);
	metrics_process(&metrics, status);
	free(rows);
	return metrics.failed ? -ENOMEM : 0;
}
