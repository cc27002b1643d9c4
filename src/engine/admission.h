/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who gets in: the limits on connections, and what happens when the kernel has nothing left to
 * accept with. Out of descriptors or memory, all listeners pause and try again ten times a
 * second; what has to wait longer than half a second is shed through a spare descriptor, so that
 * clients see a close and not silence. Main loop only.
 */
#ifndef ECHOD_ENGINE_ADMISSION_H
#define ECHOD_ENGINE_ADMISSION_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/counters.h"
#include "engine/listener.h"
#include "engine/loop.h"

struct admission {
	int64_t limit;                   /* limits.connections */
	bool limit_reported;             /* reached and logged; cleared when well below */
	int spare_fd;                    /* owned; given up for a moment to shed a connection */
	int64_t last_error_ns;           /* 0: never */
	int64_t starved_since_ns;        /* first failure since something was accepted; 0: none */
	struct event *retry;             /* owned */
	struct listener_list *listeners; /* borrowed */
};

/* Prepare an embedded admission for LISTENERS. Returns 0 or -errno. */
ATTR_MUSTCHECK int admission_init(
    struct admission *adm, struct loop *loop, struct listener_list *listeners);

/* Undo admission_init(); one that was never initialised (all zero) is fine. */
void admission_done(struct admission *adm);

/*
 * Decide about one more connection of LIS while TOTAL are served. Returns REJECT_NONE or the
 * limit that forbids it; the first refusal of an episode is logged.
 */
enum reject_reason admission_check(struct admission *adm, struct listener *lis, int64_t total);

/*
 * Take note that accept(2) on LIS failed with ERROR: count it, and where the process or the kernel
 * has run out of something, pause all listeners. Any other error is one client's bad luck.
 */
void admission_fail(struct admission *adm, struct listener *lis, int error);

#endif
