/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "engine/acceptor.h"
#include "engine/engine.h"

/* One enabled listener of the configuration that is being applied. */
struct plan_entry {
	const struct listener_config *cfg;
	struct service *service;
	bool new_service;                   /* not in engine->services yet */
	struct listener *lis;               /* of streams */
	struct endpoint *endpoint;          /* of datagrams */
	struct listen_socket *socket;       /* of either; NULL: left out, as there is no IPv6 */
	bool new_socket;                    /* not one of the engine's yet */
	struct listen_socket *lost;         /* the engine's, to be replaced by the new one */
	struct listen_options options;      /* to be set */
	struct listen_options before;       /* of a socket that is kept: to go back to */
	struct endpoint_settings *settings; /* of an endpoint, until it has them */
};

struct plan {
	struct engine *engine;
	const struct config *cfg;
	struct inheritance *inheritance; /* NULL: there is none */
	int64_t timeout_ns;              /* for an address that is in use */
	struct error_list *errors;
	struct plan_entry *entries;
	size_t count;
	struct worker_update *update; /* allocated first: a commit cannot fail */
};

/*
 * Whether SOCK, which serves as NAME, already serves CFG. The address decides, not the name: so a
 * rename keeps the socket. Port 0 stands for a new port each time: with it the name has to agree
 * too.
 */
static bool
plan_fits(const struct listen_socket *sock, const char *name, const struct listener_config *cfg)
{
	return address_equal(&sock->configured, &cfg->address) &&
	       (!address_is_ip(&cfg->address) || address_port(&cfg->address) != 0 ||
		   strcmp(name, cfg->name) == 0);
}

/* Find what already serves ENTRY. */
static void
plan_match(const struct engine *engine, struct plan_entry *entry)
{
	struct listener *lis;
	struct endpoint *endpoint;

	TAILQ_FOREACH (lis, &engine->acceptor.listeners, next) {
		if (entry->socket == NULL &&
		    plan_fits(&lis->socket, lis->service->name, entry->cfg))
			entry->socket = &(entry->lis = lis)->socket;
	}
	LIST_FOREACH (endpoint, &engine->endpoints, next) {
		if (entry->socket == NULL &&
		    plan_fits(&endpoint->socket, endpoint->service->name, entry->cfg))
			entry->socket = &(entry->endpoint = endpoint)->socket;
	}
}

/*
 * Without IPv6, built-in defaults may go unserved; an address from a file must be served. The
 * kernel binds no address to an interface that is not there, whatever IP_FREEBIND says: with
 * freebind such a listener waits for it, see plan_is_due().
 */
static bool
plan_may_leave_out(const struct plan *plan, const struct plan_entry *entry, int error)
{
	if (error == -ENODEV && entry->cfg->freebind)
		return true;
	return plan->cfg->path == NULL && entry->cfg->address.u.sa.sa_family == AF_INET6 &&
	       (error == -EAFNOSUPPORT || error == -EADDRNOTAVAIL);
}

/* Have SOCK (taken on success) served. Returns 0 or -errno. */
static int
plan_make_server(struct engine *engine, struct plan_entry *entry, const struct listen_socket *sock)
{
	if (address_is_datagram(&sock->address)) {
		entry->endpoint = endpoint_new(
		    engine->workers[engine->datagram_sockets++ % engine->worker_count], sock);
		if (entry->endpoint != NULL)
			entry->socket = &entry->endpoint->socket;
	} else {
		entry->lis = listener_new(&engine->acceptor, sock);
		if (entry->lis != NULL)
			entry->socket = &entry->lis->socket;
	}
	return entry->socket != NULL ? 0 : -errno;
}

/* Whether a datagram socket of ours at ADDRESS is about to be closed. */
static bool
plan_overlaps(const struct engine *engine, const struct address *address)
{
	const struct endpoint *endpoint;

	LIST_FOREACH (endpoint, &engine->leaving, next) {
		if (address_equal(&endpoint->socket.configured, address))
			return true;
	}
	return false;
}

/* Whether a socket at HELD is one because of which ADDRESS may be in use. */
static bool
plan_may_hold(const struct address *held, const struct address *address)
{
	/* a file is one socket, whatever its kind */
	if (address_is_path(address))
		return address_is_path(held) &&
		       strcmp(held->u.un.sun_path, address->u.un.sun_path) == 0;
	if (!address_is_ip(address))
		return address_equal(held, address);
	return held->transport == address->transport && address_port(held) == address_port(address);
}

