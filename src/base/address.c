/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "base/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <net/if.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define MAPPED_BITS 96 /* of an IPv4-mapped IPv6 address, before the IPv4 address */

/* What each transport is called, and what its URL form starts with. */
static const struct {
	const char *name, *scheme;
} address_transports[] = {
	[ADDRESS_TCP] = { "tcp", "tcp://" },
	[ADDRESS_UDP] = { "udp", "udp://" },
	[ADDRESS_UNIX] = { "unix", "unix:" },
	[ADDRESS_UNIX_DATAGRAM] = { "unixgram", "unixgram:" },
};

static const char bad_host[] = "has no numeric host (write an IPv4 address, an IPv6 address in "
			       "brackets, or *, such as 127.0.0.1:7 or [::1]:7; names are not "
			       "looked up)";
static const char bad_network[] = "has no numeric address (write ADDRESS or ADDRESS/BITS, such as "
				  "192.0.2.0/24 or 2001:db8::/32)";

const char *
address_transport_name(enum address_transport transport)
{
	return address_transports[transport].name;
}

static int
address_refuse(const char **ret_error, const char *error)
{
	*ret_error = error;
	return -EINVAL;
}

/* Read TEXT, at most DIGITS digits and nothing else. -EINVAL, also above MAXIMUM. */
static int
address_parse_number(const char *text, size_t digits, int maximum)
{
	size_t length = strspn(text, "0123456789");
	int number;

	if (length == 0 || length > digits || text[length] != '\0')
		return -EINVAL;
	number = atoi(text);
	return number <= maximum ? number : -EINVAL;
}

/* HOST is what stood between the brackets: an IPv6 address, perhaps with %INTERFACE for ZONE. */
static int
address_parse_in6(
    char *host, struct sockaddr_in6 *in6, char zone[IF_NAMESIZE], const char **ret_error)
{
	char *scope = strchr(host, '%');
	size_t length;

	if (scope != NULL)
		*scope++ = '\0';
	if (inet_pton(AF_INET6, host, &in6->sin6_addr) != 1)
		return address_refuse(ret_error, bad_host);
	if (scope == NULL && IN6_IS_ADDR_LINKLOCAL(&in6->sin6_addr))
		return address_refuse(
		    ret_error, "is link-local and names no interface (write [fe80::1%INTERFACE])");
	if (scope == NULL)
		return 0;
	length = strlen(scope);
	if (length == 0 || length >= IF_NAMESIZE || scope[strcspn(scope, "/:% \t")] != '\0')
		return address_refuse(ret_error,
		    "names what cannot be an interface (write [fe80::1%INTERFACE], such as "
		    "[fe80::1%eth0])");
	memcpy(zone, scope, length + 1);
	return 0;
}

/* Say what is wrong with HOST, which is no IPv4 address and has no brackets. */
static const char *
address_host_fault(const char *host)
{
	if (strstr(host, "://") != NULL)
		return "has a scheme where none belongs (write HOST:PORT, such as 127.0.0.1:9862)";
	if (strchr(host, ':') != NULL)
		return "has an IPv6 host without brackets (write [ADDRESS]:PORT, such as [::1]:7)";
	return bad_host;
}

int
address_parse_host_port(const char *text, struct address *ret_address, const char **ret_error)
{
	struct address address = { .transport = ADDRESS_TCP, .length = sizeof(address.u.in6) };
	const char *colon = strrchr(text, ':');
	int port = colon != NULL ? address_parse_number(colon + 1, 5, 65535) : -EINVAL;
	char host[INET6_ADDRSTRLEN + IF_NAMESIZE + 4];
	size_t length;

	if (port < 0)
		return address_refuse(
		    ret_error, "has no valid port (write :PORT with PORT from 0 to 65535)");
	length = (size_t)(colon - text);
	if (length == 0 || length >= sizeof(host))
		return address_refuse(ret_error, bad_host);
	memcpy(host, text, length);
	host[length] = '\0';

	address.u.in6 = (struct sockaddr_in6){
		.sin6_family = AF_INET6,
		.sin6_port = htons((in_port_t)port),
	};
	if (strcmp(host, "*") == 0) {
		address.wildcard = true;
	} else if (host[0] == '[' && host[length - 1] == ']') {
		host[length - 1] = '\0';
		if (address_parse_in6(host + 1, &address.u.in6, address.zone, ret_error) < 0)
			return -EINVAL;
	} else {
		address.u.in = (struct sockaddr_in){
			.sin_family = AF_INET,
			.sin_port = htons((in_port_t)port),
		};
		address.length = sizeof(address.u.in);
		if (inet_pton(AF_INET, host, &address.u.in.sin_addr) != 1)
			return address_refuse(ret_error, address_host_fault(host));
	}
	*ret_address = address;
	return 0;
}

