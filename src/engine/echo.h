/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The way of a byte: from the input buffer to the socket while nothing is queued, else by copy
 * into the output buffer, with back-pressure by the high and low marks (RFC 862).
 */
#ifndef ECHOD_ENGINE_ECHO_H
#define ECHOD_ENGINE_ECHO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct connection;

/*
 * Echo all that bufferevent has read. Called from the read callback in state OPEN; the
 * connection may be freed when this returns.
 */
void echo_forward(struct connection *conn);

/*
 * Lower the number of bytes that may still be read from the client to BYTES (a larger one changes
 * nothing). No byte beyond it is ever taken off the socket while the connection is OPEN.
 */
void echo_set_budget(struct connection *conn, uint64_t bytes);

/* Count LENGTH bytes as read to be echoed, against the budget too. For the rooms that read. */
void echo_count_read(struct connection *conn, size_t length);

/*
 * Write straight to the socket. Returns the bytes taken, 0 where the socket is full, or -errno.
 * This saves the textbook echo's epoll_ctl to arm writing, a turn of the loop, and the
 * epoll_ctl to disarm it: more than a quarter of a small message's cost.
 */
ssize_t echo_send(int fd, struct iovec *vectors, int count);

#endif
