/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "engine/listen_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/filter.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"

#define RETRY_NS (20 * NS_PER_MS)

/* Datagrams that may wait for a busy worker, in bytes; net.core.rmem_max caps it. */
#define RECEIVE_BUFFER (4 << 20)

/* Keepalive: how many probes, and their interval as a part of the silence before them. */
#define KEEPALIVE_PROBES 3
#define KEEPALIVE_PART 4

static int
listen_socket_set(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

/*
 * TCP_USER_TIMEOUT is left out on purpose: its clock goes on while a small window opens and closes,
 * so it ends clients that take their echo steadily, only slowly (seen with Linux 6.18). What the
 * kernel holds for a client is watched by connection.c instead.
 */
static int
listen_socket_set_tcp(int fd, const struct listen_options *options, unsigned set)
{
	int idle = options->keepalive > 0 ? options->keepalive : 1;
	const struct {
		unsigned bit; /* 0: always */
		int level, option, value;
	} rows[] = {
		{ LISTEN_NODELAY, IPPROTO_TCP, TCP_NODELAY, options->nodelay ? 1 : 0 },
		{ LISTEN_MSS, IPPROTO_TCP, TCP_MAXSEG, options->mss },
		{ LISTEN_KEEPALIVE, IPPROTO_TCP, TCP_KEEPIDLE, idle },
		{ LISTEN_KEEPALIVE, IPPROTO_TCP, TCP_KEEPINTVL,
		    (idle + KEEPALIVE_PART - 1) / KEEPALIVE_PART },
		{ LISTEN_KEEPALIVE, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES },
		{ LISTEN_KEEPALIVE, SOL_SOCKET, SO_KEEPALIVE, options->keepalive > 0 ? 1 : 0 },
		/* an urgent byte is a byte of the stream like any other */
		{ 0, SOL_SOCKET, SO_OOBINLINE, 1 },
	};
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(rows) && r == 0; i++) {
		if (rows[i].bit == 0 || (set & rows[i].bit) != 0)
			r = listen_socket_set(fd, rows[i].level, rows[i].option, rows[i].value);
	}
	return r;
}

/* Return the set of what SOCK is to be set to. */
static unsigned
listen_socket_sets(const struct listen_socket *sock, const struct listen_options *options)
{
	return sock->inherited ? options->named : UINT_MAX;
}

/*
 * Set the options of all connections that are in SET. Linux copies them to every accepted socket,
 * so that no connection costs a system call for them.
 */
