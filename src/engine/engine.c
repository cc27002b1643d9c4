/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "engine/engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cgroup.h"
#include "base/clock.h"
#include "base/log.h"

/* Descriptors for all that engine_descriptors() does not count one by one. */
#define DESCRIPTOR_RESERVE 48

static size_t
engine_worker_count(const struct config *cfg)
{
	int64_t count = cfg->workers > 0 ? cfg->workers : cgroup_cpus("");

	return (size_t)(count < CONFIG_WORKERS_MAX ? count : CONFIG_WORKERS_MAX);
}

int64_t
engine_descriptors(const struct config *cfg)
{
	/* two control ports; for a worker a selector, an eventfd, two pairs; a listener's lock */
	return cfg->limits.connections + 2 * cfg->control.clients +
	       6 * (int64_t)engine_worker_count(cfg) + 2 * (int64_t)cfg->listener_count +
	       DESCRIPTOR_RESERVE;
}

struct engine *
engine_new(struct loop *loop, const struct config *cfg, struct error_list *errors)
{
	size_t wanted = engine_worker_count(cfg);
	struct engine *engine = calloc(1, sizeof(*engine));

	if (engine == NULL) {
		error_list_add(errors, "cannot make the engine: out of memory");
		return NULL;
	}
	engine->loop = loop;
	history_init(&engine->history, clock_now_ns());
	engine->acceptor.history = &engine->history;
	TAILQ_INIT(&engine->services);
	LIST_INIT(&engine->endpoints);
	LIST_INIT(&engine->leaving);
	TAILQ_INIT(&engine->inspection.questions);
	engine->workers = calloc(wanted, sizeof(*engine->workers));
	if (engine->workers == NULL)
		goto fail;
	while (engine->worker_count < wanted) {
		struct worker *worker = worker_new((unsigned)engine->worker_count, cfg);

		if (worker == NULL)
			goto fail;
		engine->workers[engine->worker_count++] = worker;
	}
	engine->inspection.loop = loop;
	engine->inspection.workers = engine->workers;
	engine->inspection.worker_count = wanted;
	engine->inspection.services = &engine->services;
	engine->inspection.endpoints = &engine->endpoints;
	engine->inspection.acceptor = &engine->acceptor;
	if (acceptor_init(&engine->acceptor, loop, engine->workers, wanted) < 0)
		goto fail;
	return engine;
fail:
	error_list_add(errors, "cannot make %zu workers: %s", wanted, strerror(errno));
	engine_free(engine);
	return NULL;
}

void
engine_free(struct engine *engine)
{
	struct endpoint *endpoint;
	struct service *service;

	if (engine == NULL || engine_stop(engine) < 0)
		return;
	inspection_done(&engine->inspection);
	while ((endpoint = LIST_FIRST(&engine->endpoints)) != NULL ||
	       (endpoint = LIST_FIRST(&engine->leaving)) != NULL) {
		LIST_REMOVE(endpoint, next);
		endpoint_free(endpoint);
	}
	acceptor_done(&engine->acceptor);
	for (size_t i = 0; i < engine->worker_count; i++)
		worker_free(engine->workers[i]);
	while ((service = TAILQ_FIRST(&engine->services)) != NULL) {
		TAILQ_REMOVE(&engine->services, service, next);
		service_free(service);
	}
	free(engine->workers);
	free(engine);
}

int
engine_start(struct engine *engine, struct error_list *errors)
{
	for (size_t i = 0; i < engine->worker_count; i++) {
		int r = worker_start(engine->workers[i]);

		if (r < 0) {
			char limits[CGROUP_LIMITS_MAX];

			error_list_add(errors, "cannot start worker %zu of %zu: %s (%s)", i + 1,
			    engine->worker_count, strerror(-r),
			    cgroup_thread_limits("", limits, sizeof(limits)));
			return r;
		}
	}
	return 0;
}

static void
engine_log_closed(const struct listen_socket *sock, const struct service *service)
{
	char address[ADDRESS_TEXT_MAX];
	struct log_field fields[] = { LOG_TEXT("listener", service->name),
		LOG_TEXT("address", address) };

	address_format(&sock->address, address, sizeof(address));
	log_fields(LOG_LEVEL_NOTICE, fields, ARRAY_SIZE(fields), "listener closed");
}

