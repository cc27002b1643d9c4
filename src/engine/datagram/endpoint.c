/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "engine/datagram/endpoint.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/clock.h"
#include "base/log.h"
#include "engine/datagram/batch.h"
#include "engine/worker.h"

/* How long one turn may last: the worker's connections wait meanwhile. */
#define TURN_NS (500 * NS_PER_US)

/* How long the last turn may last, before the socket is closed. */
#define STOP_NS (20 * NS_PER_MS)

/* This many errors in a row are lasting; an error that an earlier send left comes once. */
#define ERRORS_IN_A_ROW 4

/* After a lasting error the endpoint waits, each time twice as long. */
#define PAUSE_MAX_NS NS_PER_S
#define PAUSE_MIN_NS (PAUSE_MAX_NS / 64)

struct endpoint_settings {
	struct post post; /* to the worker */
	struct endpoint *endpoint;
	struct shard *shard; /* borrowed: what its worker has of the service */
	struct guard guard;
	/* what follows is the guard's, in the same piece of memory */
	struct address *own;
	struct network networks[]; /* deny, then allow */
};

static void
settings_parse(struct network *networks, const struct config_list *list)
{
	const char *error;

	for (size_t i = 0; i < list->count; i++) {
		/* the configuration was checked: what does not parse is a mistake of ours */
		if (network_parse(list->items[i], &networks[i], &error) < 0)
			log_abort("BUG: \"%s\" %s", list->items[i], error);
	}
}

struct endpoint_settings *
endpoint_settings_new(const struct listener_config *cfg, size_t own_count)
{
	size_t network_count = cfg->deny.count + cfg->allow.count;
	struct endpoint_settings *settings = calloc(1, sizeof(*settings) +
							   network_count * sizeof(struct network) +
							   own_count * sizeof(struct address));

	if (settings == NULL)
		return NULL;
	settings->own = (void *)(settings->networks + network_count);
	settings->guard = (struct guard){ .min_source_port = (in_port_t)cfg->min_source_port,
		.own = settings->own,
		.deny = settings->networks,
		.deny_count = cfg->deny.count,
		.allow = settings->networks + cfg->deny.count,
		.allow_count = cfg->allow.count };
	settings_parse(settings->networks, &cfg->deny);
	settings_parse(settings->networks + cfg->deny.count, &cfg->allow);
	return settings;
}

void
endpoint_settings_add_own(struct endpoint_settings *settings, const struct address *address)
{
	settings->own[settings->guard.own_count++] = *address;
}

static void
endpoint_drop(struct endpoint *endpoint, enum datagram_drop drop, uint64_t count)
{
	counters_add(&endpoint->settings->shard->counters, drop, count);
}

/* Return how many of COUNT datagrams from SOURCE its rate and the listener's allow. */
static uint64_t
endpoint_rate(struct endpoint *endpoint, struct source *source, uint64_t count, int64_t now_ns)
{
	const struct listener_config *cfg = endpoint->settings->shard->cfg;
	/* the clients of a UNIX socket are one source, for which rate_total stands */
	int64_t rate = source == &endpoint->everybody ? 0 : cfg->rate_per_source;
	uint64_t total = (uint64_t)cfg->rate_total;
	uint64_t by_source = token_bucket_take(
	    &source->bucket, (uint64_t)rate, (uint64_t)cfg->burst_per_source, count, now_ns);
	uint64_t allowed = token_bucket_take(&endpoint->total, total, total, by_source, now_ns);

	if (allowed < count) {
		endpoint_drop(endpoint, DATAGRAM_SOURCE_RATE, count - by_source);
		endpoint_drop(endpoint, DATAGRAM_TOTAL_RATE, by_source - allowed);
	}
	return allowed;
}

/*
 * Spend the budget of SOURCE on COUNT datagrams of RECEIVED. Where it is used up, one datagram is
 * cut out and the budget begins anew. Returns how many are left.
 */
static uint64_t
endpoint_spend(
    struct endpoint *endpoint, struct source *source, struct received *received, uint64_t count)
{
	const uint64_t budget = (uint64_t)endpoint->settings->shard->cfg->budget_per_source;
	uint64_t done = 0;

