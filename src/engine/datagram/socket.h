/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a datagram socket is set to before it is served: see udp(7), ip(7) and ipv6(7).
 */
#ifndef ECHOD_ENGINE_DATAGRAM_SOCKET_H
#define ECHOD_ENGINE_DATAGRAM_SOCKET_H

#include <sys/socket.h>

#include "base/attributes.h"
#include "engine/datagram/guard.h"

/*
 * Have FD tell where each datagram went to, coalesce bursts, ignore what ICMP says, and hold as
 * much as it may. FAMILY is the socket's; nothing is done for AF_UNIX. For a socket that is not
 * served yet: this undoes datagram_socket_pin(). Returns 0, or -errno when the kernel cannot tell
 * where datagrams went to. Any thread.
 */
ATTR_MUSTCHECK int datagram_socket_prepare(int fd, sa_family_t family);

/*
 * If FD, a prepared and bound UDP socket, can receive for one unicast address of this machine only,
 * return that address and stop the kernel from telling it with each datagram: every datagram went
 * there, and every answer leaves from there. The addresses that the machine has now decide. For any
 * other socket the family is AF_UNSPEC. Any thread.
 */
struct datagram_local datagram_socket_pin(int fd);

#endif
