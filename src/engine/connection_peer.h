/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who is at the other end of a connection, and how that is written. Any thread.
 */
#ifndef ECHOD_ENGINE_CONNECTION_PEER_H
#define ECHOD_ENGINE_CONNECTION_PEER_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/types.h>

/* Who is at the other end: no more than is shown, as each connection keeps one. */
union connection_peer {
	sa_family_t family;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct {
		sa_family_t family; /* AF_UNIX: a client rarely has a name, but always these */
		pid_t pid;
		uid_t uid;
	} un;
};

/* Write the peer for logs and JSON: "192.0.2.1:7", "unix:pid=12,uid=0". Returns BUFFER. */
char *connection_peer_format(const union connection_peer *peer, char *buffer, size_t size);

#endif
