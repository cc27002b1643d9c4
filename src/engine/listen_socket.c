/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "engine/listen_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "engine/datagram/socket.h"

#define RETRY_NS (20 * NS_PER_MS)

static int
listen_socket_set(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

/*
 * What holds for all that is sent. Linux hands it on to every accepted socket, so no connection
 * pays for it.
 */
static int
listen_socket_set_traffic(
    int fd, const struct listen_options *options, const struct address *address)
{
	sa_family_t family = address->u.sa.sa_family;
	int tos = options->dscp << 2;
	int r = 0;

	if (family == AF_UNIX)
		return 0;
	if (address->transport == ADDRESS_TCP)
		r = listen_socket_set(fd, IPPROTO_TCP, TCP_NODELAY, options->nodelay ? 1 : 0);
	if (r == 0 && address->transport == ADDRESS_TCP)
		r = listen_socket_set(fd, IPPROTO_TCP, TCP_MAXSEG, options->mss);
	if (r == 0 && family == AF_INET6)
		r = listen_socket_set(fd, IPPROTO_IPV6, IPV6_TCLASS, tos);
	/* also for IPv6: a dual-stack socket serves IPv4 as well */
	if (r == 0)
		r = listen_socket_set(fd, IPPROTO_IP, IP_TOS, tos);
	return r;
}

static int
listen_socket_set_bind_options(
    int fd, const struct listener_config *cfg, const struct address *address, bool overlap)
{
	sa_family_t family = address->u.sa.sa_family;
	int r = 0;

	if (family == AF_UNIX)
		return 0;
	/*
	 * Of datagrams it would let another process take the same port, and the traffic: there it
	 * is set for the moment of the bind alone, and where two sockets of ours meet.
	 */
	if (address->transport == ADDRESS_TCP || overlap)
		r = listen_socket_set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (r == 0 && family == AF_INET6)
		r = listen_socket_set(fd, IPPROTO_IPV6, IPV6_V6ONLY, cfg->v6only ? 1 : 0);
	if (r == 0 && cfg->freebind)
		r = listen_socket_set(fd, IPPROTO_IP, IP_FREEBIND, 1);
	return r;
}

/* A wildcard falls back to IPv4 where the kernel has no IPv6. */
static int
listen_socket_create(struct address *address)
{
	int type = (address_is_datagram(address) ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK |
		   SOCK_CLOEXEC;
	int fd = socket(address->u.sa.sa_family, type, 0);

	if (fd < 0 && errno == EAFNOSUPPORT && address->wildcard) {
		in_port_t port = address->u.in6.sin6_port;

		memset(&address->u, 0, sizeof(address->u));
		address->u.in.sin_family = AF_INET;
		address->u.in.sin_port = port;
		address->length = sizeof(address->u.in);
		fd = socket(AF_INET, type, 0);
	}
	return fd < 0 ? -errno : fd;
}

/* Make what was bound ready to be served: with a backlog, or for datagrams. */
static int
listen_socket_begin(int fd, const struct address *address, const struct listen_options *options)
{
	if (address->transport == ADDRESS_UDP)
		(void)listen_socket_set(fd, SOL_SOCKET, SO_REUSEADDR, 0);
	if (address_is_datagram(address))
		return datagram_socket_prepare(fd, address->u.sa.sa_family);
	return listen(fd, options->backlog) < 0 ? -errno : 0;
}

/* Wraps the steps so that each failure names its step. WHO is "listeners.NAME". */
static int
listen_socket_fail(struct error_list *errors, const char *who, const char *step,
    const struct listener_config *cfg, int error)
{
	error_list_add(
	    errors, "%s: cannot %s %s: %s", who, step, cfg->address_text, strerror(-error));
	return error;
}

static int
listen_socket_try(const struct listener_config *cfg, const struct listen_options *options,
    const char *who, struct listen_socket *sock, struct error_list *errors)
{
	struct address address = cfg->address;
	int r;

	sock->fd = listen_socket_create(&address);
	if (sock->fd < 0)
		return listen_socket_fail(errors, who, "make a socket for", cfg, sock->fd);
	r = listen_socket_set_bind_options(sock->fd, cfg, &address, options->overlap);
	if (r == 0)
		r = listen_socket_set_traffic(sock->fd, options, &address);
	if (r < 0)
		return listen_socket_fail(errors, who, "set the options of", cfg, r);
	if (address_is_path(&address)) {
		r = socket_file_bind(sock->fd, &address, who, &sock->file, errors);
		if (r == 0)
			r = socket_file_set_access(
			    &sock->file, options->mode, options->group, who, errors);
		if (r < 0)
			return r;
	} else if (bind(sock->fd, &address.u.sa, address.length) < 0) {
		return listen_socket_fail(errors, who, "bind", cfg, -errno);
	}
	r = listen_socket_begin(sock->fd, &address, options);
	if (r < 0)
		return listen_socket_fail(errors, who, "listen on", cfg, r);
	sock->options = *options;
	r = address_of_socket(sock->fd, &sock->address);
	if (r < 0)
		return listen_socket_fail(errors, who, "read back", cfg, r);
	return 0;
}

/* Hand over what was made or adopted for CFG. */
static void
listen_socket_give(
    struct listen_socket *sock, const struct listener_config *cfg, struct listen_socket *ret_socket)
{
	sock->configured = cfg->address;
	sock->v6only = cfg->v6only;
	sock->freebind = cfg->freebind;
	*ret_socket = *sock;
}

int
listen_socket_open(const struct listener_config *cfg, const struct listen_options *options,
    int64_t patience_ns, struct listen_socket *ret_socket, struct error_list *errors)
{
	int64_t deadline_ns = clock_now_ns() + patience_ns;
	char who[CONFIG_LISTENER_NAME_MAX + 16];

	(void)snprintf(who, sizeof(who), "listeners.%s", cfg->name);
	for (;;) {
		struct listen_socket sock = LISTEN_SOCKET_NONE;
		struct error_list found = ERROR_LIST_EMPTY;
		struct timespec pause = { .tv_nsec = RETRY_NS };
		int r = listen_socket_try(cfg, options, who, &sock, &found);

		if (r == 0) {
			listen_socket_give(&sock, cfg, ret_socket);
			error_list_done(&found);
			return 0;
		}
		listen_socket_close(&sock);
		if (r != -EADDRINUSE || clock_now_ns() >= deadline_ns) {
			error_list_add(errors, "%s", error_list_first(&found));
			error_list_done(&found);
			return r;
		}
		error_list_done(&found);
		(void)nanosleep(&pause, NULL);
	}
}

int
listen_socket_adopt(const struct listener_config *cfg, const struct listen_options *options, int fd,
    struct listen_socket *ret_socket, struct error_list *errors)
{
	struct listen_socket sock = LISTEN_SOCKET_NONE;
	int flags = fcntl(fd, F_GETFL);
	int r = 0;

	sock.fd = fd;
	sock.inherited = true;
	/* inherited descriptors are blocking and survive exec unless somebody says otherwise */
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
	    fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		r = -errno;
	if (r == 0)
		r = address_of_socket(fd, &sock.address);
	if (r < 0)
		error_list_add(errors, "listeners.%s: cannot take over inherited descriptor %d: %s",
		    cfg->name, fd, strerror(-r));
	else
		r = listen_socket_update(&sock, cfg, options, errors);
	if (r == 0 && address_is_datagram(&sock.address)) {
		r = listen_socket_begin(fd, &sock.address, options);
		if (r < 0)
			error_list_add(errors,
			    "listeners.%s: cannot serve inherited descriptor %d: %s", cfg->name, fd,
			    strerror(-r));
	}
	if (r < 0) {
		listen_socket_close(&sock);
		return r;
	}
	listen_socket_give(&sock, cfg, ret_socket);
	return 0;
}

int
listen_socket_update(struct listen_socket *sock, const struct listener_config *cfg,
    const struct listen_options *options, struct error_list *errors)
{
	char who[CONFIG_LISTENER_NAME_MAX + 16];
	int r = listen_socket_set_traffic(sock->fd, options, &sock->address);

	(void)snprintf(who, sizeof(who), "listeners.%s", cfg->name);
	if (r < 0)
		return listen_socket_fail(errors, who, "set the options of", cfg, r);
	if (sock->file.lock_fd >= 0) {
		r = socket_file_set_access(&sock->file, options->mode, options->group, who, errors);
		if (r < 0)
			return r;
	}
	/* a second listen(2) only changes the backlog; datagrams have none */
	if (!address_is_datagram(&sock->address) && listen(sock->fd, options->backlog) < 0)
		return listen_socket_fail(errors, who, "listen on", cfg, -errno);
	sock->options = *options;
	return 0;
}

int
listen_options_read(const struct listener_config *cfg, struct listen_options *ret_options,
    struct error_list *errors)
{
	struct listen_options options = { .backlog = (int)cfg->backlog,
		.nodelay = cfg->nodelay,
		.dscp = (int)cfg->dscp,
		.mss = (int)cfg->mss,
		.mode = (mode_t)cfg->mode,
		.group = getegid() };
	int r = cfg->group[0] == '\0' ? 0 : socket_file_find_group(cfg->group, &options.group);

	if (r < 0) {
		error_list_add(errors, "listeners.%s: cannot use group \"%s\": %s", cfg->name,
		    cfg->group, r == -ENOENT ? "there is no such group" : strerror(-r));
		return r;
	}
	*ret_options = options;
	return 0;
}

void
listen_socket_yield(struct listen_socket *sock)
{
	socket_file_remove(&sock->file);
	if (sock->address.transport == ADDRESS_UDP)
		(void)listen_socket_set(sock->fd, SOL_SOCKET, SO_REUSEADDR, 1);
}

void
listen_socket_close(struct listen_socket *sock)
{
	/* first the name, then the socket: nobody finds a file that refuses */
	socket_file_remove(&sock->file);
	if (sock->fd >= 0)
		close(sock->fd);
	sock->fd = -1;
}
