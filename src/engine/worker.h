/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A worker: one thread, one loop, the connections that live on it, and the coarse timer that
 * checks idle, stalled, too old and lingering ones. Other threads reach it by loop_post() only,
 * through the calls marked "main loop" below.
 */
#ifndef ECHOD_ENGINE_WORKER_H
#define ECHOD_ENGINE_WORKER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/distribution.h"
#include "base/log.h"
#include "config/configuration.h"
#include "engine/connection.h"
#include "engine/counters.h"
#include "engine/echo.h"
#include "engine/loop.h"

/*
 * One worker's share of a service (a listener's name): settings, counters, connections. Made
 * by the main loop, then the worker's alone, except for counters and name, which all may read.
 */
struct share {
	TAILQ_ENTRY(share) next;      /* worker->shares */
	const char *name;             /* borrowed from the service; NUL-terminated, never changes */
	_Atomic int64_t *connections; /* borrowed: the service's count, given back at close */
	const struct config *config;  /* a reference; NULL before the first worker_apply() */
	const struct listener_config *cfg; /* in config; the last one that had this name */
	atomic_int waiting;                /* connections handed over and not yet begun */
	struct counters counters;
	struct distribution duration; /* lives of connections that ended */
	/* from the read callback to the last byte that the kernel took; a sample */
	struct distribution echo_delay;
	struct connection_list by_age;      /* oldest first */
	struct connection_list by_activity; /* longest idle first, within a tenth of a second */
	struct connection *unseen; /* the first of them not looked at since it became quiet */
};

TAILQ_HEAD(share_list, share);

/* How far a stop or a drain has come. */
enum worker_phase {
	WORKER_SERVING,
	WORKER_DRAINING, /* connections are finished as they become idle */
	WORKER_CUTTING,  /* the deadline passed: all are finished */
};

struct question;
struct worker_message;

/* Most connections that may be handed over and not yet begun. A power of two. */
#define WORKER_WAITING_MAX 256
struct worker_update;

struct worker {
	struct loop *loop;
	struct event *tick;
	struct event reap; /* frees the dead, when the callback under way has returned */
	pthread_t thread;
	bool started;       /* main loop's: thread is valid */
	bool stopping;      /* main loop's: was told to stop */
	bool hangs;         /* main loop's: it was given up */
	uint64_t handled;   /* main loop's: posts handled at the last look */
	int64_t handled_ns; /* main loop's: when that number last changed */
	unsigned looks;     /* main loop's: looks since that were late enough to give it up */
	struct post stop_post;
	struct post drain_post; /* in use while drain_posted */
	atomic_bool drain_posted;
	atomic_int wanted_phase; /* written by the main loop, taken over by worker_do_drain() */
	_Atomic int64_t wanted_grace_ns;
	unsigned id;
	atomic_int waiting;              /* connections handed over and not yet begun */
	struct worker_message *messages; /* owned; WORKER_WAITING_MAX, used in turn: no malloc */
	unsigned taken;                  /* main loop's: connections ever handed over */
	_Atomic int64_t load;            /* connections handed over and not yet freed; any reader */
	const struct config *config;     /* a reference; what its connections obey */
	struct share_list shares;
	struct connection_list pending;   /* watched ones, least recently checked first */
	struct connection_list ending;    /* have a reason and are not LINGERING, oldest first */
	struct connection_list lingering; /* longest lingering first */
	struct connection_list dead;      /* CLOSED, to be freed */
	struct question *question;        /* that visits this worker now; inspection.c */
	char *buffer;           /* owned; ECHO_BUFFER_SIZE bytes, for one read at a time */
	struct echo_pipe pipe;  /* for streams in bulk */
	struct sampling delays; /* which echoes are measured */
	enum worker_phase phase;
	int64_t idle_grace_ns;   /* while draining */
	int64_t tick_ns;         /* interval of the tick */
	int64_t tick_due_ns;     /* when the next one should come */
	bool tick_skipped;       /* the last one came too late to judge by */
	struct distribution lag; /* how late ticks come: what a message may have to wait */
};

/* Build worker ID with its loop; no thread yet. NULL with errno set. Main loop. */
struct worker *worker_new(unsigned id, const struct config *config);

/* Start the thread. All signals must be blocked in the caller. Returns 0 or -errno. Main loop. */
ATTR_MUSTCHECK int worker_start(struct worker *worker);

/*
 * Have WORKER close all of its connections (drain_forced), a slice at a time so that it goes on
 * answering, and then end its thread. Main loop.
 */
void worker_begin_stop(struct worker *worker);

/*
 * Return whether WORKER needs no more waiting for: its thread has ended and is joined (started is
 * false), or it hangs, which is that it was told to stop and has run no post for a while; that is
 * logged once. To be asked every few milliseconds. Main loop.
 */
bool worker_is_stopped(struct worker *worker);

/* Free a worker that was stopped or never started. NULL is fine. */
void worker_free(struct worker *worker);

/*
 * Prepare to tell one worker about CONFIG, of which a reference is kept, with room for all of its
 * listeners: memory had beforehand, so that worker_apply() cannot fail. NULL: out of memory.
 */
struct worker_update *worker_update_new(const struct config *config);

/* Have SHARE obey CFG, a listener of the update's configuration. */
void worker_update_add(
    struct worker_update *update, struct share *share, const struct listener_config *cfg);

/* Free an update that was not applied. NULL is fine. */
void worker_update_free(struct worker_update *update);

/*
 * Have WORKER obey UPDATE, which is taken. Shares that are new to it are the caller's and outlive
 * its thread. Main loop.
 */
void worker_apply(struct worker *worker, struct worker_update *update);

/* Hand over FD, an accepted connection. Fewer than WORKER_WAITING_MAX may wait. Main loop. */
void worker_take(struct worker *worker, struct share *share, int fd, uint64_t id,
    const union connection_peer *peer);

/* Move on to the next step of a stop, or back to serving. Main loop. */
void worker_drain(struct worker *worker, enum worker_phase phase, int64_t idle_grace_ns);

/*
 * CONN is closed: give back its place in the counts, and free it when the callback that is under
 * way has returned to the loop. The worker's thread.
 */
void worker_bury(struct worker *worker, struct connection *conn);

/* Give back the place of a connection in the counts of WORKER and SHARE. The worker's thread. */
void worker_release(struct worker *worker, struct share *share);

/* Log one line about CONN with its fields. The worker's thread. */
void worker_log(enum log_level level, const struct connection *conn, const char *message);

#endif
