/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Networks as users write them: ADDRESS/BITS (CIDR, RFC 4632 and RFC 4291), or an address alone.
 */
#ifndef ECHOD_BASE_NETWORK_H
#define ECHOD_BASE_NETWORK_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "base/attributes.h"

/* IPv4 is kept as IPv4-mapped IPv6, so that a dual-stack peer matches too. */
struct network {
	struct in6_addr prefix; /* bits beyond the length are 0 */
	unsigned bits;          /* 0 to 128 */
};

/*
 * Parse TEXT. Returns 0, or -EINVAL with *ret_error a static text that says what is wrong and
 * what would be right. Bits set beyond the length are an error: 10.0.0.1/8 is a mistake more often
 * than a wish.
 */
ATTR_MUSTCHECK int network_parse(
    const char *text, struct network *ret_network, const char **ret_error);

/* Return whether SA, an IPv4 or IPv6 address, lies in NETWORK; any other family does not. */
bool network_has(const struct network *network, const struct sockaddr *sa);

#endif
