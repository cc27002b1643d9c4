/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Questions to the workers: which connections there are, who sends datagrams, and the closing of
 * one connection by its id. One question is under way at a time, and it visits one worker after
 * the other in short slices, so that no echo waits for it. It keeps no more than a bounded page.
 * Main loop only.
 */
#ifndef ECHOD_ENGINE_INSPECTION_H
#define ECHOD_ENGINE_INSPECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "base/attributes.h"
#include "config/configuration.h"
#include "engine/connection.h"
#include "engine/datagram/endpoint.h"
#include "engine/peer_table.h"
#include "engine/recent_events.h"
#include "engine/service.h"

struct acceptor;
struct question;
struct worker;

/* Most rows of one list, and how far into the order of all connections it may reach. */
#define INSPECTION_ROWS_MAX 1000
#define INSPECTION_REACH_MAX 10000

/* Most peers that connections are counted by. */
#define INSPECTION_PEERS_MAX 100000

enum inspection_kind {
	INSPECTION_CONNECTIONS, /* list them */
	INSPECTION_SOURCES,     /* list the sources of datagrams */
	INSPECTION_PEERS,       /* count connections by address or network */
	INSPECTION_EVENTS,      /* list the connections that ended last, and those refused */
	INSPECTION_CLOSE,       /* close the connection id at once, with reason admin */
};

/* By what connections are ordered. */
enum inspection_sort {
	INSPECTION_BY_AGE,
	INSPECTION_BY_IDLE,
	INSPECTION_BY_BYTES_IN,
	INSPECTION_BY_BYTES_OUT,
	INSPECTION_BY_PENDING,
	INSPECTION_BY_CONNECTIONS, /* of INSPECTION_PEERS alone, and its default */
};

/* What is asked for. Of INSPECTION_SOURCES listener and limit count, of INSPECTION_CLOSE the id. */
struct inspection_query {
	enum inspection_kind kind;
	uint64_t id;                                 /* this one alone; 0: any */
	char listener[CONFIG_LISTENER_NAME_MAX + 1]; /* "": any */
	bool by_peer;
	struct network peer; /* with by_peer */
	bool by_state;
	enum connection_state state; /* with by_state */
	enum inspection_sort sort;
	bool ascending; /* smallest first; else largest: oldest, longest idle, most bytes */
	size_t limit;   /* at most INSPECTION_ROWS_MAX */
	size_t offset;  /* limit + offset is at most INSPECTION_REACH_MAX */
	bool tcp;       /* read TCP_INFO too: a system call for each record */
	/* Of INSPECTION_PEERS: bits that make one of two addresses; 32 and 128 are whole ones. */
	unsigned ipv4_bits;
	unsigned ipv6_bits;
	/* Of INSPECTION_EVENTS, whose order is fixed: newest first. */
	uint64_t since;  /* those with a greater id */
	uint64_t before; /* and with a smaller one, by inspection_ask() */
	bool by_reason;
	unsigned reason; /* with by_reason: a counter of closes or refusals */
	bool by_kind;
	bool refused; /* with by_kind: those refused, else those closed */
};

/* One connection at the moment its worker looked at it. Times are CLOCK_MONOTONIC, see clock.h. */
struct connection_info {
	uint64_t id;
	const char *listener; /* borrowed from the service: lives as long as the engine */
	unsigned worker;
	enum address_transport transport;
	union connection_peer peer;
	struct address local; /* read with getsockname(2) by the worker */
	int64_t accepted_ns;
	int64_t active_ns;
	enum connection_state state;
	uint64_t bytes_in;
	uint64_t bytes_out;
	uint64_t reads;
	uint64_t pending_bytes;
	bool read_paused;
	uint64_t pauses;
	int64_t paused_ns; /* a pause that is still on included */
	bool has_tcp;
	struct connection_tcp_info tcp; /* with has_tcp */
};

/* One source of datagrams. */
struct source_info {
	const char *listener; /* borrowed as above */
	struct source source;
};

union inspection_row {
	struct connection_info connection;
	struct source_info source; /* of INSPECTION_SOURCES */
	struct peer_info peer;     /* of INSPECTION_PEERS */
	struct recent_event event; /* of INSPECTION_EVENTS */
};

/* The answer. */
struct inspection_list {
	int64_t taken_ns;   /* when the last worker answered; CLOCK_MONOTONIC */
	int64_t total;      /* connections served then */
	uint64_t matched;   /* rows that the query was about, before limit and offset */
	uint64_t next;      /* of INSPECTION_EVENTS: what to give as since the next time */
	uint64_t ungrouped; /* of INSPECTION_PEERS: connections that found no place */
	size_t count;       /* rows, in the order that was asked for; sources: busiest first */
	union inspection_row rows[];
};

/* What is asked, embedded in the engine: the one under way, then closings, then a list. */
struct inspection {
	struct loop *loop;             /* borrowed: the main loop */
	struct worker *const *workers; /* borrowed, like all of these */
	size_t worker_count;
	const struct service_list *services;
	const struct endpoint_list *endpoints; /* those that are open */
	const struct acceptor *acceptor;
	TAILQ_HEAD(question_list, question) questions;
	bool listing; /* one of them is for a list */
};

/*
 * Ask for what QUERY (copied) says. DONE is called once, later, on the main loop: R is 0; -ENOENT
 * when there is no connection to close; -ENOMEM or -ECANCELED. LIST is the callee's, to be given to
 * free(3); NULL after an error and a closing. Workers that do not run count as empty.
 *
 * A list is refused while another is asked for. A closing is never refused, and goes ahead of a
 * list that waits. Returns 0; -EINVAL for a query beyond the bounds, -EBUSY or -ENOMEM: DONE is not
 * called.
 */
ATTR_MUSTCHECK int inspection_ask(struct inspection *inspection,
    const struct inspection_query *query,
    void (*done)(void *context, int r, struct inspection_list *list), void *context);

/*
 * Answer what is still asked with -ECANCELED. The workers have been stopped, and the main loop
 * does not run any more.
 */
void inspection_done(struct inspection *inspection);

#endif
