/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "echoping/target.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"

#define DEFAULT_PORT "7"
/* The kernel chooses no port below this one for a client, see ip_local_port_range in ip(7). */
#define UNPRIVILEGED_PORT 1024
/* More at once would only overflow the server's backlog and wait for retransmissions. */
#define CONNECT_AT_ONCE 128
/* How long to wait for a UNIX server whose backlog is full before the next attempt. */
#define CONNECT_RETRY_MS 2

/* The URL form begins with these. */
static const struct scheme {
	enum address_transport transport;
	const char *prefix;
} schemes[] = {
	{ ADDRESS_TCP, "tcp://" },
	{ ADDRESS_UDP, "udp://" },
	{ ADDRESS_UNIX, "unix:" },
	{ ADDRESS_UNIX_DATAGRAM, "unixgram:" },
};

static bool
target_is_unix(const struct echoping_target *target)
{
	return target->transport == ADDRESS_UNIX || target->transport == ADDRESS_UNIX_DATAGRAM;
}

bool
echoping_target_is_datagram(const struct echoping_target *target)
{
	return target->transport == ADDRESS_UDP || target->transport == ADDRESS_UNIX_DATAGRAM;
}

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
	target->addresses[0].transport = target->transport;
	target->count = 1;
	return 0;
}

static bool
target_is_port(const char *text)
{
	size_t digits = strspn(text, "0123456789");
	unsigned long port = strtoul(text, NULL, 10);

	return digits > 0 && digits <= 5 && text[digits] == '\0' && port > 0 && port <= 65535;
}

/* HOST, HOST:PORT, [V6], [V6]:PORT, or an IPv6 address without brackets and port. */
static int
target_parse_host(const char *text, struct error_list *errors, struct echoping_target *target)
{
	const char *host = text, *end, *port = DEFAULT_PORT;
	const char *colon = strrchr(text, ':');

	if (strstr(text, "://") != NULL)
		return target_refuse(errors, text,
		    "is of no transport that echoping has (write tcp://, udp://, unix: or "
		    "unixgram:)");
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
	target->port_given = strcmp(port, DEFAULT_PORT) != 0 || end[strspn(end, "]")] == ':';
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
	const struct scheme *named = NULL, *prefixed = NULL;
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
		if (word != NULL && strcmp(word, address_transport_name(schemes[i].transport)) == 0)
			named = &schemes[i];
		if (strncmp(text, schemes[i].prefix, strlen(schemes[i].prefix)) == 0)
			prefixed = &schemes[i];
	}
	if (word != NULL && named == NULL)
		return target_refuse(errors, word,
		    "is not tcp, udp, unix or unixgram (a port is written HOST:PORT)");
	if (named != NULL && prefixed != NULL && named != prefixed)
		return target_refuse(errors, word, "contradicts the address");
	if (prefixed != NULL)
		text += strlen(prefixed->prefix);
	if (named != NULL || prefixed != NULL)
		target.transport = (named != NULL ? named : prefixed)->transport;
	else if (text[0] == '/' || text[0] == '@')
		target.transport = ADDRESS_UNIX;

	if (target_is_unix(&target))
		r = target_parse_unix(text, errors, &target);
	else
		r = target_parse_host(text, errors, &target);
	if (r == 0)
		*ret_target = target;
	return r;
}

/* A lookup under way, which is glibc's until it has ended. */
struct target_lookup {
	struct gaicb request;
	struct addrinfo hints;
	char host[256];
	char port[6];
	int done_fd;
};

/* The function of a thread of glibc's, when a lookup has ended. */
static void
target_on_found(union sigval value)
{
	const struct target_lookup *lookup = value.sival_ptr;
	const uint64_t one = 1;

	(void)!write(lookup->done_fd, &one, sizeof(one));
}

/*
 * Look LOOKUP up, which waits for name servers as long as resolv.conf(5) lets it. Returns 0 or an
 * EAI_ code; EAI_SYSTEM with errno set, and then LOOKUP may still be glibc's and is left to it.
 */
