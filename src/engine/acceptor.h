/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where connections come in: the listeners, the limits on connections, the worker that gets each
 * one, and a close of listeners that loses no client. A listener accepts while the set of its
 * reasons to pause is empty. Main loop only.
 */
#ifndef ECHOD_ENGINE_ACCEPTOR_H
#define ECHOD_ENGINE_ACCEPTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/event_struct.h>

#include "base/attributes.h"
#include "engine/history.h"
#include "engine/listen_socket.h"
#include "engine/loop.h"
#include "engine/service.h"
#include "engine/worker.h"

/* Why a listener does not accept: bits of a set. */
enum pause_reason {
	PAUSE_DRAIN = 1,          /* a drain: no new client until it is taken back */
	PAUSE_NO_DESCRIPTORS = 2, /* no descriptor or kernel memory; all listeners have it */
	PAUSE_ERROR = 4,          /* accept(2) fails here, or epoll_ctl(2) did */
	PAUSE_BUSY = 8,           /* all workers have as many waiting as they may */
};

/* From the first trouble of a kind until it is over; a line in the log for each end. */
struct episode {
	int64_t since_ns; /* 0: there is none */
	uint64_t refused; /* connections, since then */
};

struct listener {
	TAILQ_ENTRY(listener) next;
	struct listen_socket socket; /* owned */
	struct acceptor *acceptor;   /* borrowed */
	struct service *service;     /* borrowed; where its connections are counted */
	int64_t connections_limit;   /* 0: only the global one */
	int most_waiting;    /* most of its connections that a worker has and has not yet begun */
	struct episode full; /* its limit is reached; over when well below */
	unsigned pauses;     /* set of enum pause_reason */
	int64_t failing_since_ns; /* the first error of this episode */
	unsigned failed_in_row;   /* errors since a success, or since the last pause */
	unsigned left;            /* while it is closed: how many connections it may still take */
	uint64_t errors;          /* counted in this episode, at each pause; 0: no episode */
	int64_t backoff_ns;       /* the last pause of this episode */
	struct event readable;    /* added while the set is empty */
	struct event timer;       /* ends PAUSE_ERROR, later the episode */
};

TAILQ_HEAD(listener_list, listener);

/* What all listeners have in common. */
struct acceptor {
	struct loop *loop;              /* borrowed: the main loop */
	struct worker *const *workers;  /* borrowed */
	struct history *history;        /* borrowed; is told of each connection */
	size_t worker_count;            /* 0: before acceptor_init() */
	struct listener_list listeners; /* owned; those that are open */
	uint64_t last_id;               /* of the connection accepted last */
	int64_t limit;                  /* limits.connections */
	struct episode full;            /* limits.connections is reached; over when well below */
	struct episode starved;         /* no descriptors or memory */
	enum config_log_connections log_connections; /* log.connections */
	struct recent_events *recent;                /* owned; what was refused last */
	int spare_fd;               /* owned; closed for a moment to shed a connection */
	int64_t last_error_ns;      /* no descriptor or memory; 0: never */
	int64_t starved_since_ns;   /* first such failure since something was accepted; 0: none */
	struct event retry;         /* ends PAUSE_NO_DESCRIPTORS */
	int most_waiting;           /* most connections that a worker has and has not yet begun */
	struct event busy_timer;    /* ends PAUSE_BUSY */
	struct event episode_timer; /* looks whether full and starved are over, while they are on */
};

/* Prepare ACCEPTOR (all zero), to accept on LOOP for the COUNT WORKERS. Returns 0 or -errno. */
ATTR_MUSTCHECK int acceptor_init(
    struct acceptor *acceptor, struct loop *loop, struct worker *const *workers, size_t count);

/* Close all listeners and undo acceptor_init(); one that is all zero is fine. */
void acceptor_done(struct acceptor *acceptor);

/* Obey CFG: limits.connections, with what may wait at each worker, and log.connections. */
void acceptor_set(struct acceptor *acceptor, const struct config *cfg);

/*
 * Build a listener on SOCK (taken when this succeeds, left to the caller otherwise) that accepts
 * from the next turn of the loop on: until then listener_set() must have been called, or the
 * listener freed. NULL with errno set: no memory, or the selector does not take it.
 */
struct listener *listener_new(struct acceptor *acceptor, const struct listen_socket *sock);

/* Have LIS count under SERVICE, with a limit of its own of LIMIT connections (0: none). */
void listener_set(struct listener *lis, struct service *service, int64_t limit);

/* Add REASON to what keeps LIS from accepting, or take it away. */
void listener_pause(struct listener *lis, enum pause_reason reason, bool on);

/*
 * Close the listeners of LIST and free them, within 200 ms in all: no new client gets
 * in, and connections that the kernel has already completed are served, not reset.
 */
void listeners_close(struct listener_list *list);

/* Close the socket and free the listener. NULL is fine. */
void listener_free(struct listener *lis);

#endif