/* Say that SOCK, which serves as NAME, holds the port of CFG, if it does. */
static void
plan_tell_holder(const struct listen_socket *sock, const char *name,
    const struct listener_config *cfg, struct error_list *errors)
{
	char text[ADDRESS_TEXT_MAX];

	if (!plan_may_hold(&sock->address, &cfg->address))
		return;
	error_list_add(errors,
	    "listeners.%s: our own listeners.%s holds %s, which overlaps it (keep one of them; a "
	    "reload needs the old one gone before: remove it, reload, add the new one)",
	    cfg->name, name, address_format(&sock->address, text, sizeof(text)));
}

/* The same of a socket that was passed in and that no listener has taken yet. */
static void
plan_tell_inherited(const struct inherited_socket *inherited, const struct listener_config *cfg,
    struct error_list *errors)
{
	char name[256], text[ADDRESS_TEXT_MAX];

	if (inherited->fd < 0 || !plan_may_hold(&inherited->address, &cfg->address))
		return;
	error_list_add(errors,
	    "listeners.%s: inherited descriptor %d (name \"%s\") holds %s (to serve that one, "
	    "write "
	    "FileDescriptorName=%s in its unit)",
	    cfg->name, inherited->fd, text_escape_string(inherited->name, name, sizeof(name)),
	    address_format(&inherited->address, text, sizeof(text)), cfg->name);
}

/* CFG's address is in use: by one of our own, perhaps, or by one that was passed in. */
static void
plan_tell_holders(
    const struct plan *plan, const struct listener_config *cfg, struct error_list *errors)
{
	const struct listener *lis;
	const struct endpoint *endpoint;

	TAILQ_FOREACH (lis, &plan->engine->acceptor.listeners, next)
		plan_tell_holder(&lis->socket, lis->service->name, cfg, errors);
	LIST_FOREACH (endpoint, &plan->engine->endpoints, next)
		plan_tell_holder(&endpoint->socket, endpoint->service->name, cfg, errors);
	for (size_t i = 0; i < plan->count; i++) {
		const struct plan_entry *other = &plan->entries[i];

		if (other->new_socket && other->socket != NULL)
			plan_tell_holder(other->socket, other->cfg->name, cfg, errors);
	}
	for (size_t i = 0; plan->inheritance != NULL && i < plan->inheritance->count; i++)
		plan_tell_inherited(&plan->inheritance->sockets[i], cfg, errors);
}

static int
plan_open_socket(struct plan *plan, struct plan_entry *entry, struct error_list *errors)
{
	const struct listener_config *cfg = entry->cfg;
	int fd = inheritance_take(plan->inheritance, cfg, errors), r;
	struct listen_socket sock;

	entry->options.overlap = plan_overlaps(plan->engine, &cfg->address);
	if (fd >= 0)
		r = listen_socket_adopt(cfg, &entry->options, fd, &sock, errors);
	else if (fd == -ENOENT)
		r = listen_socket_open(
		    cfg, &entry->options, plan->timeout_ns, entry->lost, &sock, errors);
	else
		r = fd;
	if (r == -EADDRINUSE)
		plan_tell_holders(plan, cfg, errors);
	if (r < 0)
		return r;
	r = plan_make_server(plan->engine, entry, &sock);
	if (r < 0) {
		listen_socket_close(&sock);
		error_list_add(errors, "listeners.%s: cannot serve %s: %s", cfg->name,
		    cfg->address_text, strerror(-r));
	}
	return r;
}

/* Find the service of ENTRY or make it, and get memory for the settings of its endpoint. */
static int
plan_get_memory(struct plan *plan, struct plan_entry *entry)
{
	bool datagram = address_is_datagram(&entry->cfg->address);

	entry->service = service_find(&plan->engine->services, entry->cfg->name);
	if (entry->service == NULL) {
		entry->service = service_new(entry->cfg->name, plan->engine->worker_count);
		entry->new_service = true;
	}
	if (datagram)
		entry->settings = endpoint_settings_new(entry->cfg, plan->cfg->listener_count);
	return entry->service == NULL || (datagram && entry->settings == NULL) ? -ENOMEM : 0;
}

/*
 * Nobody reaches the socket of ENTRY any more, for the reason LOSS: open another one at its
 * address. One that cannot be had is no reason to refuse a reload that says nothing of it.
 */
