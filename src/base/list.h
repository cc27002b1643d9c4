/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sys/queue.h with the macros that the C library's copy lacks; see queue(3) of the BSDs.
 */
#ifndef ECHOD_BASE_LIST_H
#define ECHOD_BASE_LIST_H

#include <sys/queue.h>

/* Walk a tail queue; the element at hand may be removed or freed, no other. */
#ifndef TAILQ_FOREACH_SAFE
#define TAILQ_FOREACH_SAFE(var, head, field, next_var) \
	for ((var) = TAILQ_FIRST(head); (var) != NULL && ((next_var) = TAILQ_NEXT(var, field), 1); \
	     (var) = (next_var))
#endif

/* The same for a list. */
#ifndef LIST_FOREACH_SAFE
#define LIST_FOREACH_SAFE(var, head, field, next_var) \
	for ((var) = LIST_FIRST(head); (var) != NULL && ((next_var) = LIST_NEXT(var, field), 1); \
	     (var) = (next_var))
#endif

#endif
