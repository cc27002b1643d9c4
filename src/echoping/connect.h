/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Opens sockets to the target: one, or thousands with a bounded number under way at once. All are
 * close-on-exec and non-blocking, TCP ones without Nagle's delay (RFC 896).
 */
#ifndef ECHOD_ECHOPING_CONNECT_H
#define ECHOD_ECHOPING_CONNECT_H

#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "echoping/target.h"

/*
 * Make sure that this process may open COUNT more descriptors: raise the soft limit as far as the
 * hard one allows. Returns 0, or -EMFILE with one line added to ERRORS.
 */
ATTR_MUSTCHECK int echoping_connect_reserve(size_t count, struct error_list *errors);

/*
 * Make a socket and begin to connect it to ADDRESS. RECEIVE_BYTES
 * above 0 asks for that much room for datagrams. The caller owns *ret_fd. Returns 0 when
 * connected, -EINPROGRESS with *ret_fd set when that is still to come, or another -errno.
 */
ATTR_MUSTCHECK int echoping_connect_begin(
    const struct address *address, size_t receive_bytes, int *ret_fd);

/*
 * Connect one socket to the first of the target's addresses that answers within TIMEOUT_NS, and
 * make that address the target's only one. WAKE_FD, unless -1, ends the wait when it turns
 * readable. The caller owns *ret_fd. Returns 0, -ECANCELED after WAKE_FD, or the -errno of the last
 * address.
 */
ATTR_MUSTCHECK int echoping_connect_first(
    struct echoping_target *target, int64_t timeout_ns, int wake_fd, int *ret_fd);

/*
 * Connect COUNT sockets to the target's first address into FDS, which holds -1 where there is none
 * yet; the caller closes them in any case. Each gets TIMEOUT_NS. RECEIVE_BYTES and WAKE_FD are as
 * above. Returns 0, or the -errno of the first one that failed.
 */
ATTR_MUSTCHECK int echoping_connect_many(const struct echoping_target *target, size_t count,
    int64_t timeout_ns, size_t receive_bytes, int wake_fd, int *fds);

#endif
