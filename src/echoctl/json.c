/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "echoctl/json.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define KEY_MAX 128
#define PATH_MAX_BYTES 512

json_t *
echoctl_json_parse(const char *text, size_t length)
{
	json_error_t error;
	json_t *document = json_loadb(text, length, 0, &error);

	if (document != NULL && !json_is_object(document)) {
		json_decref(document);
		return NULL;
	}
	return document;
}

json_t *
echoctl_json_get(const json_t *object, const char *path)
{
	const json_t *value = object;

	while (value != NULL) {
		size_t length = strcspn(path, ".");
		char key[KEY_MAX];

		if (length >= sizeof(key))
			return NULL;
		memcpy(key, path, length);
		key[length] = '\0';
		value = json_object_get(value, key);
		if (path[length] == '\0')
			break;
		path += length + 1;
	}
	return (json_t *)value;
}

double
echoctl_json_number(const json_t *object, const char *path)
{
	const json_t *value = echoctl_json_get(object, path);

	return json_is_number(value) ? json_number_value(value) : -1;
}

json_int_t
echoctl_json_integer(const json_t *object, const char *path)
{
	const json_t *value = echoctl_json_get(object, path);

	return json_is_integer(value) ? json_integer_value(value) : -1;
}

const char *
echoctl_json_text(const json_t *object, const char *path)
{
	return json_string_value(echoctl_json_get(object, path));
}

json_int_t
echoctl_json_sum(const json_t *object, const char *path)
{
	json_t *values = echoctl_json_get(object, path), *value;
	json_int_t sum = 0;
	const char *key;

	if (!json_is_object(values))
		return json_is_integer(values) ? json_integer_value(values) : -1;
	json_object_foreach(values, key, value)
	{
		if (__builtin_add_overflow(sum, json_integer_value(value), &sum))
			return -1;
	}
	return sum;
}

const char *
echoctl_json_state(const json_t *stats)
{
	if (json_is_true(echoctl_json_get(stats, "process.draining")))
		return "draining";
	return json_is_true(echoctl_json_get(stats, "process.ready")) ? "ready" : "not ready";
}

bool
echoctl_json_is_datagrams(const json_t *listener)
{
	const char *address = echoctl_json_text(listener, "address");

	if (address != NULL)
		return strncmp(address, "udp:", 4) == 0 || strncmp(address, "unixgram:", 9) == 0;
	return echoctl_json_integer(listener, "datagrams_received") > 0;
}

bool
echoctl_json_has_datagrams(const json_t *stats)
{
	const json_t *row;
	size_t i;

	json_array_foreach(echoctl_json_get(stats, "listeners"), i, row)
	{
		if (echoctl_json_is_datagrams(row))
			return true;
	}
	return echoctl_json_integer(stats, "totals.datagrams_received") > 0;
}

static bool
key_ends(const char *key, const char *end)
{
	size_t length = strlen(key), tail = strlen(end);

	return length >= tail && strcmp(key + length - tail, end) == 0;
}

static bool
key_is_bytes(const char *key)
{
	return key_ends(key, "_bytes") || strncmp(key, "bytes_", 6) == 0;
}

static bool
key_has_unit(const char *key)
{
	return key_ends(key, "_seconds") || key_is_bytes(key) || key_ends(key, "_rate") ||
	       key_ends(key, "_per_second");
}

/* Digits for programs: microseconds where milliseconds would not do. */
static char *
json_format_exact(double value, bool seconds, char *buffer, size_t size)
{
	bool ms = value > 1e9 || (int64_t)(value * 1e6 + 0.5) % 1000 == 0;

	(void)snprintf(buffer, size, "%.*f", !seconds ? 0 : ms ? 3 : 6, value);
	return buffer;
}

char *
echoctl_json_format(const char *key, double value, bool human, char *buffer, size_t size)
{
	bool seconds = key_ends(key, "_seconds");

	if (!human && (seconds || key_is_bytes(key)))
		return json_format_exact(value, seconds, buffer, size);
	if (seconds)
		return units_human_seconds(value, buffer, size);
	if (key_is_bytes(key))
		return units_human_bytes(value, buffer, size);
	if (human && (key_ends(key, "_rate") || key_ends(key, "_bytes_per_second")))
		return units_human_rate(value, buffer, size);
	units_human_number(value, buffer, size);
	if (key_ends(key, "_per_second"))
		(void)strncat(buffer, "/s", size - strlen(buffer) - 1);
	return buffer;
}

/* Write the figure at PATH of DOCUMENT to OUT, or the text when a dollar sign is before it. */
static void
json_write_figure(FILE *out, const json_t *document, const char *path)
{
	const char *string = *path == '$' ? echoctl_json_text(document, path + 1) : NULL;
	double value = echoctl_json_number(document, path);
	json_int_t count = echoctl_json_sum(document, path);
	char text[UNITS_TEXT_MAX];

	if (string != NULL)
		(void)fputs(string, out);
	else if (key_has_unit(path) && value >= 0)
		(void)fputs(echoctl_json_format(path, value, true, text, sizeof(text)), out);
	else if (!key_has_unit(path) && count >= 0)
		(void)fprintf(out, "%" JSON_INTEGER_FORMAT, count);
	else
		(void)fputc('-', out);
}

