/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "config/config_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <libconfig.h>

#include "base/text.h"
#include "config/config_overlap.h"
#include "config/config_scan.h"
#include "config/directive.h"

#define SHOWN_MAX 160
#define DESCRIPTION_MAX 320
#define TREE_BYTES 65536 /* what libconfig needs for no text at all, and more */
#define TREE_FACTOR 64   /* and for each byte: "a=1;" makes some 200 */
#define PREFIX_MAX 4500  /* "FILE:LINE: KEY: " */
#define LISTENERS_EXAMPLE "listeners = ( { name = \"echo\"; address = \"tcp://127.0.0.1:7\"; } );"

/*
 * How many mistakes are told, and how many each step keeps to choose from: it finds them about in
 * the order of the file, all steps' are sorted together.
 */
#define MISTAKES_MAX 100
#define MISTAKES_KEPT (10 * MISTAKES_MAX)

/* Column of the comments in a dump. */
#define VALUE_WIDTH 40

struct reader {
	struct config *config;
	struct config_source source;
	bool overlaps; /* whether to check for them */
	struct error_list *errors;
	int result;                /* 0 or -errno */
	bool parsed;               /* each setting was visited */
	char prefix[PREFIX_MAX];   /* of the messages about the present setting */
	char found[SHOWN_MAX + 2]; /* what describe() has written */
};

/* A section's struct while its keys are set. */
struct target {
	const struct directive_table *table;
	void *base;
	struct config_origin *origins;
	const char *path; /* "limits", "listeners[0]", "" for the top */
};

/* Say what SETTING holds, for "... does not belong here". */
static const char *
describe(struct reader *r, const config_setting_t *setting)
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
		if (*text == CONFIG_SCAN_BARE)
			return text_escape_string(text + 1, r->found, sizeof(r->found));
		(void)snprintf(r->found, sizeof(r->found), "\"%s\"",
		    text_escape_string(text, shown, sizeof(shown)));
		return r->found;
	}
}

/*
 * Return whether TEXT would be a good value of ROW. Memory that cannot be had is no reason to say
 * otherwise.
 */
static bool
is_good(
    const struct directive *row, const char *text, const char *prefix, struct error_list *errors)
{
	const struct directive_table alone = { "", 0, row, 1 };
	void *scratch = calloc(1, sizeof(struct config) + sizeof(struct listener_config));
	int result = scratch != NULL ? directive_set(row, scratch, text, prefix, errors) : -ENOMEM;

	if (scratch != NULL)
		directive_free_fields(&alone, scratch);
	free(scratch);
	return result != -EINVAL;
}

/*
 * Explain a value without quotes where quotes belong: they alone are missing only where it is good
 * with them.
 */
static int
report_unquoted(struct reader *r, const struct directive *row, const char *text)
{
	struct error_list quoted = ERROR_LIST_EMPTY;
	char shown[SHOWN_MAX], wanted[DESCRIPTION_MAX];
	bool number = text[strspn(text, "0123456789")] == '\0';

	text_escape_string(text, shown, sizeof(shown));
	if (number && (row->type == DIRECTIVE_DURATION || row->type == DIRECTIVE_SIZE))
		error_list_add(r->errors, "%s%s has no unit (write %s)", r->prefix, shown,
		    directive_unit_hint(row->type, text, wanted, sizeof(wanted)));
	else if (!is_good(row, text, r->prefix, &quoted))
		error_list_add(r->errors, "%s", error_list_first(&quoted));
	else
		error_list_add(
		    r->errors, "%s%s has no quotes (write \"%s\")", r->prefix, shown, shown);
	error_list_done(&quoted);
	return -EINVAL;
}

static void
report_misplaced(struct reader *r, const config_setting_t *setting, const char *wanted)
{
	error_list_add(r->errors, "%s%s does not belong here (write %s)", r->prefix,
	    describe(r, setting), wanted);
}

static int
report_value(struct reader *r, const struct directive *row, const config_setting_t *setting,
    const char *what)
{
	char wanted[DESCRIPTION_MAX];

	error_list_add(r->errors, "%s%s %s (write %s)", r->prefix, describe(r, setting), what,
	    directive_describe(row, wanted, sizeof(wanted)));
	return -EINVAL;
}