static int
address_parse_unix(const char *path, struct address *ret_address, const char **ret_error)
{
	struct address address = { .u.un = { .sun_family = AF_UNIX } };
	size_t length = strlen(path);

	/* a path keeps its NUL inside sun_path, an abstract name trades its @ for a NUL */
	if ((path[0] != '/' && path[0] != '@') || length < 2 ||
	    length >= sizeof(address.u.un.sun_path))
		return address_refuse(ret_error,
		    "has no usable socket path (write /PATH or @NAME after the colon, at most "
		    "107 bytes)");
	if (path[0] == '/' && path[length - 1] == '/')
		return address_refuse(
		    ret_error, "ends as a folder does (write the path of a socket, without /)");
	memcpy(address.u.un.sun_path, path, length);
	if (path[0] == '@')
		address.u.un.sun_path[0] = '\0';
	else
		length++;
	address.length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
	*ret_address = address;
	return 0;
}

int
address_parse(const char *text, struct address *ret_address, const char **ret_error)
{
	for (size_t i = 0; i < ARRAY_SIZE(address_transports); i++) {
		size_t length = strlen(address_transports[i].scheme);
		int r;

		if (strncmp(text, address_transports[i].scheme, length) != 0)
			continue;
		if (i == ADDRESS_TCP || i == ADDRESS_UDP)
			r = address_parse_host_port(text + length, ret_address, ret_error);
		else
			r = address_parse_unix(text + length, ret_address, ret_error);
		if (r == 0)
			ret_address->transport = (enum address_transport)i;
		return r;
	}
	return address_refuse(ret_error,
	    "is not an address (write tcp:// or udp:// with HOST:PORT, or unix: or unixgram: with "
	    "/PATH or @NAME)");
}

int
address_resolve(const struct address *address, struct address *ret_address)
{
	struct address result = *address;
	unsigned scope;

	if (address->zone[0] != '\0') {
		char name[IF_NAMESIZE];
		int number = address_parse_number(address->zone, 9, INT_MAX);

		/* an interface may be called 7 */
		scope = if_nametoindex(address->zone);
		if (scope == 0 && number > 0 && if_indextoname((unsigned)number, name) != NULL)
			scope = (unsigned)number;
		if (scope == 0)
			return -ENODEV;
		/* of any other address the kernel has no scope, and tells none */
		if (IN6_IS_ADDR_LINKLOCAL(&result.u.in6.sin6_addr) ||
		    IN6_IS_ADDR_MULTICAST(&result.u.in6.sin6_addr))
			result.u.in6.sin6_scope_id = scope;
		result.zone[0] = '\0';
	}
	*ret_address = result;
	return 0;
}

bool
address_equal(const struct address *a, const struct address *b)
{
	/* only family, host, port and scope, or the path; the rest is 0, from the kernel too */
	return a->transport == b->transport && a->length == b->length &&
	       strcmp(a->zone, b->zone) == 0 && memcmp(&a->u, &b->u, a->length) == 0;
}

bool
address_stands_for(const struct address *address, const struct address *actual)
{
	struct address now;

	return address_resolve(address, &now) == 0 && address_equal(&now, actual);
}

int
address_of_socket(int fd, struct address *ret_address)
{
	struct address address = { .length = sizeof(address.u) };
	socklen_t length = sizeof(int);
	int type;

	if (getsockname(fd, &address.u.sa, &address.length) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) < 0)
		return -errno;
	if (address.u.sa.sa_family == AF_UNIX)
		address.transport = type == SOCK_DGRAM ? ADDRESS_UNIX_DATAGRAM : ADDRESS_UNIX;
	else
		address.transport = type == SOCK_DGRAM ? ADDRESS_UDP : ADDRESS_TCP;
	*ret_address = address;
	return 0;
}

bool
address_is_ip(const struct address *address)
{
	return address->transport == ADDRESS_TCP || address->transport == ADDRESS_UDP;
}

bool
address_is_datagram(const struct address *address)
{
	return address->transport == ADDRESS_UDP || address->transport == ADDRESS_UNIX_DATAGRAM;
}

in_port_t
address_port(const struct address *address)
{
	switch (address->u.sa.sa_family) {
	case AF_INET:
		return ntohs(address->u.in.sin_port);
	case AF_INET6:
		return ntohs(address->u.in6.sin6_port);
	default:
		return 0;
	}
}

bool
address_is_path(const struct address *address)
{
	return !address_is_ip(address) && address->u.un.sun_path[0] == '/';
}

char *
address_format(const struct address *address, char *buffer, size_t size)
{
	const char *scheme = address_transports[address->transport].scheme, *rest;
	char text[ADDRESS_TEXT_MAX];

	if (address->wildcard) {
		(void)snprintf(buffer, size, "%s*:%u", scheme, address_port(address));
		return buffer;
	}
	rest = address_format_sockaddr(&address->u.sa, address->length, text, sizeof(text));
	if (address->zone[0] != '\0') {
		(void)snprintf(buffer, size, "%s%.*s%%%s%s", scheme, (int)strcspn(rest, "]"), rest,
		    address->zone, rest + strcspn(rest, "]"));
		return buffer;
	}
	/* a UNIX address comes with the scheme of a stream socket */
	if (strncmp(rest, "unix:", strlen("unix:")) == 0)
		rest += strlen("unix:");
	(void)snprintf(buffer, size, "%s%s", scheme, rest);
	return buffer;
}

