/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One thread of a load: an epoll loop over its share of the links. It decides when a message may
 * begin (closed loop: when a place in the pipeline is free; open loop: when its time has come),
 * when sending ends, and counts. What a message is, and whether it came back, the links know.
 */
#ifndef ECHOD_ECHOPING_WORKER_H
#define ECHOD_ECHOPING_WORKER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "echoping/link.h"
#include "echoping/options.h"
#include "echoping/pace.h"
#include "echoping/payload.h"
#include "echoping/tally.h"
#include "echoping/target.h"

enum echoping_stop {
	ECHOPING_RUN,
	ECHOPING_STOP, /* send no more, wait for what is out */
	ECHOPING_QUIT, /* at once */
};

/* What all threads of a load share; fixed before the first starts, but for `stop`. */
struct echoping_plan {
	const struct echoping_options *options;
	const struct echoping_target *target; /* with one place */
	const struct echoping_payload *payload;
	int64_t start_ns;
	int64_t end_ns;      /* when sending ends; INT64_MAX: not by time */
	atomic_int stop;     /* enum echoping_stop; the main thread raises it */
	atomic_uint running; /* threads that have not ended */
	int done_fd;         /* an eventfd that is written when a thread ends */
};

struct echoping_worker {
	struct echoping_plan *plan; /* borrowed */
	pthread_t thread;
	int epoll_fd;
	int timer_fd; /* open loop: wakes for the next message; else -1 */
	const struct echoping_link_kind *kind;
	unsigned char *links; /* owned; link_count structs of kind->size bytes */
	uint32_t link_count;
	uint32_t open; /* links that are not retired */
	bool sending;
	int64_t now_ns;     /* at the beginning of the turn */
	int64_t stopped_ns; /* when sending ended */
	int64_t last_ns;    /* when the last echo came */
	uint64_t quota;     /* messages that may still be begun; UINT64_MAX: no limit */
	/* Open loop. */
	struct echoping_pace pace;
	uint64_t released;   /* messages of this thread whose time has come */
	uint64_t backlog;    /* of those, not begun */
	int64_t timer_at_ns; /* what timer_fd is set to */

	unsigned char *buffer;        /* owned; one piece of the payload, for what is received */
	struct echoping_tally *tally; /* owned */
	_Atomic uint64_t received_so_far; /* for the progress line */
	_Atomic uint64_t failed_so_far;
};

/*
 * Prepare links FIRST to FIRST + COUNT - 1 of the run. FDS are their connected sockets, which the
 * worker takes and FDS loses (-1), or NULL for churn. QUOTA is its share of the messages. Returns
 * 0 or -errno; echoping_worker_done() follows in any case.
 */
ATTR_MUSTCHECK int echoping_worker_init(struct echoping_worker *worker, struct echoping_plan *plan,
    uint32_t first, uint32_t count, uint64_t quota, int *fds);

/* Free everything; the thread, if it was started, has been joined. */
void echoping_worker_done(struct echoping_worker *worker);

/* The thread's function; the argument is the worker. */
void *echoping_worker_run(void *worker);

/*
 * For links. Ask to begin a message; true counts it as sent and tells when its time begins.
 */
bool echoping_worker_take(struct echoping_link *link, int64_t now_ns, int64_t *ret_start_ns);

/* For links. Count an echo that came at NOW_NS. */
static inline void
echoping_worker_receive(struct echoping_worker *worker, int64_t start_ns, int64_t now_ns)
{
	worker->last_ns = now_ns;
	echoping_tally_receive(worker->tally, now_ns - start_ns);
}

/* For links. Return whether this one will be asked to begin another message, as far as is known. */
bool echoping_worker_wants_more(const struct echoping_link *link);

/* For links. Wait for these events of link->fd; 0 for none. Out of memory retires the link. */
void echoping_worker_watch(struct echoping_link *link, uint32_t events);

/* For links. Close the descriptor but keep the link. */
void echoping_worker_close(struct echoping_link *link);

/* For links. This one is over: close it; it is not called any more. */
void echoping_worker_retire(struct echoping_link *link);

/* For links. Write down what happened to link->number, if it is the first such thing. */
void echoping_worker_trouble(const struct echoping_link *link, const char *what);

#endif
