/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "control/stats_json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include <event2/buffer.h>

#include "base/clock.h"
#include "base/log.h"
#include "control/document.h"
#include "control/json_value.h"
#include "control/process_figures.h"

enum stats_step {
	STATS_SUM,
	STATS_LISTENERS,
	STATS_WORKERS,
	STATS_END,
};

struct stats_json {
	struct document document; /* first: the two have one address */
	const struct engine *engine;
	const struct process_status *status;
	enum stats_step step;
	const struct service *service; /* the next one; services live as long as the engine */
	struct counters_sum sum;
	size_t rows; /* of the table that is being written */
};

int
stats_json_add_counters(json_t *object, const struct counters_sum *sum)
{
	int r = 0;

	for (int id = 0; id < COUNTER_COUNT; id++) {
		const struct counter_info *info = counter_info((enum counter)id);
		json_t *value = json_value_count(sum->values[id]), *family;

		if (info->label == NULL) {
			r |= json_object_set_new(object, info->key, value);
			continue;
		}
		if (json_object_get(object, info->key) == NULL)
			r |= json_object_set_new(object, info->key, json_object());
		family = json_object_get(object, info->key);
		r |= json_object_set_new(family, info->value, value);
	}
	return r < 0 ? -ENOMEM : 0;
}

/* The bound of the bucket in which the FRACTION (0 to 1) of all values is reached; null beyond. */
static json_t *
stats_json_quantile(const struct distribution_sum *sum, uint64_t count, double fraction)
{
	uint64_t wanted = (uint64_t)((double)count * fraction), seen = 0;

	for (size_t i = 0; i < DISTRIBUTION_BUCKETS; i++) {
		seen += sum->buckets[i];
		if (seen > wanted || (seen == count && count > 0))
			return json_value_fine_seconds(distribution_delays.bounds_ns[i]);
	}
	return json_null();
}

/* How late a loop comes to its work. */
static json_t *
stats_json_lag(const struct distribution *lag)
{
	struct distribution_sum sum = { .sum_ns = 0 };
	json_t *object = json_object();
	uint64_t count = 0;
	int r = 0;

	distribution_add(lag, &sum);
	for (size_t i = 0; i <= DISTRIBUTION_BUCKETS; i++)
		count += sum.buckets[i];
	r |= json_object_set_new(object, "mean_seconds",
	    json_value_fine_seconds(count > 0 ? sum.sum_ns / (int64_t)count : 0));
	r |= json_object_set_new(object, "p50_seconds", stats_json_quantile(&sum, count, 0.5));
	r |= json_object_set_new(object, "p99_seconds", stats_json_quantile(&sum, count, 0.99));
	return json_value_checked(object, r);
}

static json_t *
stats_json_process(const struct engine *engine, const struct process_status *status)
{
	json_t *object = json_object(), *reloads = json_object();
	struct process_figures figures;
	int r = 0;

	process_figures_read(&figures);
	r |= json_object_set_new(reloads, "success", json_value_count(status->reloads_succeeded));
	r |= json_object_set_new(reloads, "failure", json_value_count(status->reloads_failed));

	r |= json_object_set_new(object, "version", json_string(PACKAGE_VERSION));
	r |= json_object_set_new(object, "pid", json_integer(getpid()));
	r |= json_object_set_new(object, "started", json_value_moment(status->started_wall_ns));
	r |= json_object_set_new(
	    object, "uptime_seconds", json_value_seconds(clock_now_ns() - status->started_ns));
	r |= json_object_set_new(object, "workers", json_value_count(engine->worker_count));
	r |= json_object_set_new(object, "ready", json_boolean(status->not_ready == NULL));
	r |= json_object_set_new(object, "draining", json_boolean(status->draining));
	r |= json_object_set_new(
	    object, "resident_bytes", json_value_figure(figures.resident_bytes));
	r |= json_object_set_new(object, "open_fds", json_value_figure(figures.open_fds));
	r |= json_object_set_new(object, "max_fds", json_value_figure(figures.max_fds));
	r |= json_object_set_new(object, "cpu_seconds", json_value_seconds(figures.cpu_ns));
	r |= json_object_set_new(
	    object, "last_reload_successful", json_boolean(status->last_reload_succeeded));
	r |= json_object_set_new(object, "reloads", reloads);
	r |= json_object_set_new(object, "loop_lag", stats_json_lag(&engine->lag));
	return json_value_checked(object, r);
}

static json_t *
stats_json_totals(const struct engine *engine, const struct counters_sum *sum)
{
	json_t *object = json_object();
	struct log_totals log;
	int r = 0;

	log_totals_read(&log);
	r |= json_object_set_new(object, "connections", json_integer(engine_connections(engine)));
	r |= stats_json_add_counters(object, sum);
	r |= json_object_set_new(object, "log_written", json_value_count(log.written));
	r |= json_object_set_new(object, "log_dropped", json_value_count(log.dropped));
	r |= json_object_set_new(object, "log_suppressed", json_value_count(log.suppressed));
	return json_value_checked(object, r);
}

