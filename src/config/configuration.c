/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "config/configuration.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/directives.h"

struct change_sink {
	void (*changed)(
	    void *context, const char *key, const char *from, const char *to, bool needs_restart);
	void *context;
};

/* A default is text like any other value; a table with a bad one fails here, in every test. */
static int
set_defaults(const struct directive_table *table, void *base)
{
	struct error_list errors = ERROR_LIST_EMPTY;
	int r = 0;

	for (size_t i = 0; i < table->count && r == 0; i++) {
		const struct directive *row = &table->rows[i];

		if (row->default_text != NULL)
			r = directive_set(row, base, row->default_text, "", &errors);
	}
	error_list_done(&errors);
	return r;
}

static void
listener_done(struct listener_config *listener)
{
	free(listener->name);
	free(listener->address_text);
	free(listener->group);
	directive_list_free(&listener->allow);
	directive_list_free(&listener->deny);
}

const struct config *
config_ref(const struct config *config)
{
	/* the count is no part of what is configured */
	struct config *counted = (void *)(uintptr_t)config;

	atomic_fetch_add_explicit(&counted->references, 1, memory_order_relaxed);
	return config;
}

void
config_unref(const struct config *given)
{
	struct config *config = (void *)(uintptr_t)given;

	if (config == NULL ||
	    atomic_fetch_sub_explicit(&config->references, 1, memory_order_acq_rel) > 1)
		return;
	for (size_t i = 0; i < config->listener_count; i++)
		listener_done(&config->listeners[i]);
	for (size_t i = 0; i < config->file_name_count; i++)
		free(config->file_names[i]);
	free(config->listeners);
	free(config->file_names);
	free(config->log.file);
	free(config->control.http);
	directive_list_free(&config->control.http_hosts);
	free(config->control.socket);
	free(config->control.group);
	free(config->path);
	free(config);
}

struct config *
config_new_empty(void)
{
	struct config *config = calloc(1, sizeof(*config));

	if (config == NULL)
		return NULL;
	atomic_init(&config->references, 1);
	for (enum config_section s = CONFIG_TOP; s < CONFIG_SECTIONS; s++) {
		void *base = directive_base(config, s);

		if (base != NULL && set_defaults(directive_table(s), base) < 0) {
			config_unref(config);
			return NULL;
		}
	}
	return config;
}

struct listener_config *
config_add_listener(struct config *config)
{
	struct listener_config *lis;

	lis = reallocarray(config->listeners, config->listener_count + 1, sizeof(*lis));
	if (lis == NULL)
		return NULL;
	config->listeners = lis;
	lis += config->listener_count;
	*lis = (struct listener_config){ 0 };
	if (set_defaults(directive_table(CONFIG_LISTENERS), lis) < 0) {
		listener_done(lis);
		return NULL;
	}
	config->listener_count++;
	return lis;
}

static int
add_default_listener(struct config *config, const char *name, const char *address)
{
	const struct directive_table *table = directive_table(CONFIG_LISTENERS);
	struct listener_config *lis = config_add_listener(config);
	struct error_list errors = ERROR_LIST_EMPTY;
	int r = -1;

	if (lis == NULL)
		return -1;
	if (directive_set(directive_find(table, "name"), lis, name, "", &errors) == 0 &&
	    directive_set(directive_find(table, "address"), lis, address, "", &errors) == 0)
		r = 0;
	error_list_done(&errors);
	return r;
}

struct config *
config_new_default(void)
{
	struct config *config = config_new_empty();

	if (config == NULL)
		return NULL;
	if (add_default_listener(config, "echo", "tcp://127.0.0.1:7007") < 0 ||
	    add_default_listener(config, "echo6", "tcp://[::1]:7007") < 0) {
		config_unref(config);
		return NULL;
	}
	return config;
}

/* Names are unique in a checked configuration. */
static const struct listener_config *
find_listener(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->listener_count; i++) {
		const struct listener_config *lis = &config->listeners[i];

		if (lis->name != NULL && strcmp(lis->name, name) == 0)
			return lis;
	}
	return NULL;
}

static void
diff_table(const struct directive_table *table, const char *prefix, const void *old,
    const void *new, bool running, const struct change_sink *sink)
{
	char from[DIRECTIVE_TEXT_MAX], to[DIRECTIVE_TEXT_MAX], key[256];

	for (size_t i = 0; i < table->count; i++) {
		const struct directive *row = &table->rows[i];

		if (directive_equal(row, old, new))
			continue;
		directive_format(row, old, from, sizeof(from));
		directive_format(row, new, to, sizeof(to));
		(void)snprintf(
		    key, sizeof(key), "%s%s%s", prefix, *prefix != '\0' ? "." : "", row->key);
		sink->changed(
		    sink->context, key, from, to, running && row->effect == DIRECTIVE_RESTART);
	}
}

/* A listener that gets a new socket takes every value; one that keeps its socket does not. */
static bool
keeps_socket(const struct listener_config *was, const struct listener_config *is)
{
	return was->enabled && is->enabled && was->address.wildcard == is->address.wildcard &&
	       address_equal(&was->address, &is->address);
}

static void
diff_listeners(const struct config *old, const struct config *new, const struct change_sink *sink)
{
	char key[256];

	for (size_t i = 0; i < old->listener_count; i++) {
		const struct listener_config *was = &old->listeners[i];
		const struct listener_config *is = find_listener(new, was->name);

		(void)snprintf(key, sizeof(key), "listeners.%s", was->name);
		if (is == NULL)
			sink->changed(sink->context, key, was->address_text, "", false);
		else
			diff_table(directive_table(CONFIG_LISTENERS), key, was, is,
			    keeps_socket(was, is), sink);
	}
	for (size_t i = 0; i < new->listener_count; i++) {
		const struct listener_config *is = &new->listeners[i];

		if (find_listener(old, is->name) != NULL)
			continue;
		(void)snprintf(key, sizeof(key), "listeners.%s", is->name);
		sink->changed(sink->context, key, "", is->address_text, false);
	}
}

void
config_diff(const struct config *old, const struct config *new,
    void (*changed)(
	void *context, const char *key, const char *from, const char *to, bool needs_restart),
    void *context)
{
	const struct change_sink sink = { changed, context };

	diff_listeners(old, new, &sink);
	for (enum config_section s = CONFIG_TOP; s < CONFIG_SECTIONS; s++) {
		const struct directive_table *table = directive_table(s);

		if (s != CONFIG_LISTENERS)
			diff_table(table, table->section, directive_base(old, s),
			    directive_base(new, s), true, &sink);
	}
}
