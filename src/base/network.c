/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "base/network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

static const char bad_address[] = "has no numeric address (write ADDRESS or ADDRESS/BITS, such as "
				  "192.0.2.0/24 or 2001:db8::/32)";
static const char bad_bits[] =
    "has no valid prefix length (write 0 to 32 for IPv4, 0 to 128 for IPv6)";
static const char bad_host[] = "has bits set beyond its prefix length (write the first address of "
			       "the network, such as 10.0.0.0/8, or an address alone)";

#define MAPPED_BITS 96

static void
network_map(const struct in_addr *in, struct in6_addr *ret_in6)
{
	memset(ret_in6, 0, sizeof(*ret_in6));
	ret_in6->s6_addr[10] = ret_in6->s6_addr[11] = 0xff;
	memcpy(&ret_in6->s6_addr[12], in, sizeof(*in));
}

static int
network_parse_bits(const char *text, unsigned maximum, unsigned *ret_bits)
{
	unsigned bits = 0;

	if (*text == '\0' || strlen(text) > 3)
		return -EINVAL;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9')
			return -EINVAL;
		bits = bits * 10 + (unsigned)(*text - '0');
	}
	if (bits > maximum)
		return -EINVAL;
	*ret_bits = bits;
	return 0;
}

/* Return whether A and B agree in their first BITS bits. */
static bool
network_same_bits(const struct in6_addr *a, const struct in6_addr *b, unsigned bits)
{
	unsigned bytes = bits / 8, rest = bits % 8;

	if (memcmp(a, b, bytes) != 0)
		return false;
	return rest == 0 || (a->s6_addr[bytes] ^ b->s6_addr[bytes]) >> (8 - rest) == 0;
}

static bool
network_is_clean(const struct network *network)
{
	for (unsigned bit = network->bits; bit < 128; bit++) {
		if (network->prefix.s6_addr[bit / 8] >> (7 - bit % 8) & 1)
			return false;
	}
	return true;
}

int
network_parse(const char *text, struct network *ret_network, const char **ret_error)
{
	struct network network = { .bits = 128 };
	char host[INET6_ADDRSTRLEN];
	size_t length = strcspn(text, "/");
	struct in_addr in;
	unsigned maximum = 128;

	if (length == 0 || length >= sizeof(host)) {
		*ret_error = bad_address;
		return -EINVAL;
	}
	memcpy(host, text, length);
	host[length] = '\0';
	if (inet_pton(AF_INET, host, &in) == 1) {
		network_map(&in, &network.prefix);
		maximum = 32;
	} else if (inet_pton(AF_INET6, host, &network.prefix) != 1) {
		*ret_error = bad_address;
		return -EINVAL;
	}
	if (text[length] == '/') {
		if (network_parse_bits(text + length + 1, maximum, &network.bits) < 0) {
			*ret_error = bad_bits;
			return -EINVAL;
		}
		if (maximum == 32)
			network.bits += MAPPED_BITS;
	}
	if (!network_is_clean(&network)) {
		*ret_error = bad_host;
		return -EINVAL;
	}
	*ret_network = network;
	return 0;
}

bool
network_has(const struct network *network, const struct sockaddr *sa)
{
	struct sockaddr_in6 in6;
	struct sockaddr_in in;

	switch (sa->sa_family) {
	case AF_INET:
		memcpy(&in, sa, sizeof(in));
		network_map(&in.sin_addr, &in6.sin6_addr);
		break;
	case AF_INET6:
		memcpy(&in6, sa, sizeof(in6));
		break;
	default:
		return false;
	}
	return network_same_bits(&network->prefix, &in6.sin6_addr, network->bits);
}
