/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A picture of the connections: each worker copies those that were asked for into plain records,
 * a slice of its list at a time, and posts them back; the main loop puts them together. No worker
 * is ever waited for, and none copies or keeps more than was asked for.
 */
#ifndef ECHOD_ENGINE_SNAPSHOT_H
#define ECHOD_ENGINE_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "base/attributes.h"
#include "base/network.h"
#include "config/config.h"
#include "engine/connection.h"

struct engine;

/* Most records of one picture, the skipped ones included. */
#define SNAPSHOT_MAX 10000

/* By what the records are ordered. */
enum snapshot_sort {
	SNAPSHOT_BY_AGE,
	SNAPSHOT_BY_IDLE,
	SNAPSHOT_BY_BYTES_IN,
	SNAPSHOT_BY_BYTES_OUT,
	SNAPSHOT_BY_PENDING,
};

/* Which connections are asked for. */
struct snapshot_query {
	uint64_t id;                                 /* this one alone; 0: any */
	char listener[CONFIG_LISTENER_NAME_MAX + 1]; /* "": any */
	bool by_peer;
	struct network peer; /* with by_peer */
	bool by_state;
	enum connection_state state; /* with by_state */
	enum snapshot_sort sort;
	bool ascending; /* smallest first; else largest: oldest, longest idle, most bytes */
	size_t limit;   /* limit + offset is at most SNAPSHOT_MAX */
	size_t offset;
	bool tcp; /* read TCP_INFO too: a system call for each record */
};

/* What the kernel knows of a TCP connection; see TCP_INFO in tcp(7). */
struct connection_tcp_info {
	int64_t rtt_ns;
	int64_t rttvar_ns;
	int64_t min_rtt_ns;
	uint64_t retransmits;   /* segments sent again, in all */
	uint64_t mss;           /* bytes */
	uint64_t cwnd;          /* segments */
	uint64_t delivery_rate; /* bytes a second */
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

struct snapshot {
	int64_t taken_ns; /* when the last worker answered */
	int64_t total;    /* connections served then */
	uint64_t matched; /* those that the query was about, before limit and offset */
	size_t count;     /* records, in the order that was asked for */
	struct connection_info *infos;
};

/*
 * Ask for the connections of QUERY (copied). DONE is called once, on the main loop, after this
 * call returned 0; it may use SNAPSHOT until it returns; NULL means out of memory. Workers that do
 * not run count as empty. Returns 0, -EINVAL for a query beyond SNAPSHOT_MAX, or -ENOMEM (then
 * DONE is not called). Main loop.
 */
ATTR_MUSTCHECK int snapshot_request(struct engine *engine, const struct snapshot_query *query,
    void (*done)(void *context, const struct snapshot *snapshot), void *context);

#endif
