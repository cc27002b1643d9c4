/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where to send: the address as a user writes it, the socket addresses that it stands for, and
 * sockets connected to them. Unlike the daemon, a client looks up names: once, before the run. All
 * sockets are close-on-exec and non-blocking, TCP ones without Nagle's delay (RFC 896).
 */
#ifndef ECHOD_ECHOPING_TARGET_H
#define ECHOD_ECHOPING_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "base/attributes.h"
#include "base/error_list.h"

#define ECHOPING_CANDIDATES 8
#define ECHOPING_TITLE_MAX (ADDRESS_TEXT_MAX + 256)

/* What the sockets of a run are given before they connect; not for UNIX sockets. */
struct echoping_socket_options {
	struct address source; /* length 0: the kernel's choice; its port is 0 */
	int dscp;              /* of RFC 2474; -1: none */
	int ttl;               /* or hop limit; -1: the system's */
	int pmtu;              /* IP_MTU_DISCOVER, see ip(7); -1: the system's */
};

struct echoping_target {
	enum address_transport transport;
	char host[256]; /* as written, without brackets; unused for UNIX */
	char port[6];   /* digits */
	bool port_given;
	struct echoping_socket_options socket;
	/* Of UNIX sockets from the start, else from echoping_target_resolve() on. */
	struct address addresses[ECHOPING_CANDIDATES];
	size_t count;
};

/*
 * Parse an address. WORD is tcp, udp, unix or unixgram, or NULL where the user left it out: then a
 * URL says which, a path or @NAME is unix, and the rest is tcp. Returns 0, or -EINVAL with one line
 * added to ERRORS. Nothing is looked up, and no socket options are set.
 */
ATTR_MUSTCHECK int echoping_target_parse(const char *word, const char *text,
    struct error_list *errors, struct echoping_target *ret_target);

/* Return whether messages are datagrams there. */
bool echoping_target_is_datagram(const struct echoping_target *target);

/*
 * Find the socket addresses, in the system's order of preference. FAMILY is AF_UNSPEC, AF_INET or
 * AF_INET6. Waits for name servers until TIMEOUT_NS are over or WAKE_FD turns readable. Returns 0,
 * or -errno with one line added to ERRORS: -ETIMEDOUT and -ECANCELED for the end of the wait.
 */
ATTR_MUSTCHECK int echoping_target_resolve(struct echoping_target *target, int family,
    int64_t timeout_ns, int wake_fd, struct error_list *errors);

/*
 * Make a socket and begin to connect it to the first address. The caller owns *ret_fd. Returns 0
 * when connected, -EINPROGRESS with *ret_fd set when that is still to come, or another -errno.
 * A datagram socket that the kernel gave the target's own port is -ECONNREFUSED; of a stream socket
 * echoping_target_is_self() tells, once it is connected.
 */
ATTR_MUSTCHECK int echoping_target_open(const struct echoping_target *target, int *ret_fd);

/* Add a line to ERRORS that STEP failed with R (-errno), and what may help; returns R. */
int echoping_target_fail(
    const struct echoping_target *target, const char *step, int r, struct error_list *errors);

/*
 * Write the first address as a URL to BUFFER, and after it the name that it was found by, if it
 * was written as one: "tcp://192.0.2.1:7 (echo.example.net)". Returns BUFFER.
 */
char *echoping_target_title(const struct echoping_target *target, char *buffer, size_t size);

/*
 * Return whether FD, connected to the first address, is connected to itself. The kernel does that
 * when it happens to choose the port that is called, which only a port of its range for clients can
 * be, and where nobody listens on it: so nobody is there.
 */
bool echoping_target_is_self(const struct echoping_target *target, int fd);

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
