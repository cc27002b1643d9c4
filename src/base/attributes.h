/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Compiler attributes, and the few macros that every room may use: array sizes and safe iteration.
 * It knows nothing of echo, libevent or libconfig.
 */
#ifndef ECHOD_BASE_ATTRIBUTES_H
#define ECHOD_BASE_ATTRIBUTES_H

#include <stddef.h>
#include <sys/queue.h>

/* Check the arguments like printf(3): format is parameter FMT, arguments start at ARG. */
#define ATTR_PRINTF(FMT, ARG) __attribute__((format(printf, FMT, ARG)))
/* The result must be looked at; a deliberate ignore is spelt (void). */
#define ATTR_MUSTCHECK __attribute__((warn_unused_result))
#define ATTR_NORETURN __attribute__((noreturn))
#define ATTR_UNUSED __attribute__((unused))

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/*
 * What sys/queue.h of the C library lacks, see queue(3) of the BSDs: visit a tail queue or a list
 * whose element at hand may be removed or freed, no other.
 */
#ifndef TAILQ_FOREACH_SAFE
#define TAILQ_FOREACH_SAFE(var, head, field, next_var) \
	for ((var) = TAILQ_FIRST(head); (var) != NULL && ((next_var) = TAILQ_NEXT(var, field), 1); \
	     (var) = (next_var))
#endif
#ifndef LIST_FOREACH_SAFE
#define LIST_FOREACH_SAFE(var, head, field, next_var) \
	for ((var) = LIST_FIRST(head); (var) != NULL && ((next_var) = LIST_NEXT(var, field), 1); \
	     (var) = (next_var))
#endif

#endif
