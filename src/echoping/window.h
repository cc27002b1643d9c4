/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Keeps track of the datagrams of one socket that are out, and judges each number that comes back:
 * an awaited echo, a duplicate, one that was given up, or one that was never sent. Remembers the
 * last `capacity` numbers. Reads no clock and touches no socket.
 */
#ifndef ECHOD_ECHOPING_WINDOW_H
#define ECHOD_ECHOPING_WINDOW_H

#include <stdint.h>

#include "base/attributes.h"

enum echoping_verdict {
	ECHOPING_MATCHED,   /* the echo of a datagram that was out */
	ECHOPING_DUPLICATE, /* its echo has come before */
	ECHOPING_LATE,      /* it had been given up, or is too old to know */
	ECHOPING_UNKNOWN,   /* no datagram has had this number */
};

struct echoping_slot; /* private */

struct echoping_window {
	struct echoping_slot *slots; /* owned */
	uint64_t mask;               /* capacity - 1 */
	uint64_t next;               /* number of the next datagram, from 0 */
	uint64_t oldest;             /* below it nothing is out */
	uint64_t top;                /* one above the highest number that came back */
	uint64_t outstanding;        /* how many are out */
	uint64_t lost;               /* given up */
	uint64_t duplicates;         /* came back more than once */
	uint64_t late;               /* came back after they were given up */
	uint64_t reordered;          /* came back after one that was sent later */
};

/*
 * Prepare for at least LEAST numbers out at once, of which 1024 are remembered in any case.
 * Returns 0 or -ENOMEM. echoping_window_done() frees it; an all-zero window needs none.
 */
ATTR_MUSTCHECK int echoping_window_init(struct echoping_window *window, uint32_t least);

/* Free what echoping_window_init() took. */
void echoping_window_done(struct echoping_window *window);

/*
 * Record that a datagram goes out. START_NS is when its latency begins, SENT_NS when it was sent.
 * Returns its number. If the datagram whose slot it takes is still out, that one is given up.
 */
uint64_t echoping_window_add(struct echoping_window *window, int64_t start_ns, int64_t sent_ns);

/* Judge a number that came back; *ret_start_ns is set for ECHOPING_MATCHED only. */
enum echoping_verdict echoping_window_receive(
    struct echoping_window *window, uint64_t sequence, int64_t *ret_start_ns);

/* Give up each datagram that was sent before this time. */
void echoping_window_expire(struct echoping_window *window, int64_t before_ns);

#endif
