/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "control/query.h"

#include <errno.h>
#include <string.h>

bool
query_next(const char **cursor, struct query_field *ret_field)
{
	const char *text = *cursor;
	size_t length = strcspn(text, "&"), name = strcspn(text, "=&");

	if (*text == '\0')
		return false;
	*ret_field = (struct query_field){ .name = text, .name_length = name };
	if (name < length) {
		ret_field->value = text + name + 1;
		ret_field->value_length = length - name - 1;
	}
	*cursor = text + length + (text[length] == '&');
	return true;
}

bool
query_text_is(const char *text, size_t length, const char *word)
{
	return strlen(word) == length && strncmp(text, word, length) == 0;
}

int
query_number(const char *text, size_t length, uint64_t maximum, uint64_t *ret_number)
{
	uint64_t number = 0;

	if (length == 0)
		return -EINVAL;
	for (size_t i = 0; i < length; i++) {
		unsigned digit = (unsigned)(text[i] - '0');

		if (digit > 9 || number > (maximum - digit) / 10)
			return -EINVAL;
		number = number * 10 + digit;
	}
	*ret_number = number;
	return 0;
}
