/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a datagram socket is set to before it is served: see udp(7), ip(7) and ipv6(7).
 */
#ifndef ECHOD_ENGINE_DATAGRAM_SOCKET_H
#define ECHOD_ENGINE_DATAGRAM_SOCKET_H

#include <sys/socket.h>

#include "base/attributes.h"
#include "engine/datagram_guard.h"

/*
 * Have FD tell where each datagram went to, coalesce bursts, ignore what ICMP says of path MTUs,
 * and hold as much as it may. FAMILY is the socket's; nothing is done for AF_UNIX. Returns 0, or
 * -errno when the kernel cannot tell where datagrams went to. Any thread.
 */
ATTR_MUSTCHECK int datagram_socket_prepare(int fd, sa_family_t family);

/*
 * Where FD, a prepared and bound UDP socket, can hear of one unicast address of this machine alone,
 * return that: every datagram went there, every answer leaves from there, and the kernel is not
 * asked for either any more. That is judged once, by the addresses that the machine has then. Of
 * any other socket the family is AF_UNSPEC. Any thread.
 */
struct datagram_local datagram_socket_pin(int fd);

#endif
