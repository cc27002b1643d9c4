/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "engine/datagram/guard.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/siphash.h"

/* The table of sources is made of sets, in one of which a source has its place. */
#define SET_SIZE 4
#define SET_COUNT (SOURCES_MAX / SET_SIZE)

/*
 * Ports of services that answer whatever they get, in order: echo, daytime, quote of the day,
 * character generator, time, DNS, TFTP, portmapper, NTP, NetBIOS names, SNMP, CLDAP, RIP, SSDP,
 * WS-Discovery, multicast DNS, memcached. Most lie below 1024, but min_source_port may be lowered.
 */
static const in_port_t guard_reflectors[] = { 7, 13, 17, 19, 37, 53, 69, 111, 123, 137, 161, 389,
	520, 1900, 3702, 5353, 11211 };

static enum datagram_drop
guard_judge_port(const struct guard *guard, in_port_t port)
{
	/* nobody can be answered at port 0 */
	if (port == 0 || port < guard->min_source_port)
		return DATAGRAM_SOURCE_PORT;
	for (size_t i = 0; i < guard->own_count; i++) {
		if (address_port(&guard->own[i]) == port)
			return DATAGRAM_OWN_PORT;
	}
	/* from the largest on: clients' ports are larger as a rule */
	for (size_t i = ARRAY_SIZE(guard_reflectors); i-- > 0 && port <= guard_reflectors[i];) {
		if (port == guard_reflectors[i])
			return DATAGRAM_REFLECTOR_PORT;
	}
	return DATAGRAM_PASS;
}

static enum datagram_drop
guard_judge_in(const struct in_addr *source, const struct datagram_local *local)
{
	in_addr_t host = ntohl(source->s_addr);

	if (host >> 24 == 0)
		return DATAGRAM_SOURCE_UNSPECIFIED;
	if (host == INADDR_BROADCAST)
		return DATAGRAM_SOURCE_BROADCAST;
	if (IN_MULTICAST(host))
		return DATAGRAM_SOURCE_MULTICAST;
	/* of a broadcast or multicast, ipi_addr is its group and ipi_spec_dst an address of ours */
	if (local->u.in.ipi_addr.s_addr != local->u.in.ipi_spec_dst.s_addr ||
	    IN_MULTICAST(ntohl(local->u.in.ipi_addr.s_addr)))
		return DATAGRAM_DESTINATION;
	return DATAGRAM_PASS;
}

static enum datagram_drop
guard_judge_in6(const struct in6_addr *source, const struct datagram_local *local)
{
	if (IN6_IS_ADDR_UNSPECIFIED(source))
		return DATAGRAM_SOURCE_UNSPECIFIED;
	if (IN6_IS_ADDR_MULTICAST(source))
		return DATAGRAM_SOURCE_MULTICAST;
	/* not an IPv4 packet on a dual-stack socket: those are judged as IPv4 */
	if (IN6_IS_ADDR_V4MAPPED(source))
		return DATAGRAM_SOURCE_MAPPED;
	if (IN6_IS_ADDR_MULTICAST(&local->u.in6.ipi6_addr))
		return DATAGRAM_DESTINATION;
	return DATAGRAM_PASS;
}

static enum datagram_drop
guard_judge_address(const struct sockaddr *source, const struct datagram_local *local,
    struct in6_addr *ret_address, in_port_t *ret_port)
{
	struct sockaddr_in6 in6 = { .sin6_addr = { .s6_addr = { [10] = 0xff, [11] = 0xff } } };
	struct sockaddr_in in;

	if (source->sa_family == AF_INET) {
		memcpy(&in, source, sizeof(in));
		in6.sin6_port = in.sin_port;
		memcpy(&in6.sin6_addr.s6_addr[12], &in.sin_addr, sizeof(in.sin_addr));
	} else {
		memcpy(&in6, source, sizeof(in6));
		memcpy(&in.sin_addr, &in6.sin6_addr.s6_addr[12], sizeof(in.sin_addr));
	}
	*ret_port = ntohs(in6.sin6_port);
	*ret_address = in6.sin6_addr;
	if (local->family == AF_INET)
		return guard_judge_in(&in.sin_addr, local);
	if (local->family == AF_INET6)
		return guard_judge_in6(&in6.sin6_addr, local);
	return DATAGRAM_DESTINATION;
}

static bool
guard_lists(const struct network *networks, size_t count, const struct sockaddr *source)
{
	for (size_t i = 0; i < count; i++) {
		if (network_has(&networks[i], source))
			return true;
	}
	return false;
}

enum datagram_drop
guard_judge(const struct guard *guard, const struct sockaddr *source,
    const struct datagram_local *local, struct in6_addr *ret_address)
{
	in_port_t port;
	enum datagram_drop drop = guard_judge_address(source, local, ret_address, &port);

	if (drop == DATAGRAM_PASS)
		drop = guard_judge_port(guard, port);
	if (drop != DATAGRAM_PASS)
		return drop;
	if (guard_lists(guard->deny, guard->deny_count, source))
		return DATAGRAM_DENIED;
	if (guard->allow_count > 0 && !guard_lists(guard->allow, guard->allow_count, source))
		return DATAGRAM_NOT_ALLOWED;
	return DATAGRAM_PASS;
}

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

struct source *
sources_get(struct sources *table, const struct in6_addr *address, int64_t now_ns)
{
	struct in6_addr prefix = *address;
	struct source *set, *oldest;

	if (!IN6_IS_ADDR_V4MAPPED(address))
		memset(&prefix.s6_addr[8], 0, 8);
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

const struct source *
sources_next(const struct sources *table, const struct source *source)
{
	if (table == NULL)
		return NULL;
	source = source == NULL ? table->places : source + 1;
	while (source < table->places + SOURCES_MAX && source->seen_ns == 0)
		source++;
	return source < table->places + SOURCES_MAX ? source : NULL;
}
