/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Up to a batch of datagrams: read with one recvmmsg(2) and sent back with one sendmmsg(2). The
 * kernel may coalesce several datagrams of one source when it hands them over (UDP_GRO), and takes
 * several for one destination in one message (UDP_SEGMENT); see udp(7). Belongs to one thread.
 */
#ifndef ECHOD_ENGINE_DATAGRAM_BATCH_H
#define ECHOD_ENGINE_DATAGRAM_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "engine/counters.h"
#include "engine/datagram/guard.h"

struct batch;
struct broadcasts;

/* One message that was read: a datagram, or several of one source that the kernel coalesced. */
struct received {
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_un un;
	} source;
	socklen_t source_length;
	struct datagram_local local;
	bool truncated;
	unsigned char *bytes; /* the batch's */
	size_t length;
	size_t segment; /* bytes of each datagram, the last may be shorter; 0 only when empty */
};

/*
 * If FD, a prepared and bound UDP socket, can receive for one unicast address of this machine only,
 * return that address and stop the kernel from telling it with each datagram: every datagram went
 * there, and every answer leaves from there. The addresses that the machine has now decide. For any
 * other socket the family is AF_UNSPEC. Any thread.
 */
struct datagram_local batch_pin_socket(int fd);

/*
 * Build a batch with its buffers for the socket FD (borrowed), a UNIX socket unless IP; it is
 * pinned where that is possible, else each datagram tells where it went to. For free(3);
 * NULL: out of memory.
 */
struct batch *batch_new(int fd, bool ip);

/*
 * Read what waits in the socket, without waiting. Returns how many messages were read, *ret_first
 * being the first of an array of them that is valid until the next call; or -errno.
 */
int batch_receive(struct batch *batch, struct received **ret_first);

/* Return how many datagrams RECEIVED stands for. */
uint64_t received_count(const struct received *received);

/* Take datagram number AT out of RECEIVED: those behind it move up. */
void received_cut(struct received *received, uint64_t at);

/*
 * Have the first COUNT datagrams of RECEIVED go back to where they came from, at batch_flush().
 * RECEIVED must not change before; it is to be added once at most.
 */
void batch_add(struct batch *batch, const struct received *received, uint64_t count);

/*
 * Send all that was added. What became of each datagram is counted in COUNTERS; those whose answers
 * would be broadcasts are learnt by BROADCASTS.
 */
void batch_flush(struct batch *batch, struct counters *counters, struct broadcasts *broadcasts);

#endif
