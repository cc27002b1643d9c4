/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "control/config_json.h"

#include <stdio.h>

#include "config/directives.h"
#include "control/json_value.h"

#define KEY_MAX (sizeof("listeners..") + CONFIG_LISTENER_NAME_MAX + 64)

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
config_json_add_listener(json_t *rows, const struct listener_config *lis)
{
	const struct directive_table *table = directive_table(CONFIG_LISTENERS);
	char prefix[KEY_MAX];
	int r = 0;

	(void)snprintf(prefix, sizeof(prefix), "listeners.%s.", lis->name);
	for (size_t i = 0; i < table->count; i++) {
		const struct directive *row = &table->rows[i];

		if (directive_suits_address(row, &lis->address))
			r |= json_array_append_new(
			    rows, config_json_row(prefix, row, lis, &lis->origins[i]));
	}
	return r;
}

static int
config_json_add_section(json_t *rows, const struct config *config, enum config_section section)
{
	const struct directive_table *table = directive_table(section);
	const void *base = directive_base(config, section);
	char prefix[KEY_MAX];
	int r = 0;

	(void)snprintf(
	    prefix, sizeof(prefix), "%s%s", table->section, section == CONFIG_TOP ? "" : ".");
	for (size_t i = 0; i < table->count; i++)
		r |= json_array_append_new(rows,
		    config_json_row(prefix, &table->rows[i], base, &config->origins[section][i]));
	return r;
}

json_t *
config_json_new(const struct config *config)
{
	json_t *object = json_object(), *rows = json_array();
	int r = 0;

	for (size_t i = 0; i < config->listener_count; i++)
		r |= config_json_add_listener(rows, &config->listeners[i]);
	for (enum config_section s = CONFIG_TOP; s < CONFIG_SECTIONS; s++) {
		if (s != CONFIG_LISTENERS)
			r |= config_json_add_section(rows, config, s);
	}
	r |= json_object_set_new(
	    object, "path", config->path != NULL ? json_value_text(config->path) : json_null());
	r |= json_object_set_new(object, "directives", rows);
	return json_value_checked(object, r);
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
