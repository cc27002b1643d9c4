/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "echoping/target.h"

#include <errno.h>
#include <netdb.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "base/text.h"

#define DEFAULT_PORT "7"

/* The URL form begins with these. */
static const struct {
	enum address_transport transport;
	const char *scheme;
} schemes[] = {
	{ ADDRESS_TCP, "tcp://" },
	{ ADDRESS_UDP, "udp://" },
	{ ADDRESS_UNIX, "unix:" },
};

/* Add a line about what the user wrote. */
static int
target_refuse(struct error_list *errors, const char *text, const char *what)
{
	char escaped[128];

	text_escape_string(text, escaped, sizeof(escaped));
	error_list_add(errors, "\"%s\" %s", escaped, what);
	return -EINVAL;
}

static int
target_parse_unix(const char *path, struct error_list *errors, struct echoping_target *target)
{
	struct sockaddr_un *un = &target->addresses[0].u.un;
	size_t length = strlen(path);

	if (length == 0 || strcmp(path, "@") == 0)
		return target_refuse(errors, path, "is no UNIX socket (write a path or @NAME)");
	if (length >= sizeof(un->sun_path))
		return target_refuse(errors, path, "is too long a path (at most 107 bytes)");
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, path, length);
	/* a path is stored with its NUL; an abstract name begins with a NUL instead of the @ */
	if (path[0] == '@')
		un->sun_path[0] = '\0';
	else
		length++;
	target->addresses[0].length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
	target->addresses[0].transport = ADDRESS_UNIX;
	target->count = 1;
	return 0;
}

static bool
target_is_port(const char *text)
{
	size_t digits = strspn(text, "0123456789");
	unsigned port;

	if (digits == 0 || digits > 5 || text[digits] != '\0' || sscanf(text, "%5u", &port) != 1)
		return false;
	return port > 0 && port <= 65535;
}

/* HOST, HOST:PORT, [V6], [V6]:PORT, or an IPv6 address without brackets and port. */
static int
target_parse_host(const char *text, struct error_list *errors, struct echoping_target *target)
{
	const char *host = text, *end, *port = DEFAULT_PORT;
	const char *colon = strrchr(text, ':');

	if (text[0] == '[') {
		host = text + 1;
		end = strchr(host, ']');
		if (end == NULL || (end[1] != '\0' && end[1] != ':'))
			return target_refuse(errors, text, "is no address (write [IPV6]:PORT)");
		if (end[1] == ':')
			port = end + 2;
	} else if (colon != NULL && colon == strchr(text, ':')) {
		end = colon;
		port = colon + 1;
	} else {
		end = text + strlen(text);
	}
	if (end == host || (size_t)(end - host) >= sizeof(target->host))
		return target_refuse(errors, text, "has no host (write HOST:PORT)");
	if (!target_is_port(port))
		return target_refuse(
		    errors, text, "has no valid port (write HOST:PORT, 1 to 65535)");
	memcpy(target->host, host, (size_t)(end - host));
	target->host[end - host] = '\0';
	(void)snprintf(target->port, sizeof(target->port), "%s", port);
	return 0;
}

int
echoping_target_parse(const char *word, const char *text, struct error_list *errors,
    struct echoping_target *ret_target)
{
	struct echoping_target target = { .transport = ADDRESS_TCP };
	size_t named = ARRAY_SIZE(schemes), schemed = ARRAY_SIZE(schemes);
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
		if (word != NULL && strcmp(word, address_transport_name(schemes[i].transport)) == 0)
			named = i;
		if (strncmp(text, schemes[i].scheme, strlen(schemes[i].scheme)) == 0)
			schemed = i;
	}
	if (schemed != ARRAY_SIZE(schemes))
		text += strlen(schemes[schemed].scheme);
	if (word != NULL && named == ARRAY_SIZE(schemes))
		return target_refuse(
		    errors, word, "is not tcp, udp or unix (a port is written HOST:PORT)");
	if (word != NULL && schemed != ARRAY_SIZE(schemes) && named != schemed)
		return target_refuse(errors, word, "contradicts the address");
	if (word != NULL)
		target.transport = schemes[named].transport;
	else if (schemed != ARRAY_SIZE(schemes))
		target.transport = schemes[schemed].transport;
	else if (text[0] == '/' || text[0] == '@')
		target.transport = ADDRESS_UNIX;

	if (target.transport == ADDRESS_UNIX)
		r = target_parse_unix(text, errors, &target);
	else
		r = target_parse_host(text, errors, &target);
	if (r == 0)
		*ret_target = target;
	return r;
}

int
echoping_target_resolve(struct echoping_target *target, int family, struct error_list *errors)
{
	struct addrinfo hints = { .ai_family = family, .ai_flags = AI_NUMERICSERV };
	struct addrinfo *list = NULL;
	char host[sizeof(target->host)];
	int r;

	if (target->transport == ADDRESS_UNIX)
		return 0;
	hints.ai_socktype = target->transport == ADDRESS_UDP ? SOCK_DGRAM : SOCK_STREAM;
	r = getaddrinfo(target->host, target->port, &hints, &list);
	if (r != 0) {
		text_escape_string(target->host, host, sizeof(host));
		error_list_add(
		    errors, "%s: %s", host, r == EAI_SYSTEM ? strerror(errno) : gai_strerror(r));
		return -ENXIO;
	}
	target->count = 0;
	for (struct addrinfo *ai = list; ai != NULL; ai = ai->ai_next) {
		struct address *address = &target->addresses[target->count];

		if (target->count == ECHOPING_CANDIDATES || ai->ai_addrlen > sizeof(address->u))
			break;
		memcpy(&address->u, ai->ai_addr, ai->ai_addrlen);
		address->length = ai->ai_addrlen;
		address->transport = target->transport;
		target->count++;
	}
	freeaddrinfo(list);
	return 0;
}

void
echoping_target_choose(struct echoping_target *target, size_t index)
{
	target->addresses[0] = target->addresses[index];
	target->count = 1;
}

char *
echoping_target_format(const struct echoping_target *target, char *buffer, size_t size)
{
	char host[sizeof(target->host)];

	if (target->count > 0)
		return address_format_sockaddr(
		    &target->addresses[0].u.sa, target->addresses[0].length, buffer, size);
	text_escape_string(target->host, host, sizeof(host));
	(void)snprintf(buffer, size, "%s:%s", host, target->port);
	return buffer;
}

char *
echoping_target_url(const struct echoping_target *target, char *buffer, size_t size)
{
	char host[sizeof(target->host)];

	if (target->count > 0)
		return address_format(&target->addresses[0], buffer, size);
	text_escape_string(target->host, host, sizeof(host));
	(void)snprintf(buffer, size, "%s://%s:%s", address_transport_name(target->transport), host,
	    target->port);
	return buffer;
}
