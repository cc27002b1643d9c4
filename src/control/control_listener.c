/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "control/control_listener.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>

#include "base/attributes.h"
#include "base/clock.h"
#include "base/log.h"
#include "control/reply.h"
#include "control/request.h"
#include "control/routes.h"
#include "engine/loop.h"

#define HEADERS_MAX 8192

/* So much of a target is logged: a line leaves out a field that has no room in it. */
#define TARGET_MAX 256
#define BODY_MAX 4096

/* Most of a request that waits in memory; evhttp gives up on one long before. */
#define INPUT_MAX (2 * (HEADERS_MAX + BODY_MAX))

/* How often deadlines are looked at, and accepting is tried again after an error. */
#define SWEEP_NS (250 * NS_PER_MS)

/* How long accepting must have gone well before another failure is worth a line. */
#define EPISODE_NS (10 * NS_PER_S)

/* evhttp's own timeout. It counts only for a client of which no record could be allocated. */
#define EVHTTP_TIMEOUT_S (24 * 60 * 60)

/* Descriptors in reserve, so that an operator is answered when all others are in use. */
#define RESERVE_MAX 4

/* While every place is taken, how long a client may take to send its request. */
#define FULL_TIMEOUT_NS (250 * NS_PER_MS)

/*
 * evhttp does not tell when a client comes or goes. But it lets us make the bufferevent, and we
 * keep a reference to it: once evhttp has freed its own, the callbacks are gone. The descriptor
 * goes with the last reference (BEV_OPT_CLOSE_ON_FREE). If evhttp closed it, the next to get its
 * number would share it with the events of a bufferevent that is still there, and lose input.
 */
struct control_client {
	TAILQ_ENTRY(control_client) next;
	struct bufferevent *bev; /* a reference of our own */
	int64_t since_ns;
	bool expired; /* its deadline has passed: evhttp was told */
};

TAILQ_HEAD(control_client_list, control_client);

struct control_listener {
	struct listen_socket socket;        /* owned; none until all else is built */
	const struct control_config *cfg;   /* borrowed */
	struct routes *routes;              /* borrowed */
	struct evhttp *http;                /* owned */
	struct evconnlistener *evl;         /* owned by http */
	struct event *sweep;                /* owned */
	struct control_client_list clients; /* longest there first */
	size_t count;
	bool stopped;             /* no more clients are accepted */
	int reserve[RESERVE_MAX]; /* owned: closed when no other descriptor is free */
	size_t reserve_count;
	int64_t failed_ns; /* when accepting last failed for good */
	int64_t swept_ns;  /* when the clients were last looked at */
};

/* Open descriptors until the reserve is full or none is free. Returns whether it is full. */
static bool
control_listener_fill_reserve(struct control_listener *lis)
{
	while (lis->reserve_count < RESERVE_MAX) {
		int fd = eventfd(0, EFD_CLOEXEC); /* any kind would do: needs no file system */

		if (fd < 0)
			return false;
		lis->reserve[lis->reserve_count++] = fd;
	}
	return true;
}

/* Close one of the reserve: the next open or accept gets it. Returns whether there was one. */
static bool
control_listener_use_reserve(struct control_listener *lis)
{
	if (lis->reserve_count == 0)
		return false;
	close(lis->reserve[--lis->reserve_count]);
	return true;
}

static bool
control_listener_is_full(const struct control_listener *lis)
{
	return lis->count >= (size_t)lis->cfg->clients;
}

/* Without memory evhttp makes a bufferevent of its own, or closes the client. */
static struct bufferevent *
control_listener_on_connect(struct event_base *base, void *arg)
{
	struct control_listener *lis = arg;
	struct control_client *client = calloc(1, sizeof(*client));

	if (client != NULL)
		client->bev = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
	if (client == NULL || client->bev == NULL) {
		free(client);
		return NULL;
	}
	bufferevent_setwatermark(client->bev, EV_READ, 0, INPUT_MAX);
	bufferevent_incref(client->bev);
	client->since_ns = clock_now_ns();
	TAILQ_INSERT_TAIL(&lis->clients, client, next);
	lis->count++;
	if (control_listener_is_full(lis))
		(void)evconnlistener_disable(lis->evl);
	return client->bev;
}

/*
 * Not as EV_TIMEOUT: that would put off the next sweep by an interval each time, and frequent
 * requests would put off all deadlines.
 */
static void
control_listener_sweep_soon(struct control_listener *lis)
{
	event_active(lis->sweep, EV_READ, 0);
}

static void
control_listener_forget(struct control_listener *lis, struct control_client *client)
{
	TAILQ_REMOVE(&lis->clients, client, next);
	lis->count--;
	(void)bufferevent_decref(client->bev);
	free(client);
}

/* Whether CLIENT has passed its deadline. ASKING: its request has not been answered yet. */
static bool
control_listener_is_late(const struct control_listener *lis, const struct control_client *client,
    bool asking, int64_t now_ns)
{
	int64_t age_ns = now_ns - client->since_ns;

	if (asking && control_listener_is_full(lis) && age_ns >= FULL_TIMEOUT_NS)
		return true;
	return age_ns >= lis->cfg->timeout;
}