/* The items of a list are texts in quotes, whatever the list is of. */
static int
set_list(struct reader *r, const struct directive *row, void *base, const config_setting_t *setting)
{
	size_t count = (size_t)config_setting_length(setting);
	const char **items = calloc(count + 1, sizeof(*items));
	int result = items != NULL ? 0 : -ENOMEM;

	for (size_t i = 0; i < count && result == 0; i++) {
		const config_setting_t *item = config_setting_get_elem(setting, (unsigned)i);

		if (config_setting_type(item) == CONFIG_TYPE_STRING)
			items[i] = config_setting_get_string(item);
		if (items[i] == NULL)
			result = report_value(r, row, item, "does not belong here");
		else if (*items[i] == CONFIG_SCAN_BARE)
			result = report_value(r, row, item, "has no quotes");
	}
	if (result == 0)
		result = directive_list_set(row, base, items, count, r->prefix, r->errors);
	free(items);
	return result;
}

/*
 * Set the field of ROW in BASE: directive_set() takes a string where a string is wanted, true and
 * false, and a number without quotes.
 */
static int
set_value(
    struct reader *r, const struct directive *row, void *base, const config_setting_t *setting)
{
	bool quoted = directive_is_quoted(row->type), bare;
	int type = config_setting_type(setting);
	const char *text;

	if (directive_is_list(row->type) && type == CONFIG_TYPE_LIST)
		return set_list(r, row, base, setting);
	if (row->type == DIRECTIVE_BOOLEAN && type == CONFIG_TYPE_BOOL)
		return directive_set(row, base, config_setting_get_bool(setting) ? "true" : "false",
		    r->prefix, r->errors);
	if (directive_is_list(row->type) || type != CONFIG_TYPE_STRING)
		return report_value(r, row, setting, "does not belong here");
	text = config_setting_get_string(setting);
	if (text == NULL)
		return -ENOMEM;
	bare = *text == CONFIG_SCAN_BARE;
	if (bare && quoted)
		return report_unquoted(r, row, text + 1);
	if (!bare && !quoted)
		return report_value(r, row, setting, "has quotes");
	return directive_set(row, base, bare ? text + 1 : text, r->prefix, r->errors);
}

static struct config_origin
origin_of(const struct reader *r, const config_setting_t *setting)
{
	return config_source_locate(&r->source, config_setting_source_line(setting));
}

/* Set the prefix of errors to the place and the name of SETTING. */
static void
set_prefix(struct reader *r, const config_setting_t *setting, const char *path, const char *key)
{
	struct config_origin origin = origin_of(r, setting);

	(void)snprintf(r->prefix, sizeof(r->prefix), "%s:%u: %s%s%.100s: ", origin.file,
	    origin.line, path, *path != '\0' && *key != '\0' ? "." : "", key);
}

/* Offer the key of the table, or at the top the section's name, that is nearest to KEY. */
static const char *
nearest_key(const struct directive_table *table, const char *key)
{
	const char *near = NULL;

	for (size_t i = 0; i < table->count; i++) {
		if (directive_is_nearer(key, table->rows[i].key, near))
			near = table->rows[i].key;
	}
	for (enum config_section s = CONFIG_TOP; *table->section == '\0' && s < CONFIG_SECTIONS;
	     s++) {
		if (directive_is_nearer(key, directive_table(s)->section, near))
			near = directive_table(s)->section;
	}
	return near;
}

static void
report_unknown(
    struct reader *r, const struct target *target, const config_setting_t *setting, const char *key)
{
	/* the search is not for nothing only while somebody will read it */
	const char *near = error_list_is_full(r->errors) ? NULL : nearest_key(target->table, key);

	set_prefix(r, setting, target->path, key);
	if (near != NULL)
		error_list_add(r->errors, "%sunknown key (did you mean \"%s\"?)", r->prefix, near);
	else
		error_list_add(r->errors, "%sunknown key", r->prefix);
}

static void
set_key(struct reader *r, const struct target *target, const struct directive *row,
    const config_setting_t *setting)
{
	struct config_origin *origin = &target->origins[row - target->table->rows];
	int result;

	set_prefix(r, setting, target->path, row->key);
	*origin = origin_of(r, setting);
	result = set_value(r, row, target->base, setting);
	if (result == -ENOMEM)
		r->result = result;
	origin->refused = result < 0;
}

static void set_section(
    struct reader *r, enum config_section section, const config_setting_t *setting);

/* Set what GROUP holds: keys of TARGET, and at the top sections. */
static void
set_group(struct reader *r, const struct target *target, const config_setting_t *group)
{
	int count = config_setting_length(group);

	for (int i = 0; i < count && r->result == 0; i++) {
		const config_setting_t *setting = config_setting_get_elem(group, (unsigned)i);
		const char *name = config_setting_name(setting);
		/* libconfig had no memory for the name and did not notice */
		const char *key = name != NULL ? config_source_key(name) : "";
		const struct directive *row = directive_find(target->table, key);
		enum config_section s = *target->path == '\0' ? CONFIG_TOP + 1 : CONFIG_SECTIONS;

		while (s < CONFIG_SECTIONS && strcmp(directive_table(s)->section, key) != 0)
			s++;
		if (name == NULL)
			r->result = -ENOMEM;
		else if (row != NULL)
			set_key(r, target, row, setting);
		else if (s < CONFIG_SECTIONS)
			set_section(r, s, setting);
		else
			report_unknown(r, target, setting, key);
	}
}

