/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "engine/datagram/sources.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/siphash.h"

#define SET_SIZE 4
#define SET_COUNT (SOURCES_MAX / SET_SIZE)

struct sources {
	struct siphash_key key;
	struct source *last; /* the one asked for last, NULL at first: they come in bursts */
	struct source places[SOURCES_MAX]; /* sets follow each other */
};

struct sources *
sources_new(void)
{
	struct sources *table = calloc(1, sizeof(*table));

	if (table != NULL && siphash_make_key(&table->key) < 0) {
		free(table);
		return NULL;
	}
	return table;
}

uint64_t
token_bucket_take(
    struct token_bucket *bucket, uint64_t rate, uint64_t burst, uint64_t want, int64_t now_ns)
{
	int64_t token_ns, room_ns;
	uint64_t there;

	if (rate == 0)
		return want;
	token_ns = NS_PER_S / (int64_t)rate;
	if (bucket->full_ns < now_ns)
		bucket->full_ns = now_ns;
	room_ns = now_ns + (int64_t)burst * token_ns - bucket->full_ns;
	/* a burst that a reload made smaller leaves a debt */
	if (room_ns < token_ns)
		return 0;
	/* mostly one is wanted, and a division can be spared */
	there = want == 1 ? 1 : (uint64_t)(room_ns / token_ns);
	if (there > want)
		there = want;
	bucket->full_ns += (int64_t)there * token_ns;
	return there;
}

static struct in6_addr
source_prefix(const struct in6_addr *address)
{
	struct in6_addr prefix = *address;

	if (!IN6_IS_ADDR_V4MAPPED(address))
		memset(&prefix.s6_addr[8], 0, 8);
	return prefix;
}

struct source *
sources_get(struct sources *table, const struct in6_addr *address, int64_t now_ns)
{
	struct in6_addr prefix = source_prefix(address);
	struct source *set, *oldest;

	if (table->last != NULL && IN6_ARE_ADDR_EQUAL(&table->last->prefix, &prefix)) {
		table->last->seen_ns = now_ns;
		return table->last;
	}
	set = oldest =
	    &table->places[siphash(&table->key, &prefix, sizeof(prefix)) % SET_COUNT * SET_SIZE];
	for (size_t i = 0; i < SET_SIZE; i++) {
		struct source *source = &set[i];

		if (source->seen_ns != 0 && IN6_ARE_ADDR_EQUAL(&source->prefix, &prefix)) {
			source->seen_ns = now_ns;
			table->last = source;
			return source;
		}
		if (source->seen_ns < oldest->seen_ns)
			oldest = source;
	}
	*oldest = (struct source){ .prefix = prefix, .seen_ns = now_ns };
	table->last = oldest;
	return oldest;
}

size_t
sources_copy(const struct sources *table, struct source *ret_sources)
{
	size_t count = 0;

	for (size_t i = 0; table != NULL && i < SOURCES_MAX; i++) {
		if (table->places[i].seen_ns != 0)
			ret_sources[count++] = table->places[i];
	}
	return count;
}
