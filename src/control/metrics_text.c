/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "control/metrics_text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "control/process_figures.h"

/* What one service has counted. */
struct metrics_row {
	char listener[2 * CONFIG_LISTENER_NAME_MAX + 2];
	int64_t connections;
	struct counters_sum sum;
	struct distribution_sum duration;
	struct distribution_sum echo_delay;
};

static void
metrics_row_fill(struct metrics_row *row, const struct service *service)
{
	metrics_writer_escape(service->name, row->listener, sizeof(row->listener));
	row->connections = atomic_load_explicit(&service->connections, memory_order_relaxed);
	service_sum(service, &row->sum);
	for (size_t i = 0; i < service->worker_count; i++) {
		distribution_add(&service->shares[i].duration, &row->duration);
		distribution_add(&service->shares[i].echo_delay, &row->echo_delay);
	}
}

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
	TAILQ_FOREACH (service, &engine->services, next)
		metrics_row_fill(&rows[count++], service);
	*ret_count = count;
	return rows;
}

/* The rows of the table that have one metric's name follow each other: write those from FIRST. */
static int
metrics_counter_family(
    struct metrics_writer *writer, const struct metrics_row *rows, size_t count, int first)
{
	const struct counter_info *info = counter_info((enum counter)first);
	int end = first + 1;

	while (end < COUNTER_COUNT &&
	       strcmp(counter_info((enum counter)end)->metric, info->metric) == 0)
		end++;
	metrics_writer_family(writer, info->metric, info->kind, info->help);
	for (size_t i = 0; i < count; i++) {
		for (int id = first; id < end; id++) {
			const struct counter_info *sample = counter_info((enum counter)id);

			metrics_writer_print(
			    writer, "%s{listener=\"%s\"", sample->metric, rows[i].listener);
			if (sample->label != NULL)
				metrics_writer_print(
				    writer, ",%s=\"%s\"", sample->label, sample->value);
			metrics_writer_print(writer, "} %" PRIu64 "\n", rows[i].sum.values[id]);
		}
	}
	return end;
}

static void
metrics_connections(struct metrics_writer *writer, const struct engine *engine,
    const struct metrics_row *rows, size_t count)
{
	for (int id = 0; id < COUNTER_COUNT;)
		id = metrics_counter_family(writer, rows, count, id);
	metrics_writer_family(
	    writer, "echod_connections", COUNTER_KIND_GAUGE, "Connections now served.");
	for (size_t i = 0; i < count; i++)
		metrics_writer_print(writer, "echod_connections{listener=\"%s\"} %" PRId64 "\n",
		    rows[i].listener, rows[i].connections);
	metrics_writer_one(writer, "echod_connections_limit", COUNTER_KIND_GAUGE,
	    engine->admission.limit, "Most connections served at a time.");
}

static void
metrics_durations(struct metrics_writer *writer, const struct metrics_row *rows, size_t count)
{
	static const char lives[] = "echod_connection_duration_seconds";
	static const char delays[] = "echod_echo_delay_seconds";
	char label[sizeof(rows->listener) + sizeof("listener=\"\"")];

	metrics_writer_histograms(writer, lives, "Lives of the connections that ended.");
	for (size_t i = 0; i < count; i++) {
		(void)snprintf(label, sizeof(label), "listener=\"%s\"", rows[i].listener);
		metrics_writer_histogram(
		    writer, lives, label, &distribution_lives, &rows[i].duration);
	}
	metrics_writer_histograms(writer, delays,
	    "Time from reading bytes to the moment when the kernel had taken their echo, sampled.");
	for (size_t i = 0; i < count; i++) {
		(void)snprintf(label, sizeof(label), "listener=\"%s\"", rows[i].listener);
		metrics_writer_histogram(
		    writer, delays, label, &distribution_delays, &rows[i].echo_delay);
	}
}

/* LOOP is "main" or "worker0". */
static void
metrics_lag_of(struct metrics_writer *writer, const char *name, const char *loop,
    const struct distribution *lag)
{
	struct distribution_sum sum = { .sum_ns = 0 };
	char label[64];

	distribution_add(lag, &sum);
	(void)snprintf(label, sizeof(label), "loop=\"%s\"", loop);
	metrics_writer_histogram(writer, name, label, &distribution_delays, &sum);
}

