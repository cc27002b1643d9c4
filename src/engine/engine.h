/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The data plane as a whole: workers, listeners, services and acceptor, built from a
 * configuration and changed by the next one (plan.c). Main loop only.
 */
#ifndef ECHOD_ENGINE_ENGINE_H
#define ECHOD_ENGINE_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/error_list.h"
#include "config/configuration.h"
#include "engine/acceptor.h"
#include "engine/counters.h"
#include "engine/datagram/endpoint.h"
#include "engine/history.h"
#include "engine/inspection.h"
#include "engine/loop.h"
#include "engine/service.h"
#include "engine/worker.h"

struct engine {
	struct loop *loop;              /* borrowed: the main loop */
	struct worker **workers;        /* owned */
	size_t worker_count;            /* never changes */
	struct service_list services;   /* owned; every name that ever was */
	struct endpoint_list endpoints; /* owned; those that are open */
	struct endpoint_list leaving;   /* closed here, but their worker still runs them */
	struct acceptor acceptor;
	struct inspection inspection;
	const struct config *applied; /* what the sockets are of: to be compared, not looked at */
	size_t datagram_sockets;      /* ever opened: the next worker in turn has the next one */
	struct history history;
	struct distribution lag; /* of the main loop; written by its timer */
};

/* Build the workers of CFG, not yet running, and no listener. NULL with a line in ERRORS. */
struct engine *engine_new(struct loop *loop, const struct config *cfg, struct error_list *errors);

/*
 * Stop what runs (connections are cut), close all, free. NULL is fine. An engine with a worker
 * that hangs is left as it is.
 */
void engine_free(struct engine *engine);

/*
 * Start the workers' threads; all signals must be blocked in the caller. Returns 0, or -errno with
 * a line in ERRORS that says which limit was met.
 */
ATTR_MUSTCHECK int engine_start(struct engine *engine, struct error_list *errors);

/*
 * Close the listeners and endpoints for whose socket KEEP returns false, once what waits in them is
 * served.
 */
void engine_close_sockets(struct engine *engine,
    bool (*keep)(
	const struct listen_socket *sock, const struct service *service, const void *context),
    const void *context);

/*
 * Serve what waits in the kernel, then close every listener and endpoint. With KEEP_INHERITED this
 * can be taken back: inherited sockets, which could not be opened again, stay open and unserved.
 */
void engine_close_listeners(struct engine *engine, bool keep_inherited);

/* Have the open sockets served, or leave in the kernel what comes; plan_apply() opens others. */
void engine_serve(struct engine *engine, bool serve);

/* Tell every worker the next step of a stop; see worker_drain(). */
void engine_drain(struct engine *engine, enum worker_phase phase, int64_t idle_grace_ns);

/* Accept no more, and have all workers close their connections and end. */
void engine_begin_stop(struct engine *engine);

/* Return whether no worker has to be waited for any more; see worker_is_stopped(). */
bool engine_is_stopped(struct engine *engine);

/*
 * Stop, waiting for all workers together, if that has not been done. Returns 0; or -ETIMEDOUT when
 * a worker hangs: then nothing of the engine may be freed.
 */
ATTR_MUSTCHECK int engine_stop(struct engine *engine);

/* Return how many connections are served. */
int64_t engine_connections(const struct engine *engine);

/* Return whether no connection is served, and no closed listener still answers datagrams. */
bool engine_is_drained(const struct engine *engine);

/* Add up everything that was ever counted into RET_SUM. */
void engine_sum(const struct engine *engine, struct counters_sum *ret_sum);

/* Look which services are still there; to be called every few seconds. */
void engine_watch_services(const struct engine *engine, int64_t now_ns);

/* Log which listeners drop datagrams, and why; to be called every two seconds or so. */
void engine_watch_drops(const struct engine *engine, int64_t now_ns);

/*
 * Return the open socket of a service, and in *ret_accepting whether what comes there is taken;
 * NULL and false while there is none.
 */
const struct listen_socket *engine_find_socket(
    const struct engine *engine, const struct service *service, bool *ret_accepting);

/* Return the own limit of connections of the listener of SERVICE; 0: none, or no listener. */
int64_t engine_connections_limit(const struct engine *engine, const struct service *service);

/* Take samples of what is counted, when it is time; to be called several times a second. */
void engine_tick(struct engine *engine, int64_t now_ns);

/* Return how many descriptors serving CFG may take, reserves included. */
int64_t engine_descriptors(const struct config *cfg);

/*
 * Make the engine serve CFG, at start and at each reload (plan.c). First everything that can fail
 * is prepared: new sockets opened or taken from INHERITANCE (which may be NULL), memory allocated.
 * Only then the change is made. TIMEOUT_NS is how long an address in use may take to come free.
 * Returns 0; or -errno, lines in ERRORS, and the engine serves what it served before.
 */
ATTR_MUSTCHECK int plan_apply(struct engine *engine, const struct config *cfg,
    struct inheritance *inheritance, int64_t timeout_ns, struct error_list *errors);

/*
 * Return whether plan_apply() would bind what freebind has waited for: the interface of a listener
 * of CFG has come, or was made anew.
 */
bool plan_is_due(const struct engine *engine, const struct config *cfg);

#endif