	if (budget == 0)
		return count;
	for (;;) {
		/* a reload may have made it smaller than what is spent */
		uint64_t room = budget > source->spent ? budget - source->spent : 0;

		if (count - done <= room)
			break;
		done += room;
		received_cut(received, done);
		endpoint_drop(endpoint, DATAGRAM_BUDGET, 1);
		source->spent = 0;
		count--;
	}
	source->spent += count - done;
	return count;
}

/* Judge the name of a UNIX client: to answer, the kernel looks it up with the daemon's rights. */
static enum datagram_drop
endpoint_judge_name(const struct endpoint *endpoint, const struct received *received)
{
	const struct guard *guard = &endpoint->settings->guard;
	const struct sockaddr_un *un = &received->source.un;
	struct address address = { .transport = ADDRESS_UNIX_DATAGRAM,
		.length = received->source_length };

	if (received->source_length <= offsetof(struct sockaddr_un, sun_path) ||
	    (un->sun_path[0] != '\0' && un->sun_path[0] != '/'))
		return DATAGRAM_UNNAMED;
	address.u.un = *un;
	for (size_t i = 0; i < guard->own_count; i++) {
		if (address_equal(&guard->own[i], &address))
			return DATAGRAM_OWN_PORT;
	}
	return DATAGRAM_PASS;
}

/* Judge RECEIVED; when it passes, *ret_source is the source to count it for. */
static enum datagram_drop
endpoint_judge(struct endpoint *endpoint, const struct received *received, int64_t now_ns,
    struct source **ret_source)
{
	struct in6_addr address;
	enum datagram_drop drop;

	*ret_source = &endpoint->everybody;
	if (received->truncated)
		return DATAGRAM_TRUNCATED;
	if (endpoint->sources == NULL)
		return endpoint_judge_name(endpoint, received);
	drop = guard_judge(
	    &endpoint->settings->guard, &received->source.sa, &received->local, &address);
	if (drop == DATAGRAM_PASS && broadcasts_have(&endpoint->broadcasts, &address, now_ns))
		drop = DATAGRAM_SOURCE_SUBNET_BROADCAST;
	if (drop == DATAGRAM_PASS)
		*ret_source = sources_get(endpoint->sources, &address, now_ns);
	return drop;
}

/* Count RECEIVED, and have those of its datagrams echoed that may be. */
static void
endpoint_take(struct endpoint *endpoint, struct received *received, int64_t now_ns)
{
	uint64_t count = received_count(received), allowed;
	struct source *source;
	enum datagram_drop drop;

	counters_add(&endpoint->settings->shard->counters, COUNTER_DATAGRAMS_RECEIVED, count);
	counters_add(
	    &endpoint->settings->shard->counters, COUNTER_RECEIVED_BYTES, received->length);
	drop = endpoint_judge(endpoint, received, now_ns, &source);
	if (drop != DATAGRAM_PASS) {
		endpoint_drop(endpoint, drop, count);
		return;
	}
	allowed = endpoint_rate(endpoint, source, count, now_ns);
	allowed = endpoint_spend(endpoint, source, received, allowed);
	source->echoed += allowed;
	source->dropped += count - allowed;
	if (allowed > 0)
		batch_add(endpoint->batch, received, allowed);
}

/*
 * The socket was reported as readable, and had nothing to read. Returns 0, or -ESHUTDOWN when
 * another holder has shut the socket down: the kernel reports such a socket for ever.
 */
static int
endpoint_check_idle(const struct endpoint *endpoint)
{
	struct pollfd state = { .fd = endpoint->socket.fd, .events = POLLRDHUP };

	if (poll(&state, 1, 0) <= 0)
		return 0;
	/* another holder may have told it to queue errors: it stays readable until they are read */
	while (endpoint->sources != NULL && (state.revents & POLLERR) != 0 &&
	       recv(state.fd, NULL, 0, MSG_ERRQUEUE | MSG_DONTWAIT) >= 0)
		;
	return (state.revents & POLLRDHUP) != 0 ? -ESHUTDOWN : 0;
}

