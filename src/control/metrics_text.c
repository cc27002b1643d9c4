/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "control/metrics_text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "control/document.h"
#include "control/process_figures.h"

/* What one service has counted. */
struct metrics_row {
	char listener[2 * CONFIG_LISTENER_NAME_MAX + 2];
	int64_t connections;
	struct counters_sum sum;
	struct distribution_sum duration;
	struct distribution_sum echo_delay;
};

/* Each step of the document is called with 0, 1, 2... and returns whether it has another piece. */
struct metrics_text {
	struct document document; /* first: the two have one address */
	struct metrics_writer writer;
	const struct engine *engine;
	const struct process_status *status;
	size_t step;
	size_t piece;
	const struct service *service; /* to be read next; services live as long as the engine */
	struct metrics_row *rows;      /* owned; read first, so that all families agree */
	size_t count;
	int family; /* the counter whose family comes next */
};

/* Read one service. */
static bool
metrics_read(struct metrics_text *text, size_t piece)
{
	const struct service *service = text->service;
	struct metrics_row *row = &text->rows[piece];

	/* those that a reload has added since have to wait */
	if (piece == text->count)
		return false;
	metrics_writer_escape(service->name, row->listener, sizeof(row->listener));
	row->connections = atomic_load_explicit(&service->connections, memory_order_relaxed);
	service_sum(service, &row->sum);
	for (size_t i = 0; i < service->worker_count; i++) {
		distribution_add(&service->shares[i].duration, &row->duration);
		distribution_add(&service->shares[i].echo_delay, &row->echo_delay);
	}
	text->service = TAILQ_NEXT(service, next);
	return true;
}

static bool
metrics_build(struct metrics_text *text, size_t piece)
{
	(void)piece;
	metrics_writer_family(&text->writer, "echod_build_info", COUNTER_KIND_GAUGE,
	    "Always 1; the label is the version.");
	metrics_writer_print(
	    &text->writer, "echod_build_info{version=\"%s\"} 1\n", PACKAGE_VERSION);
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
	struct metrics_writer *writer = &text->writer;

	for (int id = text->family; id < end; id++) {
		const struct counter_info *sample = counter_info((enum counter)id);

		metrics_writer_print(writer, "%s{listener=\"%s\"", sample->metric, row->listener);
		if (sample->label != NULL)
			metrics_writer_print(writer, ",%s=\"%s\"", sample->label, sample->value);
		metrics_writer_print(writer, "} %" PRIu64 "\n", row->sum.values[id]);
	}
}

/* One family of one service. */
static bool
metrics_counters(struct metrics_text *text, size_t piece)
{
	const struct counter_info *info = counter_info((enum counter)text->family);
	size_t row = text->count > 0 ? piece % text->count : 0;
	int end = metrics_family_end(text->family);

	if (row == 0)
		metrics_writer_family(&text->writer, info->metric, info->kind, info->help);
	if (row < text->count)
		metrics_counter_row(text, &text->rows[row], end);
	if (row + 1 >= text->count)
		text->family = end;
	return text->family < COUNTER_COUNT;
}

static bool
metrics_connections(struct metrics_text *text, size_t piece)
{
	struct metrics_writer *writer = &text->writer;

	if (piece == 0)
		metrics_writer_family(
		    writer, "echod_connections", COUNTER_KIND_GAUGE, "Connections now served.");
	if (piece < text->count) {
		metrics_writer_print(writer, "echod_connections{listener=\"%s\"} %" PRId64 "\n",
		    text->rows[piece].listener, text->rows[piece].connections);
		return true;
	}
	metrics_writer_one(writer, "echod_connections_limit", COUNTER_KIND_GAUGE,
	    text->engine->acceptor.limit, "Most connections served at a time.");
	return false;
}

static bool
metrics_histogram(struct metrics_text *text, size_t piece, const char *name,
    const struct distribution_scale *scale, const struct distribution_sum *sum)
{
	char label[sizeof(text->rows->listener) + sizeof("listener=\"\"")];

	if (piece == text->count)
		return false;
	(void)snprintf(label, sizeof(label), "listener=\"%s\"", text->rows[piece].listener);
	metrics_writer_histogram(&text->writer, name, label, scale, sum);
	return true;
}

static bool
metrics_durations(struct metrics_text *text, size_t piece)
{
	static const char name[] = "echod_connection_duration_seconds";

	if (piece == 0)
		metrics_writer_histograms(
		    &text->writer, name, "Lives of the connections that ended.");
	return metrics_histogram(
	    text, piece, name, &distribution_lives, &text->rows[piece].duration);
}

static bool
metrics_delays(struct metrics_text *text, size_t piece)
{
	static const char name[] = "echod_echo_delay_seconds";

	if (piece == 0)
		metrics_writer_histograms(&text->writer, name,
		    "Time from reading bytes to the moment when the kernel had taken their echo, "
		    "sampled.");
	return metrics_histogram(
	    text, piece, name, &distribution_delays, &text->rows[piece].echo_delay);
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

static bool
metrics_lag(struct metrics_text *text, size_t piece)
{
	static const char name[] = "echod_event_loop_lag_seconds";
	char loop[32];

	if (piece == 0) {
		metrics_writer_histograms(
		    &text->writer, name, "How late an event loop comes to its timer.");
		metrics_lag_of(&text->writer, name, "main", &text->engine->lag);
	}
	if (piece == text->engine->worker_count)
		return false;
	(void)snprintf(loop, sizeof(loop), "worker%zu", piece);
	metrics_lag_of(&text->writer, name, loop, &text->engine->workers[piece]->lag);
	return true;
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

static bool
metrics_rest(struct metrics_text *text, size_t piece)
{
	(void)piece;
	metrics_state(&text->writer, text->status);
	metrics_process(&text->writer, text->status);
	metrics_writer_end(&text->writer);
	return false;
}

static int
metrics_text_write(struct document *document, struct evbuffer *out)
{
	static bool (*const steps[])(struct metrics_text * text, size_t piece) = {
		metrics_read,
		metrics_build,
		metrics_counters,
		metrics_connections,
		metrics_durations,
		metrics_delays,
		metrics_lag,
		metrics_rest,
	};
	struct metrics_text *text = (struct metrics_text *)document;

	text->writer.out = out;
	if (!steps[text->step](text, text->piece++)) {
		text->step++;
		text->piece = 0;
	}
	if (text->writer.failed)
		return -ENOMEM;
	return text->step < ARRAY_SIZE(steps);
}

static void
metrics_text_free(struct document *document)
{
	struct metrics_text *text = (struct metrics_text *)document;

	free(text->rows);
	free(text);
}

struct document *
metrics_text_new(
    enum metrics_format format, const struct engine *engine, const struct process_status *status)
{
	struct metrics_text *text = calloc(1, sizeof(*text));
	const struct service *service;

	if (text == NULL)
		return NULL;
	text->document = (struct document){ .type = metrics_writer_type(format),
		.write = metrics_text_write,
		.free = metrics_text_free };
	text->writer.format = format;
	text->engine = engine;
	text->status = status;
	text->service = TAILQ_FIRST(&engine->services);
	TAILQ_FOREACH (service, &engine->services, next)
		text->count++;
	/* with one that stays empty: the last call of a step has a row to point to */
	text->rows = calloc(text->count + 1, sizeof(*text->rows));
	if (text->rows == NULL) {
		metrics_text_free(&text->document);
		return NULL;
	}
	return &text->document;
}
