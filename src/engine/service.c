/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "engine/service.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

/* How long a service is listed after its end. */
#define LISTED_NS (3600 * NS_PER_S)

struct service *
service_new(const char *name, size_t worker_count)
{
	struct service *service = calloc(1, sizeof(*service));

	if (service == NULL)
		return NULL;
	service->worker_count = worker_count;
	service->name = strdup(name);
	service->shards = calloc(worker_count, sizeof(*service->shards));
	if (service->name == NULL || service->shards == NULL) {
		service_free(service);
		return NULL;
	}
	for (size_t i = 0; i < worker_count; i++) {
		service->shards[i].service = service;
		TAILQ_INIT(&service->shards[i].by_age);
		TAILQ_INIT(&service->shards[i].by_activity);
	}
	return service;
}

void
service_free(struct service *service)
{
	if (service == NULL)
		return;
	for (size_t i = 0; service->shards != NULL && i < service->worker_count; i++)
		config_unref(service->shards[i].config);
	free(service->shards);
	free(service->name);
	free(service);
}

struct service *
service_find(const struct service_list *services, const char *name)
{
	struct service *service;

	TAILQ_FOREACH (service, services, next) {
		if (strcmp(service->name, name) == 0)
			return service;
	}
	return NULL;
}

void
service_look(struct service *service, int64_t now_ns)
{
	if (service->configured ||
	    atomic_load_explicit(&service->connections, memory_order_relaxed) > 0)
		service->gone_ns = 0;
	else if (service->gone_ns == 0)
		service->gone_ns = now_ns;
}

bool
service_is_forgotten(const struct service *service, int64_t now_ns)
{
	return !service->configured && service->gone_ns != 0 &&
	       now_ns - service->gone_ns >= LISTED_NS;
}

void
service_sum(const struct service *service, struct counters_sum *ret_sum)
{
	*ret_sum = (struct counters_sum){ .values = { 0 } };
	counters_sum(&service->acceptor, ret_sum);
	for (size_t i = 0; i < service->worker_count; i++)
		counters_sum(&service->shards[i].counters, ret_sum);
}
