/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A service: the name of a listener and everything that is counted under it. It is made when the
 * name first appears in a configuration and lives as long as the process, so counters never fall
 * when a reload removes a listener and another brings it back; listed it is only while it is there,
 * and for an hour after that. Each worker has a shard of its own.
 */
#ifndef ECHOD_ENGINE_SERVICE_H
#define ECHOD_ENGINE_SERVICE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "base/attributes.h"
#include "base/distribution.h"
#include "config/configuration.h"
#include "engine/counters.h"
#include "engine/peaks.h"

struct connection;
TAILQ_HEAD(connection_list, connection);

/*
 * What one worker has of a service. The worker's own, except that all may read the counters and
 * the distributions.
 */
struct shard {
	TAILQ_ENTRY(shard) next;     /* of its worker's */
	struct service *service;     /* borrowed */
	const struct config *config; /* a reference; NULL while the worker has no use for it */
	const struct listener_config *cfg; /* in config; the last one that had this name */
	atomic_int waiting;                /* connections handed over and not yet begun */
	struct counters counters;
	struct distribution duration; /* lives of connections that ended */
	/* from the recv to the moment that the kernel has taken the last byte; a sample */
	struct distribution echo_delay;
	struct connection_list by_age;      /* oldest first */
	struct connection_list by_activity; /* longest idle first, within a tenth of a second */
	struct connection *unseen; /* the first of them not looked at since it became quiet */
};

TAILQ_HEAD(shard_list, shard);

/* Main loop's, but for what is marked. */
struct service {
	TAILQ_ENTRY(service) next;
	bool configured;             /* the configuration in force has it, enabled */
	int64_t gone_ns;             /* since when it is not, nor has connections; 0: it is */
	char *name;                  /* owned; never changes, all may read it */
	_Atomic int64_t connections; /* handed over and not yet closed; written by all threads */
	struct counters acceptor;    /* what the main loop counts: accepted, rejected, errors */
	struct peaks peaks;
	struct address address; /* where it is or last was served, as bound; length 0: nowhere */
	size_t worker_count;
	struct shard *shards; /* owned; by worker id */
};

TAILQ_HEAD(service_list, service);

/* Build a service and its shards; the workers do not know them yet. NULL: out of memory. */
struct service *service_new(const char *name, size_t worker_count);

/* Free a service whose workers have all been stopped. NULL is fine. */
void service_free(struct service *service);

/* Return the service with that name, NULL if there is none. */
struct service *service_find(const struct service_list *services, const char *name);

/* Look whether SERVICE is still there; to be called every few seconds. */
void service_look(struct service *service, int64_t now_ns);

/*
 * Return whether SERVICE has been gone for an hour: it is listed no more, until a configuration has
 * it again. With one NOW_NS for all of a document, none that it lists can drop out meanwhile.
 */
bool service_is_forgotten(const struct service *service, int64_t now_ns);

/* Add up everything counted under SERVICE into RET_SUM. */
void service_sum(const struct service *service, struct counters_sum *ret_sum);

#endif
