/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bulk data: what still waits in a socket after a full read is moved to its echo in the kernel,
 * with splice(2) through the worker's pipe. What the client does not take is read back out of the
 * pipe into the output buffer, so back-pressure stays the bufferevent's. The pipe is empty between
 * two reads. Where splice is refused, large reads and writes do the same. The worker's thread.
 */
#ifndef ECHOD_ENGINE_BULK_H
#define ECHOD_ENGINE_BULK_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

#include "base/attributes.h"

struct connection;

struct bulk {
	int pipe[2];     /* owned; read end, write end; -1 while there is none */
	size_t capacity; /* bytes that go through the pipe, or the buffer, at a time */
	char *buffer;    /* owned; for sockets that refuse splice; NULL until one does */
};

#define BULK_NONE \
	{ \
		.pipe = { -1, -1 } \
	}

/* Prepare an embedded BULK. Returns 0 or -errno. */
ATTR_MUSTCHECK int bulk_init(struct bulk *bulk);

/* Undo bulk_init(); BULK_NONE is fine. */
void bulk_done(struct bulk *bulk);

/* From so many waiting bytes on moving them in the kernel costs less than copying them. */
#define BULK_MIN ((size_t)8 << 10)

/* Return how many bytes wait in the socket, as far as they may be read now. */
size_t bulk_waiting(const struct connection *conn);

/*
 * Read up to LENGTH (at most 64 KiB) of them into the worker's buffer, which is used again at the
 * next call, and count them. *ret_tail tells where and how many, perhaps none. Returns 0; or -1
 * when the connection broke, and so is closed and freed.
 */
ATTR_MUSTCHECK int bulk_read(struct connection *conn, size_t length, struct iovec *ret_tail);

/*
 * Put what was read already into the pipe, ahead of what still waits, so that both are sent in one
 * go. Returns its LENGTH: bulk_forward() must follow. Or 0: nothing was done, and it is to be sent
 * in the ordinary way.
 */
size_t bulk_load(struct connection *conn, const struct iovec *vectors, int count, size_t length);

/*
 * Echo the LOADED bytes that bulk_load() put into the pipe, and what waits in the socket, up to the
 * budget of one turn, as long as the client takes it. Does nothing while something waits in the
 * output buffer. Returns 0; or 1 when the connection was closed, and so freed.
 */
int bulk_forward(struct connection *conn, size_t loaded);

#endif
