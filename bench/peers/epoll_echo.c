/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Peer of the bench: raw epoll, one thread, level-triggered. One recv of 64 KiB and one send per
 * event; EPOLLOUT only while a socket refuses bytes, and nothing is read from it until they left.
 * usage: epoll_echo PORT
 */
#include <arpa/inet.h>
#include <errno.h>
#include <err.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS_MAX 256
#define BUFFER_BYTES 65536

struct connection {
	int fd;
	char *pending; /* what the socket refused, NULL when nothing waits */
	size_t offset, length;
};

static void
connection_close(struct connection *conn)
{
	close(conn->fd);
	free(conn->pending);
	free(conn);
}

static void
connection_watch(struct connection *conn, int epoll, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = conn };

	if (epoll_ctl(epoll, EPOLL_CTL_MOD, conn->fd, &event) < 0)
		err(1, "epoll_ctl");
}

static void
connection_on_readable(struct connection *conn, int epoll)
{
	static char buffer[BUFFER_BYTES];
	ssize_t got = recv(conn->fd, buffer, sizeof(buffer), 0), sent;

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0) {
		connection_close(conn);
		return;
	}
	sent = send(conn->fd, buffer, (size_t)got, MSG_NOSIGNAL);
	if (sent == got)
		return;
	if (sent < 0 && errno != EAGAIN) {
		connection_close(conn);
		return;
	}
	if (sent < 0)
		sent = 0;
	conn->offset = 0;
	conn->length = (size_t)(got - sent);
	conn->pending = malloc(conn->length);
	if (conn->pending == NULL) {
		connection_close(conn);
		return;
	}
	memcpy(conn->pending, buffer + sent, conn->length);
	connection_watch(conn, epoll, EPOLLOUT);
}

static void
connection_on_writable(struct connection *conn, int epoll)
{
	ssize_t sent = send(
	    conn->fd, conn->pending + conn->offset, conn->length - conn->offset, MSG_NOSIGNAL);

	if (sent < 0 && errno != EAGAIN) {
		connection_close(conn);
		return;
	}
	if (sent > 0)
		conn->offset += (size_t)sent;
	if (conn->offset < conn->length)
		return;
	free(conn->pending);
	conn->pending = NULL;
	connection_watch(conn, epoll, EPOLLIN);
}

static void
listener_on_readable(int listener, int epoll)
{
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct connection *conn = calloc(1, sizeof(*conn));
		struct epoll_event event = { .events = EPOLLIN, .data.ptr = conn };

		if (conn == NULL)
			err(1, "calloc");
		conn->fd = fd;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
		if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
			err(1, "epoll_ctl");
	}
}

int
main(int argc, char **argv)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons((uint16_t)(argc > 1 ? atoi(argv[1]) : 0)) };
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event events[EVENTS_MAX] = { { .events = EPOLLIN, .data.ptr = NULL } };

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(listener, 4096) < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, events) < 0)
		err(1, "port %s", argc > 1 ? argv[1] : "?");
	for (;;) {
		int count = epoll_wait(epoll, events, EVENTS_MAX, -1);

		for (int i = 0; i < count; i++) {
			struct connection *conn = events[i].data.ptr;

			if (conn == NULL)
				listener_on_readable(listener, epoll);
			else if (conn->pending != NULL)
				connection_on_writable(conn, epoll);
			else
				connection_on_readable(conn, epoll);
		}
	}
}