/*
 * Echo what waits until the socket is empty or TIME_NS have passed, which is checked after each
 * batch. Often another batch comes in while one is echoed: to look for it costs less than a turn of
 * the loop. Returns 0, or -errno after ERRORS_IN_A_ROW; each error is counted.
 */
static int
endpoint_echo(struct endpoint *endpoint, int64_t time_ns)
{
	int64_t begin_ns = clock_now_ns(), now_ns = begin_ns;
	int errors = 0;

	do {
		struct received *received;
		int count = batch_receive(endpoint->batch, &received);

		if (count == -EAGAIN)
			count = now_ns == begin_ns ? endpoint_check_idle(endpoint) : 0;
		if (count == 0)
			return 0;
		if (count < 0) {
			counters_add(&endpoint->settings->shard->counters,
			    error_counter(COUNTER_RECEIVE_OTHER, -count), 1);
			if (++errors == ERRORS_IN_A_ROW || count == -ESHUTDOWN)
				return count;
			continue;
		}
		errors = 0;
		for (int i = 0; i < count; i++)
			endpoint_take(endpoint, &received[i], now_ns);
		batch_flush(
		    endpoint->batch, &endpoint->settings->shard->counters, &endpoint->broadcasts);
		now_ns = clock_now_ns();
	} while (now_ns - begin_ns < time_ns);
	return 0;
}

/* Leave the socket alone for a while after ERROR; the first of an episode is logged. */
static void
endpoint_pause(struct endpoint *endpoint, int error)
{
	struct log_field fields[] = { LOG_TEXT(
					  "listener", endpoint->settings->shard->service->name),
		LOG_NUMBER("errno", error) };
	int64_t now_ns = clock_now_ns();
	struct timeval pause;

	if (now_ns >= endpoint->episode_end_ns) {
		endpoint->pause_ns = PAUSE_MIN_NS;
		log_fields(LOG_LEVEL_WARNING, fields, ARRAY_SIZE(fields),
		    "cannot read datagrams: %s; trying again, in the end once a second",
		    strerror(error));
	} else if (endpoint->pause_ns < PAUSE_MAX_NS) {
		endpoint->pause_ns *= 2;
	}
	endpoint->episode_end_ns = now_ns + endpoint->pause_ns + NS_PER_S;
	pause = clock_timeval(endpoint->pause_ns);
	/* where the timer cannot be added, the next turn tries again */
	if (event_add(&endpoint->retry, &pause) == 0)
		(void)event_del(&endpoint->readable);
}

static void
endpoint_on_readable(evutil_socket_t fd ATTR_UNUSED, short what ATTR_UNUSED, void *arg)
{
	struct endpoint *endpoint = arg;
	int r = endpoint_echo(endpoint, TURN_NS);

	if (r < 0)
		endpoint_pause(endpoint, -r);
}

/* Wait for datagrams; where the kernel cannot watch the socket, try again after a pause. */
static void
endpoint_wait(struct endpoint *endpoint)
{
	errno = ENOMEM; /* where libevent says nothing else */
	if (event_add(&endpoint->readable, NULL) == 0)
		return;
	counters_add(
	    &endpoint->settings->shard->counters, error_counter(COUNTER_RECEIVE_OTHER, errno), 1);
	endpoint_pause(endpoint, errno);
}

static void
endpoint_on_retry(evutil_socket_t fd ATTR_UNUSED, short what ATTR_UNUSED, void *arg)
{
	endpoint_wait(arg);
}

/* Try whether the kernel can watch FD. Returns 0 or -errno. */
static int
endpoint_try_to_watch(int fd)
{
	struct epoll_event event = { .events = EPOLLIN };
	int selector = epoll_create1(EPOLL_CLOEXEC), r = 0;

	if (selector < 0 || epoll_ctl(selector, EPOLL_CTL_ADD, fd, &event) < 0)
		r = -errno;
	if (selector >= 0)
		close(selector);
	return r;
}

/* Free all but the socket. */
static void
endpoint_discard(struct endpoint *endpoint)
{
	free(endpoint->batch);
	free(endpoint->sources);
	free(endpoint->settings);
	free(endpoint);
}

