/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A token bucket in one number: the moment at which it will be full again (the generic cell rate
 * algorithm, ITU-T I.371). A bucket of zeros is full. Belongs to one thread.
 */
#ifndef ECHOD_ENGINE_TOKEN_BUCKET_H
#define ECHOD_ENGINE_TOKEN_BUCKET_H

#include <stdint.h>

struct token_bucket {
	int64_t full_ns; /* CLOCK_MONOTONIC */
};

/*
 * Take up to WANT tokens from a bucket that gets RATE (1 to 10^9) of them a second and holds BURST
 * (1 to 10^9). Returns how many there were. A RATE of 0 has no limit.
 */
uint64_t token_bucket_take(
    struct token_bucket *bucket, uint64_t rate, uint64_t burst, uint64_t want, int64_t now_ns);

#endif