static void
report_missing(struct reader *r, const struct target *target, const config_setting_t *group)
{
	char wanted[DESCRIPTION_MAX];

	set_prefix(r, group, target->path, "");
	for (size_t i = 0; i < target->table->count; i++) {
		const struct directive *row = &target->table->rows[i];

		if (row->default_text == NULL && target->origins[i].file == NULL)
			error_list_add(r->errors, "%shas no %s (add %s)", r->prefix, row->key,
			    directive_describe(row, wanted, sizeof(wanted)));
	}
}

static void
set_listener(struct reader *r, const config_setting_t *setting)
{
	struct listener_config *lis = config_add_listener(r->config);
	struct target target;
	char path[64];

	if (lis == NULL) {
		r->result = -ENOMEM;
		return;
	}
	(void)snprintf(path, sizeof(path), "listeners[%zu]", r->config->listener_count - 1);
	if (!config_setting_is_group(setting)) {
		set_prefix(r, setting, path, "");
		report_misplaced(r, setting, "{ ... }");
		return;
	}
	target = (struct target){ directive_table(CONFIG_LISTENERS), lis, lis->origins, path };
	set_group(r, &target, setting);
	/* where memory was short, the rest of the group was not looked at */
	if (r->result == 0)
		report_missing(r, &target, setting);
}

static void
set_listeners(struct reader *r, const config_setting_t *setting)
{
	int count = config_setting_length(setting);

	r->config->origins[CONFIG_LISTENERS][0] = origin_of(r, setting);
	set_prefix(r, setting, "", "listeners");
	if (!config_setting_is_list(setting)) {
		report_misplaced(r, setting, LISTENERS_EXAMPLE);
		return;
	}
	if (count == 0)
		error_list_add(r->errors, "%sis empty (write %s)", r->prefix, LISTENERS_EXAMPLE);
	for (int i = 0; i < count && r->result == 0; i++)
		set_listener(r, config_setting_get_elem(setting, (unsigned)i));
}

static void
set_section(struct reader *r, enum config_section section, const config_setting_t *setting)
{
	const struct directive_table *table = directive_table(section);
	const struct target target = { table, directive_base(r->config, section),
		r->config->origins[section], table->section };
	char wanted[64];

	if (section == CONFIG_LISTENERS) {
		set_listeners(r, setting);
	} else if (config_setting_is_group(setting)) {
		set_group(r, &target, setting);
	} else {
		set_prefix(r, setting, target.path, "");
		(void)snprintf(wanted, sizeof(wanted), "%s = { ... };", target.path);
		report_misplaced(r, setting, wanted);
	}
}

/*
 * Whether there is plenty of memory for libconfig's tree of LENGTH bytes of text: without it, it
 * crashes or ends the process.
 */
static bool
has_memory(size_t length)
{
	/* volatile: a compiler may take for granted what is freed unused */
	void *volatile memory = malloc(TREE_BYTES + TREE_FACTOR * length);
	bool granted = memory != NULL;

	free(memory);
	return granted;
}

/* What comes now is another step. */
static void
make_room(struct error_list *errors)
{
	errors->most = errors->count + MISTAKES_KEPT;
}

/* Let libconfig parse the scanned text, and set what it holds. */
static void
set_all(struct reader *r)
{
	struct config_origin where;
	config_t tree;

	if (!has_memory(r->source.text_length)) {
		r->result = -ENOMEM;
		return;
	}
	config_init(&tree);
	make_room(r->errors);
	if (config_read_string(&tree, r->source.text) != CONFIG_TRUE) {
		where = config_source_locate(&r->source, (unsigned)config_error_line(&tree));
		config_add_error(
		    r->errors, &where, "%s (look here and just before)", config_error_text(&tree));
	} else {
		set_section(r, CONFIG_TOP, config_root_setting(&tree));
		r->parsed = r->result == 0;
		/* a file that was cut short must not pass as the defaults */
		where = config_source_locate(&r->source, 0);
		if (r->result == 0 && r->config->origins[CONFIG_LISTENERS][0].file == NULL)
			config_add_error(r->errors, &where,
			    "the file ends without listeners (write %s)", LISTENERS_EXAMPLE);
		make_room(r->errors);
		if (r->result == 0) {
			config_check(r->config, r->errors);
			r->result = config_overlap_check(r->config, r->overlaps, r->errors);
		}
	}
	config_destroy(&tree);
}

