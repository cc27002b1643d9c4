/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Listening sockets: made from a listener's configuration, or taken over from the service
 * manager. This room owns what the kernel holds for a listener, and the file of a UNIX socket;
 * it knows nothing of connections. Main loop only.
 */
#ifndef ECHOD_ENGINE_LISTEN_SOCKET_H
#define ECHOD_ENGINE_LISTEN_SOCKET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"
#include "base/attributes.h"
#include "base/error_list.h"
#include "config/config.h"
#include "engine/socket_file.h"

struct listen_socket {
	int fd;                  /* owned; -1: none */
	struct address address;  /* as bound: port 0 is resolved */
	bool inherited;          /* came from the service manager: its file is not ours to remove */
	struct socket_file file; /* of a UNIX socket with a path that we bound */
};

#define LISTEN_SOCKET_NONE \
	{ \
		.fd = -1, .file = SOCKET_FILE_NONE \
	}

/*
 * Make, bind and listen as CFG says. An address that is in use is tried again until PATIENCE_NS
 * have passed: a predecessor that was just killed needs a moment to let go. Returns 0, or -errno
 * with a line in ERRORS that names the listener, the step and the address.
 */
ATTR_MUSTCHECK int listen_socket_open(const struct listener_config *cfg, int64_t patience_ns,
    struct listen_socket *ret_socket, struct error_list *errors);

/*
 * Take over FD for CFG: make it non-blocking and close-on-exec, set what CFG says of new
 * connections. Takes FD in any case. Returns 0, or -errno with a line in ERRORS.
 */
ATTR_MUSTCHECK int listen_socket_adopt(const struct listener_config *cfg, int fd,
    struct listen_socket *ret_socket, struct error_list *errors);

/*
 * Bring an open socket up to date with CFG: backlog, and what accepted connections inherit
 * (nodelay, dscp, mss); mode and group of a socket file that is ours. Returns 0 or -errno.
 */
ATTR_MUSTCHECK int listen_socket_update(
    struct listen_socket *socket, const struct listener_config *cfg, struct error_list *errors);

/* Close, and remove the file if it is still ours. A socket that is not open is fine. */
void listen_socket_close(struct listen_socket *socket);

#endif
