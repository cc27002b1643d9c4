/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One of the parties that a load keeps busy, as the worker sees it: a stream, a socket for
 * datagrams, or a place in which one connection after the other is made. What differs is in its
 * kind. A link belongs to one worker and is touched by its thread only.
 */
#ifndef ECHOD_ECHOPING_LINK_H
#define ECHOD_ECHOPING_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"

struct echoping_link;
struct echoping_worker;

/* Each function runs on the worker's thread; none is called after echoping_worker_retire(). */
struct echoping_link_kind {
	size_t size; /* of the struct that begins with a struct echoping_link */
	/* Prepare an all-zero one whose link is set. Returns 0 or -errno; done() follows anyway. */
	int (*init)(struct echoping_link *link);
	/* Free what init() took; the descriptor is the worker's to close. */
	void (*done)(struct echoping_link *link);
	/* Begin what may be begun now, or wind up when sending is over and nothing is out. */
	void (*pump)(struct echoping_link *link, int64_t now_ns);
	/* The descriptor has EVENTS of epoll(7). */
	void (*on_event)(struct echoping_link *link, uint32_t events);
	/* Look for timeouts; some ten times a second. */
	void (*on_tick)(struct echoping_link *link, int64_t now_ns);
};

struct echoping_link {
	const struct echoping_link_kind *kind;
	struct echoping_worker *worker;
	int fd;            /* owned; -1 when there is none */
	uint32_t number;   /* from 0, over all threads */
	uint32_t watched;  /* events that epoll is asked for; 0 when it is not */
	bool retired;      /* over, for good or ill */
	uint64_t released; /* open loop: messages whose time has come */
	uint64_t taken;    /* messages begun */
};

/* One TCP or UNIX connection, `pipeline` messages in flight. */
extern const struct echoping_link_kind echoping_stream_kind;
/* One UDP socket, `pipeline` datagrams in flight. */
extern const struct echoping_link_kind echoping_datagram_kind;
/* Connect, send one message, read it back, close, and again. */
extern const struct echoping_link_kind echoping_churn_kind;

#endif
