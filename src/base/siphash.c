/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "base/siphash.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#define COMPRESSION_ROUNDS 2
#define FINAL_ROUNDS 4

static uint64_t
siphash_rotate(uint64_t x, unsigned bits)
{
	return x << bits | x >> (64 - bits);
}

static void
siphash_mix(uint64_t v[4], int rounds)
{
	for (int i = 0; i < rounds; i++) {
		v[0] += v[1];
		v[2] += v[3];
		v[1] = siphash_rotate(v[1], 13) ^ v[0];
		v[3] = siphash_rotate(v[3], 16) ^ v[2];
		v[0] = siphash_rotate(v[0], 32);
		v[2] += v[1];
		v[0] += v[3];
		v[1] = siphash_rotate(v[1], 17) ^ v[2];
		v[3] = siphash_rotate(v[3], 21) ^ v[0];
		v[2] = siphash_rotate(v[2], 32);
	}
}

uint64_t
siphash(const struct siphash_key *key, const void *data, size_t length)
{
	uint64_t v[4] = {
		key->words[0] ^ UINT64_C(0x736f6d6570736575),
		key->words[1] ^ UINT64_C(0x646f72616e646f6d),
		key->words[0] ^ UINT64_C(0x6c7967656e657261),
		key->words[1] ^ UINT64_C(0x7465646279746573),
	};

	for (size_t done = 0; done <= length; done += sizeof(uint64_t)) {
		size_t left = length - done;
		uint64_t word = 0;

		memcpy(&word, (const char *)data + done, left < sizeof(word) ? left : sizeof(word));
		word = le64toh(word);
		/* the last word: what is left, and the length in its top byte */
		if (left < sizeof(word))
			word |= (uint64_t)length << 56;
		v[3] ^= word;
		siphash_mix(v, COMPRESSION_ROUNDS);
		v[0] ^= word;
	}
	v[2] ^= 0xff;
	siphash_mix(v, FINAL_ROUNDS);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

int
siphash_make_key(struct siphash_key *ret_key)
{
	ssize_t size = getrandom(ret_key, sizeof(*ret_key), 0);

	if (size < 0)
		return -errno;
	return size == (ssize_t)sizeof(*ret_key) ? 0 : -EIO;
}
