/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "base/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

/* What each transport's URL form starts with. */
static const char *const address_schemes[] = {
	[ADDRESS_TCP] = "tcp://",
	[ADDRESS_UDP] = "udp://",
	[ADDRESS_UNIX] = "unix:",
	[ADDRESS_UNIX_DATAGRAM] = "unixgram:",
};

static const char bad_scheme[] = "is not an address (write tcp:// or udp:// with HOST:PORT, or "
				 "unix: or unixgram: with /PATH or @NAME)";
static const char bad_host[] = "has no numeric host (write an IPv4 address, an IPv6 address in "
			       "brackets, or *, such as 127.0.0.1:7 or [::1]:7)";
static const char bad_port[] = "has no valid port (write :PORT with PORT from 0 to 65535)";
static const char bad_scope[] =
    "names an interface that does not exist (write [fe80::1%INTERFACE])";
static const char bad_path[] = "has no usable socket path (write /PATH or @NAME after the colon, "
			       "at most 107 bytes)";

const char *
address_transport_name(enum address_transport transport)
{
	switch (transport) {
	case ADDRESS_TCP:
		return "tcp";
	case ADDRESS_UDP:
		return "udp";
	case ADDRESS_UNIX:
		return "unix";
	case ADDRESS_UNIX_DATAGRAM:
		return "unixgram";
	}
	return "unknown";
}

static int
address_parse_port(const char *text, in_port_t *ret_port)
{
	unsigned long port = 0;

	if (*text == '\0' || strlen(text) > 5)
		return -EINVAL;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9')
			return -EINVAL;
		port = port * 10 + (unsigned long)(*text - '0');
	}
	if (port > 65535)
		return -EINVAL;
	*ret_port = htons((uint16_t)port);
	return 0;
}

static void
address_set_in6(struct address *address, const struct in6_addr *host, in_port_t port)
{
	address->u.in6.sin6_family = AF_INET6;
	address->u.in6.sin6_addr = *host;
	address->u.in6.sin6_port = port;
	address->length = sizeof(address->u.in6);
}

/* HOST is what stood between the brackets: an IPv6 address, perhaps with %INTERFACE. */
static int
address_set_bracketed(struct address *address, char *host, in_port_t port, const char **ret_error)
{
	struct in6_addr in6;
	char *scope = strchr(host, '%');

	if (scope != NULL)
		*scope++ = '\0';
	if (inet_pton(AF_INET6, host, &in6) != 1) {
		*ret_error = bad_host;
		return -EINVAL;
	}
	address_set_in6(address, &in6, port);
	if (scope != NULL) {
		address->u.in6.sin6_scope_id = if_nametoindex(scope);
		if (address->u.in6.sin6_scope_id == 0) {
			*ret_error = bad_scope;
			return -EINVAL;
		}
	}
	return 0;
}

int
address_parse_host_port(const char *text, struct address *ret_address, const char **ret_error)
{
	struct address address = { .transport = ADDRESS_TCP };
	const char *colon = strrchr(text, ':');
	char host[INET6_ADDRSTRLEN + IF_NAMESIZE + 4];
	in_port_t port;
	size_t length;
	int r;

	if (colon == NULL || strchr(colon, ']') != NULL ||
	    address_parse_port(colon + 1, &port) < 0) {
		*ret_error = bad_port;
		return -EINVAL;
	}
	length = (size_t)(colon - text);
	if (length == 0 || length >= sizeof(host)) {
		*ret_error = bad_host;
		return -EINVAL;
	}
	memcpy(host, text, length);
	host[length] = '\0';

	if (strcmp(host, "*") == 0) {
		address.wildcard = true;
		address_set_in6(&address, &in6addr_any, port);
	} else if (host[0] == '[' && host[length - 1] == ']') {
		host[length - 1] = '\0';
		r = address_set_bracketed(&address, host + 1, port, ret_error);
		if (r < 0)
			return r;
	} else if (inet_pton(AF_INET, host, &address.u.in.sin_addr) == 1) {
		address.u.in.sin_family = AF_INET;
		address.u.in.sin_port = port;
		address.length = sizeof(address.u.in);
	} else {
		*ret_error = bad_host;
		return -EINVAL;
	}
	*ret_address = address;
	return 0;
}

static int
address_parse_unix(const char *path, struct address *ret_address, const char **ret_error)
{
	struct address address = { .transport = ADDRESS_UNIX };
	size_t length = strlen(path);

	/* a path keeps its NUL inside sun_path, an abstract name trades its @ for a NUL */
	if ((path[0] != '/' && path[0] != '@') || length < 2 ||
	    length >= sizeof(address.u.un.sun_path)) {
		*ret_error = bad_path;
		return -EINVAL;
	}
	address.u.un.sun_family = AF_UNIX;
	memcpy(address.u.un.sun_path, path, length);
	if (path[0] == '@')
		address.u.un.sun_path[0] = '\0';
	else
		length++;
	address.length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
	*ret_address = address;
	return 0;
}

