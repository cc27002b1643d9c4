/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Compiler attributes and the few macros that every room uses.
 * It knows nothing of echo, libevent or libconfig.
 */
#ifndef ECHOD_BASE_ATTRIBUTES_H
#define ECHOD_BASE_ATTRIBUTES_H

#include <stddef.h>

/* Check the arguments like printf(3): format is parameter FMT, arguments start at ARG. */
#define ATTR_PRINTF(FMT, ARG) __attribute__((format(printf, FMT, ARG)))
/* The result must be looked at; a deliberate ignore is spelt (void). */
#define ATTR_MUSTCHECK __attribute__((warn_unused_result))
#define ATTR_NORETURN __attribute__((noreturn))
#define ATTR_UNUSED __attribute__((unused))

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#endif
