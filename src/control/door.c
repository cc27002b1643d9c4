/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "control/door.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "control/spare.h"

#define HEADERS_MAX 8192
#define BODY_MAX 4096

/* Most of a request that waits in memory; evhttp gives up on one long before. */
#define INPUT_MAX (2 * (HEADERS_MAX + BODY_MAX))

/* How often deadlines are looked at, and accepting is tried again after an error. */
#define SWEEP_NS (250 * NS_PER_MS)

/* How long accepting must have gone well before another failure is worth a line. */
#define EPISODE_NS (10 * NS_PER_S)

/* For a client that there was no memory to keep a record of. */
#define EVHTTP_TIMEOUT_S (24 * 60 * 60)

/* While every place is taken, how long a client may think about its request. */
#define PATIENCE_NS (250 * NS_PER_MS)

/*
 * evhttp does not tell when a client comes or goes. But it lets us make the bufferevent, and we
 * keep a reference to it: once evhttp has freed its own, the callbacks are gone. The descriptor
 * goes with the last reference (BEV_OPT_CLOSE_ON_FREE). If evhttp closed it, the next to get its
 * number would share it with the events of a bufferevent that is still there, and lose input.
 */
struct door_client {
	TAILQ_ENTRY(door_client) next;
	struct bufferevent *bev; /* a reference of our own */
	int64_t since_ns;
	bool expired; /* told to go */
};

TAILQ_HEAD(door_client_list, door_client);

struct door {
	struct listen_socket socket; /* owned; LISTEN_SOCKET_NONE until the door is open */
	struct evhttp *http;         /* owned */
	struct evconnlistener *evl;  /* owned by http */
	struct event *sweep;         /* owned */
	struct door_settings settings;
	struct door_hooks hooks;
	struct door_client_list clients; /* longest there first */
	size_t count;
	bool shut; /* nobody else is let in */
	struct spare spare;
	int64_t failed_ns; /* when accepting last failed for good */
	int64_t swept_ns;  /* when the clients were last looked at */
};

static void door_on_sweep(evutil_socket_t fd, short what, void *arg);

/* Looked for by its listener: see door_find(). */
struct door_search {
	const struct evconnlistener *evl;
	struct door *found;
};

static int
door_on_event(const struct event_base *base, const struct event *event, void *arg)
{
	struct door_search *search = arg;
	struct door *door;

	(void)base;
	if (event_get_callback(event) != door_on_sweep)
		return 0;
	door = event_get_callback_arg(event);
	if (door->evl == search->evl)
		search->found = door;
	return search->found != NULL;
}

/*
 * evhttp sets the listener's argument to itself and does not tell whose it is. The sweep of each
 * door is always pending, so the loop's events, few on the main loop, know the way.
 */
static struct door *
door_find(struct evconnlistener *evl)
{
	struct door_search search = { .evl = evl };

	(void)event_base_foreach_event(evconnlistener_get_base(evl), door_on_event, &search);
	return search.found;
}

/* Without a descriptor to give, accept(2) does not even look whether somebody waits. */
static bool
door_has_waiting(struct evconnlistener *evl)
{
	struct pollfd pfd = { .fd = evconnlistener_get_fd(evl), .events = POLLIN };

	return poll(&pfd, 1, 0) > 0;
}

/*
 * Out of descriptors, one of the reserve makes the room: the client is still in the backlog, and
 * the next turn of the loop takes it. Else the sweep starts accepting again.
 */
static void
door_on_error(struct evconnlistener *evl, void *arg)
{
	int error = errno;
	bool exhausted = error == EMFILE || error == ENFILE;
	struct door *door = door_find(evl);
	int64_t now_ns = clock_now_ns();

	(void)arg;
	if (exhausted && (!door_has_waiting(evl) || (door != NULL && spare_give(&door->spare))))
		return;
	(void)evconnlistener_disable(evl);
	if (door == NULL)
		return;
	if (now_ns - door->failed_ns >= EPISODE_NS)
		log_warning("control port: cannot accept: %s", strerror(error));
	door->failed_ns = now_ns;
}

/* Without memory evhttp makes a bufferevent of its own, or closes the client. */
static struct bufferevent *
door_on_connect(struct event_base *base, void *arg)
{
	struct door *door = arg;
	struct door_client *client = calloc(1, sizeof(*client));

	if (client != NULL)
		client->bev = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
	if (client == NULL || client->bev == NULL) {
		free(client);
		return NULL;
	}
	bufferevent_setwatermark(client->bev, EV_READ, 0, INPUT_MAX);
	bufferevent_incref(client->bev);
	client->since_ns = clock_now_ns();
	TAILQ_INSERT_TAIL(&door->clients, client, next);
	if (++door->count >= door->settings.clients)
		(void)evconnlistener_disable(door->evl);
	return client->bev;
}

/*
 * Not as EV_TIMEOUT: that would put off the next sweep by an interval each time, and requests that
 * come often enough would put off all deadlines.
 */
static void
door_sweep_soon(struct door *door)
{
	event_active(door->sweep, EV_READ, 0);
}

static void
door_forget(struct door *door, struct door_client *client)
{
	TAILQ_REMOVE(&door->clients, client, next);
	door->count--;
	(void)bufferevent_decref(client->bev);
	free(client);
}

/* ASKING: its request is not there yet, or not answered yet. */
static bool
door_is_late(const struct door *door, const struct door_client *client, bool asking, int64_t now_ns)
{
	int64_t age_ns = now_ns - client->since_ns;

	if (asking && door->count >= door->settings.clients && age_ns >= PATIENCE_NS)
		return true;
	return age_ns >= door->settings.timeout_ns;
}

