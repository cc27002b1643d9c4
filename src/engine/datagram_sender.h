/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Datagrams on their way back: up to a batch with one sendmmsg(2). What follows each other from one
 * source in equal sizes goes as one segmented send (UDP_SEGMENT, see udp(7)), or one by one where
 * that is refused. Knows nothing of guards, rates or libevent. Belongs to one thread.
 */
#ifndef ECHOD_ENGINE_DATAGRAM_SENDER_H
#define ECHOD_ENGINE_DATAGRAM_SENDER_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/datagram_batch.h"

struct datagram_sender;

/* What happens to what is sent: called once for each datagram, or run of COUNT of them. */
struct datagram_sender_hooks {
	void (*sent)(void *context, uint64_t count, uint64_t bytes);
	void (*dropped)(void *context, enum datagram_drop drop, uint64_t count);
	void *context;
};

/*
 * Build a sender. IP: not for UNIX sockets. PINNED: the socket has one address, see
 * datagram_socket_pin(), from which every answer leaves. NULL: out of memory.
 */
struct datagram_sender *datagram_sender_new(
    bool ip, bool pinned, const struct datagram_sender_hooks *hooks);

/* Free a sender; NULL is fine. */
void datagram_sender_free(struct datagram_sender *sender);

/*
 * Have RECEIVED, or the first COUNT of its datagrams, go back to where it came from. It stays the
 * caller's and as it is until the flush; at most DATAGRAM_BATCH_SIZE in between.
 */
void datagram_sender_add(
    struct datagram_sender *sender, const struct datagram_received *received, uint64_t count);

/* Send all that was added; the hooks hear what became of it. */
void datagram_sender_flush(struct datagram_sender *sender, int fd);

#endif
