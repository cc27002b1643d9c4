/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "base/siphash.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#define COMPRESSION_ROUNDS 2
#define FINAL_ROUNDS 4

struct siphash_state {
	uint64_t v[4];
};

static uint64_t
siphash_rotate(uint64_t x, unsigned bits)
{
	return x << bits | x >> (64 - bits);
}

static void
siphash_round(struct siphash_state *s)
{
	s->v[0] += s->v[1];
	s->v[2] += s->v[3];
	s->v[1] = siphash_rotate(s->v[1], 13) ^ s->v[0];
	s->v[3] = siphash_rotate(s->v[3], 16) ^ s->v[2];
	s->v[0] = siphash_rotate(s->v[0], 32);
	s->v[2] += s->v[1];
	s->v[0] += s->v[3];
	s->v[1] = siphash_rotate(s->v[1], 17) ^ s->v[2];
	s->v[3] = siphash_rotate(s->v[3], 21) ^ s->v[0];
	s->v[2] = siphash_rotate(s->v[2], 32);
}

static void
siphash_absorb(struct siphash_state *s, uint64_t word)
{
	s->v[3] ^= word;
	for (int i = 0; i < COMPRESSION_ROUNDS; i++)
		siphash_round(s);
	s->v[0] ^= word;
}

uint64_t
siphash(const struct siphash_key *key, const void *data, size_t length)
{
	struct siphash_state s = { .v = {
				       key->words[0] ^ UINT64_C(0x736f6d6570736575),
				       key->words[1] ^ UINT64_C(0x646f72616e646f6d),
				       key->words[0] ^ UINT64_C(0x6c7967656e657261),
				       key->words[1] ^ UINT64_C(0x7465646279746573),
				   } };
	const unsigned char *bytes = data;
	uint64_t word;
	size_t done = 0;

	for (; length - done >= sizeof(word); done += sizeof(word)) {
		memcpy(&word, bytes + done, sizeof(word));
		siphash_absorb(&s, le64toh(word));
	}
	/* the last word: what is left, and the length in its top byte */
	word = (uint64_t)length << 56;
	for (size_t i = 0; done + i < length; i++)
		word |= (uint64_t)bytes[done + i] << 8 * i;
	siphash_absorb(&s, word);
	s.v[2] ^= 0xff;
	for (int i = 0; i < FINAL_ROUNDS; i++)
		siphash_round(&s);
	return s.v[0] ^ s.v[1] ^ s.v[2] ^ s.v[3];
}

int
siphash_make_key(struct siphash_key *ret_key)
{
	return getrandom(ret_key, sizeof(*ret_key), 0) == (ssize_t)sizeof(*ret_key) ? 0 : -errno;
}
