/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "engine/source_table.h"

#include <stdlib.h>
#include <string.h>

#include "base/siphash.h"

#define SET_SIZE 4
#define SET_COUNT (SOURCE_TABLE_SIZE / SET_SIZE)

struct source_table {
	struct siphash_key key;
	struct source *last; /* the one asked for last, NULL at first: they come in bursts */
	struct source sets[SET_COUNT][SET_SIZE];
};

struct source_table *
source_table_new(void)
{
	struct source_table *table = calloc(1, sizeof(*table));

	if (table != NULL && siphash_make_key(&table->key) < 0) {
		free(table);
		return NULL;
	}
	return table;
}

void
source_table_free(struct source_table *table)
{
	free(table);
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
source_table_get(struct source_table *table, const struct in6_addr *address, int64_t now_ns)
{
	struct in6_addr prefix = source_prefix(address);
	struct source *set, *oldest;

	if (table->last != NULL && IN6_ARE_ADDR_EQUAL(&table->last->prefix, &prefix)) {
		table->last->seen_ns = now_ns;
		return table->last;
	}
	set = oldest = table->sets[siphash(&table->key, &prefix, sizeof(prefix)) % SET_COUNT];
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
source_table_copy(const struct source_table *table, struct source *sources)
{
	size_t count = 0;

	for (size_t i = 0; i < SET_COUNT; i++) {
		for (size_t j = 0; j < SET_SIZE; j++) {
			if (table->sets[i][j].seen_ns != 0)
				sources[count++] = table->sets[i][j];
		}
	}
	return count;
}
