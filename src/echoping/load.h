/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The load form: some threads keep many connections busy. The main thread opens the connections,
 * starts the workers, waits (^C ends the run early) and adds up the results. A worker is one thread
 * with an epoll loop over its links. It decides when a message may begin (closed loop: when there
 * is room in the pipeline; open loop: when it is due) and when sending ends. stream.c and
 * datagram.c have the kinds of links: they make messages and check the echoes.
 */
#ifndef ECHOD_ECHOPING_LOAD_H
#define ECHOD_ECHOPING_LOAD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "echoping/run.h"

enum echoping_stop {
	ECHOPING_RUN,
	ECHOPING_STOP, /* send no more, wait for what is out */
	ECHOPING_QUIT, /* at once */
};

/* What all threads of a load share; fixed before the first starts, but for `stop`. */
struct echoping_plan {
	const struct echoping_run *run; /* its target has one address */
	int64_t start_ns;               /* open loop: when message 0 is due */
	double interval_ns;             /* open loop: from one message to the next */
	int64_t end_ns;                 /* when sending ends; INT64_MAX: not by time */
	atomic_int stop;                /* enum echoping_stop; the main thread raises it */
	int done_fd;                    /* an eventfd; each thread that ends adds 1 */
};

/*
 * Return when message INDEX of an open loop is due, whether or not those before it have come back.
 * Latency counts from there, so it includes the time that a message waited because the server or
 * the connection stalled. Multiplied rather than added up, so it does not drift.
 */
static inline int64_t
echoping_plan_due(const struct echoping_plan *plan, uint64_t index)
{
	return plan->start_ns + (int64_t)((double)index * plan->interval_ns);
}

struct echoping_worker;

/* What links of every kind have. A link belongs to one worker and is touched by its thread only. */
struct echoping_link {
	struct echoping_worker *worker;
	int fd;                        /* owned; -1 when there is none */
	uint32_t number;               /* from 0, over all threads */
	uint32_t watched;              /* events that epoll is asked for; 0 when it is not */
	bool retired;                  /* ended, with or without an error */
	uint64_t released;             /* open loop: messages whose time has come */
	uint64_t taken;                /* messages begun */
	struct echoping_outage outage; /* that is on */
};

/* What a kind of link does, in its worker's thread, until echoping_worker_retire() is called. */
struct echoping_link_kind {
	size_t size; /* of the struct that begins with a struct echoping_link */
	/* Prepare an all-zero one whose link is set. Returns 0 or -errno; done() follows anyway. */
	int (*init)(struct echoping_link *link);
	/* Free what init() took; the descriptor is the worker's to close. */
	void (*done)(struct echoping_link *link);
	/* Begin what may be begun now (without a connection that is nothing), or wind up when
	 * sending is over and nothing is out. */
	void (*pump)(struct echoping_link *link, int64_t now_ns);
	/* The descriptor has EVENTS of epoll(7). */
	void (*on_event)(struct echoping_link *link, uint32_t events);
	/* Look for timeouts; some ten times a second. */
	void (*on_tick)(struct echoping_link *link, int64_t now_ns);
};

/* A TCP or UNIX connection, `pipeline` messages in flight; with --churn a new one for each. */
extern const struct echoping_link_kind echoping_stream_kind;
/* A UDP socket, `pipeline` datagrams in flight. */
extern const struct echoping_link_kind echoping_datagram_kind;

struct echoping_worker {
	struct echoping_plan *plan;             /* borrowed, as the next two */
	const struct echoping_options *options; /* the plan's */
	const struct echoping_payload *payload; /* the plan's */
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
	uint64_t released;   /* messages of this thread whose time has come */
	uint64_t backlog;    /* of those, not begun */
	int64_t timer_at_ns; /* what timer_fd is set to */

	unsigned char *buffer; /* owned; one piece of the payload, for what is received */
	struct echoping_results *results; /* owned */
	_Atomic uint64_t received_so_far; /* for the progress line */
	_Atomic uint64_t failed_so_far;
};

/*
 * Prepare links FIRST to FIRST + COUNT - 1 of the run. FDS are their connected sockets, which the
 * worker takes and FDS loses (-1); with --churn they are -1 from the start. QUOTA is the worker's
 * part of the messages. Returns 0 or -errno; echoping_worker_done() follows in any case.
 */
ATTR_MUSTCHECK int echoping_worker_init(struct echoping_worker *worker, struct echoping_plan *plan,
    uint32_t first, uint32_t count, uint64_t quota, int *fds);

/* Free everything; the thread, if it was started, has been joined. */
void echoping_worker_done(struct echoping_worker *worker);

/* The rest is for links. */

/* Ask to begin a message; true counts it as sent and tells when its time begins. */
bool echoping_worker_take(struct echoping_link *link, int64_t now_ns, int64_t *ret_start_ns);

/* Count an echo that came at NOW_NS. */
static inline void
echoping_worker_receive(struct echoping_worker *worker, int64_t start_ns, int64_t now_ns)
{
	worker->last_ns = now_ns;
	echoping_results_receive(worker->results, now_ns - start_ns);
}

/* Wait for these events of link->fd. Out of memory retires the link. */
void echoping_worker_watch(struct echoping_link *link, uint32_t events);

/* Close the descriptor but keep the link. */
void echoping_worker_close(struct echoping_link *link);

/* Close this link for good; it is not called any more. */
void echoping_worker_retire(struct echoping_link *link);

/* Record WHAT happened to this link, unless there is an error already. */
void echoping_worker_note(const struct echoping_link *link, const char *what);

#endif
