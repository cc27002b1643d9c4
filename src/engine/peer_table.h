/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Connections counted by who is at their other end: an address, or a network of so many bits. A
 * table is made for one question of an inspection, and goes with it from worker to worker.
 */
#ifndef ECHOD_ENGINE_PEER_TABLE_H
#define ECHOD_ENGINE_PEER_TABLE_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/connection.h"

/* In place of bits: the peer is a user of this machine, at a UNIX socket. */
#define PEER_IS_USER 255

/* The connections of one peer. */
struct peer_info {
	struct in6_addr
	    network;   /* IPv4 as IPv4-mapped; of a user its uid, in the last four bytes */
	unsigned bits; /* 0 to 128, of IPv4 96 more; or PEER_IS_USER */
	uint64_t connections;
	uint64_t bytes_in;
	uint64_t bytes_out;
	uint64_t pending_bytes;
};

struct peer_table;

/*
 * Make a table for CAPACITY peers; addresses are one where IPV4_BITS or IPV6_BITS of them agree.
 * NULL: out of memory.
 */
struct peer_table *peer_table_new(size_t capacity, unsigned ipv4_bits, unsigned ipv6_bits);

/* Free it; NULL is fine. */
void peer_table_free(struct peer_table *table);

/* Count CONN. What finds no place is counted apart. */
void peer_table_add(struct peer_table *table, const struct connection *conn);

/* Return peer number I, from 0; NULL beyond the last. */
const struct peer_info *peer_table_at(const struct peer_table *table, size_t i);

/* Return how many connections found no place. */
uint64_t peer_table_ungrouped(const struct peer_table *table);

#endif
