/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Datagrams on their way in: up to a batch read with one recvmmsg(2), among them several of one
 * source that the kernel coalesced (UDP_GRO, see udp(7)). Knows nothing of guards, rates or
 * libevent. Belongs to one thread.
 */
#ifndef ECHOD_ENGINE_DATAGRAM_BATCH_H
#define ECHOD_ENGINE_DATAGRAM_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "engine/datagram_guard.h"

/* Most that are read at a time. */
#define DATAGRAM_BATCH_SIZE 32

struct datagram_batch;

/* One that was read; several datagrams of one source when the kernel coalesced them. */
struct datagram_received {
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
 * Build a batch with its buffers. IP: not for UNIX sockets. PINNED is where all datagrams go to,
 * see datagram_socket_pin(); with AF_UNSPEC each tells. NULL: out of memory.
 */
struct datagram_batch *datagram_batch_new(bool ip, const struct datagram_local *pinned);

/* Free a batch; NULL is fine. */
void datagram_batch_free(struct datagram_batch *batch);

/* Read what waits in FD, without waiting. Returns how many were read, or -errno. */
int datagram_batch_receive(struct datagram_batch *batch, int fd);

/* Return what was read as number INDEX. */
const struct datagram_received *datagram_batch_at(const struct datagram_batch *batch, size_t index);

/* Return how many datagrams RECEIVED stands for. */
uint64_t datagram_received_count(const struct datagram_received *received);

/* Take datagram number AT out of those of INDEX: what follows moves up. */
void datagram_batch_cut(struct datagram_batch *batch, size_t index, uint64_t at);

#endif
