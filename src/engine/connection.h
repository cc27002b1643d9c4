/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One client connection: a read event of our own, and a bufferevent for the output. This room owns
 * the state machine, the one closing function, the reasons and the checks by time; echo.c moves the
 * bytes; worker.h has the lists a connection stands in.
 *
 * A connection belongs to its worker's thread. connection_close() leaves it in the state CLOSED,
 * and it is freed when the callback that is under way has returned to the loop: so after any call
 * the state tells all, and no return value has to. Every field can be written down (descriptor,
 * peer, counters, times, unsent bytes): nothing is hidden in a closure.
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
#include <event2/event_struct.h>

#include "base/attributes.h"
#include "engine/counters.h"

struct worker;
struct share;

enum connection_state {
	CONNECTION_OPEN,      /* reading and echoing */
	CONNECTION_FLUSHING,  /* reading is over, the rest of the echo waits for the client */
	CONNECTION_LINGERING, /* our FIN is sent, what still comes is thrown away until theirs */
	CONNECTION_CLOSED,    /* counted and closed; freed at the end of the callback under way */
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
	struct event readable;          /* added while we read */
	struct bufferevent *bev;        /* owned; what waits for the client; NULL once CLOSED */
	struct worker *worker;          /* borrowed; outlives the connection */
	struct share *share;            /* borrowed; the listener as this worker knows it */
	TAILQ_ENTRY(connection) by_age; /* share->by_age; worker->dead once CLOSED */
	/* share->by_activity while reason is CLOSE_NONE; then worker->ending, worker->lingering */
	TAILQ_ENTRY(connection) by_time;
	TAILQ_ENTRY(connection) by_progress; /* worker->pending while watched */
	uint64_t id;                         /* unique in the process */
	uint64_t read_budget;        /* bytes that may still be read; UINT64_MAX: no bound */
	uint64_t bytes_in;           /* read to be echoed */
	uint64_t bytes_out;          /* taken by the kernel, as of the last account */
	uint64_t lost;               /* read, and given up with the connection */
	uint64_t reads;              /* reads that brought data */
	uint64_t pauses;             /* times that reading stopped for back-pressure */
	int64_t accepted_ns;         /* all times: CLOCK_MONOTONIC */
	int64_t active_ns;           /* last byte either way */
	int64_t queued_ns;           /* active_ns when it was last moved in by_activity */
	int64_t ending_ns;           /* when it got its reason; LINGERING: when our FIN was sent */
	int64_t progress_ns;         /* last seen to take some; 0: nobody looks */
	int64_t checked_ns;          /* pending: last look at its progress */
	uint64_t progress_mark;      /* bytes acknowledged at the last look */
	int64_t paused_ns;           /* sum of finished pauses */
	int64_t paused_since_ns;     /* start of the pause while read_paused */
	int64_t echo_since_ns;       /* precise time of the read under way; 0: not measured */
	size_t waiting;              /* output bytes at the last account */
	int fd;                      /* owned: closed by connection_close() alone */
	enum connection_state state; /* written by connection_set_state() only */
	enum close_reason reason;    /* why it is ending, CLOSE_NONE while it is not */
	bool peer_fin;               /* the client's FIN was read */
	bool read_paused;            /* reading waits for the client to take its echo */
	bool watched;                /* it is looked at whether the client takes its echo */
	bool bulk;                   /* the last read filled the buffer: try splice(2) next */
	bool splice_refused;         /* this kind of socket has none */
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
 * and echoed, then our FIN, then a bounded wait for the client's. One that ends already, or is
 * CLOSED, goes on as it is.
 */
void connection_finish(struct connection *conn, enum close_reason reason);

/*
 * The only way out, for a connection that is not CLOSED: count REASON, log, close the descriptor.
 * Where the client was owed echo it sees a reset (over TCP), else our FIN.
 */
void connection_close(struct connection *conn, enum close_reason reason);

/* Free the connections of LIST, all CLOSED. When no callback of theirs is under way. */
void connection_free_dead(struct connection_list *list);

/* Reading is over: flush, then FIN. Does nothing to one that is LINGERING or CLOSED. */
void connection_flush(struct connection *conn);

/* Stop reading until the client has taken some of its output. */
void connection_pause(struct connection *conn);

/* Count N more bytes that the kernel took. */
void connection_count_sent(struct connection *conn, size_t n);

/*
 * Bring bytes_out, the counters and the place in worker->pending up to date with the output
 * buffer: when something was queued, in the write callback, and before anybody reads them.
 */
void connection_account(struct connection *conn);

/* Note traffic at NOW, for idle_timeout. */
void connection_touch(struct connection *conn, int64_t now_ns);

/* The echo under way is complete: record how long it took, if it is one that is measured. */
void connection_record_delay(struct connection *conn);

/* Close after a failed read or write with the reason that fits ERROR (an errno value). */
void connection_fail(struct connection *conn, int error, enum close_reason otherwise);

/*
 * Run the checks by time of all connections of WORKER: idle, too old, stalled, ending or lingering
 * too long, drained. They go over lists that are ordered by what they look for, so no message pays
 * for a timer. The worker's tick.
 */
void connection_check_all(struct worker *worker);

/* Return "open", "flushing", "lingering" or "closed". */
const char *connection_state_name(enum connection_state state);

/* Write the peer for logs and JSON: "192.0.2.1:7", "unix:pid=12,uid=0". Returns BUFFER. */
char *connection_peer_format(const union connection_peer *peer, char *buffer, size_t size);

#endif
