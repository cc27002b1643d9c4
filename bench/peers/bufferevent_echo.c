/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Peer of the bench: the echo of libevent's textbooks, one thread. The read callback moves the
 * input buffer to the output buffer and leaves the rest to the bufferevent. With "direct" it sends
 * within the callback what the socket takes at once: the least that a bufferevent can cost.
 * usage: bufferevent_echo PORT [direct]
 */
#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>

static bool direct;

/* Send of INPUT what goes at once, when nothing is before it. */
static void
connection_send(struct bufferevent *bev, struct evbuffer *input)
{
	struct evbuffer_iovec vector;
	ssize_t sent;

	if (evbuffer_get_length(bufferevent_get_output(bev)) > 0 ||
	    evbuffer_peek(input, -1, NULL, &vector, 1) < 1)
		return;
	sent = send(
	    bufferevent_getfd(bev), vector.iov_base, vector.iov_len, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (sent > 0)
		evbuffer_drain(input, (size_t)sent);
}

static void
connection_on_read(struct bufferevent *bev, void *arg)
{
	struct evbuffer *input = bufferevent_get_input(bev);

	(void)arg;
	if (direct)
		connection_send(bev, input);
	if (evbuffer_get_length(input) > 0)
		bufferevent_write_buffer(bev, input);
}

/* Set once the client has ended its side: called when the last byte has left. */
static void
connection_on_flushed(struct bufferevent *bev, void *arg)
{
	(void)arg;
	bufferevent_free(bev);
}

static void
connection_on_event(struct bufferevent *bev, short events, void *arg)
{
	(void)arg;
	if ((events & BEV_EVENT_EOF) == 0 ||
	    evbuffer_get_length(bufferevent_get_output(bev)) == 0) {
		bufferevent_free(bev);
		return;
	}
	bufferevent_disable(bev, EV_READ);
	bufferevent_setcb(bev, NULL, connection_on_flushed, connection_on_event, NULL);
}

static void
listener_on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *peer,
    int peer_length, void *arg)
{
	struct bufferevent *bev;

	(void)peer;
	(void)peer_length;
	(void)arg;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
	bev = bufferevent_socket_new(evconnlistener_get_base(listener), fd, BEV_OPT_CLOSE_ON_FREE);
	if (bev == NULL)
		err(1, "bufferevent_socket_new");
	bufferevent_setcb(bev, connection_on_read, NULL, connection_on_event, NULL);
	bufferevent_enable(bev, EV_READ | EV_WRITE);
}

int
main(int argc, char **argv)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons((uint16_t)(argc > 1 ? atoi(argv[1]) : 0)) };
	struct event_base *base = event_base_new();

	direct = argc > 2 && strcmp(argv[2], "direct") == 0;
	signal(SIGPIPE, SIG_IGN);
	if (base == NULL || evconnlistener_new_bind(base, listener_on_accept, NULL,
				LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE,
				4096, (struct sockaddr *)&address, sizeof(address)) == NULL)
		err(1, "port %s", argc > 1 ? argv[1] : "?");
	return event_base_dispatch(base) < 0;
}
