/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Descriptors that the service manager passed in (sd_listen_fds(3)), before and until they find
 * their listener: checked for family, type and state, matched by name, then by address.
 * Main loop only.
 */
#ifndef ECHOD_ENGINE_INHERITANCE_H
#define ECHOD_ENGINE_INHERITANCE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/address.h"
#include "base/attributes.h"
#include "base/error_list.h"
#include "config/config.h"

struct inherited_socket {
	int fd;                 /* owned until taken; then -1 */
	char *name;             /* owned; FileDescriptorName=, "" when the manager gave none */
	struct address address; /* valid after inheritance_check() */
};

struct inheritance {
	struct inherited_socket *sockets; /* owned */
	size_t count;
};

#define INHERITANCE_NONE \
	{ \
		NULL, 0 \
	}

/*
 * Refuse what no listener could serve. Returns 0, or -EINVAL with one line in ERRORS for each
 * descriptor that is neither a listening stream socket nor a bound datagram socket of a known
 * family, with its number and name.
 */
ATTR_MUSTCHECK int inheritance_check(struct inheritance *inheritance, struct error_list *errors);

/*
 * Refuse a descriptor that has the name of CFG and is of another kind, datagrams for a stream or
 * the other way round. Returns 0, or -EINVAL with a line in ERRORS. INHERITANCE may be NULL.
 */
ATTR_MUSTCHECK int inheritance_check_kind(const struct inheritance *inheritance,
    const struct listener_config *cfg, struct error_list *errors);

/*
 * Find the descriptor for CFG and give it to the caller: the one with the listener's name and
 * address, else with its name, else with its address. Returns -1 where there is none.
 * INHERITANCE may be NULL.
 */
int inheritance_take(struct inheritance *inheritance, const struct listener_config *cfg);

/* Close and forget what was not taken; with WARN, a line in the log for each. */
void inheritance_done(struct inheritance *inheritance, bool warn);

#endif
