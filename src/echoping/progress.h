/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The line that a running load redraws once a second, on standard error and on a terminal only.
 */
#ifndef ECHOD_ECHOPING_PROGRESS_H
#define ECHOD_ECHOPING_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct echoping_progress {
	bool shown; /* there is a terminal and somebody wants to see it */
	bool drawn; /* the line is on the screen */
	size_t size;
	int64_t start_ns;
	int64_t last_ns;
	uint64_t last_received;
};

/* Begin at START_NS, for messages of SIZE bytes. QUIET, or no terminal, shows nothing. */
void echoping_progress_init(
    struct echoping_progress *progress, size_t size, int64_t start_ns, bool quiet);

/* Draw the totals so far, RECEIVED and FAILED messages. */
void echoping_progress_draw(
    struct echoping_progress *progress, int64_t now_ns, uint64_t received, uint64_t failed);

/* Wipe the line. */
void echoping_progress_done(struct echoping_progress *progress);

#endif