static int
listen_socket_set_traffic(
    int fd, const struct listen_options *options, const struct address *address, unsigned set)
{
	sa_family_t family = address->u.sa.sa_family;
	int tos = options->dscp << 2;
	int r = 0;

	if (family == AF_UNIX)
		return 0;
	if (address->transport == ADDRESS_TCP)
		r = listen_socket_set_tcp(fd, options, set);
	if ((set & LISTEN_DSCP) == 0)
		return r;
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
	 * With SO_REUSEADDR another process could take the port of a datagram socket, and its
	 * traffic: there it is set for the bind alone, where two sockets of ours overlap.
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

int
listen_socket_prepare_datagrams(int fd, sa_family_t family)
{
	bool v6 = family == AF_INET6;
	int r;

	if (family == AF_UNIX)
		return 0;
	/* also for IPv6: of an IPv4 packet on a dual-stack socket this one tells more */
	r = listen_socket_set(fd, IPPROTO_IP, IP_PKTINFO, 1);
	if (r == 0 && v6)
		r = listen_socket_set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
	/* whoever passed the socket in may have set it; no echo goes to a broadcast address */
	if (r == 0)
		r = listen_socket_set(fd, SOL_SOCKET, SO_BROADCAST, 0);
	if (r < 0)
		return r;
	/*
	 * A socket that was passed in may queue ICMP errors, which nobody reads: it would be
	 * ready to read for ever.
	 */
	(void)listen_socket_set(fd, IPPROTO_IP, IP_RECVERR, 0);
	if (v6)
		(void)listen_socket_set(fd, IPPROTO_IPV6, IPV6_RECVERR, 0);
	/*
	 * A kernel that refuses one of these serves as well. As for the last: an answer is as large
	 * as what was asked, and is fragmented where that was, whatever a forged ICMP message says.
	 */
	(void)listen_socket_set(fd, IPPROTO_UDP, UDP_GRO, 1);
	/* to answer from an address that is local by a route alone */
	(void)listen_socket_set(fd, IPPROTO_IP, IP_FREEBIND, 1);
	(void)listen_socket_set(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_OMIT);
	if (v6)
		(void)listen_socket_set(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_OMIT);
	return 0;
}

/* Make what was bound ready to be served: with a backlog, or for datagrams. */
static int
listen_socket_begin(int fd, const struct address *address, const struct listen_options *options)
{
	if (address->transport == ADDRESS_UDP)
		(void)listen_socket_set(fd, SOL_SOCKET, SO_REUSEADDR, 0);
	if (address_is_datagram(address))
		return listen_socket_prepare_datagrams(fd, address->u.sa.sa_family);
	return listen(fd, options->backlog) < 0 ? -errno : 0;
}

/* Add a line to ERRORS that names the STEP that failed. Returns ERROR. */
static int
listen_socket_fail(struct error_list *errors, const char *step, const struct listener_config *cfg,
    const struct listen_options *options, int error)
{
	error_list_add(errors, "%s: cannot %s %s: %s", options->key, step, cfg->address_text,
	    strerror(-error));
	return error;
}

static int
listen_socket_try(const struct listener_config *cfg, const struct listen_options *options,
    const struct listen_socket *lost, struct listen_socket *sock, struct error_list *errors)
{
	struct address address;
	int r = address_resolve(&cfg->address, &address);

	if (r < 0) {
		error_list_add(errors, "%s: cannot bind %s: there is no interface %s now",
		    options->key, cfg->address_text, cfg->address.zone);
		return r;
	}
	sock->fd = listen_socket_create(&address);
	if (sock->fd < 0)
		return listen_socket_fail(errors, "make a socket for", cfg, options, sock->fd);
	r = listen_socket_set_bind_options(sock->fd, cfg, &address, options->overlap);
	if (r == 0)
		r = listen_socket_set_traffic(
		    sock->fd, options, &address, listen_socket_sets(sock, options));
	if (r < 0)
		return listen_socket_fail(errors, "set the options of", cfg, options, r);
	if (address_is_path(&address)) {
		r = socket_file_bind(sock->fd, &address, lost != NULL ? &lost->file : NULL,
		    options->key, &sock->file, errors);
		if (r == 0)
			r = socket_file_set_access(
			    &sock->file, options->mode, options->group, options->key, errors);
		if (r < 0)
			return r;
	} else if (bind(sock->fd, &address.u.sa, address.length) < 0) {
		return listen_socket_fail(errors, "bind", cfg, options, -errno);
	}
	if (address_is_ip(&address) && address_is_datagram(&address))
		(void)listen_socket_set(sock->fd, SOL_SOCKET, SO_RCVBUF, RECEIVE_BUFFER);
	r = listen_socket_begin(sock->fd, &address, options);
	if (r < 0)
		return listen_socket_fail(errors, "listen on", cfg, options, r);
	sock->options = *options;
	r = address_of_socket(sock->fd, &sock->address);
	if (r < 0)
		return listen_socket_fail(errors, "read back", cfg, options, r);
	return 0;
}

/* A socket that is to be made or adopted for CFG. */
static struct listen_socket
listen_socket_for(const struct listener_config *cfg)
{
	return (
	    struct listen_socket){ .fd = -1, .file = SOCKET_FILE_NONE, .configured = cfg->address };
}

int
listen_socket_open(const struct listener_config *cfg, const struct listen_options *options,
    int64_t timeout_ns, const struct listen_socket *lost, struct listen_socket *ret_socket,
    struct error_list *errors)
{
	const struct timespec pause = { .tv_nsec = RETRY_NS };
	int64_t deadline_ns = clock_now_ns() + timeout_ns;

	for (;;) {
		struct listen_socket sock = listen_socket_for(cfg);
		struct error_list found = ERROR_LIST_EMPTY;
		int r = listen_socket_try(cfg, options, lost, &sock, &found);
		bool again = r == -EADDRINUSE && clock_now_ns() < deadline_ns;

		if (r == 0)
			*ret_socket = sock;
		else
			listen_socket_close(&sock);
		if (r < 0 && !again)
			error_list_add(errors, "%s", error_list_first(&found));
		error_list_done(&found);
		if (!again)
			return r;
		(void)nanosleep(&pause, NULL);
	}
}

const char *
listen_socket_loss(const struct listen_socket *sock)
{
	struct address now;

	if (sock->inherited)
		return NULL;
	if (socket_file_is_lost(&sock->file))
		return "its socket file was removed or replaced";
	/* an interface that is gone may come back as the same one: of a tunnel, say */
	if (sock->configured.zone[0] != '\0' && address_resolve(&sock->configured, &now) == 0 &&
	    now.u.in6.sin6_scope_id != sock->address.u.in6.sin6_scope_id)
		return "its interface was made anew";
	return NULL;
}

/* Return how many connections wait in the backlog of a listening TCP socket. */
static unsigned
listen_socket_waiting(int fd)
{
	struct tcp_info info = { .tcpi_unacked = 0 };
	socklen_t length = sizeof(info);

	(void)getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length);
	return info.tcpi_unacked;
}

