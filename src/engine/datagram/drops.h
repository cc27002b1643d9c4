/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tells the log when a listener drops datagrams: a line some seconds after it begins, then one a
 * minute while it goes on, with the reasons. What is dropped is counted elsewhere, by the worker;
 * here the counters are looked at, so a flood costs no more than silence. Main loop only.
 */
#ifndef ECHOD_ENGINE_DATAGRAM_DROPS_H
#define ECHOD_ENGINE_DATAGRAM_DROPS_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/counters.h"

/* What is known of one listener's drops; zeros at first. All times CLOCK_MONOTONIC. */
struct drops {
	int64_t looked_ns;          /* the last look; 0: there was none */
	int64_t since_ns;           /* when the drops to be told began; 0: there are none */
	int64_t told_ns;            /* the last line; 0: there was none */
	struct counters_sum before; /* what was counted at since_ns, or at the last look */
};

/*
 * Look at COUNTED, all that was ever counted for LISTENER; to be called every two seconds or so.
 * Logs when it is time for that, and returns whether it did.
 */
bool drops_look(
    struct drops *drops, const char *listener, const struct counters_sum *counted, int64_t now_ns);

#endif
