/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "engine/inheritance.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"

/* Return what is wrong with FD as a listening stream socket, NULL when nothing is. */
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
		return "is a datagram socket (use ListenStream=)";
	if (type != SOCK_STREAM)
		return "is not a stream socket (use ListenStream=)";
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

/* Better matches score higher; 0 is no match. */
static int
inheritance_score(const struct inherited_socket *inherited, const struct listener_config *cfg)
{
	bool same_name = strcmp(inherited->name, cfg->name) == 0;
	bool same_address = address_equal(&inherited->address, &cfg->address);

	if (inherited->fd < 0)
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
