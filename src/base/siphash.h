/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SipHash-2-4 (Aumasson, Bernstein 2012): a hash whose collisions nobody can choose who does not
 * know the key, for tables that strangers fill.
 */
#ifndef ECHOD_BASE_SIPHASH_H
#define ECHOD_BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"

/* 128 bits that nobody else knows. */
struct siphash_key {
	uint64_t words[2];
};

/* Make a key from the kernel's random numbers. Returns 0 or -errno. */
ATTR_MUSTCHECK int siphash_make_key(struct siphash_key *ret_key);

/* Return the hash of LENGTH bytes under KEY. */
uint64_t siphash(const struct siphash_key *key, const void *data, size_t length);

#endif