static void
metrics_lag(struct metrics_writer *writer, const struct engine *engine)
{
	static const char name[] = "echod_event_loop_lag_seconds";
	char loop[32];

	metrics_writer_histograms(writer, name, "How late an event loop comes to its timer.");
	metrics_lag_of(writer, name, "main", &engine->lag);
	for (size_t i = 0; i < engine->worker_count; i++) {
		(void)snprintf(loop, sizeof(loop), "worker%zu", i);
		metrics_lag_of(writer, name, loop, &engine->workers[i]->lag);
	}
}

static void
metrics_state(struct metrics_writer *writer, const struct process_status *status)
{
	struct log_totals log;

	log_totals_read(&log);
	metrics_writer_one(writer, "echod_config_last_reload_successful", COUNTER_KIND_GAUGE,
	    status->last_reload_succeeded, "Whether the last reload, or the start, succeeded.");
	metrics_writer_one_seconds(writer, "echod_config_last_reload_success_timestamp_seconds",
	    COUNTER_KIND_GAUGE, status->last_success_wall_ns,
	    "When the configuration in use was read, since the epoch.");
	metrics_writer_family(writer, "echod_config_reloads_total", COUNTER_KIND_COUNTER,
	    "Reloads since the start, by result.");
	metrics_writer_print(writer, "echod_config_reloads_total{result=\"success\"} %" PRIu64 "\n",
	    status->reloads_succeeded);
	metrics_writer_print(writer, "echod_config_reloads_total{result=\"failure\"} %" PRIu64 "\n",
	    status->reloads_failed);
	metrics_writer_one(writer, "echod_draining", COUNTER_KIND_GAUGE, status->draining,
	    "Whether the daemon takes no more clients, to stop or because it was told to.");
	metrics_writer_one(writer, "echod_log_written_total", COUNTER_KIND_COUNTER,
	    (int64_t)log.written, "Log lines that the target took.");
	metrics_writer_one(writer, "echod_log_dropped_total", COUNTER_KIND_COUNTER,
	    (int64_t)log.dropped, "Log lines lost because the target was slow, full or gone.");
	metrics_writer_one(writer, "echod_log_suppressed_total", COUNTER_KIND_COUNTER,
	    (int64_t)log.suppressed, "Log lines over log.rate_limit.");
}

static void
metrics_process(struct metrics_writer *writer, const struct process_status *status)
{
	struct process_figures figures;

	process_figures_read(&figures);
	if (figures.cpu_ns >= 0)
		metrics_writer_one_seconds(writer, "process_cpu_seconds_total",
		    COUNTER_KIND_COUNTER, figures.cpu_ns, "Processor time used, user and system.");
	metrics_writer_known(
	    writer, "process_open_fds", figures.open_fds, "Number of open file descriptors.");
	metrics_writer_known(
	    writer, "process_max_fds", figures.max_fds, "Most file descriptors that may be open.");
	metrics_writer_known(
	    writer, "process_virtual_memory_bytes", figures.virtual_bytes, "Virtual memory size.");
	metrics_writer_known(writer, "process_virtual_memory_max_bytes", figures.virtual_max_bytes,
	    "Most virtual memory that may be had.");
	metrics_writer_known(writer, "process_resident_memory_bytes", figures.resident_bytes,
	    "Resident memory size.");
	metrics_writer_known(writer, "process_threads", figures.threads, "Number of threads.");
	metrics_writer_one_seconds(writer, "process_start_time_seconds", COUNTER_KIND_GAUGE,
	    status->started_wall_ns, "When the process started, since the epoch.");
}

int
metrics_text_write(struct evbuffer *out, enum metrics_format format, const struct engine *engine,
    const struct process_status *status)
{
	struct metrics_writer writer = { .out = out, .format = format };
	size_t count;
	struct metrics_row *rows = metrics_rows_new(engine, &count);

	if (rows == NULL)
		return -ENOMEM;
	metrics_writer_family(
	    &writer, "echod_build_info", COUNTER_KIND_GAUGE, "Always 1; the label is the version.");
	metrics_writer_print(&writer, "echod_build_info{version=\"%s\"} 1\n", PACKAGE_VERSION);
	metrics_connections(&writer, engine, rows, count);
	metrics_durations(&writer, rows, count);
	metrics_lag(&writer, engine);
	metrics_state(&writer, status);
	metrics_process(&writer, status);
	metrics_writer_end(&writer);
	free(rows);
	return writer.failed ? -ENOMEM : 0;
}
