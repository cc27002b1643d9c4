/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where to send: the address as a user writes it, the socket addresses that it stands for, and
 * sockets connected to them. Unlike the daemon, a client looks up names: once, before the run. All
 * sockets are close-on-exec and non-blocking, TCP ones without Nagle's delay (RFC 896).
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

/*
 * Make a socket and begin to connect it to the first address. The caller owns *ret_fd. Returns 0
 * when connected, -EINPROGRESS with *ret_fd set when that is still to come, or another -errno.
 */
ATTR_MUSTCHECK int echoping_target_open(const struct echoping_target *target, int *ret_fd);

/*
 * Connect one socket to the first of the addresses that answers within TIMEOUT_NS, and make that
 * address the only one. The wait ends when WAKE_FD turns readable. The caller owns *ret_fd. Returns
 * 0, -ECANCELED after WAKE_FD, or the -errno of the last address.
 */
ATTR_MUSTCHECK int echoping_target_connect(
    struct echoping_target *target, int64_t timeout_ns, int wake_fd, int *ret_fd);

/*
 * Connect COUNT sockets to the first address into FDS, which holds -1 where there is none yet; the
 * caller closes them in any case. A bounded number is under way at once, and each gets TIMEOUT_NS.
 * WAKE_FD is as above. Returns 0, or the -errno of the first one that failed.
 */
ATTR_MUSTCHECK int echoping_target_connect_many(
    const struct echoping_target *target, size_t count, int64_t timeout_ns, int wake_fd, int *fds);

#endif
