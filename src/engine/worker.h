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
#include "base/list.h"
#include "base/log.h"
#include "config/config.h"
#include "engine/bulk.h"
#include "engine/connection.h"
#include "engine/counters.h"
#include "engine/distribution.h"
#include "engine/loop.h"
#include "engine/sampling.h"
#include "engine/walk.h"

/* What a reload may change for every connection of a worker. */
struct worker_settings {
	size_t output_high;       /* bytes */
	size_t output_low;        /* bytes */
	int64_t stall_timeout_ns; /* 0: none */
	int64_t linger_timeout_ns;
	enum config_log_connections log_connections;
};

/* What a reload may change for the connections of one listener. */
struct share_settings {
	int64_t idle_timeout_ns; /* 0: none */
	int64_t lifetime_ns;     /* 0: none */
	uint64_t byte_limit;     /* 0: none; counts for connections accepted from then on */
};

/*
 * One worker's share of a service (a listener's name): settings, counters, connections. Made
 * by the main loop, then the worker's alone, except for counters and name, which all may read.
 */
struct share {
	TAILQ_ENTRY(share) next;      /* worker->shares */
	const char *name;             /* borrowed from the service; NUL-terminated, never changes */
	_Atomic int64_t *connections; /* borrowed: the service's count, given back at close */
	struct share_settings settings;
	struct counters counters;
	struct distribution duration; /* lives of connections that ended */
	/* from the read callback to the last byte that the kernel took; a sample */
	struct distribution echo_delay;
	struct connection_list by_age;      /* oldest first */
	struct connection_list by_activity; /* longest idle first, within a tenth of a second */
};

TAILQ_HEAD(share_list, share);

/* How far a stop or a drain has come. */
enum worker_phase {
	WORKER_SERVING,
	WORKER_DRAINING, /* connections are finished as they become idle */
	WORKER_CUTTING,  /* the deadline passed: all are finished */
};

struct worker_message;

struct worker {
	struct loop *loop;
	struct event *tick;
	pthread_t thread;
	bool started;  /* main loop's: thread is valid */
	bool stopping; /* main loop's: was told to stop */
	struct post stop_post;
	struct post drain_post; /* in use while drain_posted */
	atomic_bool drain_posted;
	atomic_int wanted_phase; /* written by the main loop, taken over by worker_do_drain() */
	_Atomic int64_t wanted_grace_ns;
	unsigned id;
	struct worker_message *spare; /* main loop's: messages to hand over with, used before */
	_Atomic(struct worker_message *) returned; /* the worker has read these: spare next */
	_Atomic int64_t load; /* connections handed over and not yet freed; any reader */
	struct worker_settings settings;
	struct share_list shares;
	struct connection_list pending;   /* output not empty, least recently checked first */
	struct connection_list lingering; /* longest lingering first */
	struct walk_list walks;           /* those under way */
	struct bulk bulk;                 /* the way of bulk data */
	struct sampling delays;           /* which echoes are measured */
	enum worker_phase phase;
	int64_t idle_grace_ns;   /* while draining */
	int64_t tick_ns;         /* interval of the tick */
	int64_t tick_due_ns;     /* when the next one should come */
	struct distribution lag; /* how late ticks come: what a message may have to wait */
};

/* Build worker ID with its loop; no thread yet. NULL with errno set. Main loop. */
struct worker *worker_new(unsigned id, const struct worker_settings *settings);

/* Start the thread. All signals must be blocked in the caller. Returns 0 or -errno. Main loop. */
ATTR_MUSTCHECK int worker_start(struct worker *worker);

/*
 * Cut all connections (drain_forced), stop the thread and wait for it until DEADLINE_NS. Returns
 * 0; or -ETIMEDOUT when the thread hangs, which may be tried again. Main loop.
 */
ATTR_MUSTCHECK int worker_stop(struct worker *worker, int64_t deadline_ns);

/* Free a worker that was stopped or never started. NULL is fine. */
void worker_free(struct worker *worker);

/*
 * Memory for one of the calls below that take a message: had beforehand, so that the call itself
 * cannot fail. NULL: out of memory.
 */
struct worker_message *worker_message_new(void);

/* Free a message that was not used. NULL is fine. */
void worker_message_free(struct worker_message *message);

/* Hand over a share (owned by the caller, outlives the thread). Takes MESSAGE. Main loop. */
void worker_add_share(struct worker *worker, struct share *share, struct worker_message *message);

/* Change the settings of SHARE. Takes MESSAGE. Main loop. */
void worker_set_share(struct worker *worker, struct share *share,
    const struct share_settings *settings, struct worker_message *message);

/* Change the worker's own settings. Takes MESSAGE. Main loop. */
void worker_set(
    struct worker *worker, const struct worker_settings *settings, struct worker_message *message);

/*
 * Hand over an accepted descriptor. Takes FD when it returns 0; on -ENOMEM it is still the
 * caller's. Main loop.
 */
ATTR_MUSTCHECK int worker_take(struct worker *worker, struct share *share, int fd, uint64_t id,
    const union connection_peer *peer);

/* Move on to the next step of a stop, or back to serving. Main loop. */
void worker_drain(struct worker *worker, enum worker_phase phase, int64_t idle_grace_ns);

/* Give back the place of a connection in the counts of WORKER and SHARE. The worker's thread. */
void worker_release(struct worker *worker, struct share *share);

/* Log one line about CONN with its fields. The worker's thread. */
void worker_log(enum log_level level, const struct connection *conn, const char *message);

#endif
