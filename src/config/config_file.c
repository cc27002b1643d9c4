/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "config/config_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <libconfig.h>

#include "base/text.h"
#include "config/config_scan.h"
#include "config/config_source.h"
#include "config/directives.h"

#define SHOWN_MAX 160
#define DESCRIPTION_MAX 320

/* Say what SETTING holds, for "... does not belong here"; may use BUFFER. */
static const char *
config_file_describe(const config_setting_t *setting, char *buffer, size_t size)
{
	char shown[SHOWN_MAX];
	const char *text;

	switch (config_setting_type(setting)) {
	case CONFIG_TYPE_GROUP:
		return "a group { }";
	case CONFIG_TYPE_LIST:
		return "a list ( )";
	case CONFIG_TYPE_ARRAY:
		return "an array [ ]";
	case CONFIG_TYPE_BOOL:
		return config_setting_get_bool(setting) ? "true" : "false";
	default:
		text = config_setting_get_string(setting);
		if (text == NULL)
			return "nothing";
		if (*text == CONFIG_SOURCE_BARE) {
			text_escape_string(text + 1, buffer, size);
		} else {
			text_escape_string(text, shown, sizeof(shown));
			(void)snprintf(buffer, size, "\"%s\"", shown);
		}
		return buffer;
	}
}

/* Explain a value without quotes where quotes belong. */
static void
report_unquoted(
    const struct directive *row, const char *text, const char *prefix, struct error_list *errors)
{
	char shown[SHOWN_MAX], describe[DESCRIPTION_MAX];
	bool number = text[strspn(text, "0123456789")] == '\0';

	text_escape_string(text, shown, sizeof(shown));
	if (number && (row->type == DIRECTIVE_DURATION || row->type == DIRECTIVE_SIZE))
		error_list_add(errors, "%s%s has no unit (write %s)", prefix, shown,
		    directive_unit_hint(row->type, text, describe, sizeof(describe)));
	else if (number && row->type != DIRECTIVE_NAME && row->type != DIRECTIVE_MODE)
		error_list_add(errors, "%s%s is a number (write %s)", prefix, shown,
		    directive_describe(row, describe, sizeof(describe)));
	else
		error_list_add(errors, "%s%s has no quotes (write \"%s\")", prefix, shown, shown);
}

static int
report_misplaced(const struct directive *row, const config_setting_t *setting, const char *what,
    const char *prefix, struct error_list *errors)
{
	char shown[SHOWN_MAX + 2], describe[DESCRIPTION_MAX];
	const char *found = config_file_describe(setting, shown, sizeof(shown));

	directive_describe(row, describe, sizeof(describe));
	error_list_add(errors, "%s%s %s (write %s)", prefix, found, what, describe);
	return -EINVAL;
}

/*
 * Find the text that directive_set() takes: a string where a string is wanted, true and false, a
 * number without quotes.
 */
static int
value_text(const struct directive *row, const config_setting_t *setting, const char *prefix,
    struct error_list *errors, const char **ret_text)
{
	bool quoted = directive_is_quoted(row->type);
	const char *what = "does not belong here", *text;

	if (config_setting_type(setting) == CONFIG_TYPE_STRING) {
		text = config_setting_get_string(setting);
		if (text == NULL)
			return -ENOMEM;
		if (quoted != (*text == CONFIG_SOURCE_BARE)) {
			*ret_text = quoted ? text : text + 1;
			return 0;
		}
		if (quoted) {
			report_unquoted(row, text + 1, prefix, errors);
			return -EINVAL;
		}
		what = "has quotes";
	} else if (config_setting_type(setting) == CONFIG_TYPE_BOOL &&
		   row->type == DIRECTIVE_BOOLEAN) {
		*ret_text = config_setting_get_bool(setting) ? "true" : "false";
		return 0;
	}
	return report_misplaced(row, setting, what, prefix, errors);
}

