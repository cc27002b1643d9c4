/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "config/config_overlap.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOBODY SIZE_MAX

/* Who cannot be bound beside whom: sockets of different kinds always can. */
enum kind {
	KIND_TCP,
	KIND_UDP,
	KIND_FILE, /* of either transport: there is one file of a name */
	KIND_ABSTRACT,
	KIND_ABSTRACT_DATAGRAM,
};

/* Which addresses of a port a socket takes; a place may have several of these. */
enum reach {
	REACH_IPV4,     /* an IPv4 address, written as IPv6 or not */
	REACH_ALL_IPV4, /* 0.0.0.0 */
	REACH_IPV6,     /* any other IPv6 address */
	REACH_ALL_IPV6, /* [::] */
	REACH_DUAL,     /* [::] without v6only, and so 0.0.0.0 too */
	REACHES,
};

/* For each reach, the one that cannot be bound beside it. */
static const enum reach opposite[] = {
	[REACH_IPV4] = REACH_ALL_IPV4,
	[REACH_ALL_IPV4] = REACH_IPV4,
	[REACH_IPV6] = REACH_ALL_IPV6,
	[REACH_ALL_IPV6] = REACH_IPV6,
};

/*
 * A name or socket that somebody asks for. ORDER is the index of a listener, or one of the two
 * after the last: control.http and control.socket.
 */
struct place {
	char text[sizeof(((struct sockaddr_un *)NULL)->sun_path)]; /* padded with NUL */
	unsigned group;                                            /* kind and port */
	bool reaches[REACHES];
	size_t order;
};

struct overlaps {
	const struct config *config;
	struct place *places; /* owned */
	size_t count;
	size_t *same;  /* owned; by order: the first that has the same, or NOBODY */
	size_t *other; /* owned; by order: the first that overlaps, or NOBODY */
};

static int
compare_places(const void *left, const void *right)
{
	const struct place *a = left, *b = right;
	int r = memcmp(a->text, b->text, sizeof(a->text));

	if (a->group != b->group)
		return a->group < b->group ? -1 : 1;
	return r != 0 ? r : a->order < b->order ? -1 : a->order > b->order;
}

/* Copy PATH without what means nothing in it: "//" and "/./". */
static void
copy_path(const char *path, char *buffer, size_t size)
{
	size_t used = 0;

	while (*path != '\0' && used + 1 < size) {
		if (path[0] == '/' && path[1] == '/')
			path++;
		else if (strncmp(path, "/./", 3) == 0)
			path += 2;
		else
			buffer[used++] = *path++;
	}
}

static void
place_host(struct place *place, const struct address *address, bool v6only)
{
	struct in6_addr host = { .s6_addr = { [10] = 0xff, [11] = 0xff } };
	bool ipv4 = address->u.sa.sa_family == AF_INET, all;
	char whole[ADDRESS_TEXT_MAX];

	if (ipv4) {
		memcpy(&host.s6_addr[12], &address->u.in.sin_addr, 4);
	} else {
		host = address->u.in6.sin6_addr;
		ipv4 = !v6only && IN6_IS_ADDR_V4MAPPED(&host);
	}
	memcpy(place->text, &host, sizeof(host));
	/* one host of each interface: the URL form names it */
	if (IN6_IS_ADDR_LINKLOCAL(&host))
		(void)snprintf(place->text + sizeof(host), sizeof(place->text) - sizeof(host), "%s",
		    address_format(address, whole, sizeof(whole)));
	all = ipv4 ? memcmp(&host.s6_addr[12], "\0\0\0", 4) == 0 : IN6_IS_ADDR_UNSPECIFIED(&host);
	place->reaches[REACH_IPV4] = ipv4;
	place->reaches[REACH_ALL_IPV4] = ipv4 && all;
	place->reaches[REACH_IPV6] = !ipv4;
	place->reaches[REACH_ALL_IPV6] = !ipv4 && all;
	place->reaches[REACH_DUAL] = !ipv4 && all && !v6only;
}

static void
add_place(struct overlaps *overlaps, size_t order, const struct address *address, bool v6only)
{
	struct place *place = &overlaps->places[overlaps->count];
	const char *path = address->u.un.sun_path;
	enum kind kind;

	if (address_is_ip(address) && address_port(address) == 0)
		return;
	*place = (struct place){ .order = order };
	if (address_is_ip(address)) {
		kind = address_is_datagram(address) ? KIND_UDP : KIND_TCP;
		place_host(place, address, v6only);
	} else if (address_is_path(address)) {
		kind = KIND_FILE;
		copy_path(path, place->text, sizeof(place->text));
	} else {
		kind = address_is_datagram(address) ? KIND_ABSTRACT_DATAGRAM : KIND_ABSTRACT;
		memcpy(place->text, path, sizeof(place->text));
	}
	place->group = (unsigned)kind << 16 | address_port(address);
	overlaps->count++;
}

