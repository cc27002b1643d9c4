/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which addresses are broadcast addresses of this machine's IPv4 networks, such as 192.0.2.255. The
 * kernel knows, and refuses to send there (EACCES), as our sockets do not ask for broadcasts: so it
 * is asked about an address to which it has just refused to send, and its answer is kept for some
 * seconds. That costs nothing while nobody sends from such an address, and addresses that the
 * machine gets later are known at once. Belongs to one thread.
 */
#ifndef ECHOD_ENGINE_DATAGRAM_BROADCASTS_H
#define ECHOD_ENGINE_DATAGRAM_BROADCASTS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How many answers are kept. */
#define BROADCASTS_MAX 8

/* Zeros at first. */
struct broadcasts {
	struct {
		in_addr_t address; /* network order */
		bool broadcast;    /* what the kernel said */
		int64_t until_ns;  /* CLOCK_MONOTONIC */
	} answers[BROADCASTS_MAX];
	size_t count;     /* answers ever kept: the next one replaces the oldest */
	int64_t asked_ns; /* when the kernel was last asked */
};

/* Return whether ADDRESS (IPv4 as IPv4-mapped) is known to be one. For every datagram. */
bool broadcasts_have(
    const struct broadcasts *broadcasts, const struct in6_addr *address, int64_t now_ns);

/*
 * Return whether ADDRESS, to which sending has just failed with EACCES, is one; asks the kernel, at
 * most a hundred times a second: not to be known is the answer to more.
 */
bool broadcasts_learn(
    struct broadcasts *broadcasts, const struct in6_addr *address, int64_t now_ns);

#endif