/* The items of a list are texts in quotes, whatever the list is of. */
static int
set_list(const struct directive *row, void *base, const config_setting_t *setting,
    const char *prefix, struct error_list *errors)
{
	size_t count = (size_t)config_setting_length(setting);
	const char **items = calloc(count + 1, sizeof(*items));
	int r = items != NULL ? 0 : -ENOMEM;

	for (size_t i = 0; i < count && r == 0; i++) {
		const config_setting_t *item = config_setting_get_elem(setting, (unsigned)i);

		if (config_setting_type(item) == CONFIG_TYPE_STRING)
			items[i] = config_setting_get_string(item);
		if (items[i] == NULL)
			r = report_misplaced(row, item, "does not belong here", prefix, errors);
		else if (*items[i] == CONFIG_SOURCE_BARE)
			r = report_misplaced(row, item, "has no quotes", prefix, errors);
	}
	if (r == 0)
		r = directive_list_set(row, base, items, count, prefix, errors);
	free(items);
	return r;
}

/*
 * Set the field of ROW in BASE from SETTING, one value or a list; PREFIX starts the lines in
 * ERRORS. Results as directive_set().
 */
static int
config_file_set(const struct directive *row, void *base, const config_setting_t *setting,
    const char *prefix, struct error_list *errors)
{
	const char *text = NULL;
	int r;

	if (directive_is_list(row->type) && config_setting_is_list(setting))
		return set_list(row, base, setting, prefix, errors);
	if (directive_is_list(row->type))
		return report_misplaced(row, setting, "does not belong here", prefix, errors);
	r = value_text(row, setting, prefix, errors, &text);
	return r < 0 ? r : directive_set(row, base, text, prefix, errors);
}

#define SHOWN_MAX 160
#define DESCRIPTION_MAX 320
#define PREFIX_MAX 4500 /* "FILE:LINE: KEY: " */
#define LISTENERS_EXAMPLE "listeners = ( { name = \"echo\"; address = \"tcp://127.0.0.1:7\"; } );"

struct walk {
	struct config *config;
	struct config_source *source;
	struct error_list *errors;
	int result; /* 0 or -ENOMEM */
};

/* A section's struct while its keys are set. */
struct target {
	const struct directive_table *table;
	void *base;
	struct config_origin *origins;
	const char *path; /* "limits", "listeners[0]", "" for the top */
};

static struct config_origin
origin_of(const struct walk *w, const config_setting_t *setting)
{
	struct config_source_line where = config_source_locate(
	    w->source, config_setting_source_line(setting));

	return (struct config_origin){ w->config->file_names[where.file], where.line, false };
}

/* The key as the user wrote it: one that was given twice has got another name meanwhile. */
static const char *
key_of(const struct walk *w, const config_setting_t *setting)
{
	const char *name = config_setting_name(setting);
	size_t index;

	if (strncmp(name, CONFIG_SOURCE_DUPLICATE, strlen(CONFIG_SOURCE_DUPLICATE)) != 0)
		return name;
	index = strtoul(name + strlen(CONFIG_SOURCE_DUPLICATE), NULL, 10);
	return index < w->source->duplicate_count ? w->source->duplicates[index] : name;
}

static void
format_prefix(const struct walk *w, const config_setting_t *setting, const char *path,
    const char *key, char *buffer, size_t size)
{
	struct config_origin origin = origin_of(w, setting);

	(void)snprintf(buffer, size, "%s:%u: %s%s%.100s: ", origin.file, origin.line, path,
	    *path != '\0' && *key != '\0' ? "." : "", key);
}

/* Offer the word of the table, or the section's name, that is nearest to KEY. */
static const char *
nearest_key(const struct directive_table *table, const char *key)
{
	const char *near = NULL;
	size_t nearest = 3;

	for (size_t i = 0; i < table->count + CONFIG_SECTIONS; i++) {
		const char *word;
		size_t distance;

		if (i < table->count)
			word = table->rows[i].key;
		else if (*table->section == '\0')
			word = directive_table((enum config_section)(i - table->count))->section;
		else
			break;
		distance = text_distance(key, word);
		if (distance < nearest && distance < strlen(word)) {
			nearest = distance;
			near = word;
		}
	}
	return near;
}

