/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "engine/datagram.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "base/clock.h"
#include "base/log.h"
#include "engine/datagram_batch.h"
#include "engine/datagram_guard.h"
#include "engine/datagram_sender.h"
#include "engine/datagram_socket.h"
#include "engine/worker.h"

/* One turn of the loop, after which the connections have theirs. */
#define TURN_NS (500 * NS_PER_US)

/* The last turn: what the kernel holds by then, and what still comes while it is echoed. */
#define STOP_NS (20 * NS_PER_MS)

struct datagram_settings {
	struct post post; /* on its way to the worker */
	struct datagram *datagram;
	struct share *share; /* where to count */
	struct datagram_guard guard;
	struct network *networks; /* owned; what the guard's two lists point to */
	in_port_t *ports;         /* owned; the guard's own ports */
	struct address *names;    /* owned; own UNIX sockets */
	size_t name_count;
	uint64_t rate_per_source; /* datagrams a second, 0: no limit; so the others */
	uint64_t burst_per_source;
	uint64_t rate_total;
	uint64_t budget; /* echoes to a source after which one is dropped */
};

struct datagram {
	struct worker *worker; /* borrowed; outlives it */
	int fd;                /* borrowed */
	bool ip;
	struct event readable;              /* on the worker's loop while running */
	bool running;                       /* worker's */
	struct datagram_settings *settings; /* owned; worker's once served */
	struct datagram_batch *batch;       /* owned */
	struct datagram_sender *sender;     /* owned */
	struct source_table *sources;       /* owned; NULL for UNIX sockets */
	struct source everybody;            /* on a UNIX socket */
	struct token_bucket total;
	/* From the main loop to the worker, and the last word back. */
	struct post serve_post; /* in use while serve_posted */
	atomic_bool serve_posted;
	atomic_bool serve;
	struct post stop_post; /* there, and then back */
	struct loop *stopped_loop;
	void (*stopped)(void *context);
	void *stopped_context;
};

static struct network *
settings_parse(struct network *networks, const struct config_list *list)
{
	const char *error;

	for (size_t i = 0; i < list->count; i++) {
		/* the configuration was checked: what does not parse is a mistake of ours */
		if (network_parse(list->items[i], &networks[i], &error) < 0)
			log_abort("BUG: \"%s\" %s", list->items[i], error);
	}
	return networks + list->count;
}

struct datagram_settings *
datagram_settings_new(const struct listener_config *cfg, size_t own_count)
{
	struct datagram_settings *settings = calloc(1, sizeof(*settings));

	if (settings == NULL)
		return NULL;
	settings->networks = calloc(
	    cfg->deny.count + cfg->allow.count + 1, sizeof(*settings->networks));
	settings->ports = calloc(own_count + 1, sizeof(*settings->ports));
	settings->names = calloc(own_count + 1, sizeof(*settings->names));
	if (settings->networks == NULL || settings->ports == NULL || settings->names == NULL) {
		datagram_settings_free(settings);
		return NULL;
	}
	settings->guard = (struct datagram_guard){
		.min_source_port = (in_port_t)cfg->min_source_port,
		.own_ports = settings->ports,
		.deny = settings->networks,
		.deny_count = cfg->deny.count,
		.allow = settings_parse(settings->networks, &cfg->deny),
		.allow_count = cfg->allow.count,
	};
	(void)settings_parse(settings->networks + cfg->deny.count, &cfg->allow);
	/* the clients of a UNIX socket are one source, for which rate_total stands */
	if (address_is_ip(&cfg->address))
		settings->rate_per_source = (uint64_t)cfg->rate_per_source;
	settings->burst_per_source = (uint64_t)cfg->burst_per_source;
	settings->rate_total = (uint64_t)cfg->rate_total;
	settings->budget = (uint64_t)cfg->budget_per_source;
	return settings;
}

void
datagram_settings_add_own(struct datagram_settings *settings, const struct address *address)
{
	if (address_is_ip(address))
		settings->ports[settings->guard.own_port_count++] = address_port(address);
	else
		settings->names[settings->name_count++] = *address;
}

void
datagram_settings_free(struct datagram_settings *settings)
{
	if (settings == NULL)
		return;
	free(settings->networks);
	free(settings->ports);
	free(settings->names);
	free(settings);
}

static struct counters *
datagram_counters(struct datagram *dg)
{
	return &dg->settings->share->counters;
}

static void
datagram_drop(struct datagram *dg, enum datagram_drop drop, uint64_t count)
{
	counters_add(datagram_counters(dg), datagram_drop_counter(drop), count);
}

