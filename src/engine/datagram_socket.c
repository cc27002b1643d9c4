/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "engine/datagram_socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdbool.h>

/* What may wait for a busy worker; net.core.rmem_max caps it. */
#define RECEIVE_BUFFER (4 << 20)

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
