/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where to send: the address as a user writes it, and the socket addresses that it stands for.
 * Unlike the daemon, a client looks up names: once, before the run.
 */
#ifndef ECHOD_ECHOPING_TARGET_H
#define ECHOD_ECHOPING_TARGET_H

#include <stddef.h>

#include "base/address.h"
#include "base/attributes.h"
#include "base/error_list.h"

#define ECHOPING_CANDIDATES 8

struct echoping_target {
	enum address_transport transport; /* TCP, UDP or UNIX (stream) */
	char host[256];                   /* as written, without brackets; unused for UNIX */
	char port[6];                     /* digits */
	/* For ADDRESS_UNIX from the start, else from echoping_target_resolve() on. */
	struct address addresses[ECHOPING_CANDIDATES];
	size_t count;
};

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

/* Make the address with this index the only one. */
void echoping_target_choose(struct echoping_target *target, size_t index);

/* Write the first address, or the address as written before there is one; returns BUFFER. */
char *echoping_target_format(const struct echoping_target *target, char *buffer, size_t size);

/* As echoping_target_format(), in the form of a URL. */
char *echoping_target_url(const struct echoping_target *target, char *buffer, size_t size);

#endif