static void
add_control(struct overlaps *overlaps)
{
	const struct config *config = overlaps->config;
	const char *path = config->control.socket, *reason;
	char url[sizeof("unix:") + sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	struct address address;

	if (*config->control.http != '\0' &&
	    !config_origin_of(config, CONFIG_CONTROL, "http")->refused)
		add_place(overlaps, config->listener_count, &config->control.http_address, false);
	(void)snprintf(url, sizeof(url), "unix:%s", path);
	if (*path == '/' && address_parse(url, &address, &reason) == 0)
		add_place(overlaps, config->listener_count + 1, &address, false);
}

/* Set what each of COUNT sorted places, which have one text, has in common with the first. */
static void
find_same(struct overlaps *overlaps, const struct place *places, size_t count)
{
	for (size_t i = 1; i < count; i++)
		overlaps->same[places[i].order] = places[0].order;
}

/* Set what each of COUNT places of one kind and port overlaps. */
static void
find_others(struct overlaps *overlaps, const struct place *places, size_t count)
{
	size_t first[REACHES] = { NOBODY, NOBODY, NOBODY, NOBODY, NOBODY };

	for (size_t i = 0; i < count; i++) {
		for (size_t r = 0; r < REACHES; r++) {
			if (places[i].reaches[r] && places[i].order < first[r])
				first[r] = places[i].order;
		}
	}
	for (size_t i = 0; i < count; i++) {
		const struct place *place = &places[i];
		size_t other = place->order;

		for (size_t r = 0; r < ARRAY_SIZE(opposite); r++) {
			if (place->reaches[r] && first[opposite[r]] < other)
				other = first[opposite[r]];
		}
		if (place->reaches[REACH_IPV4] && first[REACH_DUAL] < other)
			other = first[REACH_DUAL];
		if (place->reaches[REACH_DUAL] && first[REACH_IPV4] < other)
			other = first[REACH_IPV4];
		if (other < place->order)
			overlaps->other[place->order] = other;
	}
}

/* Call FOUND for each run of sorted places that agree in the group and, with TEXTS, the text. */
static void
each_run(struct overlaps *overlaps, bool texts,
    void (*found)(struct overlaps *overlaps, const struct place *places, size_t count))
{
	const struct place *places = overlaps->places;
	size_t first = 0;

	for (size_t i = 1; i <= overlaps->count; i++) {
		if (i < overlaps->count && places[i].group == places[first].group &&
		    (!texts ||
			memcmp(places[i].text, places[first].text, sizeof(places[i].text)) == 0))
			continue;
		found(overlaps, places + first, i - first);
		first = i;
	}
}

static const struct config_origin *
origin_of(const struct config *config, size_t order, const char *key)
{
	if (order >= config->listener_count)
		return config_origin_of(
		    config, CONFIG_CONTROL, order == config->listener_count ? "http" : "socket");
	return config_listener_origin(&config->listeners[order], key);
}

static const char *
text_of(const struct config *config, size_t order)
{
	if (order < config->listener_count)
		return config->listeners[order].address_text;
	return order == config->listener_count ? config->control.http : config->control.socket;
}

/* Say what to do about FIRST and SECOND, of which one may take IPv4 beside IPv6. */
static const char *
remedy_for(const struct config *config, size_t first, size_t second)
{
	size_t both[] = { first, second };

	for (size_t i = 0; i < ARRAY_SIZE(both); i++) {
		const struct listener_config *lis = &config->listeners[both[i]];
		size_t other = both[1 - i];

		if (both[i] >= config->listener_count || lis->address.u.sa.sa_family != AF_INET6 ||
		    lis->v6only)
			continue;
		if (other >= config->listener_count
			? config->control.http_address.u.sa.sa_family != AF_INET
			: config->listeners[other].address.u.sa.sa_family != AF_INET)
			continue;
		return lis->address.wildcard ? "keep one of them, or write [::] with v6only = "
					       "true instead of *"
					     : "keep one of them, or write v6only = true for [::]";
	}
	return "keep one of them, or give it another port";
}

/* Tell that the socket at ORDER is that of FIRST too, or overlaps it. */
static void
report_socket(
    const struct config *config, size_t order, size_t first, bool same, struct error_list *errors)
{
	const struct config_origin *origin = origin_of(config, order, "address");
	const struct config_origin *other = origin_of(config, first, "address");
	const char *text = text_of(config, order), *first_text = text_of(config, first);
	char key[64], place[CONFIG_PLACE_MAX];

	if (order < config->listener_count)
		(void)snprintf(key, sizeof(key), "listeners[%zu].address", order);
	else
		(void)snprintf(key, sizeof(key), "control.%s",
		    order == config->listener_count ? "http" : "socket");
	if (same && order < config->listener_count)
		config_add_error(errors, origin, "%s: \"%s\" is used twice%s", key, text,
		    config_format_place(other, "first", place, sizeof(place)));
	else if (same)
		config_add_error(errors, origin,
		    "%s: \"%s\" is the address of listeners[%zu] too%s", key, text, first,
		    config_format_place(other, "set", place, sizeof(place)));
	else
		config_add_error(errors, origin,
		    "%s: \"%s\" cannot be bound beside \"%s\" of listeners[%zu]%s: %s", key, text,
		    first_text, first, config_format_place(other, "set", place, sizeof(place)),
		    remedy_for(config, first, order));
}

static int
compare_names(const void *left, const void *right)
{
	const struct listener_config *a = *(const struct listener_config *const *)left;
	const struct listener_config *b = *(const struct listener_config *const *)right;
	int r = strcmp(a->name, b->name);

	return r != 0 ? r : a < b ? -1 : a > b;
}

/* Set in SAME, by listener, the first one that has the same name. Returns 0 or -ENOMEM. */
static int
find_names(const struct config *config, size_t *same)
{
	const struct listener_config **named = calloc(config->listener_count + 1, sizeof(*named));
	size_t count = 0, first = 0;

	if (named == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < config->listener_count; i++) {
		same[i] = NOBODY;
		if (config->listeners[i].name != NULL)
			named[count++] = &config->listeners[i];
	}
	qsort(named, count, sizeof(*named), compare_names);
	for (size_t i = 1; i < count; i++) {
		if (strcmp(named[i]->name, named[first]->name) == 0)
			same[named[i] - config->listeners] = (size_t)(named[first] -
								      config->listeners);
		else
			first = i;
	}
	free(named);
	return 0;
}

static void
report_name(const struct config *config, size_t index, size_t first, struct error_list *errors)
{
	char place[CONFIG_PLACE_MAX];

	config_add_error(errors, origin_of(config, index, "name"),
	    "listeners[%zu].name: \"%s\" is used twice%s", index, config->listeners[index].name,
	    config_format_place(origin_of(config, first, "name"), "first", place, sizeof(place)));
}

static void
find_sockets(struct overlaps *overlaps)
{
	const struct config *config = overlaps->config;

	for (size_t i = 0; i < config->listener_count; i++) {
		const struct listener_config *lis = &config->listeners[i];

		if (lis->enabled && lis->address_text != NULL)
			add_place(overlaps, i, &lis->address, lis->v6only);
	}
	add_control(overlaps);
	qsort(overlaps->places, overlaps->count, sizeof(*overlaps->places), compare_places);
	each_run(overlaps, true, find_same);
	each_run(overlaps, false, find_others);
}

int
config_overlap_check(const struct config *config, bool overlaps, struct error_list *errors)
{
	size_t orders = config->listener_count + 2;
	struct overlaps all = { .config = config,
		.places = calloc(orders, sizeof(*all.places)),
		.same = calloc(orders, sizeof(*all.same)),
		.other = calloc(orders, sizeof(*all.other)) };
	size_t *names = calloc(orders, sizeof(*names));
	int r = all.places == NULL || all.same == NULL || all.other == NULL || names == NULL
		    ? -ENOMEM
		    : find_names(config, names);

	if (r == 0) {
		for (size_t i = 0; i < orders; i++)
			all.same[i] = all.other[i] = NOBODY;
		find_sockets(&all);
		for (size_t i = 0; i < orders; i++) {
			if (i < config->listener_count && names[i] != NOBODY)
				report_name(config, i, names[i], errors);
			if (all.same[i] != NOBODY)
				report_socket(config, i, all.same[i], true, errors);
			else if (overlaps && all.other[i] != NOBODY)
				report_socket(config, i, all.other[i], false, errors);
		}
	}
	free(names);
	free(all.other);
	free(all.same);
	free(all.places);
	return r;
}