/* Return SA, an IPv4 or IPv6 address, as IPv6: of IPv4 the mapped address. */
static struct sockaddr_in6
address_map(const struct sockaddr *sa)
{
	struct sockaddr_in6 in6 = { .sin6_addr = { .s6_addr = { [10] = 0xff, [11] = 0xff } } };
	struct sockaddr_in in;

	if (sa->sa_family == AF_INET6) {
		memcpy(&in6, sa, sizeof(in6));
	} else {
		memcpy(&in, sa, sizeof(in));
		in6.sin6_port = in.sin_port;
		memcpy(&in6.sin6_addr.s6_addr[12], &in.sin_addr, sizeof(in.sin_addr));
	}
	return in6;
}

static void
address_format_unix(const struct sockaddr_un *un, socklen_t length, char *buffer, size_t size)
{
	size_t header = offsetof(struct sockaddr_un, sun_path);
	size_t used = length > header ? length - header : 0;
	bool abstract = used > 0 && un->sun_path[0] == '\0';
	char name[ADDRESS_TEXT_MAX - 8];

	if (abstract)
		text_escape(un->sun_path + 1, used - 1, name, sizeof(name));
	else
		text_escape(un->sun_path, strnlen(un->sun_path, used), name, sizeof(name));
	(void)snprintf(buffer, size, "unix:%s%s", abstract ? "@" : "", name);
}

static void
address_format_in6(const struct sockaddr_in6 *in6, char *buffer, size_t size)
{
	char host[INET6_ADDRSTRLEN], scope[1 + IF_NAMESIZE] = "%";

	if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
		(void)inet_ntop(AF_INET, &in6->sin6_addr.s6_addr[12], host, sizeof(host));
		(void)snprintf(buffer, size, "%s:%u", host, ntohs(in6->sin6_port));
		return;
	}
	(void)inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
	if (in6->sin6_scope_id == 0 || if_indextoname(in6->sin6_scope_id, scope + 1) == NULL)
		scope[0] = '\0';
	(void)snprintf(buffer, size, "[%s%s]:%u", host, scope, ntohs(in6->sin6_port));
}

char *
address_format_sockaddr(const struct sockaddr *sa, socklen_t length, char *buffer, size_t size)
{
	struct sockaddr_in6 in6;

	switch (length >= sizeof(sa->sa_family) ? sa->sa_family : AF_UNSPEC) {
	case AF_INET:
	case AF_INET6:
		in6 = address_map(sa);
		address_format_in6(&in6, buffer, size);
		break;
	case AF_UNIX:
		address_format_unix(
		    (const struct sockaddr_un *)(const void *)sa, length, buffer, size);
		break;
	default:
		(void)snprintf(buffer, size, "unknown");
		break;
	}
	return buffer;
}

int
network_parse(const char *text, struct network *ret_network, const char **ret_error)
{
	struct network network = { .bits = 128 };
	unsigned char *prefix = network.prefix.s6_addr;
	size_t length = strcspn(text, "/");
	char host[INET6_ADDRSTRLEN];
	bool ipv4;

	if (length == 0 || length >= sizeof(host))
		return address_refuse(ret_error, bad_network);
	memcpy(host, text, length);
	host[length] = '\0';
	ipv4 = inet_pton(AF_INET, host, &prefix[12]) == 1;
	if (ipv4)
		prefix[10] = prefix[11] = 0xff;
	else if (inet_pton(AF_INET6, host, prefix) != 1)
		return address_refuse(ret_error, bad_network);
	if (text[length] == '/') {
		int bits = address_parse_number(text + length + 1, 3, ipv4 ? 32 : 128);

		if (bits < 0)
			return address_refuse(ret_error, "has no valid prefix length (write 0 to "
							 "32 for IPv4, 0 to 128 for IPv6)");
		network.bits = (unsigned)bits + (ipv4 ? MAPPED_BITS : 0);
	}
	for (unsigned bit = network.bits; bit < 128; bit++) {
		if (prefix[bit / 8] >> (7 - bit % 8) & 1)
			return address_refuse(ret_error,
			    "has bits set beyond its prefix length (write the first address of "
			    "the network, such as 10.0.0.0/8, or an address alone)");
	}
	*ret_network = network;
	return 0;
}

bool
network_has(const struct network *network, const struct sockaddr *sa)
{
	unsigned bytes = network->bits / 8, rest = network->bits % 8;
	struct in6_addr host;

	if (sa->sa_family != AF_INET && sa->sa_family != AF_INET6)
		return false;
	host = address_map(sa).sin6_addr;
	if (memcmp(&network->prefix, &host, bytes) != 0)
		return false;
	return rest == 0 ||
	       (network->prefix.s6_addr[bytes] ^ host.s6_addr[bytes]) >> (8 - rest) == 0;
}
