/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where to send: the address as a user writes it, and the socket addresses that it stands for.
 * Unlike the daemon, a client looks up names: once, before the run.
 */
#ifndef ECHOD_ECHOPING_TARGET_H
#define ECHOD_ECHOPING_TARGET_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/address.h"
#include "base/attributes.h"
#include "base/error_list.h"

#define ECHOPING_CANDIDATES 8

enum echoping_transport {
	ECHOPING_TCP,
	ECHOPING_UDP,
	ECHOPING_UNIX, /* stream */
};

/* One socket address. */
struct echoping_place {
	socklen_t length;
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_un un;
	} u;
};

struct echoping_target {
	enum echoping_transport transport;
	char host[256]; /* as written, without brackets; unused for ECHOPING_UNIX */
	char port[6];   /* digits */
	/* For ECHOPING_UNIX from the start, else from echoping_target_resolve() on. */
	struct echoping_place places[ECHOPING_CANDIDATES];
	size_t count;
};

/* Return "tcp", "udp" or "unix". */
const char *echoping_target_transport_name(enum echoping_transport transport);

/*
 * Parse an address. WORD is tcp, udp or unix, or NULL where the user left it out: then a URL says
 * which, a path or @NAME is unix, and the rest is tcp. Returns 0, or -EINVAL with one line added
 * to ERRORS. Nothing is looked up.
 */
ATTR_MUSTCHECK int echoping_target_parse(const char *word, const char *text,
    struct error_list *errors, struct echoping_target *ret_target);

/*
 * Find the socket addresses, in the system's order of preference. FAMILY is AF_UNSPEC, AF_INET or
 * AF_INET6. May wait for name servers. Returns 0, or -errno with one line added to ERRORS.
 */
ATTR_MUSTCHECK int echoping_target_resolve(
    struct echoping_target *target, int family, struct error_list *errors);

/* Make the place with this index the only one. */
void echoping_target_choose(struct echoping_target *target, size_t index);

/* Write the first place, or the address as written before there is one; returns BUFFER. */
char *echoping_target_format(const struct echoping_target *target, char *buffer, size_t size);

/* As echoping_target_format(), in the form of a URL. */
char *echoping_target_url(const struct echoping_target *target, char *buffer, size_t size);

#endif
