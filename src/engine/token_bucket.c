/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "engine/token_bucket.h"

#include "base/clock.h"

uint64_t
token_bucket_take(
    struct token_bucket *bucket, uint64_t rate, uint64_t burst, uint64_t want, int64_t now_ns)
{
	int64_t token_ns, room_ns;
	uint64_t there;

	if (rate == 0)
		return want;
	token_ns = NS_PER_S / (int64_t)rate;
	if (bucket->full_ns < now_ns)
		bucket->full_ns = now_ns;
	room_ns = now_ns + (int64_t)burst * token_ns - bucket->full_ns;
	/* a burst that a reload made smaller leaves a debt */
	if (room_ns < token_ns)
		return 0;
	/* mostly one is wanted, and a division can be spared */
	there = want == 1 ? 1 : (uint64_t)(room_ns / token_ns);
	if (there > want)
		there = want;
	bucket->full_ns += (int64_t)there * token_ns;
	return there;
}