static int
target_look_up(struct target_lookup *lookup, int64_t timeout_ns, int wake_fd)
{
	struct sigevent event = { .sigev_notify = SIGEV_THREAD,
		.sigev_notify_function = target_on_found,
		.sigev_value.sival_ptr = lookup };
	struct gaicb *list = &lookup->request;
	struct pollfd fds[2];
	int r;

	lookup->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (lookup->done_fd < 0)
		return EAI_SYSTEM;
	fds[0] = (struct pollfd){ .fd = lookup->done_fd, .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = wake_fd, .events = POLLIN };
	r = getaddrinfo_a(GAI_NOWAIT, &list, 1, &event);
	if (r != 0)
		return r;
	r = poll(fds, ARRAY_SIZE(fds), (int)(timeout_ns / NS_PER_MS));
	if (fds[0].revents == 0) {
		errno = r == 0 ? ETIMEDOUT : ECANCELED;
		return EAI_SYSTEM;
	}
	(void)close(lookup->done_fd);
	return gai_error(&lookup->request);
}

int
echoping_target_resolve(struct echoping_target *target, int family, int64_t timeout_ns, int wake_fd,
    struct error_list *errors)
{
	struct target_lookup *lookup;
	char host[sizeof(target->host)];
	int r, error;

	if (target_is_unix(target))
		return 0;
	lookup = calloc(1, sizeof(*lookup));
	if (lookup == NULL) {
		error_list_add(errors, "%s", strerror(ENOMEM));
		return -ENOMEM;
	}
	memcpy(lookup->host, target->host, sizeof(lookup->host));
	memcpy(lookup->port, target->port, sizeof(lookup->port));
	lookup->hints = (struct addrinfo){ .ai_family = family,
		.ai_flags = AI_NUMERICSERV,
		.ai_socktype = echoping_target_is_datagram(target) ? SOCK_DGRAM : SOCK_STREAM };
	lookup->request = (struct gaicb){
		.ar_name = lookup->host, .ar_service = lookup->port, .ar_request = &lookup->hints
	};
	r = target_look_up(lookup, timeout_ns, wake_fd);
	error = r == EAI_SYSTEM ? errno : ENXIO;
	if (r != 0) {
		text_escape_string(target->host, host, sizeof(host));
		error_list_add(errors, "%s: look up: %s", host,
		    r == EAI_SYSTEM ? strerror(error) : gai_strerror(r));
		return -error;
	}
	target->count = 0;
	for (struct addrinfo *ai = lookup->request.ar_result; ai != NULL; ai = ai->ai_next) {
		struct address *address = &target->addresses[target->count];

		if (target->count == ECHOPING_CANDIDATES || ai->ai_addrlen > sizeof(address->u))
			break;
		memcpy(&address->u, ai->ai_addr, ai->ai_addrlen);
		address->length = ai->ai_addrlen;
		address->transport = target->transport;
		target->count++;
	}
	freeaddrinfo(lookup->request.ar_result);
	free(lookup);
	return 0;
}

/* Give FD what the run wants of its packets, and the address to send from. */
static int
target_prepare_ip(const struct echoping_socket_options *options, int fd, int family)
{
	const bool six = family == AF_INET6;
	const int level = six ? IPPROTO_IPV6 : IPPROTO_IP;
	const int on = 1, traffic_class = options->dscp << 2;
	const struct {
		bool wanted;
		int name;
		const int *value;
	} rows[] = {
		{ options->dscp >= 0, six ? IPV6_TCLASS : IP_TOS, &traffic_class },
		{ options->ttl >= 0, six ? IPV6_UNICAST_HOPS : IP_TTL, &options->ttl },
		{ options->pmtu >= 0, six ? IPV6_MTU_DISCOVER : IP_MTU_DISCOVER, &options->pmtu },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].wanted &&
		    setsockopt(fd, level, rows[i].name, rows[i].value, sizeof(int)) < 0)
			return -errno;
	if (options->source.length == 0)
		return 0;
	/* without it a port would be taken for this address alone, and not shared by targets */
	(void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	return bind(fd, &options->source.u.sa, options->source.length) < 0 ? -errno : 0;
}

