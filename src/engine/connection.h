/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One client connection: a bufferevent with our read, write and event callbacks around it.
 * This room owns the state machine, the one closing function and the reasons; echo.c moves
 * the bytes; worker.c owns the lists a connection stands in and calls the checks by time.
 *
 * A connection belongs to its worker's thread from connection_new() until it is freed. Every
 * field can be written down (descriptor, peer, counters, times, unsent bytes): nothing is
 * hidden in a closure.
 *
 *	OPEN --(EOF | limit | drain)--> FLUSHING --(output empty: shutdown)--> LINGERING --> CLOSED
 *	  \--(error, reset, stall)-----------------------------------------------------------/
 */
#ifndef ECHOD_ENGINE_CONNECTION_H
#define ECHOD_ENGINE_CONNECTION_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include <event2/bufferevent.h>

#include "base/attributes.h"
#include "base/list.h"
#include "engine/counters.h"

struct worker;
struct share;

enum connection_state {
	CONNECTION_OPEN,      /* reading and echoing */
	CONNECTION_FLUSHING,  /* reading is over, the rest of the echo waits for the client */
	CONNECTION_LINGERING, /* our FIN is sent, what still comes is thrown away until theirs */
	CONNECTION_CLOSED,    /* being freed; no callback sees it */
};

/* Who is at the other end: the part of the socket address that is worth its memory. */
union connection_peer {
	sa_family_t family;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct {
		sa_family_t family; /* AF_UNIX: a client rarely has a name, but always these */
		pid_t pid;
		uid_t uid;
	} un;
};

struct connection {
	struct bufferevent *bev;             /* owned; never NULL */
	struct worker *worker;               /* borrowed; outlives the connection */
	struct share *share;                 /* borrowed; the listener as this worker knows it */
	TAILQ_ENTRY(connection) by_age;      /* share->by_age, always */
	TAILQ_ENTRY(connection) by_activity; /* share->by_activity, while reason is CLOSE_NONE */
	TAILQ_ENTRY(connection) by_progress; /* worker->pending or worker->lingering */
	uint64_t id;                         /* unique in the process */
	uint64_t read_budget;    /* bytes that may still be read; UINT64_MAX: no bound */
	uint64_t bytes_in;       /* read to be echoed */
	uint64_t bytes_out;      /* taken by the kernel, as of the last account */
	uint64_t lost;           /* read, and given up with the connection */
	uint64_t reads;          /* read callbacks with data */
	uint64_t pauses;         /* times that reading stopped for back-pressure */
	int64_t accepted_ns;     /* all times: CLOCK_MONOTONIC */
	int64_t active_ns;       /* last byte either way */
	int64_t queued_ns;       /* active_ns when it was last moved in by_activity */
	int64_t progress_ns;     /* pending: last time the client took some; lingering: our FIN */
	int64_t checked_ns;      /* pending: last look at its progress */
	uint64_t progress_mark;  /* pending: bytes acknowledged at that look */
	int64_t paused_ns;       /* sum of finished pauses */
	int64_t paused_since_ns; /* start of the pause while read_paused */
	size_t waiting;          /* output bytes at the last account; not 0: in worker->pending */
	int fd;                  /* owned: closed by connection_close() alone */
	enum connection_state state; /* written by connection_set_state() only */
	enum close_reason reason;    /* why it is ending, CLOSE_NONE while it is not */
	int64_t echo_since_ns;       /* precise read time of the echo under way; 0: not measured */
	bool peer_fin;               /* the client's FIN was read */
	bool read_paused;            /* output reached its high mark */
	bool splice_refused;         /* this kind of socket: bulk data is copied */
	union connection_peer peer;
};

TAILQ_HEAD(connection_list, connection);

/*
 * Start to echo on FD, which is a connected, non-blocking stream socket. Takes FD and closes
 * it even on failure, which is counted as no_memory. Worker's thread.
 */
void connection_new(struct worker *worker, struct share *share, int fd, uint64_t id,
    const union connection_peer *peer);

/*
 * End in good order because of REASON: what the kernel has already acknowledged is still read
 * and echoed, then our FIN, then a bounded wait for the client's. May free the connection.
 */
void connection_finish(struct connection *conn, enum close_reason reason);

/* The only way out: count REASON, log, close the descriptor, free. */
void connection_close(struct connection *conn, enum close_reason reason);

/* Reading is over (EOF, or the read budget is used up): flush, then FIN. May free it. */
void connection_flush(struct connection *conn);

/* Stop reading because the output is at its high mark; connection_on_write() starts it again. */
void connection_pause(struct connection *conn);

/*
 * Bring bytes_out, the counters and the place in worker->pending up to date with the output
 * buffer: after each write of ours, in the write callback, and before anybody reads them.
 */
void connection_account(struct connection *conn);

/* Note traffic at NOW, for idle_timeout. */
void connection_touch(struct connection *conn, int64_t now_ns);

/* The echo under way is complete: record how long it took, if it is one that is measured. */
void connection_record_delay(struct connection *conn);

/* Close with reason stalled when the client took nothing for stall_timeout. Returns if closed. */
bool connection_check_progress(struct connection *conn, int64_t now_ns);

/* Close after a failed read or write with the reason that fits ERROR (an errno value). */
void connection_fail(struct connection *conn, int error, enum close_reason otherwise);

/* Return the bytes that wait in user space for the client. */
size_t connection_pending(const struct connection *conn);

/* Return "open", "flushing", "lingering" or "closed". */
const char *connection_state_name(enum connection_state state);

/* Write the peer for logs and JSON: "192.0.2.1:7", "unix:pid=12,uid=0". Returns BUFFER. */
char *connection_peer_format(const union connection_peer *peer, char *buffer, size_t size);

#endif