/*
 * While the loop did not run, because the process was stopped or had much to do, no request could
 * be read: that time counts for no client. What they sent meanwhile is read next.
 */
static void
control_listener_extend_deadlines(struct control_listener *lis, int64_t now_ns)
{
	int64_t late_ns = now_ns - lis->swept_ns - SWEEP_NS;
	struct control_client *client;

	lis->swept_ns = now_ns;
	if (late_ns < SWEEP_NS)
		return;
	TAILQ_FOREACH (client, &lis->clients, next) {
		client->since_ns += late_ns;
		if (client->since_ns > now_ns)
			client->since_ns = now_ns;
	}
}

static void
control_listener_on_sweep(evutil_socket_t fd ATTR_UNUSED, short what ATTR_UNUSED, void *arg)
{
	struct control_listener *lis = arg;
	struct control_client *client, *next;
	int64_t now_ns = clock_now_ns();
	bool gone = false, again = false;

	control_listener_extend_deadlines(lis, now_ns);
	TAILQ_FOREACH_SAFE (client, &lis->clients, next, next) {
		bufferevent_data_cb reading;
		bufferevent_event_cb served;

		if (deferred_is_patient(&lis->routes->answers.deferred, client->bev))
			client->since_ns = now_ns;
		bufferevent_getcb(client->bev, &reading, NULL, &served, NULL);
		if (served == NULL) {
			control_listener_forget(lis, client);
			gone = true;
		} else if (!client->expired &&
			   control_listener_is_late(lis, client, reading != NULL, now_ns)) {
			client->expired = again = true;
			bufferevent_trigger_event(client->bev,
			    BEV_EVENT_READING | BEV_EVENT_TIMEOUT, BEV_OPT_DEFER_CALLBACKS);
		}
	}
	/* their descriptors are closed in the present turn: the reserve takes them in the next */
	if (!control_listener_fill_reserve(lis) && gone)
		again = true;
	/* evhttp frees those that expired in the present turn: the next sweep counts them out */
	if (again)
		control_listener_sweep_soon(lis);
	if (!lis->stopped && !control_listener_is_full(lis))
		(void)evconnlistener_enable(lis->evl);
}

/* See control_listener_find(). */
struct search {
	const struct evconnlistener *evl;
	struct control_listener *found;
};

static int
control_listener_on_event(
    const struct event_base *base ATTR_UNUSED, const struct event *event, void *arg)
{
	struct search *search = arg;
	struct control_listener *lis;

	if (event_get_callback(event) != control_listener_on_sweep)
		return 0;
	lis = event_get_callback_arg(event);
	if (lis->evl == search->evl)
		search->found = lis;
	return search->found != NULL;
}

/*
 * evhttp makes itself the argument of EVL's callbacks, and has no way back to our listener. But the
 * sweep of each listener is always pending: search the events of the main loop, which are few.
 */
static struct control_listener *
control_listener_find(struct evconnlistener *evl)
{
	struct search search = { .evl = evl };

	(void)event_base_foreach_event(
	    evconnlistener_get_base(evl), control_listener_on_event, &search);
	return search.found;
}

/* Without a free descriptor accept(2) fails with EMFILE even where nobody waits: ask poll(2). */
static bool
control_listener_has_waiting(struct evconnlistener *evl)
{
	struct pollfd pfd = { .fd = evconnlistener_get_fd(evl), .events = POLLIN };

	return poll(&pfd, 1, 0) > 0;
}

/*
 * When no descriptor is free, one of the reserve is closed: the client is still in the backlog, and
 * the next turn of the loop accepts it. After any other error the sweep enables accepting again.
 */
static void
control_listener_on_error(struct evconnlistener *evl, void *arg ATTR_UNUSED)
{
	int error = errno;
	bool exhausted = error == EMFILE || error == ENFILE;
	struct control_listener *lis = control_listener_find(evl);
	int64_t now_ns = clock_now_ns();

	if (exhausted && (!control_listener_has_waiting(evl) ||
			     (lis != NULL && control_listener_use_reserve(lis))))
		return;
	(void)evconnlistener_disable(evl);
	if (lis == NULL)
		return;
	if (now_ns - lis->failed_ns >= EPISODE_NS)
		log_warning("control port: cannot accept: %s", strerror(error));
	lis->failed_ns = now_ns;
}

/* The answer is written, and evhttp frees the client next: have the sweep notice. */
static void
control_listener_on_answered(struct evhttp_request *req ATTR_UNUSED, void *arg)
{
	struct control_listener *lis = arg;

	control_listener_sweep_soon(lis);
}

static int
control_listener_descriptor(struct evhttp_request *req)
{
	struct evhttp_connection *conn = evhttp_request_get_connection(req);

	return bufferevent_getfd(evhttp_connection_get_bufferevent(conn));
}

