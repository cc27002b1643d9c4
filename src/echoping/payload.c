/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "echoping/payload.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#define PAYLOAD_BYTES ((size_t)ECHOPING_PAYLOAD_PERIOD + ECHOPING_PAYLOAD_PIECE)

/* From this size on sendfile(2) costs less than copying: some pages. */
#define SENDFILE_MIN 16384

#define SEQUENCE_BITS 40
#define SEQUENCE_MASK ((UINT64_C(1) << SEQUENCE_BITS) - 1)

/* Begins a head with a stamp: "EPNG". */
#define STAMP_MAGIC UINT64_C(0x45504e47)

/* An odd number and its inverse modulo 2^64. */
#define SEAL_FACTOR UINT64_C(0x9e3779b97f4a7c15)
#define SEAL_INVERSE UINT64_C(0xf1de83e19937733d)

/* SplitMix64 (Steele, Lea, Flood 2014): any seed gives a sequence that passes for random. */
static uint64_t
payload_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static void
payload_fill(unsigned char *bytes)
{
	uint64_t state = 862;

	for (size_t i = 0; i < ECHOPING_PAYLOAD_PERIOD; i++)
		bytes[i] = (unsigned char)payload_random(&state);
	for (size_t i = ECHOPING_PAYLOAD_PERIOD; i < PAYLOAD_BYTES; i++)
		bytes[i] = bytes[i - ECHOPING_PAYLOAD_PERIOD];
}

struct echoping_payload *
echoping_payload_new(void)
{
	struct echoping_payload *payload = malloc(sizeof(*payload));
	unsigned char *bytes = MAP_FAILED;

	if (payload == NULL)
		return NULL;
	payload->fd = memfd_create("echoping-payload", MFD_CLOEXEC);
	if (payload->fd >= 0 && ftruncate(payload->fd, PAYLOAD_BYTES) == 0)
		bytes = mmap(
		    NULL, PAYLOAD_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, payload->fd, 0);
	if (bytes == MAP_FAILED) {
		if (payload->fd >= 0)
			(void)close(payload->fd);
		free(payload);
		return NULL;
	}
	payload_fill(bytes);
	payload->bytes = bytes;
	return payload;
}

void
echoping_payload_free(struct echoping_payload *payload)
{
	if (payload == NULL)
		return;
	(void)munmap((void *)(uintptr_t)payload->bytes, PAYLOAD_BYTES);
	(void)close(payload->fd);
	free(payload);
}

ssize_t
echoping_payload_send(
    const struct echoping_payload *payload, int fd, uint64_t position, size_t length)
{
	off_t offset = (off_t)(position % ECHOPING_PAYLOAD_PERIOD);
	ssize_t n;

	if (length < SENDFILE_MIN)
		n = send(fd, payload->bytes + offset, length, MSG_NOSIGNAL);
	else
		n = sendfile(fd, payload->fd, &offset, length);
	return n < 0 ? -errno : n;
}

uint64_t
echoping_payload_origin(uint32_t number)
{
	return (uint64_t)number * 40503 % ECHOPING_PAYLOAD_PERIOD;
}

size_t
echoping_payload_match(const struct echoping_payload *payload, uint64_t position,
    const unsigned char *data, size_t length)
{
	const unsigned char *expected = echoping_payload_at(payload, position);
	size_t i = 0;

	if (memcmp(expected, data, length) == 0)
		return length;
	while (expected[i] == data[i])
		i++;
	return i;
}

/*
 * Multiplying spreads each bit upwards, the shifts bring it down again: a datagram with one bit
 * of its number changed reads as one of some far-off number, not as its neighbour.
 */
static uint64_t
payload_mix(uint64_t x)
{
	x = (x ^ x >> 32) * SEAL_FACTOR;
	return (x ^ x >> 32) * SEAL_FACTOR;
}

static uint64_t
payload_seal(uint32_t number, uint64_t sequence)
{
	return payload_mix((uint64_t)number << SEQUENCE_BITS | (sequence & SEQUENCE_MASK));
}

static uint64_t
payload_unseal(uint64_t x)
{
	x *= SEAL_INVERSE;
	x = (x ^ x >> 32) * SEAL_INVERSE;
	return x ^ x >> 32;
}

static size_t
payload_head_size(bool stamped)
{
	return stamped ? ECHOPING_STAMP_SIZE : sizeof(uint64_t);
}

/* What follows the head. */
static const unsigned char *
payload_body(
    const struct echoping_payload *payload, uint32_t number, uint64_t sequence, size_t size)
{
	return echoping_payload_at(payload, echoping_payload_origin(number) + sequence * size);
}

/* Write the head of a datagram that is sent at STAMP_NS: big-endian, as networks have it. */
static void
payload_write_stamp(unsigned char *head, uint32_t number, uint64_t sequence, int64_t stamp_ns)
{
	const uint64_t words[] = {
		htobe64(STAMP_MAGIC << 32 | number),
		htobe64(sequence),
		htobe64((uint64_t)stamp_ns),
		/* a change of the time alone is seen, too */
		htobe64(payload_seal(number, sequence) ^ payload_mix((uint64_t)stamp_ns)),
	};

	memcpy(head, words, sizeof(words));
}

void
echoping_payload_compose(const struct echoping_payload *payload, uint32_t number, uint64_t sequence,
    int64_t stamp_ns, size_t size, union echoping_head *ret_head, struct iovec *ret_parts)
{
	const unsigned char *body = payload_body(payload, number, sequence, size);
	const size_t head_size = payload_head_size(stamp_ns != 0);

	if (stamp_ns != 0)
		payload_write_stamp(ret_head->stamp, number, sequence, stamp_ns);
	else
		ret_head->seal = payload_seal(number, sequence);
	ret_parts[0] = (struct iovec){ ret_head, head_size };
	ret_parts[1] = (struct iovec){ (void *)(uintptr_t)body, size - head_size };
}

/* The sequence number in a head of connection NUMBER; returns whether it is one. */
static bool
payload_open_seal(const unsigned char *data, uint32_t number, uint64_t *ret_sequence)
{
	uint64_t x;

	memcpy(&x, data, sizeof(x));
	x = payload_unseal(x);
	*ret_sequence = x & SEQUENCE_MASK;
	return x >> SEQUENCE_BITS == (number & (UINT64_MAX >> SEQUENCE_BITS));
}

static bool
payload_open_stamp(const unsigned char *data, uint32_t number, uint64_t *ret_sequence)
{
	unsigned char expected[ECHOPING_STAMP_SIZE];
	uint64_t words[ECHOPING_STAMP_SIZE / sizeof(uint64_t)];

	memcpy(words, data, sizeof(words));
	*ret_sequence = be64toh(words[1]);
	payload_write_stamp(expected, number, *ret_sequence, (int64_t)be64toh(words[2]));
	return *ret_sequence <= SEQUENCE_MASK && memcmp(expected, data, sizeof(expected)) == 0;
}

int
echoping_payload_open(const struct echoping_payload *payload, uint32_t number,
    const unsigned char *data, size_t length, bool stamped, size_t size, uint64_t *ret_sequence)
{
	const size_t head_size = payload_head_size(stamped);
	uint64_t sequence;

	if (length != size || length < head_size)
		return -EBADMSG;
	if (!(stamped ? payload_open_stamp(data, number, &sequence)
		      : payload_open_seal(data, number, &sequence)))
		return -EBADMSG;
	if (memcmp(payload_body(payload, number, sequence, size), data + head_size,
		length - head_size) != 0)
		return -EBADMSG;
	*ret_sequence = sequence;
	return 0;
}
