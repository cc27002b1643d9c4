/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "engine/peer_table.h"

#include <stdlib.h>
#include <string.h>

#include "base/siphash.h"

/* Of an IPv4-mapped address: the bits before the IPv4 one. */
#define MAPPED_BITS 96

/* What tells peers apart, and is hashed as it lies in memory. */
struct peer_key {
	struct in6_addr network;
	uint32_t bits;
};

struct peer_table {
	unsigned ipv4_bits;
	unsigned ipv6_bits;
	struct siphash_key secret; /* clients choose their addresses, but not their places */
	size_t capacity;
	size_t count;
	uint64_t ungrouped;
	struct peer_info *peers; /* owned; capacity of them */
	uint32_t *places;        /* owned; number of a peer, from 1; 0: free */
	size_t mask; /* places - 1; twice the capacity at least, so that some are free */
};

struct peer_table *
peer_table_new(size_t capacity, unsigned ipv4_bits, unsigned ipv6_bits)
{
	struct peer_table *table = calloc(1, sizeof(*table));
	size_t places = 2;

	if (table == NULL)
		return NULL;
	while (places < 2 * capacity)
		places *= 2;
	table->ipv4_bits = ipv4_bits;
	table->ipv6_bits = ipv6_bits;
	table->capacity = capacity;
	table->mask = places - 1;
	table->peers = calloc(capacity + 1, sizeof(table->peers[0]));
	table->places = calloc(places, sizeof(table->places[0]));
	if (table->peers != NULL && table->places != NULL && siphash_make_key(&table->secret) == 0)
		return table;
	peer_table_free(table);
	return NULL;
}

void
peer_table_free(struct peer_table *table)
{
	if (table == NULL)
		return;
	free(table->peers);
	free(table->places);
	free(table);
}

/* Let the bits beyond BITS be 0. */
static void
peer_cut(struct in6_addr *network, unsigned bits)
{
	for (unsigned i = 0; i < sizeof(network->s6_addr); i++) {
		unsigned left = bits > 8 * i ? bits - 8 * i : 0;

		if (left < 8)
			network->s6_addr[i] &= (uint8_t)(0xff00 >> left);
	}
}

static struct peer_key
peer_table_key(const struct peer_table *table, const union connection_peer *peer)
{
	struct peer_key key = { .bits = PEER_IS_USER };
	uint32_t word;

	if (peer->family == AF_UNIX) {
		word = htonl(peer->un.uid);
		memcpy(&key.network.s6_addr[12], &word, sizeof(word));
		return key;
	}
	if (peer->family == AF_INET) {
		key.network.s6_addr[10] = key.network.s6_addr[11] = 0xff;
		memcpy(&key.network.s6_addr[12], &peer->in.sin_addr, sizeof(peer->in.sin_addr));
	} else {
		key.network = peer->in6.sin6_addr;
	}
	key.bits = IN6_IS_ADDR_V4MAPPED(&key.network) ? MAPPED_BITS + table->ipv4_bits
						      : table->ipv6_bits;
	peer_cut(&key.network, key.bits);
	return key;
}

/* Return the peer with KEY, made where there is none; NULL: the table is full. */
static struct peer_info *
peer_table_find(struct peer_table *table, const struct peer_key *key)
{
	size_t place = siphash(&table->secret, key, sizeof(*key)) & table->mask;
	struct peer_info *peer;

	for (; table->places[place] != 0; place = (place + 1) & table->mask) {
		peer = &table->peers[table->places[place] - 1];
		if (peer->bits == key->bits &&
		    memcmp(&peer->network, &key->network, sizeof(key->network)) == 0)
			return peer;
	}
	if (table->count == table->capacity)
		return NULL;
	peer = &table->peers[table->count++];
	table->places[place] = (uint32_t)table->count;
	peer->network = key->network;
	peer->bits = key->bits;
	return peer;
}

void
peer_table_add(struct peer_table *table, const struct connection *conn)
{
	const struct peer_key key = peer_table_key(table, &conn->peer);
	struct peer_info *peer = peer_table_find(table, &key);

	if (peer == NULL) {
		table->ungrouped++;
		return;
	}
	peer->connections++;
	peer->bytes_in += conn->bytes_in;
	peer->bytes_out += conn->bytes_out;
	peer->pending_bytes += conn->waiting;
}

const struct peer_info *
peer_table_at(const struct peer_table *table, size_t i)
{
	return i < table->count ? &table->peers[i] : NULL;
}

uint64_t
peer_table_ungrouped(const struct peer_table *table)
{
	return table->ungrouped;
}