/* Log who asks for a change, before it is made. */
static void
control_listener_record(struct evhttp_request *req)
{
	int fd = control_listener_descriptor(req);
	struct ucred peer = { .pid = -1, .uid = (uid_t)-1 };
	socklen_t length = sizeof(peer);
	char target[TARGET_MAX];
	struct log_field fields[3];

	(void)getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length);
	(void)snprintf(target, sizeof(target), "%s", request_target(req));
	fields[0] = LOG_TEXT("target", target);
	fields[1] = LOG_NUMBER("uid", peer.uid);
	fields[2] = LOG_NUMBER("pid", peer.pid);
	log_fields(LOG_LEVEL_NOTICE, fields, ARRAY_SIZE(fields), "control request");
}

static void
control_listener_on_request(struct evhttp_request *req, void *arg)
{
	struct control_listener *lis = arg;
	bool may_act = lis->socket.address.transport == ADDRESS_UNIX;
	struct address address;
	const char *error;
	int code;

	if (address_of_socket(control_listener_descriptor(req), &address) < 0)
		address = lis->socket.address;
	code = request_check_site(
	    req, &address, routes_is_probe(req) ? NULL : &lis->cfg->http_hosts, &error);
	evhttp_request_set_on_complete_cb(req, control_listener_on_answered, lis);
	if (may_act && evhttp_request_get_command(req) == EVHTTP_REQ_POST)
		control_listener_record(req);
	if (code != 0)
		reply_error(req, code, "%s", error);
	else
		routes_answer(lis->routes, req, may_act);
}

/* Build what serves FD. On failure control_listener_free() frees what is there; FD stays open. */
static int
control_listener_open(struct control_listener *lis, struct event_base *base, int fd)
{
	struct timeval interval = clock_timeval(SWEEP_NS);

	lis->sweep = event_new(base, -1, EV_PERSIST, control_listener_on_sweep, lis);
	lis->http = evhttp_new(base);
	if (lis->sweep == NULL || lis->http == NULL || event_add(lis->sweep, &interval) < 0)
		return -ENOMEM;
	evhttp_set_max_headers_size(lis->http, HEADERS_MAX);
	evhttp_set_max_body_size(lis->http, BODY_MAX);
	/*
	 * All methods, even those that evhttp has no name for, so that we word the refusal. But not
	 * CONNECT, after which evhttp would not close: it refuses that one by itself.
	 */
	evhttp_set_allowed_methods(lis->http, UINT16_MAX & ~EVHTTP_REQ_CONNECT);
	/*
	 * evhttp's timers would run out before what waits in a socket is read: see
	 * control_listener_extend_deadlines().
	 */
	evhttp_set_timeout(lis->http, EVHTTP_TIMEOUT_S);
	evhttp_set_bevcb(lis->http, control_listener_on_connect, lis);
	evhttp_set_gencb(lis->http, control_listener_on_request, lis);
	lis->evl = evconnlistener_new(base, NULL, NULL, LEV_OPT_CLOSE_ON_EXEC, 0, fd);
	if (lis->evl == NULL)
		return -ENOMEM;
	if (evhttp_bind_listener(lis->http, lis->evl) == NULL) {
		evconnlistener_free(lis->evl);
		return -ENOMEM;
	}
	evconnlistener_set_error_cb(lis->evl, control_listener_on_error);
	return 0;
}

struct control_listener *
control_listener_new(struct loop *loop, const struct listen_socket *sock,
    const struct control_config *cfg, struct routes *routes)
{
	struct control_listener *lis = calloc(1, sizeof(*lis));

	if (lis == NULL)
		return NULL;
	TAILQ_INIT(&lis->clients);
	lis->socket = (struct listen_socket){ .fd = -1, .file = SOCKET_FILE_NONE };
	lis->cfg = cfg;
	lis->routes = routes;
	lis->swept_ns = clock_now_ns();
	lis->failed_ns = lis->swept_ns - EPISODE_NS;
	if (control_listener_open(lis, loop_base(loop), sock->fd) < 0) {
		control_listener_free(lis);
		return NULL;
	}
	lis->socket = *sock;
	(void)control_listener_fill_reserve(lis);
	return lis;
}

void
control_listener_change(struct control_listener *lis, const struct control_config *cfg)
{
	if (lis == NULL)
		return;
	lis->cfg = cfg;
	if (control_listener_is_full(lis))
		(void)evconnlistener_disable(lis->evl);
}

void
control_listener_stop(struct control_listener *lis)
{
	if (lis == NULL)
		return;
	lis->stopped = true;
	(void)evconnlistener_disable(lis->evl);
}

size_t
control_listener_unsent(const struct control_listener *lis)
{
	const struct control_client *client;
	size_t bytes = 0;

	if (lis == NULL)
		return 0;
	TAILQ_FOREACH (client, &lis->clients, next)
		bytes += evbuffer_get_length(bufferevent_get_output(client->bev));
	return bytes;
}

void
control_listener_free(struct control_listener *lis)
{
	struct control_client *client;

	if (lis == NULL)
		return;
	if (lis->http != NULL)
		evhttp_free(lis->http);
	while ((client = TAILQ_FIRST(&lis->clients)) != NULL)
		control_listener_forget(lis, client);
	if (lis->sweep != NULL)
		event_free(lis->sweep);
	while (control_listener_use_reserve(lis))
		continue;
	listen_socket_close(&lis->socket);
	free(lis);
}
