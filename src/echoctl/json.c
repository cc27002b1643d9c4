/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "echoctl/json.h"

#include <string.h>

#define KEY_MAX 128

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

bool
echoctl_json_is_true(const json_t *object, const char *path)
{
	return json_is_true(echoctl_json_get(object, path));
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