/*
 * While the loop did not run, because the process was stopped or had much to do, nobody could be
 * heard: that time counts for no client. What they sent meanwhile is read next.
 */
static void
door_forgive(struct door *door, int64_t now_ns)
{
	int64_t late_ns = now_ns - door->swept_ns - SWEEP_NS;
	struct door_client *client;

	door->swept_ns = now_ns;
	if (late_ns < SWEEP_NS)
		return;
	TAILQ_FOREACH (client, &door->clients, next) {
		client->since_ns += late_ns;
		if (client->since_ns > now_ns)
			client->since_ns = now_ns;
	}
}

static void
door_on_sweep(evutil_socket_t fd, short what, void *arg)
{
	struct door *door = arg;
	struct door_client *client, *next;
	int64_t now_ns = clock_now_ns();
	bool gone = false, again = false;

	(void)fd;
	(void)what;
	door_forgive(door, now_ns);
	TAILQ_FOREACH_SAFE (client, &door->clients, next, next) {
		bufferevent_data_cb reading;
		bufferevent_event_cb served;

		bufferevent_getcb(client->bev, &reading, NULL, &served, NULL);
		if (served == NULL) {
			door_forget(door, client);
			gone = true;
		} else if (!client->expired &&
			   door_is_late(door, client, reading != NULL, now_ns)) {
			client->expired = again = true;
			bufferevent_trigger_event(client->bev,
			    BEV_EVENT_READING | BEV_EVENT_TIMEOUT, BEV_OPT_DEFER_CALLBACKS);
		}
	}
	/* their descriptors are closed in the present turn, and nobody else is to have them */
	if (!spare_fill(&door->spare) && gone)
		again = true;
	/* evhttp frees those in the present turn: their places are there at its end */
	if (again)
		door_sweep_soon(door);
	if (door->count < door->settings.clients && !door->shut)
		(void)evconnlistener_enable(door->evl);
}

/* The answer is written, evhttp frees the client next. */
static void
door_on_answered(struct evhttp_request *req, void *arg)
{
	struct door *door = arg;

	(void)req;
	door_sweep_soon(door);
}

static void
door_on_request(struct evhttp_request *req, void *arg)
{
	struct door *door = arg;

	evhttp_request_set_on_complete_cb(req, door_on_answered, door);
	door->hooks.asked(door->hooks.context, req);
}

/* Build what serves FD. On failure door_free() puts away what is there; FD stays open. */
static int
door_open(struct door *door, struct event_base *base, int fd)
{
	struct timeval interval = clock_timeval(SWEEP_NS);

	door->sweep = event_new(base, -1, EV_PERSIST, door_on_sweep, door);
	door->http = evhttp_new(base);
	if (door->sweep == NULL || door->http == NULL || event_add(door->sweep, &interval) < 0)
		return -ENOMEM;
	evhttp_set_max_headers_size(door->http, HEADERS_MAX);
	evhttp_set_max_body_size(door->http, BODY_MAX);
	/*
	 * All, even those that evhttp has no name for: a refusal is ours to word. But not CONNECT,
	 * after which evhttp would not close: that one it refuses by itself.
	 */
	evhttp_set_allowed_methods(door->http, UINT16_MAX & ~EVHTTP_REQ_CONNECT);
	/* its timers would judge before what waits in a socket is read: see door_forgive() */
	evhttp_set_timeout(door->http, EVHTTP_TIMEOUT_S);
	evhttp_set_bevcb(door->http, door_on_connect, door);
	evhttp_set_gencb(door->http, door_on_request, door);
	door->evl = evconnlistener_new(base, NULL, NULL, LEV_OPT_CLOSE_ON_EXEC, 0, fd);
	if (door->evl == NULL)
		return -ENOMEM;
	if (evhttp_bind_listener(door->http, door->evl) == NULL) {
		evconnlistener_free(door->evl);
		return -ENOMEM;
	}
	evconnlistener_set_error_cb(door->evl, door_on_error);
	return 0;
}

struct door *
door_new(struct loop *loop, const struct listen_socket *sock, const struct door_settings *settings,
    const struct door_hooks *hooks)
{
	struct door *door = calloc(1, sizeof(*door));

	if (door == NULL)
		return NULL;
	TAILQ_INIT(&door->clients);
	door->hooks = *hooks;
	door->socket = (struct listen_socket)LISTEN_SOCKET_NONE;
	door->swept_ns = clock_now_ns();
	door->failed_ns = door->swept_ns - EPISODE_NS;
	if (door_open(door, loop_base(loop), sock->fd) < 0) {
		door_free(door);
		return NULL;
	}
	door->socket = *sock;
	(void)spare_fill(&door->spare);
	door_change(door, settings);
	return door;
}

void
door_change(struct door *door, const struct door_settings *settings)
{
	door->settings = *settings;
	if (door->count >= settings->clients)
		(void)evconnlistener_disable(door->evl);
}

void
door_shut(struct door *door)
{
	if (door == NULL)
		return;
	door->shut = true;
	(void)evconnlistener_disable(door->evl);
}

size_t
door_unsent(const struct door *door)
{
	const struct door_client *client;
	size_t bytes = 0;

	if (door == NULL)
		return 0;
	TAILQ_FOREACH (client, &door->clients, next)
		bytes += evbuffer_get_length(bufferevent_get_output(client->bev));
	return bytes;
}

void
door_free(struct door *door)
{
	struct door_client *client;

	if (door == NULL)
		return;
	if (door->http != NULL)
		evhttp_free(door->http);
	while ((client = TAILQ_FIRST(&door->clients)) != NULL)
		door_forget(door, client);
	if (door->sweep != NULL)
		event_free(door->sweep);
	spare_done(&door->spare);
	listen_socket_close(&door->socket);
	free(door);
}
