/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bytes to send, and the check of what comes back. They are one endless pseudo-random stream,
 * the same in every run. Each connection starts at another position in it, so that a byte that is
 * lost, doubled, moved, changed or another connection's does not match. A stream is compared in
 * place with one memcmp(3); a datagram also carries its number, scrambled. All threads read the
 * same payload, which does not change after echoping_payload_new().
 */
#ifndef ECHOD_ECHOPING_PAYLOAD_H
#define ECHOD_ECHOPING_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/attributes.h"

/* After how many bytes the stream repeats: a prime, so that no usual block size divides it. */
#define ECHOPING_PAYLOAD_PERIOD 65521
/* How many bytes from any place on lie in one piece. */
#define ECHOPING_PAYLOAD_PIECE 262144
/* The smallest datagram: its number and nothing else. */
#define ECHOPING_DATAGRAM_MIN 8
/* The head of one with a stamp, and the smallest of them. */
#define ECHOPING_STAMP_SIZE 32

/* One period of the stream and one piece more, in memory that is also a file. */
struct echoping_payload {
	const unsigned char *bytes;
	int fd; /* memfd_create(2) */
};

/* Make the stream. NULL with errno set on failure. */
struct echoping_payload *echoping_payload_new(void);

/* Free it; NULL is fine. */
void echoping_payload_free(struct echoping_payload *payload);

/* Return where in the stream the connection with this number begins. */
uint64_t echoping_payload_origin(uint32_t number);

/* Return the stream from POSITION on, ECHOPING_PAYLOAD_PIECE bytes in one piece. */
static inline const unsigned char *
echoping_payload_at(const struct echoping_payload *payload, uint64_t position)
{
	return payload->bytes + position % ECHOPING_PAYLOAD_PERIOD;
}

/*
 * Send up to LENGTH (at most a piece) bytes of the stream from POSITION on to the stream socket FD.
 * Large sends use sendfile(2) instead of copying, so that the sender does not limit a measurement.
 * Returns what the socket took, or -errno. SIGPIPE is to be ignored.
 */
ssize_t echoping_payload_send(
    const struct echoping_payload *payload, int fd, uint64_t position, size_t length);

/*
 * Compare LENGTH (at most a piece) received bytes with the stream at POSITION. Returns how many
 * agree before the first that does not: LENGTH when all do.
 */
size_t echoping_payload_match(const struct echoping_payload *payload, uint64_t position,
    const unsigned char *data, size_t length);

/* The head of a datagram: its seal, or with a stamp all that echoping(1) documents. */
union echoping_head {
	uint64_t seal;
	unsigned char stamp[ECHOPING_STAMP_SIZE];
};

/*
 * Compose datagram SEQUENCE (below 2^40) of connection NUMBER, SIZE bytes in all, in two parts to
 * send: the head, which the caller keeps, and a place in the stream. A STAMP_NS other than 0 is its
 * time of sending, in ns since 1970, and makes the head one to be read by others.
 */
void echoping_payload_compose(const struct echoping_payload *payload, uint32_t number,
    uint64_t sequence, int64_t stamp_ns, size_t size, union echoping_head *ret_head,
    struct iovec *ret_parts);

/*
 * Check that a received datagram is one of connection NUMBER and of SIZE bytes, as it was sent,
 * with a stamp or without. Returns 0 and its sequence number, or -EBADMSG. Whether that number was
 * ever sent is the caller's to know.
 */
ATTR_MUSTCHECK int echoping_payload_open(const struct echoping_payload *payload, uint32_t number,
    const unsigned char *data, size_t length, bool stamped, size_t size, uint64_t *ret_sequence);

#endif
