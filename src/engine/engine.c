/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "engine/engine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/cgroup.h"
#include "base/clock.h"
#include "base/log.h"

/* How long a listener that goes may take to serve its backlog. */
#define BACKLOG_DRAIN_NS (200 * NS_PER_MS)

/* Descriptors for what is neither a connection nor counted by engine_descriptors(). */
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
	/* two doors; a worker has a selector, an eventfd and two pairs; a listener may have a lock
	 */
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
		error_list_add(errors, "out of memory");
		return NULL;
	}
	engine->loop = loop;
	TAILQ_INIT(&engine->services);
	TAILQ_INIT(&engine->listeners);
	TAILQ_INIT(&engine->leaving);
	engine->workers = calloc(wanted, sizeof(*engine->workers));
	if (engine->workers == NULL ||
	    admission_init(&engine->admission, loop, &engine->listeners) < 0)
		goto fail;
	while (engine->worker_count < wanted) {
		struct worker *worker = worker_new((unsigned)engine->worker_count, cfg);

		if (worker == NULL)
			goto fail;
		engine->workers[engine->worker_count++] = worker;
	}
	return engine;
fail:
	error_list_add(errors, "cannot make %zu workers: %s", wanted, strerror(errno));
	engine_free(engine);
	return NULL;
}

void
engine_free(struct engine *engine)
{
	struct listener *lis;
	struct service *service;

	if (engine == NULL)
		return;
	if (engine_stop(engine) < 0)
		return;
	TAILQ_CONCAT(&engine->listeners, &engine->leaving, next);
	while ((lis = TAILQ_FIRST(&engine->listeners)) != NULL) {
		TAILQ_REMOVE(&engine->listeners, lis, next);
		listener_free(lis);
	}
	for (size_t i = 0; i < engine->worker_count; i++)
		worker_free(engine->workers[i]);
	while ((service = TAILQ_FIRST(&engine->services)) != NULL) {
		TAILQ_REMOVE(&engine->services, service, next);
		service_free(service);
	}
	admission_done(&engine->admission);
	free(engine->workers);
	free(engine);
}

/* Name the limits that keep a process from another thread; see pthread_create(3). */
static void
engine_blame_limits(size_t number, size_t count, int error, struct error_list *errors)
{
	struct rlimit limit = { .rlim_cur = RLIM_INFINITY };
	int64_t pids = cgroup_pids_max("");
	char user[32] = "unlimited", group[32] = "unlimited";

	(void)getrlimit(RLIMIT_NPROC, &limit);
	if (limit.rlim_cur != RLIM_INFINITY)
		(void)snprintf(user, sizeof(user), "%llu", (unsigned long long)limit.rlim_cur);
	if (pids > 0)
		(void)snprintf(group, sizeof(group), "%lld", (long long)pids);
	error_list_add(errors,
	    "cannot start worker %zu of %zu: %s (the user's limit of processes, ulimit -u, is %s; "
	    "TasksMax= of the unit, pids.max, is %s; or lower workers)",
	    number, count, strerror(error), user, group);
}

int
engine_start(struct engine *engine, struct error_list *errors)
{
	for (size_t i = 0; i < engine->worker_count; i++) {
		int r = worker_start(engine->workers[i]);

		if (r < 0) {
			engine_blame_limits(i + 1, engine->worker_count, -r, errors);
			return r;
		}
	}
	return 0;
}

static void
engine_on_stopped(void *context)
{
	struct listener *lis = context;
	struct engine *engine = lis->hooks.context;

	TAILQ_REMOVE(&engine->leaving, lis, next);
	listener_free(lis);
}

void
engine_close_listener(struct engine *engine, struct listener *lis)
{
	char address[ADDRESS_TEXT_MAX];
	struct log_field fields[] = { LOG_TEXT("listener", lis->service->name),
		LOG_TEXT("address", address) };

	address_format(&lis->socket.address, address, sizeof(address));
	log_fields(LOG_LEVEL_NOTICE, fields, ARRAY_SIZE(fields), "listener closed");
	TAILQ_REMOVE(&engine->listeners, lis, next);
	if (lis->datagram != NULL) {
		TAILQ_INSERT_TAIL(&engine->leaving, lis, next);
		listen_socket_yield(&lis->socket);
		datagram_stop(lis->datagram, engine->loop, engine_on_stopped, lis);
		return;
	}
	listener_pause(lis);
	listener_drain_backlog(lis, BACKLOG_DRAIN_NS);
	listener_free(lis);
}

void
engine_close_listeners(struct engine *engine)
{
	struct listener *lis;

	while ((lis = TAILQ_FIRST(&engine->listeners)) != NULL)
		engine_close_listener(engine, lis);
}

void
engine_suspend_listeners(struct engine *engine)
{
	struct listener *lis, *next;

	TAILQ_FOREACH_SAFE (lis, &engine->listeners, next, next) {
		if (lis->socket.inherited)
			listener_pause(lis);
		else
			engine_close_listener(engine, lis);
	}
}

void
engine_resume_listeners(struct engine *engine)
{
	struct listener *lis;

	TAILQ_FOREACH (lis, &engine->listeners, next)
		listener_resume(lis);
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
	struct listener *lis;

	TAILQ_FOREACH (lis, &engine->listeners, next)
		listener_pause(lis);
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
		if (worker_join(engine->workers[i]) < 0)
			r = -ETIMEDOUT;
	}
	return r;
}

int64_t
engine_connections(const struct engine *engine)
{
	int64_t total = 0;

	for (size_t i = 0; i < engine->worker_count; i++)
		total += atomic_load_explicit(&engine->workers[i]->load, memory_order_relaxed);
	return total;
}

bool
engine_is_drained(const struct engine *engine)
{
	return engine_connections(engine) == 0 && TAILQ_EMPTY(&engine->leaving);
}

void
engine_sum(const struct engine *engine, struct counters_sum *ret_sum)
{
	struct counters_sum sum = { .values = { 0 } }, one;
	const struct service *service;

	TAILQ_FOREACH (service, &engine->services, next) {
		service_sum(service, &one);
		for (int i = 0; i < COUNTER_COUNT; i++)
			sum.values[i] += one.values[i];
	}
	*ret_sum = sum;
}

bool
engine_is_leaving(const struct engine *engine, const struct address *address)
{
	const struct listener *lis;

	TAILQ_FOREACH (lis, &engine->leaving, next) {
		if (address_equal(&lis->configured, address))
			return true;
	}
	return false;
}

const struct listener *
engine_find_listener(const struct engine *engine, const struct service *service)
{
	const struct listener *lis;

	TAILQ_FOREACH (lis, &engine->listeners, next) {
		if (lis->service == service)
			return lis;
	}
	return NULL;
}