void
listen_socket_set_early(struct listen_socket *sock, int fd)
{
	if (sock->early == 0)
		return;
	sock->early--;
	(void)listen_socket_set_traffic(
	    fd, &sock->options, &sock->address, listen_socket_sets(sock, &sock->options));
}

int
listen_socket_adopt(const struct listener_config *cfg, const struct listen_options *options, int fd,
    struct listen_socket *ret_socket, struct error_list *errors)
{
	struct listen_socket sock = listen_socket_for(cfg);
	const char *step = "take over";
	int flags = fcntl(fd, F_GETFL), r = 0;

	sock.fd = fd;
	sock.inherited = true;
	/* inherited descriptors are blocking and survive exec unless somebody says otherwise */
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
	    fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		r = -errno;
	if (r == 0)
		r = address_of_socket(fd, &sock.address);
	if (r == 0 && address_is_datagram(&sock.address)) {
		step = "serve";
		r = listen_socket_begin(fd, &sock.address, options);
	}
	if (r < 0)
		error_list_add(errors, "listeners.%s: cannot %s inherited descriptor %d: %s",
		    cfg->name, step, fd, strerror(-r));
	else
		r = listen_socket_update(&sock, cfg, options, errors);
	if (r < 0) {
		listen_socket_close(&sock);
		return r;
	}
	/* Linux copies options when a handshake ends: connections in the backlog have old ones */
	if (sock.address.transport == ADDRESS_TCP)
		sock.early = listen_socket_waiting(fd);
	*ret_socket = sock;
	return 0;
}

int
listen_socket_update(struct listen_socket *sock, const struct listener_config *cfg,
    const struct listen_options *options, struct error_list *errors)
{
	unsigned set = listen_socket_sets(sock, options);
	int r = listen_socket_set_traffic(sock->fd, options, &sock->address, set);

	if (r < 0)
		return listen_socket_fail(errors, "set the options of", cfg, options, r);
	if (sock->file.lock_fd >= 0) {
		bool same = options->mode == sock->options.mode &&
			    options->group == sock->options.group;

		/* of a file that is lost there is nothing to set, and that is no mistake */
		if (!same || !socket_file_is_lost(&sock->file))
			r = socket_file_set_access(
			    &sock->file, options->mode, options->group, options->key, errors);
		if (r < 0)
			return r;
	}
	/* a second listen(2) only changes the backlog; datagrams have none */
	if (!address_is_datagram(&sock->address) && (set & LISTEN_BACKLOG) != 0 &&
	    listen(sock->fd, options->backlog) < 0)
		return listen_socket_fail(errors, "listen on", cfg, options, -errno);
	sock->options = *options;
	return 0;
}