char *
echoctl_json_fill(const json_t *document, const char *template)
{
	char *copy = strdup(template), *rest = copy, *piece, *line = NULL;
	size_t length;
	FILE *out = open_memstream(&line, &length);
	bool is_path = false;

	while (out != NULL && (piece = strsep(&rest, "{}")) != NULL) {
		if (is_path)
			json_write_figure(out, document, piece);
		else
			(void)fputs(piece, out);
		is_path = !is_path;
	}
	free(copy);
	if (out != NULL && fclose(out) == 0 && copy != NULL)
		return line;
	free(line);
	return NULL;
}

/* Add VALUE, the field KEY, as one cell, in TONE; a state has its own. */
static void
json_add_value(struct echoctl_table *table, const char *key, const json_t *value, bool human,
    enum echoctl_tone tone)
{
	const char *string = json_string_value(value);
	char text[UNITS_TEXT_MAX];

	if (string != NULL) {
		echoctl_table_add_tone(table, *string != '\0' ? string : "\"\"",
		    strcmp(key, "state") == 0 ? echoctl_style_tone(string) : tone);
	} else if (json_is_integer(value) && !(human && key_has_unit(key))) {
		/* exact: a double would round a large one */
		(void)snprintf(
		    text, sizeof(text), "%" JSON_INTEGER_FORMAT, json_integer_value(value));
		echoctl_table_add_tone(table, text, tone);
	} else if (json_is_number(value)) {
		echoctl_table_add_tone(table,
		    echoctl_json_format(key, json_number_value(value), human, text, sizeof(text)),
		    tone);
	} else if (json_is_boolean(value)) {
		echoctl_table_add(table, json_is_true(value) ? "true" : "false");
	} else {
		echoctl_table_add(table, NULL);
	}
}

/* Whether VALUE is a reason to make a cell stand out: a figure above 0, or a text. */
static bool
json_warns(const json_t *value)
{
	return json_is_string(value) || json_number_value(value) > 0;
}

struct echoctl_table *
echoctl_json_table(const struct echoctl_view *view)
{
	size_t count = 0;

	while (view->columns[count].key != NULL)
		count++;
	return echoctl_table_new(view->columns, count);
}

void
echoctl_json_add_row(
    struct echoctl_table *table, const struct echoctl_view *view, const json_t *row, bool human)
{
	for (const struct echoctl_column *column = view->columns; column->key != NULL; column++) {
		const json_t *value = echoctl_json_get(row, column->key);
		bool warns = column->warn != NULL &&
			     json_warns(echoctl_json_get(row, column->warn));
		json_t *sum = NULL;

		if (json_is_object(value))
			value = sum = json_integer(echoctl_json_sum(row, column->key));
		if (json_is_boolean(value))
			echoctl_table_add(table, json_is_true(value) ? "yes" : "no");
		else
			json_add_value(
			    table, column->key, value, human, warns ? ECHOCTL_WARN : ECHOCTL_PLAIN);
		json_decref(sum);
	}
}

/* Add a row for each value in VALUE, the field KEY at PATH; a path that is too long is cut. */
static void
json_add_all(
    struct echoctl_table *table, const char *path, const char *key, const json_t *value, bool human)
{
	char deeper[PATH_MAX_BYTES];
	const char *name;
	json_t *member;
	size_t i;

	json_array_foreach(value, i, member)
	{
		const json_t *id = json_object_get(member, "id");

		name = json_string_value(json_object_get(member, "name"));
		if (name != NULL)
			(void)snprintf(deeper, sizeof(deeper), "%s[%s]", path, name);
		else
			(void)snprintf(deeper, sizeof(deeper), "%s[%" JSON_INTEGER_FORMAT "]", path,
			    json_is_integer(id) ? json_integer_value(id) : (json_int_t)i);
		json_add_all(table, deeper, key, member, human);
	}
	json_object_foreach((json_t *)value, name, member)
	{
		(void)snprintf(
		    deeper, sizeof(deeper), "%s%s%s", path, *path != '\0' ? "." : "", name);
		json_add_all(table, deeper, name, member, human);
	}
	if (!json_is_array(value) && !json_is_object(value)) {
		echoctl_table_add(table, path);
		json_add_value(table, key, value, human, ECHOCTL_PLAIN);
	}
}

int
echoctl_json_print_rows(const json_t *document, const struct echoctl_view *view,
    const json_t *first, const struct echoctl_style *style, FILE *out)
{
	struct echoctl_table *table = echoctl_json_table(view);
	const json_t *row;
	size_t i;
	int r;

	if (first != NULL)
		echoctl_json_add_row(table, view, first, style->human);
	json_array_foreach(echoctl_json_get(document, view->list), i, row)
	{
		echoctl_json_add_row(table, view, row, style->human);
	}
	r = echoctl_table_print(table, style, ECHOCTL_TITLE, "\n", out);
	echoctl_table_free(table);
	return r;
}

int
echoctl_json_print(const json_t *document, const struct echoctl_style *style, FILE *out)
{
	static const struct echoctl_column columns[] = { { .shorten = 20 }, { .shorten = 16 } };
	struct echoctl_table *table = echoctl_table_new(columns, ARRAY_SIZE(columns));
	int r;

	json_add_all(table, "", "", document, style->human);
	r = echoctl_table_print(table, style, ECHOCTL_PLAIN, "\n", out);
	echoctl_table_free(table);
	return r;
}
