/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Peer of the bench: the UDP echo of the textbooks, one thread that blocks. One recvfrom and one
 * sendto per datagram; what cannot be sent is lost, as UDP may lose it.
 * usage: udp_plain_echo PORT
 */
#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>

#define BUFFER_BYTES 65535

int
main(int argc, char **argv)
{
	static char buffer[BUFFER_BYTES];
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons((uint16_t)(argc > 1 ? atoi(argv[1]) : 0)) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		err(1, "port %s", argc > 1 ? argv[1] : "?");
	for (;;) {
		struct sockaddr_in peer;
		socklen_t length = sizeof(peer);
		ssize_t got = recvfrom(
		    fd, buffer, sizeof(buffer), 0, (struct sockaddr *)&peer, &length);

		if (got >= 0)
			(void)sendto(fd, buffer, (size_t)got, 0, (struct sockaddr *)&peer, length);
	}
}
