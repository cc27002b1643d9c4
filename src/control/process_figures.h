/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the kernel says of this process: memory, descriptors, processor time. Read anew at each
 * request; a figure that cannot be read is -1, and is then left out.
 */
#ifndef ECHOD_CONTROL_PROCESS_FIGURES_H
#define ECHOD_CONTROL_PROCESS_FIGURES_H

#include <stdint.h>

struct process_figures {
	int64_t cpu_ns; /* of all threads, user and system */
	int64_t threads;
	int64_t virtual_bytes;
	int64_t virtual_max_bytes; /* RLIMIT_AS; -1: no limit */
	int64_t resident_bytes;
	int64_t open_fds;
	int64_t max_fds; /* soft RLIMIT_NOFILE; -1: no limit */
};

/* Read them all. Opens and closes at most one descriptor at a time. */
struct process_figures process_figures_read(void);

#endif