static void
plan_replace(struct plan *plan, struct plan_entry *entry, const char *loss)
{
	/* without a reload it is tried again and again, and told once */
	bool again = plan->cfg == plan->engine->applied && entry->socket->loss_told;
	struct error_list found = ERROR_LIST_EMPTY;
	struct plan_entry kept = *entry;

	entry->lost = kept.socket;
	entry->socket = NULL;
	entry->lis = NULL;
	entry->endpoint = NULL;
	entry->new_socket = true;
	if (plan_open_socket(plan, entry, &found) == 0) {
		log_notice("listeners.%s: %s: bound anew", entry->cfg->name, loss);
	} else {
		if (!again)
			log_warning("listeners.%s: %s, and nobody reaches it: %s", entry->cfg->name,
			    loss, error_list_first(&found));
		*entry = kept;
		entry->socket->loss_told = true;
	}
	error_list_done(&found);
}

static int
plan_make_entry(struct plan *plan, struct plan_entry *entry)
{
	struct error_list found = ERROR_LIST_EMPTY;
	int r = plan_get_memory(plan, entry);

	entry->options = listen_options_of(entry->cfg);
	if (r < 0) {
		error_list_add(plan->errors, "listeners.%s: out of memory", entry->cfg->name);
		return r;
	}
	plan_match(plan->engine, entry);
	if (entry->socket != NULL) {
		const char *loss = listen_socket_loss(entry->socket);

		entry->before = entry->socket->options;
		if (loss != NULL)
			plan_replace(plan, entry, loss);
		return 0;
	}
	entry->new_socket = true;
	r = plan_open_socket(plan, entry, &found);
	if (r < 0 && plan_may_leave_out(plan, entry, r)) {
		log_write(r == -ENODEV ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, "%s: %s",
		    r == -ENODEV ? "not served until it comes" : "no IPv6 here",
		    error_list_first(&found));
		r = 0;
	} else {
		error_list_move(plan->errors, &found);
	}
	error_list_done(&found);
	return r;
}

/* Free the plan and what is new in it; after a commit nothing is. */
static void
plan_done(struct plan *plan)
{
	for (size_t i = 0; i < plan->count; i++) {
		struct plan_entry *entry = &plan->entries[i];

		if (entry->new_socket) {
			listener_free(entry->lis);
			endpoint_free(entry->endpoint);
		}
		if (entry->new_service)
			service_free(entry->service);
		free(entry->settings);
	}
	worker_update_free(plan->update);
	free(plan->entries);
}

/* Set the sockets that are kept to their new options; all, or none when one refuses. */
static int
plan_update_kept(struct plan *plan)
{
	struct error_list undo = ERROR_LIST_EMPTY;
	size_t done = 0;
	int r = 0;

	for (; done < plan->count && r == 0; done++) {
		struct plan_entry *entry = &plan->entries[done];

		if (!entry->new_socket)
			r = listen_socket_update(
			    entry->socket, entry->cfg, &entry->options, plan->errors);
	}
	if (r == 0)
		return 0;
	while (done-- > 0) {
		struct plan_entry *entry = &plan->entries[done];

		if (!entry->new_socket &&
		    listen_socket_update(entry->socket, entry->cfg, &entry->before, &undo) < 0)
			log_warning("%s", error_list_first(&undo));
	}
	error_list_done(&undo);
	return r;
}

/* Do everything that can fail. Each failure adds a line to the errors; the first is returned. */
static int
plan_make(struct plan *plan)
{
	const struct config *cfg = plan->cfg;
	int first = 0;

	plan->entries = calloc(cfg->listener_count + 1, sizeof(*plan->entries));
	plan->update = worker_update_new(cfg, plan->engine->worker_count);
	if (plan->entries == NULL || plan->update == NULL) {
		error_list_add(plan->errors, "cannot plan the listeners: out of memory");
		return -ENOMEM;
	}
	for (size_t i = 0; i < cfg->listener_count; i++) {
		struct plan_entry *entry = &plan->entries[plan->count];
		int r;

		if (!cfg->listeners[i].enabled)
			continue;
		plan->count++;
		entry->cfg = &cfg->listeners[i];
		r = plan_make_entry(plan, entry);
		if (first == 0)
			first = r;
	}
	return first == 0 ? plan_update_kept(plan) : first;
}

/* Whether SOCK, which serves SERVICE, stays open; warns where others go on listening. */
static bool
plan_keeps(const struct listen_socket *sock, const struct service *service, const void *context)
{
	const struct plan *plan = context;

	for (size_t i = 0; i < plan->count; i++) {
		if (plan->entries[i].socket == sock)
			return true;
	}
	if (sock->inherited)
		log_warning("listener %s is closed here, but the service manager goes on "
			    "listening for it: stop its sock unit too",
		    service->name);
	return false;
}