struct endpoint *
endpoint_new(struct worker *worker, const struct listen_socket *sock)
{
	struct event_base *base = loop_base(worker->loop);
	struct endpoint *endpoint = calloc(1, sizeof(*endpoint));
	bool ip = address_is_ip(&sock->address);
	int r = endpoint_try_to_watch(sock->fd);

	if (endpoint == NULL)
		return NULL;
	if (ip)
		endpoint->sources = sources_new();
	endpoint->batch = batch_new(sock->fd, ip);
	if (r == 0 && (endpoint->batch == NULL || (ip && endpoint->sources == NULL)))
		r = -ENOMEM;
	if (r < 0) {
		endpoint_discard(endpoint);
		errno = -r;
		return NULL;
	}
	(void)event_assign(&endpoint->readable, base, sock->fd, EV_READ | EV_PERSIST,
	    endpoint_on_readable, endpoint);
	(void)event_assign(&endpoint->retry, base, -1, 0, endpoint_on_retry, endpoint);
	endpoint->worker = worker;
	endpoint->socket = *sock;
	return endpoint;
}

static void
endpoint_stop(struct endpoint *endpoint)
{
	(void)event_del(&endpoint->readable);
	(void)event_del(&endpoint->retry);
}

void
endpoint_free(struct endpoint *endpoint)
{
	if (endpoint == NULL)
		return;
	/* only the thread of the worker, or one that joined it, may touch the worker's loop */
	if (event_pending(&endpoint->readable, EV_READ, NULL) ||
	    event_pending(&endpoint->retry, EV_TIMEOUT, NULL))
		endpoint_stop(endpoint);
	listen_socket_close(&endpoint->socket);
	endpoint_discard(endpoint);
}

static void
endpoint_do_set(void *arg)
{
	struct endpoint_settings *settings = arg;
	struct endpoint *endpoint = settings->endpoint;

	free(endpoint->settings);
	endpoint->settings = settings;
}

void
endpoint_set(struct endpoint *endpoint, struct service *service, struct endpoint_settings *settings)
{
	if (endpoint->service != service) {
		/* what was dropped before under that name is no news */
		endpoint->drops = (struct drops){ .told_ns = endpoint->drops.told_ns };
		service_sum(service, &endpoint->drops.before);
	}
	endpoint->service = service;
	settings->endpoint = endpoint;
	settings->shard = &service->shards[endpoint->worker->id];
	loop_post(endpoint->worker->loop, &settings->post, endpoint_do_set, settings);
}

void
endpoint_watch_drops(struct endpoint *endpoint, int64_t now_ns)
{
	struct counters_sum counted;

	service_sum(endpoint->service, &counted);
	(void)drops_look(&endpoint->drops, endpoint->service->name, &counted, now_ns);
}

static void
endpoint_do_serve(void *arg)
{
	struct endpoint *endpoint = arg;

	/* in this order, so that a request that comes in between is not missed */
	atomic_store(&endpoint->serve_posted, false);
	if (atomic_load(&endpoint->serving))
		endpoint_wait(endpoint);
	else
		endpoint_stop(endpoint);
}

void
endpoint_serve(struct endpoint *endpoint, bool serve)
{
	/* at a stop its worker may have ended, and takes no posts */
	if (atomic_exchange(&endpoint->serving, serve) == serve)
		return;
	if (!atomic_exchange(&endpoint->serve_posted, true))
		loop_post(
		    endpoint->worker->loop, &endpoint->serve_post, endpoint_do_serve, endpoint);
}

static void
endpoint_do_remove(void *arg)
{
	struct endpoint *endpoint = arg;

	LIST_REMOVE(endpoint, next);
	endpoint_free(endpoint);
}

/* The last of all posts to the worker about an endpoint. */
static void
endpoint_do_close(void *arg)
{
	struct endpoint *endpoint = arg;

	if (atomic_load(&endpoint->serving))
		(void)endpoint_echo(endpoint, STOP_NS);
	endpoint_stop(endpoint);
	loop_post(endpoint->close_loop, &endpoint->close_post, endpoint_do_remove, endpoint);
}

void
endpoint_close(struct endpoint *endpoint, struct loop *loop)
{
	endpoint->close_loop = loop;
	loop_post(endpoint->worker->loop, &endpoint->close_post, endpoint_do_close, endpoint);
}
