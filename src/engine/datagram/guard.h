/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which datagrams are answered, and how many. Echo over UDP answers whoever a datagram says it is
 * from, so it must not answer what another service might answer in turn (CVE-1999-0103,
 * CVE-2024-2169), nor an address that stands for many; and nobody gets more than a rate allows.
 */
#ifndef ECHOD_ENGINE_DATAGRAM_GUARD_H
#define ECHOD_ENGINE_DATAGRAM_GUARD_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/address.h"
#include "engine/counters.h"

/* Where a datagram went to: told by its control messages (IP_PKTINFO in ip(7)), or known before. */
struct datagram_local {
	sa_family_t family; /* of the packet, not of the socket; AF_UNSPEC: not told */
	union {
		struct in_pktinfo in; /* ipi_spec_dst is ours, ipi_addr what the header said */
		struct in6_pktinfo in6;
	} u;
};

/* Owned by who made it; the lists may be NULL with a count of 0. */
struct guard {
	in_port_t min_source_port; /* host order, as all ports here */
	const struct address *own; /* where the daemon itself serves datagrams */
	size_t own_count;
	const struct network *deny;
	size_t deny_count;
	const struct network *allow; /* with at least one, the rest is denied */
	size_t allow_count;
};

/*
 * Judge a datagram from SOURCE (IPv4 or IPv6) to LOCAL by its addresses. Returns DATAGRAM_PASS and
 * the address of the source in *ret_address (IPv4 as IPv4-mapped), or the reason to drop it.
 */
enum datagram_drop guard_judge(const struct guard *guard, const struct sockaddr *source,
    const struct datagram_local *local, struct in6_addr *ret_address);

/* Most sources in a table. */
#define SOURCES_MAX 4096

/*
 * A token bucket and counts for each source, which is an IPv4 address or an IPv6 /64. The table
 * never grows: a new source replaces the one in its set that was silent longest. So senders with
 * many addresses only replace each other; the listener's own bucket limits what they are sent in
 * all. Belongs to one thread.
 */
struct sources;

/*
 * A token bucket in one number: the moment at which it will be full again (the generic cell rate
 * algorithm, ITU-T I.371). A bucket of zeros is full.
 */
struct token_bucket {
	int64_t full_ns; /* CLOCK_MONOTONIC */
};

struct source {
	struct in6_addr prefix; /* IPv4 as IPv4-mapped; of IPv6 the first 64 bits, the rest 0 */
	int64_t seen_ns;        /* last datagram, CLOCK_MONOTONIC; 0: the place is free */
	struct token_bucket bucket;
	uint64_t echoed;
	uint64_t dropped; /* by a rate or the budget */
	uint64_t spent;   /* echoes since the budget last dropped one */
};

/*
 * Take up to WANT tokens from a bucket that gets RATE (1 to 10^9) of them a second and holds BURST
 * (1 to 10^9). Returns how many there were. A RATE of 0 has no limit.
 */
uint64_t token_bucket_take(
    struct token_bucket *bucket, uint64_t rate, uint64_t burst, uint64_t want, int64_t now_ns);

/* Build an empty table with a random key, for free(3). NULL with errno set on failure. */
struct sources *sources_new(void);

/* Return the place of ADDRESS (IPv4 as IPv4-mapped), a fresh one if it has none. Never NULL. */
struct source *sources_get(struct sources *table, const struct in6_addr *address, int64_t now_ns);

/* Return the source of TABLE (NULL: empty) after SOURCE (NULL: the first one); NULL at the end. */
const struct source *sources_next(const struct sources *table, const struct source *source);

#endif