static void
datagram_on_sent(void *context, uint64_t count, uint64_t bytes)
{
	struct datagram *dg = context;

	counters_add(datagram_counters(dg), COUNTER_DATAGRAMS_SENT, count);
	counters_add(datagram_counters(dg), COUNTER_SENT_BYTES, bytes);
}

static void
datagram_on_dropped(void *context, enum datagram_drop drop, uint64_t count)
{
	datagram_drop(context, drop, count);
}

/* How many of COUNT datagrams from SOURCE its rate and the listener's allow. */
static uint64_t
datagram_rate(struct datagram *dg, struct source *source, uint64_t count, int64_t now_ns)
{
	const struct datagram_settings *settings = dg->settings;
	uint64_t by_source = token_bucket_take(
	    &source->bucket, settings->rate_per_source, settings->burst_per_source, count, now_ns);
	uint64_t allowed = token_bucket_take(
	    &dg->total, settings->rate_total, settings->rate_total, by_source, now_ns);

	if (allowed < count) {
		datagram_drop(dg, DATAGRAM_SOURCE_RATE, count - by_source);
		datagram_drop(dg, DATAGRAM_TOTAL_RATE, by_source - allowed);
	}
	return allowed;
}

/*
 * Spend the budget of SOURCE on COUNT datagrams that were read as INDEX. The one that is too many
 * is cut out, and the budget is whole again. Returns how many are left.
 */
static uint64_t
datagram_spend(struct datagram *dg, struct source *source, size_t index, uint64_t count)
{
	const uint64_t budget = dg->settings->budget;
	uint64_t done = 0;

	if (budget == 0)
		return count;
	for (;;) {
		/* a reload may have made it smaller than what is spent */
		uint64_t room = budget > source->spent ? budget - source->spent : 0;

		if (count - done <= room)
			break;
		done += room;
		datagram_batch_cut(dg->batch, index, done);
		datagram_drop(dg, DATAGRAM_BUDGET, 1);
		source->spent = 0;
		count--;
	}
	source->spent += count - done;
	return count;
}

/* Judge the name of a UNIX client: it is looked up in our place, with our rights. */
static enum datagram_drop
datagram_judge_name(const struct datagram *dg, const struct datagram_received *received)
{
	const struct sockaddr_un *un = &received->source.un;
	struct address address = { .transport = ADDRESS_UNIX_DATAGRAM,
		.length = received->source_length };

	if (received->source_length <= offsetof(struct sockaddr_un, sun_path) ||
	    (un->sun_path[0] != '\0' && un->sun_path[0] != '/'))
		return DATAGRAM_UNNAMED;
	address.u.un = *un;
	for (size_t i = 0; i < dg->settings->name_count; i++) {
		if (address_equal(&dg->settings->names[i], &address))
			return DATAGRAM_OWN_PORT;
	}
	return DATAGRAM_PASS;
}

/* Judge what was read as INDEX; *ret_source is whom it counts for when it passes. */
static enum datagram_drop
datagram_judge(struct datagram *dg, size_t index, int64_t now_ns, struct source **ret_source)
{
	const struct datagram_received *received = datagram_batch_at(dg->batch, index);
	struct datagram_source from;
	enum datagram_drop drop;

	*ret_source = &dg->everybody;
	if (received->truncated)
		return DATAGRAM_TRUNCATED;
	if (!dg->ip)
		return datagram_judge_name(dg, received);
	drop = datagram_guard_judge(
	    &dg->settings->guard, &received->source.sa, &received->local, &from);
	if (drop == DATAGRAM_PASS)
		*ret_source = source_table_get(dg->sources, &from.address, now_ns);
	return drop;
}

/* How many of the COUNT datagrams read as INDEX are to be echoed; the others are counted. */
static uint64_t
datagram_admit(struct datagram *dg, size_t index, uint64_t count, int64_t now_ns)
{
	struct source *source;
	enum datagram_drop drop = datagram_judge(dg, index, now_ns, &source);
	uint64_t allowed;

	if (drop != DATAGRAM_PASS) {
		datagram_drop(dg, drop, count);
		return 0;
	}
	allowed = datagram_rate(dg, source, count, now_ns);
	allowed = datagram_spend(dg, source, index, allowed);
	source->echoed += allowed;
	source->dropped += count - allowed;
	return allowed;
}

static void
datagram_echo_one(struct datagram *dg, size_t index, int64_t now_ns)
{
	const struct datagram_received *received = datagram_batch_at(dg->batch, index);
	uint64_t count = datagram_received_count(received);

	counters_add(datagram_counters(dg), COUNTER_DATAGRAMS_RECEIVED, count);
	counters_add(datagram_counters(dg), COUNTER_RECEIVED_BYTES, received->length);
	count = datagram_admit(dg, index, count, now_ns);
	if (count > 0)
		datagram_sender_add(dg->sender, received, count);
}