/* Return the set of those options that a file gives. */
static unsigned
listen_options_named(const struct listener_config *cfg)
{
	static const struct {
		const char *key;
		unsigned bit;
	} rows[] = {
		{ "backlog", LISTEN_BACKLOG },
		{ "nodelay", LISTEN_NODELAY },
		{ "dscp", LISTEN_DSCP },
		{ "mss", LISTEN_MSS },
		{ "keepalive", LISTEN_KEEPALIVE },
	};
	unsigned named = 0;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (config_listener_names(cfg, rows[i].key))
			named |= rows[i].bit;
	}
	return named;
}

struct listen_options
listen_options_of(const struct listener_config *cfg)
{
	struct listen_options options = { .backlog = (int)cfg->backlog,
		.nodelay = cfg->nodelay,
		.dscp = (int)cfg->dscp,
		.mss = (int)cfg->mss,
		/* the kernel counts in whole seconds: round up, as 0 would mean none */
		.keepalive = (int)((cfg->keepalive + NS_PER_S - 1) / NS_PER_S),
		.mode = (mode_t)cfg->mode,
		.group = cfg->group[0] == '\0' ? getegid() : cfg->gid,
		.named = listen_options_named(cfg) };

	(void)snprintf(options.key, sizeof(options.key), "listeners.%s", cfg->name);
	return options;
}

void
listen_socket_yield(struct listen_socket *sock)
{
	socket_file_remove(&sock->file);
	if (sock->address.transport == ADDRESS_UDP)
		(void)listen_socket_set(sock->fd, SOL_SOCKET, SO_REUSEADDR, 1);
}

/*
 * Drop what asks for a new connection, and nothing else: the last packet of a handshake has no SYN,
 * so handshakes under way still end. Offset 13 of the TCP header has the flags.
 */
static int
listen_socket_drop_syn(int fd)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 13),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, TH_SYN | TH_ACK),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TH_SYN, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	};
	struct sock_fprog program = { .len = ARRAY_SIZE(code), .filter = code };

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

unsigned
listen_socket_shut(struct listen_socket *sock)
{
	if (sock->address.transport != ADDRESS_TCP) {
		/* first the name, then the socket: nobody finds a file that refuses */
		socket_file_remove(&sock->file);
		if (!sock->inherited)
			(void)shutdown(sock->fd, SHUT_RD);
		return (unsigned)sock->options.backlog + 1;
	}
	if (!sock->inherited && listen_socket_drop_syn(sock->fd) == 0)
		return UINT_MAX;
	return listen_socket_waiting(sock->fd);
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

/* Return an option of FD at the level of sockets, -1 where it has none. */
static int
inherited_option(int fd, int option)
{
	int value = -1;
	socklen_t length = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, option, &value, &length) < 0 ? -1 : value;
}

static bool
inherited_is_connected(int fd)
{
	struct sockaddr_storage peer;
	socklen_t length = sizeof(peer);

	return getpeername(fd, (struct sockaddr *)&peer, &length) == 0;
}

