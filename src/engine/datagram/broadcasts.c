/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "engine/datagram/broadcasts.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

/* How long an answer holds: the machine may lose the address. */
#define ANSWER_NS (10 * NS_PER_S)

/* Strangers decide how often it would be asked. */
#define ASK_NS (10 * NS_PER_MS)

static in_addr_t
broadcasts_in(const struct in6_addr *address)
{
	in_addr_t in;

	memcpy(&in, &address->s6_addr[12], sizeof(in));
	return in;
}

/*
 * Ask the kernel: it connects no socket to a broadcast address but one that may send broadcasts.
 * What else it refuses (a route of type prohibit), it refuses in both cases. Nothing is sent.
 */
static bool
broadcasts_ask(in_addr_t address)
{
	const struct sockaddr_in in = { .sin_family = AF_INET,
		.sin_port = htons(9), /* any: connecting sends nothing */
		.sin_addr = { address } };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), on = 1;
	bool broadcast;

	if (fd < 0)
		return false;
	broadcast = connect(fd, (const struct sockaddr *)&in, sizeof(in)) < 0 && errno == EACCES &&
		    setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof(on)) == 0 &&
		    connect(fd, (const struct sockaddr *)&in, sizeof(in)) == 0;
	close(fd);
	return broadcast;
}

/* Return the place of a valid answer about ADDRESS, BROADCASTS_MAX where there is none. */
static size_t
broadcasts_find(const struct broadcasts *broadcasts, in_addr_t address, int64_t now_ns)
{
	size_t used = broadcasts->count < BROADCASTS_MAX ? broadcasts->count : BROADCASTS_MAX;

	for (size_t i = 0; i < used; i++) {
		if (broadcasts->answers[i].address == address &&
		    now_ns < broadcasts->answers[i].until_ns)
			return i;
	}
	return BROADCASTS_MAX;
}

bool
broadcasts_have(const struct broadcasts *broadcasts, const struct in6_addr *address, int64_t now_ns)
{
	size_t i;

	if (broadcasts->count == 0 || !IN6_IS_ADDR_V4MAPPED(address))
		return false;
	i = broadcasts_find(broadcasts, broadcasts_in(address), now_ns);
	return i < BROADCASTS_MAX && broadcasts->answers[i].broadcast;
}

bool
broadcasts_learn(struct broadcasts *broadcasts, const struct in6_addr *address, int64_t now_ns)
{
	in_addr_t in = broadcasts_in(address);
	size_t i;

	if (!IN6_IS_ADDR_V4MAPPED(address))
		return false;
	i = broadcasts_find(broadcasts, in, now_ns);
	if (i == BROADCASTS_MAX) {
		if (broadcasts->asked_ns != 0 && now_ns - broadcasts->asked_ns < ASK_NS)
			return false;
		broadcasts->asked_ns = now_ns;
		i = broadcasts->count++ % BROADCASTS_MAX;
		broadcasts->answers[i].address = in;
		broadcasts->answers[i].broadcast = broadcasts_ask(in);
		broadcasts->answers[i].until_ns = now_ns + ANSWER_NS;
	}
	return broadcasts->answers[i].broadcast;
}
