/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which datagrams are answered at all. Echo over UDP answers whoever a datagram says it is from,
 * so it must not answer what another service might answer in turn (CVE-1999-0103, CVE-2024-2169),
 * nor an address that stands for many. Pure functions of a datagram's addresses.
 */
#ifndef ECHOD_ENGINE_DATAGRAM_GUARD_H
#define ECHOD_ENGINE_DATAGRAM_GUARD_H

#include <netinet/in.h>
#include <stddef.h>
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
	const in_port_t *own_ports;
	size_t own_port_count;
	const struct network *deny;
	size_t deny_count;
	const struct network *allow; /* with at least one, the rest is denied */
	size_t allow_count;
};

/*
 * Judge a datagram from SOURCE (IPv4 or IPv6) to LOCAL. Returns DATAGRAM_PASS and the address of
 * the source in *ret_address (IPv4 as IPv4-mapped), or the reason to drop it.
 */
enum datagram_drop guard_judge(const struct guard *guard, const struct sockaddr *source,
    const struct datagram_local *local, struct in6_addr *ret_address);

#endif
