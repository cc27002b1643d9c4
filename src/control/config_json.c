/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "control/config_json.h"

#include <stdint.h>
#include <stdio.h>

#include "base/log.h"
#include "config/config_carry.h"
#include "config/configuration.h"
#include "config/directive.h"
#include "control/document.h"

#define KEY_MAX (sizeof("listeners..") + CONFIG_LISTENER_NAME_MAX + 64)

struct config_json {
	struct document document; /* first: the two have one address */
	const struct config
	    *config; /* held by document: that of the moment when it was asked for */
	size_t rows;
};

static json_t *
config_json_origin(const struct config_origin *origin)
{
	char text[4200];

	if (origin->file == NULL)
		return json_string("default");
	(void)snprintf(text, sizeof(text), "%s:%u", origin->file, origin->line);
	return document_text(text);
}

/*
 * Return the level of the log where it is not the configured one, since -v or a request set it;
 * else NULL.
 */
static const char *
config_json_level(const struct config_json *json, const struct directive *row)
{
	if (row != directive_find(directive_table(CONFIG_LOG), "level") ||
	    (int64_t)log_get_level() == json->config->log.level)
		return NULL;
	return log_level_name(log_get_level());
}

/* PREFIX is "limits.", "listeners.echo." or "". */
static void
config_json_row(struct config_json *json, const char *prefix, const struct directive *row,
    const void *base, const struct config_origin *origin)
{
	const char *waiting = config_find_waiting(json->config, base, row);
	const char *level = config_json_level(json, row);
	char value[DIRECTIVE_TEXT_MAX], key[KEY_MAX];

	(void)snprintf(key, sizeof(key), "%s%s", prefix, row->key);
	directive_format(row, base, value, sizeof(value));
	if (level != NULL)
		(void)snprintf(value, sizeof(value), "%s", level);
	document_add_row(&json->document, json->rows++ == 0,
	    json_pack("{s:o, s:o, s:o, s:b, s:o, s:s, s:s}", "key", document_text(key), "value",
		document_text(value), "waiting",
		waiting != NULL ? document_text(waiting) : json_null(), "default",
		origin->file == NULL && level == NULL, "origin",
		level != NULL ? json_string("set by hand") : config_json_origin(origin), "effect",
		directive_effect_name(row->effect), "help", row->help));
}

static void
config_json_listener(struct config_json *json, const struct listener_config *lis)
{
	const struct directive_table *table = directive_table(CONFIG_LISTENERS);
	char prefix[KEY_MAX];

	(void)snprintf(prefix, sizeof(prefix), "listeners.%s.", lis->name);
	for (size_t i = 0; i < table->count; i++) {
		if (directive_suits_address(&table->rows[i], &lis->address))
			config_json_row(json, prefix, &table->rows[i], lis, &lis->origins[i]);
	}
}

static void
config_json_section(struct config_json *json, enum config_section section)
{
	const struct directive_table *table = directive_table(section);
	const void *base = directive_base(json->config, section);
	char prefix[KEY_MAX];

	(void)snprintf(
	    prefix, sizeof(prefix), "%s%s", table->section, section == CONFIG_TOP ? "" : ".");
	for (size_t i = 0; i < table->count; i++)
		config_json_row(
		    json, prefix, &table->rows[i], base, &json->config->origins[section][i]);
}

static bool
config_json_head(struct document *document)
{
	const char *path = ((struct config_json *)document)->config->path;

	document_print(document, "{\"path\":");
	document_add(document, path != NULL ? document_text(path) : json_null());
	document_print(document, ",\"directives\":[");
	return false;
}

/* A piece is a listener, then a section. */
static bool
config_json_piece(struct document *document)
{
	struct config_json *json = (struct config_json *)document;
	const struct config *config = json->config;
	size_t section;

	if (document->piece < config->listener_count) {
		config_json_listener(json, &config->listeners[document->piece]);
		return true;
	}
	section = document->piece - config->listener_count;
	if (section == CONFIG_SECTIONS) {
		document_print(document, "]}\n");
		return false;
	}
	if (section != CONFIG_LISTENERS)
		config_json_section(json, (enum config_section)section);
	return true;
}

static void
config_json_release(void *config)
{
	config_unref(config);
}

struct document *
config_json_new(const struct config *config)
{
	static document_step *const steps[] = { config_json_head, config_json_piece, NULL };
	struct config_json *json = document_new(sizeof(*json), DOCUMENT_JSON, steps);

	if (json == NULL)
		return NULL;
	json->config = config_ref(config);
	json->document.owned = (void *)(uintptr_t)config;
	json->document.release = config_json_release;
	return &json->document;
}

json_t *
config_json_changes(const struct control_reload *reload)
{
	json_t *object = json_pack("{s:[], s:[]}", "changed", "needs_restart");

	for (size_t i = 0; i < reload->count; i++) {
		const struct control_change *change = &reload->changes[i];
		const char *list = change->needs_restart ? "needs_restart" : "changed";
		json_t *row = json_pack("{s:o, s:o, s:o}", "key", document_text(change->key),
		    "from", document_text(change->from), "to", document_text(change->to));

		if (json_array_append_new(json_object_get(object, list), row) < 0) {
			json_decref(object);
			return NULL;
		}
	}
	return object;
}

json_t *
config_json_errors(const struct error_list *errors)
{
	json_t *lines = json_array();
	size_t i = 0;

	do {
		const char *line = i < errors->count ? errors->lines[i] : error_list_first(errors);

		if (json_array_append_new(lines, document_text(line)) < 0) {
			json_decref(lines);
			return NULL;
		}
	} while (++i < errors->count);
	return json_pack("{s:o}", "errors", lines);
}
