/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the control port shows of the process itself. The server (floor 4) owns and writes it,
 * the control rooms read it; all on the main loop.
 */
#ifndef ECHOD_CONTROL_PROCESS_STATUS_H
#define ECHOD_CONTROL_PROCESS_STATUS_H

#include <stdbool.h>
#include <stdint.h>

struct process_status {
	int64_t started_ns;      /* CLOCK_MONOTONIC */
	int64_t started_wall_ns; /* since the epoch */
	const char *not_ready;   /* "starting" or "draining"; NULL when ready */
	bool draining;
	uint64_t reloads_succeeded;
	uint64_t reloads_failed;
	bool last_reload_succeeded;   /* true before the first reload: the start was one */
	int64_t last_success_wall_ns; /* of the start or the last good reload */
};

#endif
