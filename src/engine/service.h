/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A service: the name of a listener and everything that is counted under it. It is made when
 * the name first appears in a configuration and lives as long as the process, so counters never
 * fall when a reload removes a listener and another brings it back. Main loop only.
 */
#ifndef ECHOD_ENGINE_SERVICE_H
#define ECHOD_ENGINE_SERVICE_H

#include "base/attributes.h"
#include "config/configuration.h"
#include "engine/counters.h"
#include "engine/worker.h"

struct service {
	TAILQ_ENTRY(service) next;
	char *name;                  /* owned */
	_Atomic int64_t connections; /* handed over and not yet freed; written by all threads */
	struct counters acceptor;    /* what the main loop counts: accepted, rejected, errors */
	size_t worker_count;
	struct share *shares; /* owned; one for each worker, by its id */
};

TAILQ_HEAD(service_list, service);

/* Build a service and its shares; the workers do not know them yet. NULL: out of memory. */
struct service *service_new(const char *name, size_t worker_count);

/* Free a service whose workers have all been stopped. NULL is fine. */
void service_free(struct service *service);

/* Return the service with that name, NULL if there is none. */
struct service *service_find(const struct service_list *services, const char *name);

/* Add up everything counted under SERVICE into RET_SUM. */
void service_sum(const struct service *service, struct counters_sum *ret_sum);

#endif
