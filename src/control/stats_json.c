/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "control/stats_json.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "control/document.h"
#include "control/history_json.h"
#include "control/process_figures.h"

struct stats_json {
	struct document document; /* first: the two have one address */
	const struct engine *engine;
	const struct process_status *status;
	int64_t now_ns;                /* by which services are forgotten, or not */
	const struct service *service; /* the next one; services live as long as the engine */
	struct counters_sum sum;
};

/*
 * Add a member to OBJECT (NULL: out of memory) for each counter without a label, and an object for
 * each family with one. Returns 0 or -ENOMEM.
 */
static int
stats_json_add_counters(json_t *object, const struct counters_sum *sum)
{
	for (int id = 0; id < COUNTER_COUNT; id++) {
		const struct counter_info *info = counter_info((enum counter)id);
		const char *key = info->key;
		json_t *parent = object;

		if (info->label != NULL) {
			if (json_object_get(object, key) == NULL)
				(void)json_object_set_new(object, key, json_object());
			parent = json_object_get(object, key);
			key = info->value;
		}
		if (json_object_set_new(parent, key, document_count(sum->values[id])) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* The bound of the bucket in which the FRACTION (0 to 1) of all values is reached; null beyond. */
static json_t *
stats_json_quantile(const struct distribution_sum *sum, uint64_t count, double fraction)
{
	uint64_t wanted = (uint64_t)((double)count * fraction), seen = 0;

	for (size_t i = 0; i < DISTRIBUTION_BUCKETS; i++) {
		seen += sum->buckets[i];
		if (seen > wanted || (seen == count && count > 0))
			return document_fine_seconds(distribution_delays.bounds_ns[i]);
	}
	return json_null();
}

static json_t *
stats_json_delays(const struct distribution_sum *sum)
{
	uint64_t count = 0;

	for (size_t i = 0; i <= DISTRIBUTION_BUCKETS; i++)
		count += sum->buckets[i];
	return json_pack("{s:o, s:o, s:o}", "mean_seconds",
	    count > 0 ? document_fine_seconds(sum->sum_ns / (int64_t)count) : json_null(),
	    "p50_seconds", stats_json_quantile(sum, count, 0.5), "p99_seconds",
	    stats_json_quantile(sum, count, 0.99));
}

/* How late a loop comes to its work. */
static json_t *
stats_json_lag(const struct distribution *lag)
{
	struct distribution_sum sum = { .sum_ns = 0 };

	distribution_add(lag, &sum);
	return stats_json_delays(&sum);
}

static json_t *
stats_json_echo_delay(const struct service *service)
{
	struct distribution_sum sum = { .sum_ns = 0 };

	for (size_t i = 0; i < service->worker_count; i++)
		distribution_add(&service->shards[i].echo_delay, &sum);
	return stats_json_delays(&sum);
}

/* The node name of uname(2). */
static json_t *
stats_json_machine(void)
{
	struct utsname name;

	return uname(&name) == 0 ? document_text(name.nodename) : json_null();
}

static json_t *
stats_json_process(const struct engine *engine, const struct process_status *status)
{
	struct process_figures figures = process_figures_read();
	const struct document_member members[] = {
		{ "version", json_string(PACKAGE_VERSION) },
		{ "machine", stats_json_machine() },
		{ "pid", json_integer(getpid()) },
		{ "started", document_moment(status->wall_offset_ns + status->started_boot_ns) },
		{ "uptime_seconds", document_seconds(clock_now_ns() - status->started_ns) },
		{ "workers", document_count(engine->worker_count) },
		{ "ready", json_boolean(status->not_ready == NULL) },
		{ "draining", json_boolean(status->draining) },
		{ "resident_bytes", document_figure(figures.resident_bytes) },
		{ "open_fds", document_figure(figures.open_fds) },
		{ "max_fds", document_figure(figures.max_fds) },
		{ "cpu_seconds", document_seconds(figures.cpu_ns) },
		{ "last_reload_successful", json_boolean(status->last_reload_succeeded) },
		{ "reloads",
		    json_pack("{s:I, s:I}", "success", (json_int_t)status->reloads_succeeded,
			"failure", (json_int_t)status->reloads_failed) },
		{ "needs_restart", document_count(status->needs_restart) },
		{ "loop_lag", stats_json_lag(&engine->lag) },
	};

	return document_object(members, ARRAY_SIZE(members));
}

static json_t *
stats_json_totals(const struct engine *engine, const struct counters_sum *sum)
{
	json_t *object = json_pack("{s:I, s:o}", "connections",
	    (json_int_t)engine_connections(engine), "peaks",
	    history_json_peaks(&engine->history.peaks));
	struct log_totals log;
	json_t *lines;

	log_totals_read(&log);
	lines = json_pack("{s:I, s:I, s:I}", "log_written", (json_int_t)log.written, "log_dropped",
	    (json_int_t)log.dropped, "log_suppressed", (json_int_t)log.suppressed);
	if (stats_json_add_counters(object, sum) < 0 || json_object_update(object, lines) < 0) {
		json_decref(object);
		object = NULL;
	}
	json_decref(lines);
	return object;
}

/* A service whose listener is gone still has its counters, and the address that it had. */
static json_t *
stats_json_listener(const struct engine *engine, const struct service *service)
{
	bool accepting;
	const struct listen_socket *sock = engine_find_socket(engine, service, &accepting);
	int64_t connections = atomic_load_explicit(&service->connections, memory_order_relaxed);
	const char *address = NULL, *origin = NULL;
	char text[ADDRESS_TEXT_MAX];
	struct counters_sum sum;
	json_t *object;

	if (service->address.length > 0)
		address = address_format(&service->address, text, sizeof(text));
	if (sock != NULL)
		origin = sock->inherited ? "inherited" : "bound";
	object = json_pack("{s:s, s:s?, s:s?, s:b, s:b, s:I, s:I, s:o, s:o}", "name", service->name,
	    "address", address, "origin", origin, "open", sock != NULL, "accepting", accepting,
	    "connections", (json_int_t)connections, "connections_limit",
	    (json_int_t)engine_connections_limit(engine, service), "peaks",
	    history_json_peaks(&service->peaks), "echo_delay", stats_json_echo_delay(service));
	service_sum(service, &sum);
	if (stats_json_add_counters(object, &sum) == 0)
		return object;
	json_decref(object);
	return NULL;
}

static json_t *
stats_json_worker(const struct worker *worker)
{
	int64_t load = atomic_load_explicit(&worker->connections.load, memory_order_relaxed);

	return json_pack("{s:i, s:I, s:o}", "id", worker->id, "connections", (json_int_t)load,
	    "loop_lag", stats_json_lag(&worker->lag));
}

/* Add one service up, for the totals that come first. */
static bool
stats_json_sum(struct document *document)
{
	struct stats_json *json = (struct stats_json *)document;
	struct counters_sum sum;

	if (json->service == NULL)
		return false;
	service_sum(json->service, &sum);
	for (int i = 0; i < COUNTER_COUNT; i++)
		json->sum.values[i] += sum.values[i];
	json->service = TAILQ_NEXT(json->service, next);
	return true;
}

static bool
stats_json_head(struct document *document)
{
	struct stats_json *json = (struct stats_json *)document;

	document_print(document, "{\"process\":");
	document_add(document, stats_json_process(json->engine, json->status));
	document_print(document, ",\"totals\":");
	document_add(document, stats_json_totals(json->engine, &json->sum));
	document_print(document, ",\"listeners\":[");
	json->service = TAILQ_FIRST(&json->engine->services);
	return false;
}

static bool
stats_json_listeners(struct document *document)
{
	struct stats_json *json = (struct stats_json *)document;
	const struct service *service = json->service;

	while (service != NULL && service_is_forgotten(service, json->now_ns))
		service = TAILQ_NEXT(service, next);
	if (service == NULL)
		return false;
	document_add_row(
	    document, document->piece == 0, stats_json_listener(json->engine, service));
	json->service = TAILQ_NEXT(service, next);
	return true;
}

static bool
stats_json_workers(struct document *document)
{
	const struct engine *engine = ((struct stats_json *)document)->engine;
	size_t i = document->piece;

	if (i == 0)
		document_print(document, "],\"workers\":[");
	if (i < engine->worker_count) {
		document_add_row(document, i == 0, stats_json_worker(engine->workers[i]));
		return true;
	}
	document_print(
	    document, "],\"limits\":{\"connections\":%" PRId64 "}}\n", engine->acceptor.limit);
	return false;
}

struct document *
stats_json_new(const struct engine *engine, const struct process_status *status)
{
	static document_step *const steps[] = { stats_json_sum, stats_json_head,
		stats_json_listeners, stats_json_workers, NULL };
	struct stats_json *json = document_new(sizeof(*json), DOCUMENT_JSON, steps);

	if (json == NULL)
		return NULL;
	json->engine = engine;
	json->status = status;
	json->now_ns = clock_now_ns();
	json->service = TAILQ_FIRST(&engine->services);
	return &json->document;
}