static int
target_prepare(const struct echoping_target *target, int fd)
{
	const struct address *address = &target->addresses[0];
	const sa_family_t unnamed = AF_UNIX;
	const int on = 1;

	if (address->transport == ADDRESS_TCP)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (address_is_ip(address))
		return target_prepare_ip(&target->socket, fd, address->u.sa.sa_family);
	/* an echo needs a name to come back to: the kernel chooses one, see unix(7) */
	if (address_is_datagram(address) && bind(fd, (const void *)&unnamed, sizeof(unnamed)) < 0)
		return -errno;
	return 0;
}

char *
echoping_target_title(const struct echoping_target *target, char *buffer, size_t size)
{
	char host[sizeof(target->host)], url[ADDRESS_TEXT_MAX];

	address_format(&target->addresses[0], url, sizeof(url));
	text_escape_string(target->host, host, sizeof(host));
	(void)snprintf(buffer, size,
	    host[0] == '\0' || strstr(url, host) != NULL ? "%s" : "%s (%s)", url, host);
	return buffer;
}

int
echoping_target_fail(
    const struct echoping_target *target, const char *step, int r, struct error_list *errors)
{
	char title[ECHOPING_TITLE_MAX];
	const char *hint = "";

	if (r == -EADDRNOTAVAIL && target->socket.source.length > 0)
		hint = " (is --source an address of this machine?)";
	else if (r == -EADDRNOTAVAIL)
		hint = " (no local port is left)";
	else if (r == -ECONNREFUSED && target->host[0] != '\0' && !target->port_given)
		hint = " (without a port it is 7; write HOST:PORT for another, such as 7007)";
	error_list_add(errors, "%s: %s: %s%s", echoping_target_title(target, title, sizeof(title)),
	    step, strerror(-r), hint);
	return r;
}

bool
echoping_target_is_self(const struct echoping_target *target, int fd)
{
	struct address local;

	return address_port(&target->addresses[0]) >= UNPRIVILEGED_PORT &&
	       address_of_socket(fd, &local) == 0 && address_equal(&local, &target->addresses[0]);
}

