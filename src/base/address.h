/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Addresses as users write them (tcp:// or udp:// with HOST:PORT, unix: or unixgram: with /PATH
 * or @NAME) and as the kernel takes them, and networks of addresses (ADDRESS/BITS: CIDR, RFC 4632
 * and RFC 4291). Hosts are numeric: the daemon never resolves a name.
 */
#ifndef ECHOD_BASE_ADDRESS_H
#define ECHOD_BASE_ADDRESS_H

#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/attributes.h"

/* Room for every text that address_format() writes, NUL included (a path may escape to 4x). */
#define ADDRESS_TEXT_MAX 480

enum address_transport {
	ADDRESS_TCP,           /* tcp://HOST:PORT, stream over IPv4 or IPv6 */
	ADDRESS_UDP,           /* udp://HOST:PORT, datagrams over IPv4 or IPv6 */
	ADDRESS_UNIX,          /* unix:/PATH or unix:@NAME, stream */
	ADDRESS_UNIX_DATAGRAM, /* unixgram:/PATH or unixgram:@NAME, datagrams */
};

struct address {
	enum address_transport transport;
	bool wildcard;    /* HOST was *: IPv6 and IPv4, or IPv4 alone where there is no IPv6 */
	socklen_t length; /* of the sockaddr in use */
	/*
	 * What stood after %, the name or number of an interface, else "": as written, since the
	 * interface may come later. The scope of the sockaddr is 0 then, see address_resolve().
	 */
	char zone[IF_NAMESIZE];
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_un un;
	} u;
};

/* IPv4 is kept as IPv4-mapped IPv6, so that a dual-stack peer matches too. */
struct network {
	struct in6_addr prefix; /* bits beyond the length are 0 */
	unsigned bits;          /* 0 to 128 */
};

/* Return "tcp", "udp", "unix" or "unixgram". */
const char *address_transport_name(enum address_transport transport);

/*
 * Parse the URL form. Returns 0, or -EINVAL with *ret_error a static text that says what is
 * wrong and what would be right.
 */
ATTR_MUSTCHECK int address_parse(
    const char *text, struct address *ret_address, const char **ret_error);

/* Parse HOST:PORT without a scheme (control.http); results and errors as address_parse(). */
ATTR_MUSTCHECK int address_parse_host_port(
    const char *text, struct address *ret_address, const char **ret_error);

/*
 * Write to RET_ADDRESS what the kernel takes for ADDRESS: the zone, if there is one, becomes the
 * scope of an interface that is there now. Returns 0, or -ENODEV where it is not.
 */
ATTR_MUSTCHECK int address_resolve(const struct address *address, struct address *ret_address);

/* Compare transport, family, host, zone, port and path; wildcard does not count. */
bool address_equal(const struct address *a, const struct address *b);

/* Return whether ADDRESS, as written, stands now for ACTUAL, as the kernel tells it. */
bool address_stands_for(const struct address *address, const struct address *actual);

/*
 * Read back the local address of FD, a socket, with getsockname(2); SO_TYPE tells the transport.
 * Returns 0 or -errno.
 */
ATTR_MUSTCHECK int address_of_socket(int fd, struct address *ret_address);

/* Return the port in host order; 0 for a UNIX address. */
in_port_t address_port(const struct address *address);

/* Return whether this is an address of TCP or UDP: one with host and port. */
bool address_is_ip(const struct address *address);

/* Return whether what comes there is datagrams: UDP, or a UNIX datagram socket. */
bool address_is_datagram(const struct address *address);

/* Return whether this is a UNIX address with a file (not abstract, not unnamed). */
bool address_is_path(const struct address *address);

/* Write the URL form that address_parse() takes; returns BUFFER. */
char *address_format(const struct address *address, char *buffer, size_t size);

/*
 * Write a peer or local address for logs and JSON: "192.0.2.1:7", "[2001:db8::1]:7", "unix:PATH"
 * whatever the socket's type; an IPv4-mapped IPv6 address is written as IPv4. Bytes of a path are
 * escaped. Returns BUFFER.
 */
char *address_format_sockaddr(
    const struct sockaddr *sa, socklen_t length, char *buffer, size_t size);

/*
 * Parse ADDRESS/BITS, or an address alone; errors as address_parse(). Bits set beyond the length
 * are an error: 10.0.0.1/8 is a mistake more often than a wish.
 */
ATTR_MUSTCHECK int network_parse(
    const char *text, struct network *ret_network, const char **ret_error);

/* Return whether SA, an IPv4 or IPv6 address, lies in NETWORK; any other family does not. */
bool network_has(const struct network *network, const struct sockaddr *sa);

#endif