/* TEXT: NULL to read the file PATH. The rest is as for config_file_read(). */
static struct config *
read_config(const char *path, const char *text, bool overlaps, struct error_list *errors,
    struct config **ret_rejected)
{
	struct reader r = { .config = config_new_empty(),
		.overlaps = overlaps,
		.errors = errors,
		.result = -ENOMEM };

	if (r.config != NULL)
		r.config->path = strdup(path);
	make_room(errors);
	if (r.config != NULL && r.config->path != NULL)
		r.result = config_scan(path, text, r.config, errors, &r.source);
	if (r.result == 0)
		set_all(&r);
	if (r.result == -ENOMEM)
		error_list_add(errors, "%s: out of memory", path);
	if (error_list_count(errors) > 0) {
		if (r.config != NULL)
			config_source_sort(&r.source, r.config, errors);
		error_list_cut(errors, MISTAKES_MAX, "mistakes");
		if (ret_rejected != NULL && r.parsed && config_log_is_good(r.config))
			*ret_rejected = r.config;
		else
			config_unref(r.config);
		r.config = NULL;
	}
	config_source_done(&r.source);
	errno = r.result == -ENOMEM ? ENOMEM : 0;
	return r.config;
}

struct config *
config_file_read(
    const char *path, bool overlaps, struct error_list *errors, struct config **ret_rejected)
{
	struct config *config;

	if (ret_rejected != NULL)
		*ret_rejected = NULL;
	if (path != NULL)
		return read_config(path, NULL, overlaps, errors, ret_rejected);
	config = config_new_default();
	if (config == NULL)
		error_list_add(errors, "built-in defaults: out of memory");
	errno = config == NULL ? ENOMEM : 0;
	return config;
}

struct config *
config_file_parse(const char *name, const char *text, struct error_list *errors)
{
	return read_config(name, text, true, errors, NULL);
}

/* Write TEXT in quotes; bytes that are not plain ASCII as escapes, so that a terminal is safe. */
static int
put_quoted(FILE *out, const char *text)
{
	int width = fprintf(out, "\"");

	for (const char *p = text; *p != '\0'; p++) {
		unsigned char c = (unsigned char)*p;

		if (c == '"' || c == '\\')
			width += fprintf(out, "\\%c", c);
		else if (c < 0x20 || c > 0x7e)
			width += fprintf(out, "\\x%02x", c);
		else
			width += fprintf(out, "%c", c);
	}
	return width + fprintf(out, "\"");
}

static void
put_row(FILE *out, const char *indent, const struct directive *row, const void *base,
    const struct config_origin *origin)
{
	char text[DIRECTIVE_TEXT_MAX];
	int width = fprintf(out, "%s%s = ", indent, row->key);

	directive_format(row, base, text, sizeof(text));
	if (directive_is_quoted(row->type))
		width += put_quoted(out, text);
	else
		width += fprintf(out, "%s", text);
	(void)fprintf(out, ";%*s", width < VALUE_WIDTH ? VALUE_WIDTH - width : 1, "");
	if (origin->file != NULL)
		(void)fprintf(out, "# %s:%u\n", origin->file, origin->line);
	else
		(void)fputs("# default\n", out);
}

/* ADDRESS: of a listener, NULL for a section; keys that do not suit it are left out. */
static void
put_rows(FILE *out, const char *indent, enum config_section section, const void *base,
    const struct config_origin *origins, const struct address *address)
{
	const struct directive_table *table = directive_table(section);

	for (size_t i = 0; i < table->count; i++) {
		if (address == NULL || directive_suits_address(&table->rows[i], address))
			put_row(out, indent, &table->rows[i], base, &origins[i]);
	}
}

void
config_file_dump(const struct config *config, FILE *out)
{
	(void)fputs("listeners = (\n", out);
	for (size_t i = 0; i < config->listener_count; i++) {
		const struct listener_config *lis = &config->listeners[i];

		(void)fputs("\t{\n", out);
		put_rows(out, "\t\t", CONFIG_LISTENERS, lis, lis->origins, &lis->address);
		(void)fputs(i + 1 < config->listener_count ? "\t},\n" : "\t}\n", out);
	}
	(void)fputs(");\n", out);
	put_rows(out, "", CONFIG_TOP, config, config->origins[CONFIG_TOP], NULL);
	for (enum config_section s = CONFIG_LISTENERS + 1; s < CONFIG_SECTIONS; s++) {
		(void)fprintf(out, "%s = {\n", directive_table(s)->section);
		put_rows(out, "\t", s, directive_base(config, s), config->origins[s], NULL);
		(void)fputs("};\n", out);
	}
}
