/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "echoctl/figures.h"

#include <string.h>

#include "echoctl/table.h"
#include "echoctl/units.h"

#define PATH_MAX_BYTES 512

struct walk {
	struct echoctl_table *table;
	bool human;
	char path[PATH_MAX_BYTES];
	size_t length;
};

static bool
key_ends(const char *key, const char *end)
{
	size_t length = strlen(key), tail = strlen(end);

	return length >= tail && strcmp(key + length - tail, end) == 0;
}

char *
echoctl_figures_format(const char *key, double value, bool human, char *buffer, size_t size)
{
	if (key_ends(key, "_seconds"))
		return echoctl_units_seconds(value, human, buffer, size);
	if (key_ends(key, "_bytes") || strncmp(key, "bytes_", 6) == 0)
		return echoctl_units_bytes(value, human, buffer, size);
	if (key_ends(key, "_rate") && human) {
		echoctl_units_bytes(value, human, buffer, size);
		(void)strncat(buffer, "/s", size - strlen(buffer) - 1);
		return buffer;
	}
	return echoctl_units_number(value, buffer, size);
}

static void
figures_add(struct walk *walk, const char *key, const json_t *value)
{
	char text[ECHOCTL_UNITS_TEXT_MAX];

	echoctl_table_add(walk->table, walk->path);
	switch (json_typeof(value)) {
	case JSON_STRING:
		echoctl_table_add(walk->table, json_string_value(value));
		break;
	case JSON_INTEGER:
		/* a double would round a large one, which only people take for the same */
		if (!walk->human) {
			echoctl_table_addf(
			    walk->table, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
			break;
		}
		/* fall through */
	case JSON_REAL:
		echoctl_table_add(walk->table, echoctl_figures_format(key, json_number_value(value),
						   walk->human, text, sizeof(text)));
		break;
	case JSON_TRUE:
	case JSON_FALSE:
		echoctl_table_add(walk->table, json_is_true(value) ? "true" : "false");
		break;
	default:
		echoctl_table_add(walk->table, NULL);
		break;
	}
}

/* Append NAME to the path; what is too long is cut. */
static void
walk_enter(struct walk *walk, const char *separator, const char *name, const char *end)
{
	int n = snprintf(walk->path + walk->length, sizeof(walk->path) - walk->length, "%s%s%s",
	    walk->length > 0 ? separator : "", name, end);

	if (n > 0)
		walk->length += (size_t)n;
	if (walk->length >= sizeof(walk->path))
		walk->length = sizeof(walk->path) - 1;
}

static void
walk_leave(struct walk *walk, size_t length)
{
	walk->length = length;
	walk->path[length] = '\0';
}

static void figures_walk(struct walk *walk, const char *key, const json_t *value);

static void
figures_walk_list(struct walk *walk, const char *key, const json_t *list)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *row = json_array_get(list, i);
		const json_t *id = json_object_get(row, "id");
		const char *name = json_string_value(json_object_get(row, "name"));
		size_t length = walk->length;
		char number[32];

		(void)snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT,
		    json_is_integer(id) ? json_integer_value(id) : (json_int_t)i);
		walk_enter(walk, "[", name != NULL ? name : number, "]");
		figures_walk(walk, key, row);
		walk_leave(walk, length);
	}
}

static void
figures_walk(struct walk *walk, const char *key, const json_t *value)
{
	const char *member_key;
	json_t *member;

	if (json_is_array(value)) {
		figures_walk_list(walk, key, value);
		return;
	}
	if (!json_is_object(value)) {
		figures_add(walk, key, value);
		return;
	}
	json_object_foreach((json_t *)value, member_key, member)
	{
		size_t length = walk->length;

		walk_enter(walk, ".", member_key, "");
		figures_walk(walk, member_key, member);
		walk_leave(walk, length);
	}
}

int
echoctl_figures_print(const json_t *document, const struct echoctl_style *style, FILE *out)
{
	static const struct echoctl_column columns[] = { { .title = NULL }, { .title = NULL } };
	struct walk walk = {
		.table = echoctl_table_new(columns, ARRAY_SIZE(columns)),
		.human = style->human,
	};
	int r;

	figures_walk(&walk, "", document);
	r = echoctl_table_print(walk.table, style, ECHOCTL_PLAIN, 0, "\n", out);
	echoctl_table_free(walk.table);
	return r;
}
