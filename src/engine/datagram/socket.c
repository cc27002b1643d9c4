/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "engine/datagram/socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdbool.h>
#include <unistd.h>

#include "base/address.h"

/* What may wait for a busy worker; net.core.rmem_max caps it. */
#define RECEIVE_BUFFER (4 << 20)

/* Any port does to ask for a route. */
#define SOME_PORT 9

static int
socket_set(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

int
datagram_socket_prepare(int fd, sa_family_t family)
{
	bool v6 = family == AF_INET6;
	int r;

	if (family == AF_UNIX)
		return 0;
	/* also for IPv6: of an IPv4 packet on a dual-stack socket this one tells more */
	r = socket_set(fd, IPPROTO_IP, IP_PKTINFO, 1);
	if (r == 0 && v6)
		r = socket_set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
	/* a socket that was passed in may be allowed to; an echo goes to nobody but its client */
	if (r == 0)
		r = socket_set(fd, SOL_SOCKET, SO_BROADCAST, 0);
	if (r < 0)
		return r;
	/*
	 * A socket that was passed in may queue ICMP errors for somebody to read, of which nobody
	 * does: it would be ready to read for ever.
	 */
	(void)socket_set(fd, IPPROTO_IP, IP_RECVERR, 0);
	if (v6)
		(void)socket_set(fd, IPPROTO_IPV6, IPV6_RECVERR, 0);
	/*
	 * The rest is welcome where the kernel has it. An answer is as large as what was asked, so
	 * it is fragmented where that was; a forged ICMP message must not make it smaller.
	 */
	(void)socket_set(fd, IPPROTO_UDP, UDP_GRO, 1);
	(void)socket_set(fd, SOL_SOCKET, SO_RCVBUF, RECEIVE_BUFFER);
	(void)socket_set(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_OMIT);
	if (v6)
		(void)socket_set(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_OMIT);
	return 0;
}

/*
 * Whether ADDRESS is this machine's and one host's: others cannot be bound as a rule, and the
 * kernel connects nobody to a broadcast address who did not ask for it. Nothing is sent.
 */
static bool
socket_is_own_unicast(struct address address)
{
	int fd = socket(address.u.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool own;

	if (fd < 0)
		return false;
	/* at the same place for IPv6 */
	address.u.in.sin_port = 0;
	own = bind(fd, &address.u.sa, address.length) == 0;
	address.u.in.sin_port = htons(SOME_PORT);
	own = own && connect(fd, &address.u.sa, address.length) == 0;
	close(fd);
	return own;
}

/* Whether FD may be handed what went to others, which a socket that was passed in can. */
static bool
socket_is_transparent(int fd)
{
	int set = 0;
	socklen_t size = sizeof(set);

	return getsockopt(fd, IPPROTO_IP, IP_TRANSPARENT, &set, &size) < 0 || set != 0;
}

/* The one address that ADDRESS stands for; AF_UNSPEC where there may be more. */
static struct datagram_local
socket_one_local(const struct address *address)
{
	struct datagram_local local = { .family = AF_UNSPEC };

	if (address->u.sa.sa_family == AF_INET) {
		struct in_addr host = address->u.in.sin_addr;

		if (host.s_addr == htonl(INADDR_ANY) || IN_MULTICAST(ntohl(host.s_addr)))
			return local;
		local.family = AF_INET;
		local.u.in = (struct in_pktinfo){ .ipi_addr = host, .ipi_spec_dst = host };
	} else if (address->u.sa.sa_family == AF_INET6) {
		const struct in6_addr *host = &address->u.in6.sin6_addr;

		/* a link-local one is told with its interface, and a mapped one as IPv4 */
		if (IN6_IS_ADDR_UNSPECIFIED(host) || IN6_IS_ADDR_MULTICAST(host) ||
		    IN6_IS_ADDR_LINKLOCAL(host) || IN6_IS_ADDR_V4MAPPED(host))
			return local;
		local.family = AF_INET6;
		local.u.in6 = (struct in6_pktinfo){ .ipi6_addr = *host };
	}
	return local;
}

struct datagram_local
datagram_socket_pin(int fd)
{
	const struct datagram_local many = { .family = AF_UNSPEC };
	struct datagram_local local;
	struct address address;

	if (address_of_socket(fd, &address) < 0)
		return many;
	local = socket_one_local(&address);
	if (local.family == AF_UNSPEC || socket_is_transparent(fd) ||
	    !socket_is_own_unicast(address))
		return many;
	(void)socket_set(fd, IPPROTO_IP, IP_PKTINFO, 0);
	if (local.family == AF_INET6)
		(void)socket_set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 0);
	return local;
}
