/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "control/stats_json.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "control/process_figures.h"

#define MOMENT_TEXT_MAX 40 /* "2025-01-31T23:59:59.123Z", and room for a clock that is wrong */

/*
 * jansson takes a value in any case and fails for one that is NULL, so a member that could not be
 * made shows at the end: results are collected with |= and looked at once.
 */

/* Seconds with the milliseconds that mean something; never below 0. */
static json_t *
stats_json_seconds(int64_t ns)
{
	return json_real(ns > 0 ? (double)(ns / NS_PER_MS) / 1e3 : 0.0);
}

static json_t *
stats_json_moment(int64_t wall_ns)
{
	time_t seconds = wall_ns / NS_PER_S;
	char text[MOMENT_TEXT_MAX];
	struct tm tm;
	size_t length;

	if (gmtime_r(&seconds, &tm) == NULL)
		return json_null();
	length = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(
	    text + length, sizeof(text) - length, ".%03dZ", (int)(wall_ns % NS_PER_S / NS_PER_MS));
	return json_string(text);
}

/* A figure that could not be read is null. */
static json_t *
stats_json_figure(int64_t figure)
{
	return figure < 0 ? json_null() : json_integer(figure);
}

static json_t *
stats_json_count(uint64_t count)
{
	return json_integer((json_int_t)count);
}

/* Return DOCUMENT, or free it when R tells that something of it is missing. */
static json_t *
stats_json_checked(json_t *document, int r)
{
	if (r == 0)
		return document;
	json_decref(document);
	return NULL;
}

