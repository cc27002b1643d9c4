/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The one conversion between a directive's text and its field, both ways. Defaults, the file and
 * the dump all pass here, so that they cannot disagree.
 */
#include <config.h>

#include "config/directives.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/units.h"
#include "config/directive_list.h"
#include "config/directive_text.h"

/* A value as it is shown in a message, and the whole message after the value. */
#define SHOWN_MAX 160
#define DESCRIPTION_MAX 320

#define DIGITS "0123456789"

/* What every refusal needs. */
struct refusal {
	const struct directive *row;
	const char *text;
	const char *prefix;
	struct error_list *errors;
};

static void refuse(const struct refusal *refusal, const char *format, ...) ATTR_PRINTF(2, 3);

static void
refuse(const struct refusal *refusal, const char *format, ...)
{
	const char *quote = directive_is_quoted(refusal->row->type) ? "\"" : "";
	char shown[SHOWN_MAX], reason[DESCRIPTION_MAX + SHOWN_MAX];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(reason, sizeof(reason), format, ap);
	va_end(ap);
	text_escape_string(refusal->text, shown, sizeof(shown));
	error_list_add(
	    refusal->errors, "%s%s%s%s %s", refusal->prefix, quote, shown, quote, reason);
}

static int
check_range(const struct refusal *refusal, int64_t value)
{
	const struct directive *row = refusal->row;
	char range[DESCRIPTION_MAX];

	if ((value >= row->minimum && value <= row->maximum) || (row->zero && value == 0))
		return 0;
	refuse(refusal, "is out of range (%s)", directive_text_range(row, range, sizeof(range)));
	return -ERANGE;
}

static int
parse_boolean(const struct refusal *refusal, bool *ret_value)
{
	if (strcmp(refusal->text, "true") == 0) {
		*ret_value = true;
	} else if (strcmp(refusal->text, "false") == 0) {
		*ret_value = false;
	} else {
		refuse(refusal, "is not true or false (write true or false)");
		return -EINVAL;
	}
	return 0;
}

/* Decimal digits alone: a leading zero would be octal to some, a suffix or prefix is a slip. */
static int
parse_count(const struct refusal *refusal, int64_t *ret_value)
{
	const char *text = refusal->text, *digits = text + (*text == '-' || *text == '+');
	char range[DESCRIPTION_MAX];
	int64_t value;

	if (*digits == '\0' || digits[strspn(digits, DIGITS)] != '\0' || *text == '+') {
		refuse(refusal, "is not a plain whole number (write one: %s)",
		    directive_text_range(refusal->row, range, sizeof(range)));
		return -EINVAL;
	}
	if (digits[0] == '0' && digits[1] != '\0') {
		digits += strspn(digits, "0");
		refuse(refusal, "has a leading zero (write %.20s)", *digits == '\0' ? "0" : digits);
		return -EINVAL;
	}
	errno = 0;
	value = strtoimax(text, NULL, 10);
	if (errno != 0)
		value = *text == '-' ? INT64_MIN : INT64_MAX;
	if (check_range(refusal, value) < 0)
		return -ERANGE;
	*ret_value = value;
	return 0;
}

static int
parse_quantity(const struct refusal *refusal, int64_t *ret_value)
{
	bool duration = refusal->row->type == DIRECTIVE_DURATION;
	const char *reason, *text = refusal->text;
	char range[DESCRIPTION_MAX];
	int64_t value;
	int r;

	if (*text != '\0' && text[strspn(text, DIGITS)] == '\0') {
		refuse(refusal, "has no unit (write %s)",
		    directive_unit_hint(refusal->row->type, text, range, sizeof(range)));
		return -EINVAL;
	}
	r = duration ? units_parse_duration(text, &value, &reason)
		     : units_parse_size(text, &value, &reason);
	if (r == -ERANGE)
		refuse(refusal, "is out of range (%s)",
		    directive_text_range(refusal->row, range, sizeof(range)));
	else if (r < 0)
		refuse(refusal, "%s", reason);
	if (r < 0)
		return r;
	r = check_range(refusal, value);
	if (r < 0)
		return r;
	*ret_value = value;
	return 0;
}

static int
parse_word(const struct refusal *refusal, int64_t *ret_value)
{
	const struct directive_word *words = refusal->row->words, *near = NULL;
	size_t distance, nearest = 3;
	char list[DESCRIPTION_MAX];

	for (const struct directive_word *w = words; w->word != NULL; w++) {
		if (strcmp(refusal->text, w->word) == 0) {
			*ret_value = w->value;
			return 0;
		}
		distance = text_distance(refusal->text, w->word);
		if (distance < nearest && distance < strlen(w->word)) {
			nearest = distance;
			near = w;
		}
	}
	directive_text_words(words, list, sizeof(list));
	if (near != NULL)
		refuse(refusal, "is not one of %s (did you mean \"%s\"?)", list, near->word);
	else
		refuse(refusal, "is not a known word (write one of %s)", list);
	return -EINVAL;
}

static int
parse_mode(const struct refusal *refusal, int64_t *ret_value)
{
	size_t length = strlen(refusal->text);

	if ((length != 3 && length != 4) || strspn(refusal->text, "01234567") != length) {
		refuse(refusal, "is not a mode (write octal permission bits, such as \"0660\")");
		return -EINVAL;
	}
	int64_t value = strtoimax(refusal->text, NULL, 8);

	if (check_range(refusal, value) < 0)
		return -ERANGE;
	*ret_value = value;
	return 0;
}

