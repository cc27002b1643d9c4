/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "control/config_json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>

#include "config/configuration.h"
#include "config/directive.h"
#include "control/document.h"
#include "control/json_value.h"

#define KEY_MAX (sizeof("listeners..") + CONFIG_LISTENER_NAME_MAX + 64)

struct config_json {
	struct document document; /* first: the two have one address */
	const struct control_actions *actions;
	const struct config *config; /* that of the last piece; it may be gone */
	struct evbuffer *out;        /* of the present piece */
	size_t pieces;
	size_t rows;
};

static json_t *
config_json_origin(const struct config_origin *origin)
{
	char text[4200];

	if (origin->file == NULL)
		return json_string("default");
	(void)snprintf(text, sizeof(text), "%s:%u", origin->file, origin->line);
	return json_value_text(text);
}

/* PREFIX is "limits.", "listeners.echo." or "". */
static json_t *
config_json_row(const char *prefix, const struct directive *row, const void *base,
    const struct config_origin *origin)
{
	const char *effect = directive_effect_name(row->effect);
	char value[DIRECTIVE_TEXT_MAX], key[KEY_MAX];
	json_t *object = json_object();
	int r = 0;

	(void)snprintf(key, sizeof(key), "%s%s", prefix, row->key);
	directive_format(row, base, value, sizeof(value));
	r |= json_object_set_new(object, "key", json_value_text(key));
	r |= json_object_set_new(object, "value", json_value_text(value));
	r |= json_object_set_new(object, "default", json_boolean(origin->file == NULL));
	r |= json_object_set_new(object, "origin", config_json_origin(origin));
	r |= json_object_set_new(object, "effect", json_string(effect));
	r |= json_object_set_new(object, "help", json_string(row->help));
	return json_value_checked(object, r);
}

static int
config_json_write_row(struct config_json *json, json_t *row)
{
	int r = json->rows++ > 0 ? evbuffer_add(json->out, ",", 1) : 0;

	r |= json_value_write(json->out, row);
	return r;
}

static int
config_json_write_listener(struct config_json *json, const struct listener_config *lis)
{
	const struct directive_table *table = directive_table(CONFIG_LISTENERS);
	char prefix[KEY_MAX];
	int r = 0;

	(void)snprintf(prefix, sizeof(prefix), "listeners.%s.", lis->name);
	for (size_t i = 0; i < table->count; i++) {
		const struct directive *row = &table->rows[i];

		if (directive_suits_address(row, &lis->address))
			r |= config_json_write_row(
			    json, config_json_row(prefix, row, lis, &lis->origins[i]));
	}
	return r;
}

static int
config_json_write_section(struct config_json *json, enum config_section section)
{
	const struct directive_table *table = directive_table(section);
	const void *base = directive_base(json->config, section);
	char prefix[KEY_MAX];
	int r = 0;

	(void)snprintf(
	    prefix, sizeof(prefix), "%s%s", table->section, section == CONFIG_TOP ? "" : ".");
	for (size_t i = 0; i < table->count; i++)
		r |= config_json_write_row(json, config_json_row(prefix, &table->rows[i], base,
						     &json->config->origins[section][i]));
	return r;
}

static int
config_json_write_head(const struct config_json *json)
{
	const char *path = json->config->path;
	int r = evbuffer_add(json->out, "{\"path\":", strlen("{\"path\":"));

	r |= json_value_write(json->out, path != NULL ? json_value_text(path) : json_null());
	r |= evbuffer_add(json->out, ",\"directives\":[", strlen(",\"directives\":["));
	return r;
}

/* A piece is a listener, then a section. */
static int
config_json_write_piece(struct config_json *json, size_t piece)
{
	size_t listeners = json->config->listener_count;
	int r = piece == 0 ? config_json_write_head(json) : 0;

	if (piece < listeners)
		r |= config_json_write_listener(json, &json->config->listeners[piece]);
	else if (piece - listeners == CONFIG_SECTIONS)
		r |= evbuffer_add(json->out, "]}\n", strlen("]}\n"));
	else if (piece - listeners != CONFIG_LISTENERS)
		r |= config_json_write_section(json, (enum config_section)(piece - listeners));
	return r;
}

static int
config_json_write(struct document *document, struct evbuffer *out)
{
	struct config_json *json = (struct config_json *)document;
	const struct config *config = json->actions->config(json->actions->context);

	if (json->config != config) {
		/* the first piece, or the first after a reload: it begins anew */
		(void)evbuffer_drain(out, evbuffer_get_length(out));
		json->config = config;
		json->pieces = json->rows = 0;
	}
	json->out = out;
	if (config_json_write_piece(json, json->pieces) < 0)
		return -ENOMEM;
	return json->pieces++ < config->listener_count + CONFIG_SECTIONS;
}

static void
config_json_free(struct document *document)
{
	free(document);
}

struct document *
config_json_new(const struct control_actions *actions)
{
	struct config_json *json = calloc(1, sizeof(*json));

	if (json == NULL)
		return NULL;
	json->document = (struct document){
		.type = JSON_VALUE_TYPE, .write = config_json_write, .free = config_json_free
	};
	json->actions = actions;
	return &json->document;
}

json_t *
config_json_changes(const struct control_reload *reload)
{
	json_t *object = json_object(), *changed = json_array(), *waiting = json_array();
	int r = 0;

	for (size_t i = 0; i < reload->count; i++) {
		const struct control_change *change = &reload->changes[i];
		json_t *row = json_object();

		r |= json_object_set_new(row, "key", json_value_text(change->key));
		r |= json_object_set_new(row, "from", json_value_text(change->from));
		r |= json_object_set_new(row, "to", json_value_text(change->to));
		r |= json_array_append_new(change->needs_restart ? waiting : changed, row);
	}
	r |= json_object_set_new(object, "changed", changed);
	r |= json_object_set_new(object, "needs_restart", waiting);
	return json_value_checked(object, r);
}

json_t *
config_json_errors(const struct error_list *errors)
{
	json_t *object = json_object(), *lines = json_array();
	int r = 0;

	for (size_t i = 0; i < errors->count; i++)
		r |= json_array_append_new(lines, json_value_text(errors->lines[i]));
	if (errors->count == 0)
		r |= json_array_append_new(lines, json_string(error_list_first(errors)));
	r |= json_object_set_new(object, "errors", lines);
	return json_value_checked(object, r);
}
