/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "config/config_file_value.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "config/config_source.h"
#include "config/directive_list.h"

#define SHOWN_MAX 160
#define DESCRIPTION_MAX 320

const char *
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

int
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