/* TEXT is what follows the scheme of TRANSPORT. */
static int
address_parse_rest(const char *text, enum address_transport transport, struct address *ret_address,
    const char **ret_error)
{
	bool ip = transport == ADDRESS_TCP || transport == ADDRESS_UDP;
	struct address address;
	int r = ip ? address_parse_host_port(text, &address, ret_error)
		   : address_parse_unix(text, &address, ret_error);

	if (r < 0)
		return r;
	address.transport = transport;
	*ret_address = address;
	return 0;
}

int
address_parse(const char *text, struct address *ret_address, const char **ret_error)
{
	for (size_t i = 0; i < ARRAY_SIZE(address_schemes); i++) {
		size_t length = strlen(address_schemes[i]);

		if (strncmp(text, address_schemes[i], length) == 0)
			return address_parse_rest(
			    text + length, (enum address_transport)i, ret_address, ret_error);
	}
	*ret_error = bad_scheme;
	return -EINVAL;
}

bool
address_equal(const struct address *a, const struct address *b)
{
	if (a->transport != b->transport || a->u.sa.sa_family != b->u.sa.sa_family)
		return false;
	switch (a->u.sa.sa_family) {
	case AF_INET:
		return a->u.in.sin_port == b->u.in.sin_port &&
		       a->u.in.sin_addr.s_addr == b->u.in.sin_addr.s_addr;
	case AF_INET6:
		return a->u.in6.sin6_port == b->u.in6.sin6_port &&
		       a->u.in6.sin6_scope_id == b->u.in6.sin6_scope_id &&
		       memcmp(&a->u.in6.sin6_addr, &b->u.in6.sin6_addr, sizeof(struct in6_addr)) ==
			   0;
	case AF_UNIX:
		return a->length == b->length && memcmp(&a->u.un, &b->u.un, a->length) == 0;
	default:
		return false;
	}
}

static enum address_transport
address_transport_of(sa_family_t family, int type)
{
	bool datagram = type == SOCK_DGRAM;

	if (family == AF_UNIX)
		return datagram ? ADDRESS_UNIX_DATAGRAM : ADDRESS_UNIX;
	return datagram ? ADDRESS_UDP : ADDRESS_TCP;
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
	address.transport = address_transport_of(address.u.sa.sa_family, type);
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
	const char *scheme = address_schemes[address->transport], *rest;
	char text[ADDRESS_TEXT_MAX];

	if (address->wildcard) {
		(void)snprintf(buffer, size, "%s*:%u", scheme, address_port(address));
		return buffer;
	}
	rest = address_format_sockaddr(&address->u.sa, address->length, text, sizeof(text));
	/* a UNIX address comes with the scheme of a stream socket */
	if (strncmp(rest, "unix:", strlen("unix:")) == 0)
		rest += strlen("unix:");
	(void)snprintf(buffer, size, "%s%s", scheme, rest);
	return buffer;
}

static char *
address_format_unix(const struct sockaddr_un *un, socklen_t length, char *buffer, size_t size)
{
	size_t header = offsetof(struct sockaddr_un, sun_path);
	size_t used = length > header ? length - header : 0;
	char name[ADDRESS_TEXT_MAX - 8];

	if (used == 0) {
		(void)snprintf(buffer, size, "unix:");
		return buffer;
	}
	if (un->sun_path[0] == '\0') {
		text_escape(un->sun_path + 1, used - 1, name, sizeof(name));
		(void)snprintf(buffer, size, "unix:@%s", name);
	} else {
		text_escape(un->sun_path, strnlen(un->sun_path, used), name, sizeof(name));
		(void)snprintf(buffer, size, "unix:%s", name);
	}
	return buffer;
}

char *
address_format_sockaddr(const struct sockaddr *sa, socklen_t length, char *buffer, size_t size)
{
	char host[INET6_ADDRSTRLEN + 1 + IF_NAMESIZE];
	struct sockaddr_in in;
	struct sockaddr_in6 in6;

	switch (length >= sizeof(sa->sa_family) ? sa->sa_family : AF_UNSPEC) {
	case AF_INET:
		memcpy(&in, sa, sizeof(in));
		(void)inet_ntop(AF_INET, &in.sin_addr, host, sizeof(host));
		(void)snprintf(buffer, size, "%s:%u", host, ntohs(in.sin_port));
		break;
	case AF_INET6:
		memcpy(&in6, sa, sizeof(in6));
		if (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr)) {
			(void)inet_ntop(AF_INET, &in6.sin6_addr.s6_addr[12], host, sizeof(host));
			(void)snprintf(buffer, size, "%s:%u", host, ntohs(in6.sin6_port));
			break;
		}
		(void)inet_ntop(AF_INET6, &in6.sin6_addr, host, INET6_ADDRSTRLEN);
		if (in6.sin6_scope_id != 0) {
			char name[IF_NAMESIZE];

			if (if_indextoname(in6.sin6_scope_id, name) != NULL) {
				strcat(host, "%");
				strcat(host, name);
			}
		}
		(void)snprintf(buffer, size, "[%s]:%u", host, ntohs(in6.sin6_port));
		break;
	case AF_UNIX:
		return address_format_unix(
		    (const struct sockaddr_un *)(const void *)sa, length, buffer, size);
	default:
		(void)snprintf(buffer, size, "unknown");
		break;
	}
	return buffer;
}