static int
store_text(char **field, const char *text)
{
	char *copy = strdup(text);

	if (copy == NULL)
		return -ENOMEM;
	free(*field);
	*field = copy;
	return 0;
}

static int
set_name(const struct refusal *refusal, char **field)
{
	const char *text = refusal->text;
	size_t length = strlen(text);

	if (length == 0 || length > CONFIG_LISTENER_NAME_MAX ||
	    strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" DIGITS "._-") !=
		length) {
		refuse(refusal,
		    "is not a name (write 1 to %d letters, digits, dots, hyphens or "
		    "underscores)",
		    CONFIG_LISTENER_NAME_MAX);
		return -EINVAL;
	}
	return store_text(field, text);
}

static int
set_string(const struct refusal *refusal, char **field)
{
	if (strlen(refusal->text) > (size_t)refusal->row->maximum) {
		refuse(refusal, "is too long (at most %" PRId64 " bytes)", refusal->row->maximum);
		return -ERANGE;
	}
	return store_text(field, refusal->text);
}

/* The text is kept in the one form that address_format() writes, where that means the same. */
static int
set_address(const struct refusal *refusal, char **field, struct address *ret_address)
{
	bool bare = refusal->row->type == DIRECTIVE_HOST_PORT;
	int (*parse)(const char *, struct address *, const char **) = bare ? address_parse_host_port
									   : address_parse;
	struct address address = { 0 }, again;
	char normal[ADDRESS_TEXT_MAX];
	const char *reason, *text = refusal->text, *form;
	int r;

	if (!bare || *text != '\0') {
		r = parse(text, &address, &reason);
		if (r < 0) {
			refuse(refusal, "%s", reason);
			return r;
		}
		form = address_format(&address, normal, sizeof(normal)) +
		       (bare ? strlen("tcp://") : 0);
		if (parse(form, &again, &reason) == 0 && again.wildcard == address.wildcard &&
		    address_equal(&again, &address))
			text = form;
	}
	r = store_text(field, text);
	if (r == 0)
		*ret_address = address;
	return r;
}

int
directive_set(const struct directive *row, void *base, const char *text, const char *prefix,
    struct error_list *errors)
{
	const struct refusal refusal = { row, text, prefix, errors };
	char *bytes = base;
	void *field = bytes + row->offset;

	switch (row->type) {
	case DIRECTIVE_BOOLEAN:
		return parse_boolean(&refusal, field);
	case DIRECTIVE_COUNT:
		return parse_count(&refusal, field);
	case DIRECTIVE_DURATION:
	case DIRECTIVE_SIZE:
		return parse_quantity(&refusal, field);
	case DIRECTIVE_WORD:
		return parse_word(&refusal, field);
	case DIRECTIVE_MODE:
		return parse_mode(&refusal, field);
	case DIRECTIVE_STRING:
		return set_string(&refusal, field);
	case DIRECTIVE_NAME:
		return set_name(&refusal, field);
	case DIRECTIVE_ADDRESS:
	case DIRECTIVE_HOST_PORT:
		return set_address(&refusal, field, (void *)(bytes + row->address_offset));
	case DIRECTIVE_HOSTS:
	case DIRECTIVE_NETWORKS:
		return directive_list_set(row, base, NULL, 0, prefix, errors);
	}
	return -EINVAL;
}

char *
directive_format(const struct directive *row, const void *base, char *buffer, size_t size)
{
	const void *field = (const char *)base + row->offset;
	const char *text;

	switch (row->type) {
	case DIRECTIVE_BOOLEAN:
		(void)snprintf(buffer, size, "%s", *(const bool *)field ? "true" : "false");
		break;
	case DIRECTIVE_COUNT:
	case DIRECTIVE_DURATION:
	case DIRECTIVE_SIZE:
	case DIRECTIVE_MODE:
		return directive_text_number(row, *(const int64_t *)field, buffer, size);
	case DIRECTIVE_WORD:
		buffer[0] = '\0';
		for (const struct directive_word *w = row->words; w->word != NULL; w++) {
			if (w->value == *(const int64_t *)field)
				(void)snprintf(buffer, size, "%s", w->word);
		}
		break;
	case DIRECTIVE_STRING:
	case DIRECTIVE_NAME:
	case DIRECTIVE_ADDRESS:
	case DIRECTIVE_HOST_PORT:
		text = *(char *const *)field;
		(void)snprintf(buffer, size, "%s", text != NULL ? text : "");
		break;
	case DIRECTIVE_HOSTS:
	case DIRECTIVE_NETWORKS:
		return directive_list_format(field, buffer, size);
	}
	return buffer;
}

bool
directive_equal(const struct directive *row, const void *a, const void *b)
{
	char left[DIRECTIVE_TEXT_MAX], right[DIRECTIVE_TEXT_MAX];

	if (directive_is_list(row->type))
		return directive_list_equal((const void *)((const char *)a + row->offset),
		    (const void *)((const char *)b + row->offset));
	directive_format(row, a, left, sizeof(left));
	directive_format(row, b, right, sizeof(right));
	return strcmp(left, right) == 0;
}
