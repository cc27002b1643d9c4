/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A few descriptors held in reserve, so that an operator is answered when the process has used up
 * all that it may have. Main loop only.
 */
#ifndef ECHOD_CONTROL_SPARE_H
#define ECHOD_CONTROL_SPARE_H

#include <stdbool.h>
#include <stddef.h>

#define SPARE_MAX 4

struct spare {
	int fds[SPARE_MAX]; /* owned; the first count of them */
	size_t count;
};

/* Take what is missing, as far as there is any. Returns whether the reserve is full. */
bool spare_fill(struct spare *spare);

/* Give one up: it is free for the next who asks. Returns whether there was one. */
bool spare_give(struct spare *spare);

/* Give all up. */
void spare_done(struct spare *spare);

#endif
