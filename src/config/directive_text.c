/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "config/directive_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/units.h"

#define DESCRIPTION_MAX 320

bool
directive_is_list(enum directive_type type)
{
	return type == DIRECTIVE_HOSTS || type == DIRECTIVE_NETWORKS;
}

bool
directive_is_quoted(enum directive_type type)
{
	return type != DIRECTIVE_BOOLEAN && type != DIRECTIVE_COUNT && !directive_is_list(type);
}

char *
directive_text_number(const struct directive *row, int64_t value, char *buffer, size_t size)
{
	switch (row->type) {
	case DIRECTIVE_DURATION:
		return units_format_duration(value, buffer, size);
	case DIRECTIVE_SIZE:
		return units_format_size(value, buffer, size);
	case DIRECTIVE_MODE:
		(void)snprintf(buffer, size, "%04" PRIo64, (uint64_t)value);
		return buffer;
	default:
		(void)snprintf(buffer, size, "%" PRId64, value);
		return buffer;
	}
}

char *
directive_text_range(const struct directive *row, char *buffer, size_t size)
{
	const char *quote = directive_is_quoted(row->type) ? "\"" : "";
	char zero[UNITS_TEXT_MAX + 8] = "", low[UNITS_TEXT_MAX], high[UNITS_TEXT_MAX];

	if (row->zero)
		(void)snprintf(zero, sizeof(zero), "%s%s%s, or ", quote,
		    directive_text_number(row, 0, low, sizeof(low)), quote);
	(void)snprintf(buffer, size, "%s%s%s%s to %s%s%s", zero, quote,
	    directive_text_number(row, row->minimum, low, sizeof(low)), quote, quote,
	    directive_text_number(row, row->maximum, high, sizeof(high)), quote);
	return buffer;
}

char *
directive_text_words(const struct directive_word *words, char *buffer, size_t size)
{
	int used = 0;

	buffer[0] = '\0';
	for (; words->word != NULL && (size_t)used < size; words++)
		used += snprintf(buffer + used, size - (size_t)used, "%s\"%s\"",
		    used > 0 ? ", " : "", words->word);
	return buffer;
}

char *
directive_describe(const struct directive *row, char *buffer, size_t size)
{
	char list[DESCRIPTION_MAX];

	switch (row->type) {
	case DIRECTIVE_BOOLEAN:
		(void)snprintf(buffer, size, "true or false");
		break;
	case DIRECTIVE_COUNT:
		(void)snprintf(buffer, size, "a whole number: %s",
		    directive_text_range(row, list, sizeof(list)));
		break;
	case DIRECTIVE_DURATION:
		(void)snprintf(buffer, size, "a duration in quotes, such as \"30s\"");
		break;
	case DIRECTIVE_SIZE:
		(void)snprintf(buffer, size, "a size in quotes, such as \"64KiB\"");
		break;
	case DIRECTIVE_WORD:
		(void)snprintf(buffer, size, "one of %s",
		    directive_text_words(row->words, list, sizeof(list)));
		break;
	case DIRECTIVE_MODE:
		(void)snprintf(buffer, size, "octal permission bits in quotes, such as \"0660\"");
		break;
	case DIRECTIVE_STRING:
		(void)snprintf(buffer, size, "text in quotes");
		break;
	case DIRECTIVE_NAME:
		(void)snprintf(buffer, size, "a name in quotes, such as \"echo\"");
		break;
	case DIRECTIVE_ADDRESS:
		(void)snprintf(buffer, size, "an address in quotes, such as \"tcp://127.0.0.1:7\"");
		break;
	case DIRECTIVE_HOST_PORT:
		(void)snprintf(buffer, size, "HOST:PORT in quotes, such as \"127.0.0.1:9862\"");
		break;
	case DIRECTIVE_HOSTS:
		(void)snprintf(buffer, size, "hosts in parentheses, such as ( \"echo.example\" )");
		break;
	case DIRECTIVE_NETWORKS:
		(void)snprintf(buffer, size,
		    "networks in parentheses, such as ( \"192.0.2.0/24\", \"2001:db8::/32\" )");
		break;
	}
	return buffer;
}

char *
directive_unit_hint(enum directive_type type, const char *digits, char *buffer, size_t size)
{
	if (type == DIRECTIVE_DURATION)
		(void)snprintf(buffer, size, "\"%.20ss\"", digits);
	else if (strcmp(digits, "0") == 0)
		(void)snprintf(buffer, size, "\"0B\"");
	else
		(void)snprintf(buffer, size, "\"%.20sB\" or \"%.20sKiB\"", digits, digits);
	return buffer;
}
