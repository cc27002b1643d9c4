/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One way into the control port: a listening socket and the evhttp behind it, with the bounds
 * that evhttp lacks: a cap on clients, an absolute deadline for each, a pause when accept(2)
 * fails, and descriptors in reserve for when there are no others. It hands on every request that
 * could be parsed and knows nothing of what is asked. Main loop only.
 */
#ifndef ECHOD_CONTROL_DOOR_H
#define ECHOD_CONTROL_DOOR_H

#include <stddef.h>
#include <stdint.h>

#include "engine/listen_socket.h"
#include "engine/loop.h"

struct door;
struct evhttp_request;

struct door_settings {
	size_t clients;     /* most at a time */
	int64_t timeout_ns; /* from the accept to the last byte of the answer */
};

/* What a door tells its owner. */
struct door_hooks {
	/* A request of any method came; it is answered now or later, exactly once. */
	void (*asked)(void *context, struct evhttp_request *req);
	void *context;
};

/* Serve SOCKET, which is taken when this succeeds. NULL: out of memory. */
struct door *door_new(struct loop *loop, const struct listen_socket *socket,
    const struct door_settings *settings, const struct door_hooks *hooks);

/* Change the bounds; they count for clients that are already there too. */
void door_change(struct door *door, const struct door_settings *settings);

/* Let nobody else in; who is there is served. NULL is fine. */
void door_shut(struct door *door);

/* Return how many bytes of answers wait to be taken by the kernel; 0 for NULL. */
size_t door_unsent(const struct door *door);

/* Remove the socket's file, close the socket and every client, answered or not. NULL is fine. */
void door_free(struct door *door);

#endif
