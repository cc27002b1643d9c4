/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "engine/inheritance.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"

/* Whether a datagram socket has an address that somebody could send to. */
static bool
inheritance_is_bound(int fd)
{
	struct address address;

	if (address_of_socket(fd, &address) < 0)
		return false;
	if (address_is_ip(&address))
		return address_port(&address) != 0;
	return address.length > offsetof(struct sockaddr_un, sun_path);
}

/* Return what is wrong with FD as a socket that a listener could serve, NULL when nothing is. */
static const char *
inheritance_fault(int fd)
{
	int family = 0, type = 0, listening = 0;
	socklen_t length = sizeof(int);

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) < 0)
		return "is not a socket";
	length = sizeof(int);
	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &length) < 0 ||
	    (family != AF_INET && family != AF_INET6 && family != AF_UNIX))
		return "is of a family that echod does not serve (use IPv4, IPv6 or UNIX sockets)";
	if (type == SOCK_DGRAM)
		return inheritance_is_bound(fd) ? NULL : "is not bound (use ListenDatagram=)";
	if (type != SOCK_STREAM)
		return "is no stream and no datagram socket (use ListenStream= or "
		       "ListenDatagram=)";
	length = sizeof(int);
	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) < 0 || listening == 0)
		return "does not listen (use Accept=no)";
	return NULL;
}

static const char *
inheritance_name(const struct inherited_socket *inherited, char *buffer, size_t size)
{
	return text_escape_string(inherited->name, buffer, size);
}

int
inheritance_check(struct inheritance *inheritance, struct error_list *errors)
{
	char name[256];
	int r = 0;

	for (size_t i = 0; i < inheritance->count; i++) {
		struct inherited_socket *inherited = &inheritance->sockets[i];
		const char *fault = inheritance_fault(inherited->fd);

		if (fault == NULL && address_of_socket(inherited->fd, &inherited->address) < 0)
			fault = "has no address";
		if (fault == NULL)
			continue;
		error_list_add(errors, "inherited descriptor %d (name \"%s\") %s", inherited->fd,
		    inheritance_name(inherited, name, sizeof(name)), fault);
		r = -EINVAL;
	}
	return r;
}

int
inheritance_check_kind(const struct inheritance *inheritance, const struct listener_config *cfg,
    struct error_list *errors)
{
	bool datagram = address_is_datagram(&cfg->address);

	for (size_t i = 0; inheritance != NULL && i < inheritance->count; i++) {
		const struct inherited_socket *inherited = &inheritance->sockets[i];

		if (inherited->fd < 0 || strcmp(inherited->name, cfg->name) != 0 ||
		    address_is_datagram(&inherited->address) == datagram)
			continue;
		error_list_add(errors,
		    "inherited descriptor %d (name \"%s\") is a %s socket, but listeners.%s "
		    "serves %s (use Listen%s=, or another name)",
		    inherited->fd, cfg->name, datagram ? "stream" : "datagram", cfg->name,
		    cfg->address_text, datagram ? "Datagram" : "Stream");
		return -EINVAL;
	}
	return 0;
}

/* Better matches score higher; 0 is no match. */
static int
inheritance_score(const struct inherited_socket *inherited, const struct listener_config *cfg)
{
	bool same_name = strcmp(inherited->name, cfg->name) == 0;
	bool same_address = address_equal(&inherited->address, &cfg->address);

	/* a stream is never served as datagrams, whatever its name */
	if (inherited->fd < 0 ||
	    address_is_datagram(&inherited->address) != address_is_datagram(&cfg->address))
		return 0;
	return (same_name ? 2 : 0) + (same_address ? 1 : 0);
}

int
inheritance_take(struct inheritance *inheritance, const struct listener_config *cfg)
{
	struct inherited_socket *best = NULL;
	int best_score = 0, fd;

	for (size_t i = 0; inheritance != NULL && i < inheritance->count; i++) {
		int score = inheritance_score(&inheritance->sockets[i], cfg);

		if (score > best_score) {
			best = &inheritance->sockets[i];
			best_score = score;
		}
	}
	if (best == NULL)
		return -1;
	fd = best->fd;
	best->fd = -1;
	return fd;
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
			    inherited->fd, inheritance_name(inherited, name, sizeof(name)),
			    address_format(&inherited->address, address, sizeof(address)));
		if (inherited->fd >= 0)
			close(inherited->fd);
		free(inherited->name);
	}
	free(inheritance->sockets);
	*inheritance = (struct inheritance)INHERITANCE_NONE;
}