static void
report_unknown(struct walk *w, const struct target *target, const config_setting_t *setting)
{
	const char *key = key_of(w, setting), *near = nearest_key(target->table, key);
	char prefix[PREFIX_MAX];

	format_prefix(w, setting, target->path, key, prefix, sizeof(prefix));
	if (near != NULL)
		error_list_add(w->errors, "%sunknown key (did you mean \"%s\"?)", prefix, near);
	else
		error_list_add(w->errors, "%sunknown key", prefix);
}

static void
set_key(struct walk *w, const struct target *target, const struct directive *row,
    const config_setting_t *setting)
{
	struct config_origin *origin = &target->origins[row - target->table->rows];
	char prefix[PREFIX_MAX];
	int r;

	format_prefix(w, setting, target->path, row->key, prefix, sizeof(prefix));
	*origin = origin_of(w, setting);
	r = config_file_set(row, target->base, setting, prefix, w->errors);
	if (r == -ENOMEM)
		w->result = r;
	origin->refused = r < 0;
}

static void
set_group(struct walk *w, const struct target *target, const config_setting_t *group)
{
	int count = config_setting_length(group);

	for (int i = 0; i < count && w->result == 0; i++) {
		const config_setting_t *setting = config_setting_get_elem(group, (unsigned)i);
		const struct directive *row = directive_find(target->table, key_of(w, setting));

		if (row != NULL)
			set_key(w, target, row, setting);
		else
			report_unknown(w, target, setting);
	}
}

static void
report_missing(struct walk *w, const struct target *target, const config_setting_t *group)
{
	char prefix[PREFIX_MAX], describe[DESCRIPTION_MAX];

	for (size_t i = 0; i < target->table->count; i++) {
		const struct directive *row = &target->table->rows[i];

		if (row->default_text != NULL || target->origins[i].file != NULL)
			continue;
		format_prefix(w, group, target->path, "", prefix, sizeof(prefix));
		error_list_add(w->errors, "%shas no %s (add %s)", prefix, row->key,
		    directive_describe(row, describe, sizeof(describe)));
	}
}

static void
set_listener(struct walk *w, const config_setting_t *setting)
{
	struct listener_config *lis = config_add_listener(w->config);
	char path[64], prefix[PREFIX_MAX], shown[SHOWN_MAX + 2];
	struct target target;

	if (lis == NULL) {
		w->result = -ENOMEM;
		return;
	}
	(void)snprintf(path, sizeof(path), "listeners[%zu]", w->config->listener_count - 1);
	lis->origin = origin_of(w, setting);
	if (!config_setting_is_group(setting)) {
		format_prefix(w, setting, path, "", prefix, sizeof(prefix));
		error_list_add(w->errors, "%s%s does not belong here (write { ... })", prefix,
		    config_file_describe(setting, shown, sizeof(shown)));
		return;
	}
	target = (struct target){
		.table = directive_table(CONFIG_LISTENERS),
		.base = lis,
		.origins = lis->origins,
		.path = path,
	};
	set_group(w, &target, setting);
	report_missing(w, &target, setting);
}

static void
set_listeners(struct walk *w, const config_setting_t *setting)
{
	int count = config_setting_length(setting);
	char prefix[PREFIX_MAX], shown[SHOWN_MAX + 2];

	w->config->origins[CONFIG_LISTENERS][0] = origin_of(w, setting);
	format_prefix(w, setting, "", "listeners", prefix, sizeof(prefix));
	if (!config_setting_is_list(setting)) {
		error_list_add(w->errors, "%s%s does not belong here (write %s)", prefix,
		    config_file_describe(setting, shown, sizeof(shown)), LISTENERS_EXAMPLE);
		return;
	}
	if (count == 0)
		error_list_add(w->errors, "%sis empty (write %s)", prefix, LISTENERS_EXAMPLE);
	for (int i = 0; i < count && w->result == 0; i++)
		set_listener(w, config_setting_get_elem(setting, (unsigned)i));
}