int
stats_json_add_counters(json_t *object, const struct counters_sum *sum)
{
	int r = 0;

	for (int id = 0; id < COUNTER_COUNT; id++) {
		const struct counter_info *info = counter_info((enum counter)id);
		json_t *value = stats_json_count(sum->values[id]), *family;

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

static json_t *
stats_json_process(const struct engine *engine, const struct process_status *status)
{
	json_t *object = json_object(), *reloads = json_object();
	struct process_figures figures;
	int r = 0;

	process_figures_read(&figures);
	r |= json_object_set_new(reloads, "success", stats_json_count(status->reloads_succeeded));
	r |= json_object_set_new(reloads, "failure", stats_json_count(status->reloads_failed));

	r |= json_object_set_new(object, "version", json_string(PACKAGE_VERSION));
	r |= json_object_set_new(object, "pid", json_integer(getpid()));
	r |= json_object_set_new(object, "started", stats_json_moment(status->started_wall_ns));
	r |= json_object_set_new(
	    object, "uptime_seconds", stats_json_seconds(clock_now_ns() - status->started_ns));
	r |= json_object_set_new(object, "workers", stats_json_count(engine->worker_count));
	r |= json_object_set_new(object, "ready", json_boolean(status->not_ready == NULL));
	r |= json_object_set_new(object, "draining", json_boolean(status->draining));
	r |= json_object_set_new(
	    object, "resident_bytes", stats_json_figure(figures.resident_bytes));
	r |= json_object_set_new(object, "open_fds", stats_json_figure(figures.open_fds));
	r |= json_object_set_new(object, "max_fds", stats_json_figure(figures.max_fds));
	r |= json_object_set_new(object, "cpu_seconds", stats_json_seconds(figures.cpu_ns));
	r |= json_object_set_new(
	    object, "last_reload_successful", json_boolean(status->last_reload_succeeded));
	r |= json_object_set_new(object, "reloads", reloads);
	return stats_json_checked(object, r);
}

static json_t *
stats_json_totals(const struct engine *engine)
{
	json_t *object = json_object();
	struct counters_sum sum;
	struct log_totals log;
	int r = 0;

	engine_sum(engine, &sum);
	log_totals_read(&log);
	r |= json_object_set_new(object, "connections", json_integer(engine_connections(engine)));
	r |= stats_json_add_counters(object, &sum);
	r |= json_object_set_new(object, "log_written", stats_json_count(log.written));
	r |= json_object_set_new(object, "log_dropped", stats_json_count(log.dropped));
	r |= json_object_set_new(object, "log_suppressed", stats_json_count(log.suppressed));
	return stats_json_checked(object, r);
}

/* A service whose listener is gone still has its counters. */
static json_t *
stats_json_listener(const struct engine *engine, const struct service *service)
{
	const struct listener *lis = engine_find_listener(engine, service);
	int64_t connections = atomic_load_explicit(&service->connections, memory_order_relaxed);
	json_t *object = json_object(), *address = json_null(), *origin = json_null();
	char text[ADDRESS_TEXT_MAX];
	struct counters_sum sum;
	int r = 0;

	if (lis != NULL) {
		address = json_string(address_format(&lis->socket.address, text, sizeof(text)));
		origin = json_string(lis->socket.inherited ? "inherited" : "bound");
	}
	service_sum(service, &sum);
	r |= json_object_set_new(object, "name", json_string(service->name));
	r |= json_object_set_new(object, "address", address);
	r |= json_object_set_new(object, "origin", origin);
	r |= json_object_set_new(object, "accepting", json_boolean(lis != NULL && lis->accepting));
	r |= json_object_set_new(object, "connections", json_integer(connections));
	r |= stats_json_add_counters(object, &sum);
	return stats_json_checked(object, r);
}

static json_t *
stats_json_listeners(const struct engine *engine)
{
	const struct service *service;
	json_t *array = json_array();
	int r = 0;

	TAILQ_FOREACH (service, &engine->services, next)
		r |= json_array_append_new(array, stats_json_listener(engine, service));
	return stats_json_checked(array, r);
}

static json_t *
stats_json_workers(const struct engine *engine)
{
	json_t *array = json_array();
	int r = 0;

	for (size_t i = 0; i < engine->worker_count; i++) {
		const struct worker *worker = engine->workers[i];
		int64_t load = atomic_load_explicit(&worker->load, memory_order_relaxed);
		json_t *object = json_object();

		r |= json_object_set_new(object, "id", json_integer(worker->id));
		r |= json_object_set_new(object, "connections", json_integer(load));
		r |= json_array_append_new(array, object);
	}
	return stats_json_checked(array, r);
}

json_t *
stats_json_new(const struct engine *engine, const struct process_status *status)
{
	json_t *object = json_object(), *limits = json_object();
	int r = 0;

	r |= json_object_set_new(limits, "connections", json_integer(engine->admission.limit));

	r |= json_object_set_new(object, "process", stats_json_process(engine, status));
	r |= json_object_set_new(object, "totals", stats_json_totals(engine));
	r |= json_object_set_new(object, "listeners", stats_json_listeners(engine));
	r |= json_object_set_new(object, "workers", stats_json_workers(engine));
	r |= json_object_set_new(object, "limits", limits);
	return stats_json_checked(object, r);
}

static json_t *
stats_json_connection(const struct connection_info *info, int64_t now_ns, int64_t wall_ns)
{
	int64_t age_ns = now_ns - info->accepted_ns, idle_ns = now_ns - info->active_ns;
	const char *transport = address_transport_name(info->transport);
	const char *state = connection_state_name(info->state);
	json_t *object = json_object();
	char peer[ADDRESS_TEXT_MAX], local[ADDRESS_TEXT_MAX];
	int r = 0;

	connection_peer_format(&info->peer, peer, sizeof(peer));
	address_format_sockaddr(&info->local.u.sa, info->local.length, local, sizeof(local));
	r |= json_object_set_new(object, "id", stats_json_count(info->id));
	r |= json_object_set_new(object, "listener", json_string(info->listener));
	r |= json_object_set_new(object, "worker", json_integer(info->worker));
	r |= json_object_set_new(object, "transport", json_string(transport));
	r |= json_object_set_new(object, "peer", json_string(peer));
	r |= json_object_set_new(object, "local", json_string(local));
	r |= json_object_set_new(object, "since", stats_json_moment(wall_ns - age_ns));
	r |= json_object_set_new(object, "age_seconds", stats_json_seconds(age_ns));
	r |= json_object_set_new(object, "idle_seconds", stats_json_seconds(idle_ns));
	r |= json_object_set_new(object, "state", json_string(state));
	r |= json_object_set_new(object, "bytes_in", stats_json_count(info->bytes_in));
	r |= json_object_set_new(object, "bytes_out", stats_json_count(info->bytes_out));
	r |= json_object_set_new(object, "reads", stats_json_count(info->reads));
	r |= json_object_set_new(object, "pending_bytes", stats_json_count(info->pending_bytes));
	r |= json_object_set_new(object, "read_paused", json_boolean(info->read_paused));
	r |= json_object_set_new(object, "pauses", stats_json_count(info->pauses));
	r |= json_object_set_new(object, "paused_seconds", stats_json_seconds(info->paused_ns));
	return stats_json_checked(object, r);
}

json_t *
stats_json_connections(const struct snapshot *snapshot)
{
	json_t *object = json_object(), *rows = json_array();
	int64_t wall_ns = clock_wall_ns();
	int r = 0;

	for (size_t i = 0; i < snapshot->count; i++) {
		const struct connection_info *info = &snapshot->infos[i];

		r |= json_array_append_new(
		    rows, stats_json_connection(info, snapshot->taken_ns, wall_ns));
	}
	r |= json_object_set_new(object, "total", json_integer(snapshot->total));
	r |= json_object_set_new(object, "connections", rows);
	return stats_json_checked(object, r);
}
