/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A picture of the connections: each worker copies its own into plain records and posts them
 * back; the main loop puts them together. No worker is ever waited for.
 */
#ifndef ECHOD_ENGINE_SNAPSHOT_H
#define ECHOD_ENGINE_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/address.h"
#include "base/attributes.h"
#include "engine/connection.h"

struct engine;

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
};

struct snapshot {
	int64_t taken_ns; /* when the last worker answered */
	int64_t total;    /* connections served then */
	size_t count;     /* records, oldest connection first */
	struct connection_info *infos;
};

/*
 * Ask for the LIMIT oldest connections. DONE is called once, on the main loop, after this call
 * returned 0; it may use SNAPSHOT until it returns; NULL means out of memory. Workers that do
 * not run count as empty. Returns 0 or -ENOMEM (then DONE is not called). Main loop.
 */
ATTR_MUSTCHECK int snapshot_request(struct engine *engine, size_t limit,
    void (*done)(void *context, const struct snapshot *snapshot), void *context);

#endif