static void
set_section(struct walk *w, enum config_section section, const config_setting_t *setting)
{
	const struct target target = {
		.table = directive_table(section),
		.base = directive_base(w->config, section),
		.origins = w->config->origins[section],
		.path = directive_table(section)->section,
	};
	char prefix[PREFIX_MAX], shown[SHOWN_MAX + 2];

	if (section == CONFIG_LISTENERS) {
		set_listeners(w, setting);
	} else if (config_setting_is_group(setting)) {
		set_group(w, &target, setting);
	} else {
		format_prefix(w, setting, target.path, "", prefix, sizeof(prefix));
		error_list_add(w->errors, "%s%s does not belong here (write %s = { ... };)", prefix,
		    config_file_describe(setting, shown, sizeof(shown)), target.path);
	}
}

static void
set_root(struct walk *w, const config_setting_t *root)
{
	const struct target top = {
		.table = directive_table(CONFIG_TOP),
		.base = directive_base(w->config, CONFIG_TOP),
		.origins = w->config->origins[CONFIG_TOP],
		.path = "",
	};
	int count = config_setting_length(root);

	for (int i = 0; i < count && w->result == 0; i++) {
		const config_setting_t *setting = config_setting_get_elem(root, (unsigned)i);
		const char *key = key_of(w, setting);
		const struct directive *row = directive_find(top.table, key);
		enum config_section section = CONFIG_TOP + 1;

		while (section < CONFIG_SECTIONS &&
		       strcmp(directive_table(section)->section, key) != 0)
			section++;
		if (row != NULL)
			set_key(w, &top, row, setting);
		else if (section < CONFIG_SECTIONS)
			set_section(w, section, setting);
		else
			report_unknown(w, &top, setting);
	}
}

/* A file that was cut short must not pass as the defaults. */
static void
require_listeners(struct walk *w)
{
	struct config_source_line end = config_source_locate(w->source, 0);

	if (w->config->origins[CONFIG_LISTENERS][0].file == NULL)
		error_list_add(w->errors, "%s:%u: the file ends without listeners (write %s)",
		    w->config->file_names[end.file], end.line, LISTENERS_EXAMPLE);
}

/* Parse the flat text and walk over its settings. */
static void
walk_source(struct walk *w)
{
	struct config_source_line where;
	config_t tree;

	config_init(&tree);
	if (config_read_string(&tree, w->source->text) != CONFIG_TRUE) {
		where = config_source_locate(w->source, (unsigned)config_error_line(&tree));
		error_list_add(w->errors, "%s:%u: %s (look here and just before)",
		    w->config->file_names[where.file], where.line, config_error_text(&tree));
	} else {
		set_root(w, config_root_setting(&tree));
		require_listeners(w);
		if (w->result == 0)
			config_check(w->config, w->errors);
	}
	config_destroy(&tree);
}

/* Origins point to the names of the files: the configuration keeps these. */
static void
take_file_names(struct config *config, const struct config_source *source)
{
	config->file_names = source->file_names;
	config->file_name_count = source->file_count;
}

/* Make the configuration of a scanned source, which is used up. SCANNED: the scan's result. */
static struct config *
build(const char *path, int scanned, struct config_source *source, struct error_list *errors)
{
	struct walk w = { config_new_empty(), source, errors, scanned == -ENOMEM ? scanned : 0 };

	if (w.config != NULL)
		w.config->path = strdup(path);
	if (w.config == NULL || w.config->path == NULL) {
		w.result = -ENOMEM;
	} else if (scanned == 0) {
		take_file_names(w.config, source);
		walk_source(&w);
	}
	if (w.result < 0)
		error_list_add(errors, "%s: out of memory", path);
	config_source_sort(source, errors);
	if (w.config != NULL && w.config->file_names != NULL) {
		source->file_names = NULL;
		source->file_count = 0;
	}
	config_source_done(source);
	if (error_list_count(errors) == 0)
		return w.config;
	config_unref(w.config);
	return NULL;
}

struct config *
config_file_read(const char *path, struct error_list *errors)
{
	struct config_source source;
	int r = config_scan_file(path, errors, &source);

	return build(path, r, &source, errors);
}

struct config *
config_file_parse(const char *name, const char *text, struct error_list *errors)
{
	struct config_source source;
	int r = config_scan_text(name, text, errors, &source);

	return build(name, r, &source, errors);
}
