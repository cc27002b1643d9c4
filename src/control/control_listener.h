/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One listener of the control port: a listening socket and the evhttp behind it, with what evhttp
 * lacks: a cap on clients, an absolute deadline for each, a pause when accept(2) fails, and
 * descriptors in reserve for when there are no others. It looks where a request comes from, puts
 * on record who changes something, and hands the request to the routes. Main loop only.
 */
#ifndef ECHOD_CONTROL_CONTROL_LISTENER_H
#define ECHOD_CONTROL_CONTROL_LISTENER_H

#include <stddef.h>

#include "config/configuration.h"
#include "engine/listen_socket.h"

struct control_listener;
struct loop;
struct routes;

/*
 * Serve SOCK, which is taken when this succeeds, and have ROUTES (borrowed) answer. Over a UNIX
 * socket things may be changed, over TCP they may be read. Of CFG (borrowed until the next
 * control_listener_change()) clients, timeout and http_hosts count. NULL: out of memory.
 */
struct control_listener *control_listener_new(struct loop *loop, const struct listen_socket *sock,
    const struct control_config *cfg, struct routes *routes);

/* Take over CFG, also for clients that are already there. NULL is fine. */
void control_listener_change(struct control_listener *lis, const struct control_config *cfg);

/* Accept nobody else; who is there is served. NULL is fine. */
void control_listener_stop(struct control_listener *lis);

/* Return how many bytes of answers wait to be taken by the kernel; 0 for NULL. */
size_t control_listener_unsent(const struct control_listener *lis);

/* Close the socket and every client, answered or not; a socket's file goes first. NULL is fine. */
void control_listener_free(struct control_listener *lis);

#endif
