/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bulk data: what still waits in a socket after a full read is moved to its echo in the kernel,
 * with splice(2) through the worker's pipe. What the client does not take is read back out of the
 * pipe into the output buffer, so back-pressure stays the bufferevent's. The pipe is empty between
 * two calls. Where splice is refused, large reads and writes do the same. The worker's thread.
 */
#ifndef ECHOD_ENGINE_BULK_H
#define ECHOD_ENGINE_BULK_H

#include <stdbool.h>
#include <stddef.h>

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

/*
 * Echo what waits in the socket, up to the budget of one turn, as long as the client takes it.
 * Called when nothing waits in the output buffer. Returns 0; or 1 when the connection was closed,
 * and so freed.
 */
int bulk_forward(struct connection *conn);

#endif
