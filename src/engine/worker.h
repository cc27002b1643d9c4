/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A worker: one thread with its loop, a set of connections, and the coarse timer that has them
 * checked. Other threads reach it by loop_post() alone; all calls here are the main loop's, and so
 * is what is marked M.
 */
#ifndef ECHOD_ENGINE_WORKER_H
#define ECHOD_ENGINE_WORKER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/distribution.h"
#include "config/configuration.h"
#include "engine/connection.h"
#include "engine/loop.h"
#include "engine/service.h"

/* Most connections that may be handed over and not yet begun. A power of two. */
#define WORKER_WAITING_MAX 256

/* How far a stop or a drain has come. */
enum worker_phase {
	WORKER_SERVING,
	WORKER_DRAINING, /* connections are finished as they become idle */
	WORKER_CUTTING,  /* the deadline passed: all are finished */
};

struct worker_message;
struct worker_update;

struct worker {
	struct loop *loop;
	struct event tick;
	pthread_t thread;
	bool started;       /* M: thread is valid */
	bool stopping;      /* M: was told to stop */
	bool hangs;         /* M: it was given up */
	uint64_t handled;   /* M: posts handled at the last look */
	int64_t looked_ns;  /* M: when that was */
	int64_t watched_ns; /* M: how long that number was seen not to change */
	struct post stop_post;
	struct post drain_post; /* in use while drain_posted */
	atomic_bool drain_posted;
	atomic_int wanted_phase; /* written by the main loop, taken over by worker_do_drain() */
	_Atomic int64_t wanted_grace_ns;
	unsigned id;
	atomic_int waiting;              /* connections handed over and not yet begun */
	struct worker_message *messages; /* owned; WORKER_WAITING_MAX, used in turn: no malloc */
	unsigned taken;                  /* M: connections ever handed over */
	struct connection_set connections;
	int64_t tick_ns;         /* interval of the tick */
	int64_t tick_due_ns;     /* when the next one should come */
	bool tick_skipped;       /* the last one came too late to judge by */
	struct distribution lag; /* how late ticks come: what a message may have to wait */
};

/* Build worker ID with its loop; no thread yet. NULL with errno set. */
struct worker *worker_new(unsigned id, const struct config *config);

/* Free a worker that was stopped or never started. NULL is fine. */
void worker_free(struct worker *worker);

/* Start the thread. All signals must be blocked in the caller. Returns 0 or -errno. */
ATTR_MUSTCHECK int worker_start(struct worker *worker);

/*
 * Have WORKER close all of its connections (drain_forced), a few at a time so that it goes on
 * answering, and then end its thread.
 */
void worker_begin_stop(struct worker *worker);

/*
 * Return whether WORKER needs no more waiting for: its thread has ended and is joined (started is
 * false), or it hangs, which is that it was told to stop and has run no post for a while; that is
 * logged once. To be asked every few milliseconds.
 */
bool worker_is_stopped(struct worker *worker);

/* Move on to the next step of a stop, or back to serving. */
void worker_drain(struct worker *worker, enum worker_phase phase, int64_t idle_grace_ns);

/* Return how many connections the COUNT WORKERS have. */
int64_t worker_sum_load(struct worker *const *workers, size_t count);

/* Hand over FD, an accepted connection. Fewer than WORKER_WAITING_MAX may wait. */
void worker_take(struct worker *worker, struct service *service, int fd, uint64_t id,
    const union connection_peer *peer);

/*
 * Prepare to tell COUNT workers about CONFIG, of which a reference is kept: allocates beforehand,
 * so that worker_update_apply() cannot fail. NULL: out of memory.
 */
struct worker_update *worker_update_new(const struct config *config, size_t count);

/* Have SERVICE, which outlives the workers, obey CFG, a listener of the update's configuration. */
void worker_update_add(
    struct worker_update *update, struct service *service, const struct listener_config *cfg);

/* Free an update that was not applied. NULL is fine. */
void worker_update_free(struct worker_update *update);

/* Have the WORKERS obey UPDATE, which is taken. */
void worker_update_apply(struct worker_update *update, struct worker *const *workers);

#endif
