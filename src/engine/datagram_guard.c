/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "engine/datagram_guard.h"

#include <string.h>

/* Answer anything that they get; most lie below 1024, but min_source_port may be lowered. */
static bool
guard_is_reflector(in_port_t port)
{
	switch (port) {
	case 7:     /* echo */
	case 13:    /* daytime */
	case 17:    /* quote of the day */
	case 19:    /* character generator */
	case 37:    /* time */
	case 53:    /* DNS */
	case 69:    /* TFTP */
	case 111:   /* portmapper */
	case 123:   /* NTP */
	case 137:   /* NetBIOS names */
	case 161:   /* SNMP */
	case 389:   /* CLDAP */
	case 520:   /* RIP */
	case 1900:  /* SSDP */
	case 3702:  /* WS-Discovery */
	case 5353:  /* multicast DNS */
	case 11211: /* memcached */
		return true;
	default:
		return false;
	}
}

static enum datagram_drop
guard_judge_port(const struct datagram_guard *guard, in_port_t port)
{
	/* nobody can be answered at port 0 */
	if (port == 0 || port < guard->min_source_port)
		return DATAGRAM_SOURCE_PORT;
	for (size_t i = 0; i < guard->own_port_count; i++) {
		if (guard->own_ports[i] == port)
			return DATAGRAM_OWN_PORT;
	}
	return guard_is_reflector(port) ? DATAGRAM_REFLECTOR_PORT : DATAGRAM_PASS;
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
	/* of a broadcast or a multicast the header names the group, and we another address */
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

static void
guard_map(const struct in_addr *in, struct in6_addr *ret_in6)
{
	*ret_in6 = (struct in6_addr){ .s6_addr = { [10] = 0xff, [11] = 0xff } };
	memcpy(&ret_in6->s6_addr[12], in, sizeof(*in));
}

static enum datagram_drop
guard_judge_address(const struct sockaddr *source, const struct datagram_local *local,
    struct datagram_source *ret_source)
{
	struct sockaddr_in6 in6;
	struct sockaddr_in in;
	struct in_addr host;

	if (source->sa_family == AF_INET) {
		memcpy(&in, source, sizeof(in));
		ret_source->port = ntohs(in.sin_port);
		guard_map(&in.sin_addr, &ret_source->address);
		host = in.sin_addr;
	} else {
		memcpy(&in6, source, sizeof(in6));
		ret_source->port = ntohs(in6.sin6_port);
		ret_source->address = in6.sin6_addr;
		memcpy(&host, &in6.sin6_addr.s6_addr[12], sizeof(host));
	}
	if (local->family == AF_INET)
		return guard_judge_in(&host, local);
	if (local->family == AF_INET6)
		return guard_judge_in6(&ret_source->address, local);
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
datagram_guard_judge(const struct datagram_guard *guard, const struct sockaddr *source,
    const struct datagram_local *local, struct datagram_source *ret_source)
{
	enum datagram_drop drop = guard_judge_address(source, local, ret_source);

	if (drop == DATAGRAM_PASS)
		drop = guard_judge_port(guard, ret_source->port);
	if (drop != DATAGRAM_PASS)
		return drop;
	if (guard_lists(guard->deny, guard->deny_count, source))
		return DATAGRAM_DENIED;
	if (guard->allow_count > 0 && !guard_lists(guard->allow, guard->allow_count, source))
		return DATAGRAM_NOT_ALLOWED;
	return DATAGRAM_PASS;
}