static void
plan_announce(const struct listen_socket *sock, const struct listener_config *cfg)
{
	char address[ADDRESS_TEXT_MAX];
	const char *origin = sock->inherited ? "inherited" : "bound";
	struct log_field fields[] = { LOG_TEXT("listener", cfg->name), LOG_TEXT("address", address),
		LOG_TEXT("origin", origin) };

	address_format(&sock->address, address, sizeof(address));
	log_fields(LOG_LEVEL_NOTICE, fields, ARRAY_SIZE(fields), "listening");
	if (sock->inherited && !address_stands_for(&cfg->address, &sock->address))
		log_warning("listeners.%s: the inherited sock serves %s, not the configured %s",
		    cfg->name, address, cfg->address_text);
}

static void
plan_commit_socket(struct engine *engine, struct plan_entry *entry)
{
	if (entry->socket == NULL)
		return;
	entry->service->address = entry->socket->address;
	if (entry->new_socket)
		plan_announce(entry->socket, entry->cfg);
	if (entry->lis != NULL) {
		listener_set(entry->lis, entry->service, entry->cfg->connections);
		if (entry->new_socket)
			TAILQ_INSERT_TAIL(&engine->acceptor.listeners, entry->lis, next);
	} else {
		endpoint_set(entry->endpoint, entry->service, entry->settings);
		entry->settings = NULL;
		if (entry->new_socket) {
			LIST_INSERT_HEAD(&engine->endpoints, entry->endpoint, next);
			endpoint_serve(entry->endpoint, true);
		}
	}
	entry->new_socket = false;
}

/* Tell each endpoint the addresses of all: two that answer each other would never stop. */
static void
plan_name_own(struct plan *plan)
{
	for (size_t i = 0; i < plan->count; i++) {
		if (plan->entries[i].endpoint == NULL)
			continue;
		for (size_t j = 0; j < plan->count; j++) {
			if (plan->entries[j].settings != NULL)
				endpoint_settings_add_own(
				    plan->entries[j].settings, &plan->entries[i].socket->address);
		}
	}
}

/* Nothing in here can fail. */
static void
plan_commit(struct plan *plan)
{
	struct engine *engine = plan->engine;
	struct service *service;

	engine->applied = plan->cfg;
	TAILQ_FOREACH (service, &engine->services, next)
		service->configured = false;
	acceptor_set(&engine->acceptor, plan->cfg);
	for (size_t i = 0; i < plan->count; i++) {
		if (plan->entries[i].lost != NULL)
			socket_file_take_over(
			    &plan->entries[i].socket->file, &plan->entries[i].lost->file);
	}
	engine_close_sockets(engine, plan_keeps, plan);
	plan_name_own(plan);
	for (size_t i = 0; i < plan->count; i++) {
		struct plan_entry *entry = &plan->entries[i];

		if (entry->new_service)
			TAILQ_INSERT_TAIL(&engine->services, entry->service, next);
		entry->new_service = false;
		entry->service->configured = true;
		entry->service->gone_ns = 0;
		worker_update_add(plan->update, entry->service, entry->cfg);
	}
	/* posted before any connection that is accepted from now on */
	worker_update_apply(plan->update, engine->workers);
	plan->update = NULL;
	for (size_t i = 0; i < plan->count; i++)
		plan_commit_socket(engine, &plan->entries[i]);
}

bool
plan_is_due(const struct engine *engine, const struct config *cfg)
{
	for (size_t i = 0; i < cfg->listener_count; i++) {
		const struct listener_config *lis = &cfg->listeners[i];
		struct plan_entry entry = { .cfg = lis };
		struct address now;

		if (!lis->enabled || !lis->freebind || lis->address.zone[0] == '\0')
			continue;
		plan_match(engine, &entry);
		if (entry.socket == NULL ? address_resolve(&lis->address, &now) == 0
					 : listen_socket_loss(entry.socket) != NULL)
			return true;
	}
	return false;
}

int
plan_apply(struct engine *engine, const struct config *cfg, struct inheritance *inheritance,
    int64_t timeout_ns, struct error_list *errors)
{
	struct plan plan = { .engine = engine,
		.cfg = cfg,
		.inheritance = inheritance,
		.timeout_ns = timeout_ns,
		.errors = errors };
	int r = plan_make(&plan);

	if (r == 0)
		plan_commit(&plan);
	plan_done(&plan);
	return r;
}