int
echoping_target_open(const struct echoping_target *target, int *ret_fd)
{
	const struct address *address = &target->addresses[0];
	const bool datagrams = address_is_datagram(address);
	int fd = socket(address->u.sa.sa_family,
	    (datagrams ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int r;

	if (fd < 0)
		return -errno;
	r = target_prepare(target, fd);
	if (r == 0 && connect(fd, &address->u.sa, address->length) < 0)
		r = -errno;
	if (r == 0 && datagrams && echoping_target_is_self(target, fd))
		r = -ECONNREFUSED;
	if (r < 0 && r != -EINPROGRESS) {
		(void)close(fd);
		return r;
	}
	*ret_fd = fd;
	return r;
}

/* The sockets of echoping_target_connect_many() that are still to be connected, oldest first. */
struct connect_pending {
	struct pollfd fds[CONNECT_AT_ONCE + 1]; /* the one at `count` is that of wake_fd */
	int64_t deadlines_ns[CONNECT_AT_ONCE];
	size_t count;
	const struct echoping_target *target; /* borrowed */
	int *connected;                       /* where connected ones go; borrowed */
	size_t done;                          /* how many have gone there */
};

static int
connect_result(const struct echoping_target *target, int fd)
{
	int error = 0;
	socklen_t length = sizeof(error);

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
		return -errno;
	if (error == 0 && echoping_target_is_self(target, fd))
		error = ECONNREFUSED;
	return -error;
}

/* Move out connected sockets, close those whose time is over. */
static int
connect_collect(struct connect_pending *pending)
{
	int64_t now = clock_now_ns();
	size_t left = 0;
	int r = 0;

	for (size_t i = 0; i < pending->count; i++) {
		int fd = pending->fds[i].fd, result = -EINPROGRESS;

		if (pending->fds[i].revents != 0)
			result = connect_result(pending->target, fd);
		else if (now >= pending->deadlines_ns[i])
			result = -ETIMEDOUT;
		if (result == 0) {
			pending->connected[pending->done++] = fd;
		} else if (result == -EINPROGRESS) {
			pending->fds[left] = (struct pollfd){ .fd = fd, .events = POLLOUT };
			pending->deadlines_ns[left++] = pending->deadlines_ns[i];
		} else {
			(void)close(fd);
			r = r == 0 ? result : r;
		}
	}
	pending->count = left;
	return r;
}

/* Begin one more connection; -EAGAIN when the backlog is full: try again. */
static int
connect_add(struct connect_pending *pending, int64_t timeout_ns)
{
	int fd;
	int r = echoping_target_open(pending->target, &fd);

	if (r == 0) {
		pending->connected[pending->done++] = fd;
	} else if (r == -EINPROGRESS) {
		pending->fds[pending->count] = (struct pollfd){ .fd = fd, .events = POLLOUT };
		pending->deadlines_ns[pending->count++] = clock_now_ns() + timeout_ns;
		r = 0;
	}
	return r;
}

/* Wait until one of those pending is connected or failed, UNTIL_NS at most. */
static int
connect_wait(struct connect_pending *pending, int64_t until_ns, int wake_fd)
{
	struct pollfd *wake = &pending->fds[pending->count];
	int64_t left_ms = (until_ns - clock_now_ns() + NS_PER_MS - 1) / NS_PER_MS;

	*wake = (struct pollfd){ .fd = wake_fd, .events = POLLIN };
	if (poll(pending->fds, pending->count + 1, left_ms > 0 ? (int)left_ms : 0) < 0)
		return errno == EINTR ? 0 : -errno;
	return wake->revents != 0 ? -ECANCELED : connect_collect(pending);
}

int
echoping_target_connect_many(
    const struct echoping_target *target, size_t count, int64_t timeout_ns, int wake_fd, int *fds)
{
	struct connect_pending pending = { .target = target, .connected = fds };
	int64_t give_up_ns = clock_now_ns() + timeout_ns;
	int r = 0;

	while (r == 0 && pending.done < count) {
		size_t before = pending.done + pending.count;
		int64_t until_ns;

		while (r == 0 && pending.done + pending.count < count &&
		       pending.count < CONNECT_AT_ONCE)
			r = connect_add(&pending, timeout_ns);
		if (pending.done + pending.count > before)
			give_up_ns = clock_now_ns() + timeout_ns;
		until_ns = pending.deadlines_ns[0];
		if (r == -EAGAIN) {
			r = clock_now_ns() < give_up_ns ? 0 : -ETIMEDOUT;
			until_ns = clock_now_ns() + CONNECT_RETRY_MS * NS_PER_MS;
		}
		if (r == 0 && pending.done < count)
			r = connect_wait(&pending, until_ns, wake_fd);
	}
	for (size_t i = 0; i < pending.count; i++)
		(void)close(pending.fds[i].fd);
	return r;
}

int
echoping_target_connect(
    struct echoping_target *target, int64_t timeout_ns, int wake_fd, int *ret_fd)
{
	const struct address first = target->addresses[0];
	int r = -ENXIO;

	for (size_t i = 0; i < target->count && r != -ECANCELED; i++) {
		target->addresses[0] = target->addresses[i];
		r = echoping_target_connect_many(target, 1, timeout_ns, wake_fd, ret_fd);
		if (r == 0) {
			target->count = 1;
			return 0;
		}
	}
	target->addresses[0] = first;
	return r;
}