void
engine_close_sockets(struct engine *engine,
    bool (*keep)(
	const struct listen_socket *sock, const struct service *service, const void *context),
    const void *context)
{
	struct listener_list gone = TAILQ_HEAD_INITIALIZER(gone);
	struct listener *lis, *next_lis;
	struct endpoint *endpoint, *next;

	TAILQ_FOREACH_SAFE (lis, &engine->acceptor.listeners, next, next_lis) {
		if (keep(&lis->socket, lis->service, context))
			continue;
		engine_log_closed(&lis->socket, lis->service);
		TAILQ_REMOVE(&engine->acceptor.listeners, lis, next);
		TAILQ_INSERT_TAIL(&gone, lis, next);
	}
	LIST_FOREACH_SAFE (endpoint, &engine->endpoints, next, next) {
		if (keep(&endpoint->socket, endpoint->service, context))
			continue;
		engine_log_closed(&endpoint->socket, endpoint->service);
		LIST_REMOVE(endpoint, next);
		LIST_INSERT_HEAD(&engine->leaving, endpoint, next);
		listen_socket_yield(&endpoint->socket);
		endpoint_close(endpoint, engine->loop);
	}
	listeners_close(&gone);
}

static bool
engine_keeps(const struct listen_socket *sock, const struct service *service ATTR_UNUSED,
    const void *keep_inherited)
{
	return sock->inherited && *(const bool *)keep_inherited;
}

void
engine_serve(struct engine *engine, bool serve)
{
	struct listener *lis;
	struct endpoint *endpoint;

	TAILQ_FOREACH (lis, &engine->acceptor.listeners, next)
		listener_pause(lis, PAUSE_DRAIN, !serve);
	LIST_FOREACH (endpoint, &engine->endpoints, next)
		endpoint_serve(endpoint, serve);
}

void
engine_close_listeners(struct engine *engine, bool keep_inherited)
{
	engine_close_sockets(engine, engine_keeps, &keep_inherited);
	engine_serve(engine, false);
}

void
engine_drain(struct engine *engine, enum worker_phase phase, int64_t idle_grace_ns)
{
	for (size_t i = 0; i < engine->worker_count; i++)
		worker_drain(engine->workers[i], phase, idle_grace_ns);
}

void
engine_begin_stop(struct engine *engine)
{
	engine_serve(engine, false);
	for (size_t i = 0; i < engine->worker_count; i++)
		worker_begin_stop(engine->workers[i]);
}

bool
engine_is_stopped(struct engine *engine)
{
	bool stopped = true;

	for (size_t i = 0; i < engine->worker_count; i++)
		stopped &= worker_is_stopped(engine->workers[i]);
	return stopped;
}

int
engine_stop(struct engine *engine)
{
	struct timespec pause = { .tv_nsec = NS_PER_MS };
	int r = 0;

	engine_begin_stop(engine);
	while (!engine_is_stopped(engine))
		(void)nanosleep(&pause, NULL);
	for (size_t i = 0; i < engine->worker_count; i++) {
		if (engine->workers[i]->hangs)
			r = -ETIMEDOUT;
	}
	return r;
}

int64_t
engine_connections(const struct engine *engine)
{
	return worker_sum_load(engine->workers, engine->worker_count);
}

bool
engine_is_drained(const struct engine *engine)
{
	return engine_connections(engine) == 0 && LIST_EMPTY(&engine->leaving);
}

void
engine_sum(const struct engine *engine, struct counters_sum *ret_sum)
{
	struct counters_sum sum = { .values = { 0 } };
	const struct service *service;

	TAILQ_FOREACH (service, &engine->services, next) {
		struct counters_sum one;

		service_sum(service, &one);
		for (int i = 0; i < COUNTER_COUNT; i++)
			sum.values[i] += one.values[i];
	}
	*ret_sum = sum;
}

void
engine_watch_services(const struct engine *engine, int64_t now_ns)
{
	struct service *service;

	TAILQ_FOREACH (service, &engine->services, next)
		service_look(service, now_ns);
}

void
engine_watch_drops(const struct engine *engine, int64_t now_ns)
{
	struct endpoint *endpoint;

	LIST_FOREACH (endpoint, &engine->endpoints, next)
		endpoint_watch_drops(endpoint, now_ns);
}

const struct listen_socket *
engine_find_socket(const struct engine *engine, const struct service *service, bool *ret_accepting)
{
	const struct listener *lis;
	const struct endpoint *endpoint;

	TAILQ_FOREACH (lis, &engine->acceptor.listeners, next) {
		/* a wait of a millisecond for the workers does not count */
		*ret_accepting = (lis->pauses & ~(unsigned)PAUSE_BUSY) == 0;
		if (lis->service == service)
			return &lis->socket;
	}
	LIST_FOREACH (endpoint, &engine->endpoints, next) {
		*ret_accepting = atomic_load(&endpoint->serving);
		if (endpoint->service == service)
			return &endpoint->socket;
	}
	*ret_accepting = false;
	return NULL;
}

int64_t
engine_connections_limit(const struct engine *engine, const struct service *service)
{
	const struct listener *lis;

	TAILQ_FOREACH (lis, &engine->acceptor.listeners, next) {
		if (lis->service == service)
			return lis->connections_limit;
	}
	return 0;
}

void
engine_tick(struct engine *engine, int64_t now_ns)
{
	history_tick(&engine->history, &engine->services, engine_connections(engine), now_ns);
}