/* A service whose listener is gone still has its counters. */
static json_t *
stats_json_listener(const struct engine *engine, const struct service *service)
{
	bool accepting;
	const struct listen_socket *socket = engine_find_socket(engine, service, &accepting);
	int64_t connections = atomic_load_explicit(&service->connections, memory_order_relaxed);
	json_t *object = json_object(), *address = json_null(), *origin = json_null();
	char text[ADDRESS_TEXT_MAX];
	struct counters_sum sum;
	int r = 0;

	if (socket != NULL) {
		address = json_string(address_format(&socket->address, text, sizeof(text)));
		origin = json_string(socket->inherited ? "inherited" : "bound");
	}
	service_sum(service, &sum);
	r |= json_object_set_new(object, "name", json_string(service->name));
	r |= json_object_set_new(object, "address", address);
	r |= json_object_set_new(object, "origin", origin);
	r |= json_object_set_new(object, "accepting", json_boolean(accepting));
	r |= json_object_set_new(object, "connections", json_integer(connections));
	r |= stats_json_add_counters(object, &sum);
	return json_value_checked(object, r);
}

static json_t *
stats_json_worker(const struct worker *worker)
{
	int64_t load = atomic_load_explicit(&worker->load, memory_order_relaxed);
	json_t *object = json_object();
	int r = 0;

	r |= json_object_set_new(object, "id", json_integer(worker->id));
	r |= json_object_set_new(object, "connections", json_integer(load));
	r |= json_object_set_new(object, "loop_lag", stats_json_lag(&worker->lag));
	return json_value_checked(object, r);
}

static int
stats_json_write_head(const struct stats_json *json, struct evbuffer *out)
{
	int r = evbuffer_add_printf(out, "{\"process\":");

	if (r >= 0)
		r = json_value_write(out, stats_json_process(json->engine, json->status));
	if (r >= 0)
		r = evbuffer_add_printf(out, ",\"totals\":");
	if (r >= 0)
		r = json_value_write(out, stats_json_totals(json->engine, &json->sum));
	return r < 0 ? r : evbuffer_add_printf(out, ",\"listeners\":[");
}

/* Add one service up, for the totals that come first. */
static void
stats_json_add_up(struct stats_json *json)
{
	struct counters_sum sum;

	service_sum(json->service, &sum);
	for (int i = 0; i < COUNTER_COUNT; i++)
		json->sum.values[i] += sum.values[i];
	json->service = TAILQ_NEXT(json->service, next);
}

/* Write the next row of a table, with what is between it and the one before. */
static int
stats_json_write_row(struct stats_json *json, struct evbuffer *out, json_t *row)
{
	int r = json->rows++ > 0 ? evbuffer_add(out, ",", 1) : 0;

	if (r < 0)
		json_decref(row);
	return r < 0 ? r : json_value_write(out, row);
}

/* A piece is one row, or what is between two tables. */
static int
stats_json_write_piece(struct stats_json *json, struct evbuffer *out)
{
	const struct engine *engine = json->engine;
	const struct service *service = json->service;

	switch (json->step) {
	case STATS_SUM:
		if (service != NULL) {
			stats_json_add_up(json);
			return 0;
		}
		json->step = STATS_LISTENERS;
		json->service = TAILQ_FIRST(&engine->services);
		return stats_json_write_head(json, out);
	case STATS_LISTENERS:
		if (service != NULL) {
			json->service = TAILQ_NEXT(service, next);
			return stats_json_write_row(
			    json, out, stats_json_listener(engine, service));
		}
		json->step = STATS_WORKERS;
		json->rows = 0;
		return evbuffer_add_printf(out, "],\"workers\":[");
	case STATS_WORKERS:
		if (json->rows < engine->worker_count)
			return stats_json_write_row(
			    json, out, stats_json_worker(engine->workers[json->rows]));
		json->step = STATS_END;
		return evbuffer_add_printf(
		    out, "],\"limits\":{\"connections\":%" PRId64 "}}\n", engine->acceptor.limit);
	case STATS_END:
		break;
	}
	return 0;
}

static int
stats_json_write(struct document *document, struct evbuffer *out)
{
	struct stats_json *json = (struct stats_json *)document;

	if (stats_json_write_piece(json, out) < 0)
		return -ENOMEM;
	return json->step != STATS_END;
}

static void
stats_json_free(struct document *document)
{
	free(document);
}

struct document *
stats_json_new(const struct engine *engine, const struct process_status *status)
{
	struct stats_json *json = calloc(1, sizeof(*json));

	if (json == NULL)
		return NULL;
	json->document = (struct document){
		.type = JSON_VALUE_TYPE, .write = stats_json_write, .free = stats_json_free
	};
	json->engine = engine;
	json->status = status;
	json->service = TAILQ_FIRST(&engine->services);
	return &json->document;
}