/*
 * Echo what waits, for TIME_NS and a batch at most. While one batch is echoed the next comes in, as
 * a rule: to look costs less than a turn of the loop.
 */
static void
datagram_echo(struct datagram *dg, int64_t time_ns)
{
	int64_t now_ns = clock_now_ns(), end_ns = now_ns + time_ns;

	do {
		int read = datagram_batch_receive(dg->batch, dg->fd);

		/* an error is of a datagram sent before, or an empty socket: nothing to do */
		if (read <= 0)
			return;
		for (size_t i = 0; i < (size_t)read; i++)
			datagram_echo_one(dg, i, now_ns);
		datagram_sender_flush(dg->sender, dg->fd);
		now_ns = clock_now_ns();
	} while (now_ns < end_ns);
}

static void
datagram_on_readable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	datagram_echo(arg, TURN_NS);
}

struct datagram *
datagram_new(struct worker *worker, int fd, bool ip)
{
	struct datagram *dg = calloc(1, sizeof(*dg));
	struct datagram_sender_hooks hooks = { datagram_on_sent, datagram_on_dropped, dg };
	struct datagram_local pinned = { .family = AF_UNSPEC };

	if (dg == NULL)
		return NULL;
	dg->worker = worker;
	dg->fd = fd;
	dg->ip = ip;
	if (ip) {
		pinned = datagram_socket_pin(fd);
		dg->sources = source_table_new();
	}
	dg->batch = datagram_batch_new(ip, &pinned);
	dg->sender = datagram_sender_new(ip, pinned.family != AF_UNSPEC, &hooks);
	if (dg->batch == NULL || dg->sender == NULL || (ip && dg->sources == NULL)) {
		datagram_free(dg);
		errno = ENOMEM;
		return NULL;
	}
	return dg;
}

void
datagram_free(struct datagram *dg)
{
	if (dg == NULL)
		return;
	if (dg->running)
		(void)event_del(&dg->readable);
	datagram_batch_free(dg->batch);
	datagram_sender_free(dg->sender);
	source_table_free(dg->sources);
	datagram_settings_free(dg->settings);
	free(dg);
}

static void
datagram_do_set(void *arg)
{
	struct datagram_settings *settings = arg;
	struct datagram *dg = settings->datagram;

	datagram_settings_free(dg->settings);
	dg->settings = settings;
}

void
datagram_set(struct datagram *dg, struct share *shares, struct datagram_settings *settings)
{
	settings->datagram = dg;
	settings->share = &shares[dg->worker->id];
	loop_post(dg->worker->loop, &settings->post, datagram_do_set, settings);
}

static void
datagram_run(struct datagram *dg, bool run)
{
	if (run == dg->running)
		return;
	if (!run) {
		(void)event_del(&dg->readable);
	} else if (event_assign(&dg->readable, loop_base(dg->worker->loop), dg->fd,
		       EV_READ | EV_PERSIST, datagram_on_readable, dg) < 0 ||
		   event_add(&dg->readable, NULL) < 0) {
		log_error("listener %s: cannot wait for datagrams: %m", dg->settings->share->name);
		return;
	}
	dg->running = run;
}

static void
datagram_do_serve(void *arg)
{
	struct datagram *dg = arg;

	/* first open for the next word, then read: a word that comes in between is not missed */
	atomic_store(&dg->serve_posted, false);
	datagram_run(dg, atomic_load(&dg->serve));
}

void
datagram_serve(struct datagram *dg, bool serve)
{
	atomic_store(&dg->serve, serve);
	if (!atomic_exchange(&dg->serve_posted, true))
		loop_post(dg->worker->loop, &dg->serve_post, datagram_do_serve, dg);
}

/* The last of all posts to the worker about DG. */
static void
datagram_do_stop(void *arg)
{
	struct datagram *dg = arg;

	if (dg->running)
		datagram_echo(dg, STOP_NS);
	datagram_run(dg, false);
	loop_post(dg->stopped_loop, &dg->stop_post, dg->stopped, dg->stopped_context);
}

void
datagram_stop(struct datagram *dg, struct loop *loop, void (*stopped)(void *context), void *context)
{
	dg->stopped_loop = loop;
	dg->stopped = stopped;
	dg->stopped_context = context;
	loop_post(dg->worker->loop, &dg->stop_post, datagram_do_stop, dg);
}

void
datagram_post(
    const struct datagram *dg, struct post *post, void (*function)(void *argument), void *argument)
{
	loop_post(dg->worker->loop, post, function, argument);
}

void
datagram_copy_sources(const struct datagram *dg, struct source *sources, size_t *ret_count)
{
	*ret_count = dg->sources != NULL ? source_table_copy(dg->sources, sources) : 0;
}
