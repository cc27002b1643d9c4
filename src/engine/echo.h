/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The way of a byte (RFC 862): one recv(2) into the worker's buffer, one send(2) at once while
 * nothing is queued, and a copy into the bufferevent's output of what the socket refuses. A stream
 * that fills the buffer moves inside the kernel instead, with splice(2) through the worker's pipe.
 * Everything here runs on the worker's thread. A call may close the connection: its state says so.
 */
#ifndef ECHOD_ENGINE_ECHO_H
#define ECHOD_ENGINE_ECHO_H

#include <stddef.h>

struct connection;

/* Size of a worker's buffer, the most that one read takes. */
#define ECHO_BUFFER_SIZE ((size_t)64 << 10)

/* A worker's pipe, empty between two calls. */
struct echo_pipe {
	int fds[2];  /* owned; read end, write end */
	size_t size; /* bytes it holds; 0: there is no pipe, and streams are copied */
};

/* Make the pipe; where it cannot be had, there is none. */
void echo_pipe_open(struct echo_pipe *pipe);

/* Close the pipe; one that is not there (all zero) is fine. */
void echo_pipe_close(struct echo_pipe *pipe);

/* Read from an OPEN connection once and echo what came; its end and its errors are handled. */
void echo_read(struct connection *conn);

/*
 * Echo LENGTH BYTES that were read from CONN: count them, send what the socket takes, queue the
 * rest, and stop reading where the output is full or the budget is used up. BYTES stay the
 * caller's.
 */
void echo_take(struct connection *conn, const char *bytes, size_t length);

/* Read from a LINGERING connection once and throw it away; the client's FIN closes it. */
void echo_discard(struct connection *conn);

#endif