/* Return what is wrong with INHERITED, NULL when a listener can serve it. */
static const char *
inherited_fault(struct inherited_socket *inherited)
{
	struct address *address = &inherited->address;
	int fd = inherited->fd;
	int type = inherited_option(fd, SO_TYPE), family = inherited_option(fd, SO_DOMAIN);
	bool bound;

	if (type < 0)
		return "is not a socket";
	if (family != AF_INET && family != AF_INET6 && family != AF_UNIX)
		return "is of a family that echod does not serve (use IPv4, IPv6 or UNIX sockets)";
	if (type != SOCK_STREAM && type != SOCK_DGRAM)
		return "is no stream and no datagram socket (use ListenStream= or "
		       "ListenDatagram=)";
	if (type == SOCK_STREAM && inherited_option(fd, SO_ACCEPTCONN) != 1)
		return inherited_is_connected(fd)
			   ? "is a single connection (use Accept=no; systemd-socket-activate "
			     "without --accept)"
			   : "does not listen (use ListenStream= with Accept=no)";
	if (address_of_socket(fd, address) < 0)
		return "has no address";
	/* whether somebody could send to it */
	bound = family == AF_UNIX ? address->length > offsetof(struct sockaddr_un, sun_path)
				  : address_port(address) != 0;
	return type == SOCK_DGRAM && !bound ? "is not bound (use ListenDatagram=)" : NULL;
}

int
inheritance_check(struct inheritance *inheritance, struct error_list *errors)
{
	char name[256];
	int r = 0;

	for (size_t i = 0; i < inheritance->count; i++) {
		struct inherited_socket *inherited = &inheritance->sockets[i];
		const char *fault = inherited_fault(inherited);

		if (fault == NULL)
			continue;
		error_list_add(errors, "inherited descriptor %d (name \"%s\") %s", inherited->fd,
		    text_escape_string(inherited->name, name, sizeof(name)), fault);
		r = -EINVAL;
	}
	return r;
}

int
inheritance_take(
    struct inheritance *inheritance, const struct listener_config *cfg, struct error_list *errors)
{
	bool datagram = address_is_datagram(&cfg->address);
	struct inherited_socket *best = NULL, *stranger = NULL;
	int best_score = 0, fd;

	for (size_t i = 0; inheritance != NULL && i < inheritance->count; i++) {
		struct inherited_socket *inherited = &inheritance->sockets[i];
		bool same_name = strcmp(inherited->name, cfg->name) == 0;
		bool same_address = address_stands_for(&cfg->address, &inherited->address);
		int score = (same_name ? 2 : 0) + (same_address ? 1 : 0);

		if (inherited->fd < 0 || score <= best_score)
			continue;
		/* a stream is never served as datagrams, whatever its name */
		if (address_is_datagram(&inherited->address) != datagram) {
			stranger = same_name ? inherited : stranger;
			continue;
		}
		best = inherited;
		best_score = score;
	}
	if (best != NULL) {
		fd = best->fd;
		best->fd = -1;
		return fd;
	}
	if (stranger == NULL)
		return -ENOENT;
	error_list_add(errors,
	    "inherited descriptor %d (name \"%s\") is a %s socket, but listeners.%s serves %s (use "
	    "Listen%s=, or another name)",
	    stranger->fd, cfg->name, datagram ? "stream" : "datagram", cfg->name, cfg->address_text,
	    datagram ? "Datagram" : "Stream");
	return -EPROTOTYPE;
}

void
inheritance_done(struct inheritance *inheritance, bool warn)
{
	char name[256], address[ADDRESS_TEXT_MAX];

	for (size_t i = 0; i < inheritance->count; i++) {
		struct inherited_socket *inherited = &inheritance->sockets[i];

		if (inherited->fd >= 0 && warn)
			log_warning("closing inherited descriptor %d (name \"%s\", %s): no enabled "
				    "listener has its name or address",
			    inherited->fd, text_escape_string(inherited->name, name, sizeof(name)),
			    address_format(&inherited->address, address, sizeof(address)));
		if (inherited->fd >= 0)
			close(inherited->fd);
		free(inherited->name);
	}
	free(inheritance->sockets);
	*inheritance = (struct inheritance)INHERITANCE_NONE;
}
