/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "engine/listener.h"

#include <errno.h>
#include <stdlib.h>

#include <event2/event.h>
#include <event2/listener.h>

#include "base/clock.h"

/* libevent accepts until the backlog is empty: a flood must not keep signals and control waiting.
 */
#define BATCH_MAX 64

void
listener_breathe(struct listener *lis)
{
	/* libevent's accept loop ends when its callback has disabled the listener */
	(void)evconnlistener_disable(lis->evl);
	event_active(lis->breath, EV_TIMEOUT, 0);
}

static void
listener_on_accept(
    struct evconnlistener *evl, evutil_socket_t fd, struct sockaddr *sa, int length, void *arg)
{
	struct listener *lis = arg;

	(void)evl;
	lis->hooks.accepted(lis->hooks.context, lis, fd, sa, (socklen_t)length);
	if (lis->accepting && ++lis->batch >= BATCH_MAX)
		listener_breathe(lis);
}

static void
listener_on_error(struct evconnlistener *evl, void *arg)
{
	int error = errno;
	struct listener *lis = arg;

	(void)evl;
	lis->hooks.failed(lis->hooks.context, lis, error);
}

static void
listener_on_breath(evutil_socket_t fd, short what, void *arg)
{
	struct listener *lis = arg;

	(void)fd;
	(void)what;
	lis->batch = 0;
	if (lis->accepting)
		(void)evconnlistener_enable(lis->evl);
}

struct listener *
listener_new(
    struct loop *loop, const struct listen_socket *socket, const struct listener_hooks *hooks)
{
	struct listener *lis = calloc(1, sizeof(*lis));

	if (lis == NULL)
		return NULL;
	lis->hooks = *hooks;
	lis->breath = event_new(loop_base(loop), -1, 0, listener_on_breath, lis);
	/* the socket listens already (backlog 0), and is not the evconnlistener's to close */
	if (lis->breath != NULL)
		lis->evl = evconnlistener_new(loop_base(loop), listener_on_accept, lis,
		    LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_DISABLED, 0, socket->fd);
	if (lis->evl == NULL) {
		lis->socket = (struct listen_socket)LISTEN_SOCKET_NONE;
		listener_free(lis);
		return NULL;
	}
	evconnlistener_set_error_cb(lis->evl, listener_on_error);
	lis->socket = *socket;
	return lis;
}

void
listener_pause(struct listener *lis)
{
	lis->accepting = false;
	(void)evconnlistener_disable(lis->evl);
}

void
listener_resume(struct listener *lis)
{
	lis->accepting = true;
	lis->batch = 0;
	(void)evconnlistener_enable(lis->evl);
}

void
listener_drain_backlog(struct listener *lis, int64_t time_ns)
{
	int64_t deadline_ns = clock_now_ns() + time_ns;

	while (clock_now_ns() < deadline_ns) {
		struct sockaddr_storage sa = { .ss_family = AF_UNSPEC };
		socklen_t length = sizeof(sa);
		int fd = accept4(
		    lis->socket.fd, (struct sockaddr *)&sa, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0)
			lis->hooks.accepted(
			    lis->hooks.context, lis, fd, (struct sockaddr *)&sa, length);
		else if (errno != EINTR && errno != ECONNABORTED)
			break;
	}
}

void
listener_free(struct listener *lis)
{
	if (lis == NULL)
		return;
	if (lis->evl != NULL)
		evconnlistener_free(lis->evl);
	if (lis->breath != NULL)
		event_free(lis->breath);
	listen_socket_close(&lis->socket);
	free(lis);
}
