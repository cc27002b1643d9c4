/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Client connections: each is a read event of our own, and a bufferevent for the output. This room
 * owns the state machine, the one closing function, the reasons and the checks by time; echo.c
 * moves the bytes.
 *
 * A connection belongs to the thread of its set, its worker's. Any call may close it, which its
 * state then says; the memory stays valid until the callback that is under way has returned to the
 * loop.
 *
 *	OPEN --(EOF | limit | drain)--> FLUSHING --(output empty: shutdown)--> LINGERING --> CLOSED
 *	  \--(error, reset, stall)-----------------------------------------------------------/
 */
#ifndef ECHOD_ENGINE_CONNECTION_H
#define ECHOD_ENGINE_CONNECTION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include <event2/bufferevent.h>
#include <event2/event_struct.h>

#include "base/attributes.h"
#include "base/distribution.h"
#include "config/configuration.h"
#include "engine/connection_peer.h"
#include "engine/counters.h"
#include "engine/echo.h"
#include "engine/service.h"

enum connection_state {
	CONNECTION_OPEN,      /* reading and echoing */
	CONNECTION_FLUSHING,  /* reading is over, the rest of the echo waits for the client */
	CONNECTION_LINGERING, /* our FIN is sent, what still comes is thrown away until theirs */
	CONNECTION_CLOSED,    /* counted and closed; freed at the end of the callback under way */
};

/* What the kernel knows of a TCP connection; see TCP_INFO in tcp(7). */
struct connection_tcp_info {
	int64_t rtt_ns;
	int64_t rttvar_ns;
	int64_t min_rtt_ns;
	uint64_t retransmits;   /* segments sent again, in all */
	uint64_t mss;           /* bytes */
	uint64_t cwnd;          /* segments */
	uint64_t delivery_rate; /* bytes a second */
};

/* The connections of one thread, and what they share. Embedded in a worker. */
struct connection_set {
	struct event_base *base;        /* borrowed */
	const struct config *config;    /* a reference; what the connections obey */
	char *buffer;                   /* owned; ECHO_BUFFER_SIZE bytes, for one read at a time */
	struct echo_pipe pipe;          /* for streams in bulk */
	struct sampling delays;         /* which echoes are measured */
	struct recent_events *recent;   /* owned; those that ended last */
	_Atomic int64_t load;           /* handed over and not yet closed; any thread may read */
	struct shard_list shards;       /* the listeners, each with its connections */
	struct connection_list pending; /* watched ones, least recently checked first */
	struct connection_list ending;  /* have a reason and are not LINGERING, oldest first */
	struct connection_list lingering; /* longest lingering first */
	struct connection_list dead;      /* CLOSED, to be freed */
	struct event reap;          /* frees the dead, when the callback under way has returned */
	struct connection *visited; /* what an inspection visits next; one that closes is passed */
	bool draining;              /* connections are finished as they become idle */
	bool cutting;               /* the drain's deadline has passed: all are finished */
	int64_t idle_grace_ns;      /* while draining: idle after this long without traffic */
};

struct connection {
	struct event readable;          /* added while we read */
	struct bufferevent *bev;        /* owned; what waits for the client; NULL once CLOSED */
	struct connection_set *set;     /* borrowed; outlives the connection */
	struct shard *shard;            /* borrowed; the listener as this worker has it */
	TAILQ_ENTRY(connection) by_age; /* shard->by_age; set->dead once CLOSED */
	/* shard->by_activity while reason is CLOSE_NONE; then set->ending, set->lingering */
	TAILQ_ENTRY(connection) by_time;
	TAILQ_ENTRY(connection) by_progress; /* set->pending while watched */
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
	int64_t progress_ns;         /* when the client last took some; 0: not watched */
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
	bool watched;        /* in set->pending: checked whether the client takes its echo */
	bool bulk;           /* the last read filled the buffer: try splice(2) next */
	bool splice_refused; /* this kind of socket has none */
	union connection_peer peer;
};

/* Prepare SET (all zero) for connections on BASE that obey CONFIG. Returns 0 or -errno. */
ATTR_MUSTCHECK int connection_set_init(
    struct connection_set *set, struct event_base *base, const struct config *config);

/* Free what SET, all of whose connections are closed, has; one that is all zero is fine. */
void connection_set_done(struct connection_set *set);

/*
 * Run the checks by time of all connections: idle, too old, stalled, ending or lingering too long,
 * drained. They go over lists that are ordered by what they look for, so no message pays for a
 * timer. To be called a few times a second.
 */
void connection_set_check(struct connection_set *set);

/*
 * Close up to LIMIT connections at once (drain_forced, where they have no reason of their own).
 * Returns whether there are more.
 */
bool connection_set_close(struct connection_set *set, size_t limit);

/*
 * Start to echo on FD, which is a connected, non-blocking stream socket and is counted in SET and
 * the service of SHARD. Takes FD and closes it even on failure, which is counted as no_memory.
 */
void connection_new(struct connection_set *set, struct shard *shard, int fd, uint64_t id,
    const union connection_peer *peer);

/*
 * The only way out, for a connection that is not CLOSED: count REASON, log, close the descriptor.
 * Where the client was owed echo it sees a reset (over TCP), else our FIN.
 */
void connection_close(struct connection *conn, enum close_reason reason);

/* Reading is over: flush, then FIN. Does nothing to one that is LINGERING or CLOSED. */
void connection_flush(struct connection *conn);

/* Stop reading until the client has taken some of its output. */
void connection_pause(struct connection *conn);

/* Count N more bytes that the kernel took. */
void connection_count_sent(struct connection *conn, size_t n);

/*
 * Bring bytes_out, the counters and the place in set->pending up to date with the output buffer:
 * when something was queued, in the write callback, and before anybody reads them.
 */
void connection_account(struct connection *conn);

/* Note traffic at NOW, for idle_timeout. */
void connection_touch(struct connection *conn, int64_t now_ns);

/* The echo under way is complete: record how long it took, if it is one that is measured. */
void connection_record_delay(struct connection *conn);

/* Close after a failed read or write with the reason that fits ERROR (an errno value). */
void connection_fail(struct connection *conn, int error, enum close_reason otherwise);

/* Read what the kernel knows of CONN; returns whether it does, as for TCP it should. */
bool connection_read_tcp_info(const struct connection *conn, struct connection_tcp_info *ret_info);

/* Return "open", "flushing", "lingering" or "closed". */
const char *connection_state_name(enum connection_state state);

#endif
