/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who sends datagrams: a token bucket and counts for each source, which is an IPv4 address or an
 * IPv6 /64. The table never grows: a new source takes the place of the one of its set that was
 * silent longest, so that strangers with many addresses cost nothing but each other's places; what
 * they can send in all, the listener's own bucket bounds. Belongs to one thread.
 */
#ifndef ECHOD_ENGINE_SOURCE_TABLE_H
#define ECHOD_ENGINE_SOURCE_TABLE_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/token_bucket.h"

/* Places of a table. */
#define SOURCE_TABLE_SIZE 4096

struct source_table;

struct source {
	struct in6_addr prefix; /* IPv4 as IPv4-mapped; of IPv6 the first 64 bits, the rest 0 */
	int64_t seen_ns;        /* last datagram, CLOCK_MONOTONIC; 0: the place is free */
	struct token_bucket bucket;
	uint64_t echoed;
	uint64_t dropped; /* by a rate or the budget */
	uint64_t spent;   /* echoes since the budget last dropped one */
};

/* Build an empty table with a random key. NULL with errno set on failure. */
struct source_table *source_table_new(void);

/* Free a table; NULL is fine. */
void source_table_free(struct source_table *table);

/* Return the place of ADDRESS (IPv4 as IPv4-mapped), a fresh one if it has none. Never NULL. */
struct source *source_table_get(
    struct source_table *table, const struct in6_addr *address, int64_t now_ns);

/* Copy all sources to SOURCES, which has room for SOURCE_TABLE_SIZE; returns how many. */
size_t source_table_copy(const struct source_table *table, struct source *sources);

#endif
