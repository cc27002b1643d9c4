/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The one conversion between a directive's text and its field, both ways. Defaults, the file and
 * the dump all pass here, so that they cannot disagree.
 */
#include <config.h>

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "base/text.h"
#include "config/directives.h"

#define SHOWN_MAX 160

/* Longest name that DNS has, RFC 1035. */
#define HOST_MAX 253
#define HOST_BYTES "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_"

static const char bad_host[] = "is not a host (write a name or address without a port, such as "
			       "\"echo.example\" or \"[2001:db8::1]\")";

/* A name, an IPv4 address, or an IPv6 address in brackets: what a Host header has before the port.
 */
static bool
is_host(const char *text)
{
	size_t length = strlen(text);
	char inner[INET6_ADDRSTRLEN];
	struct in6_addr in6;

	if (text[0] != '[')
		return length > 0 && length <= HOST_MAX && strspn(text, HOST_BYTES) == length;
	if (length < 4 || length - 2 >= sizeof(inner) || text[length - 1] != ']')
		return false;
	memcpy(inner, text + 1, length - 2);
	inner[length - 2] = '\0';
	return inet_pton(AF_INET6, inner, &in6) == 1;
}

/* Return what is wrong with TEXT as an item of ROW and what would be right, NULL: nothing. */
static const char *
find_fault(const struct directive *row, const char *text)
{
	struct network network;
	const char *reason;

	if (row->type == DIRECTIVE_NETWORKS)
		return network_parse(text, &network, &reason) < 0 ? reason : NULL;
	return is_host(text) ? NULL : bad_host;
}

static int
check_items(const struct directive *row, const char *const *items, size_t count, const char *prefix,
    struct error_list *errors)
{
	char shown[SHOWN_MAX];
	int r = 0;

	if (count > (size_t)row->maximum) {
		error_list_add(
		    errors, "%shas %zu items (at most %" PRId64 ")", prefix, count, row->maximum);
		return -ERANGE;
	}
	for (size_t i = 0; i < count; i++) {
		const char *fault = find_fault(row, items[i]);

		if (fault == NULL)
			continue;
		error_list_add(errors, "%s\"%s\" %s", prefix,
		    text_escape_string(items[i], shown, sizeof(shown)), fault);
		r = -EINVAL;
	}
	return r;
}

int
directive_list_set(const struct directive *row, void *base, const char *const *items, size_t count,
    const char *prefix, struct error_list *errors)
{
	struct config_list *field = (void *)((char *)base + row->offset), list = { 0 };
	int r = check_items(row, items, count, prefix, errors);

	if (r < 0)
		return r;
	if (count > 0) {
		list.items = calloc(count, sizeof(*list.items));
		if (list.items == NULL)
			return -ENOMEM;
	}
	for (; list.count < count; list.count++) {
		list.items[list.count] = strdup(items[list.count]);
		if (list.items[list.count] == NULL) {
			directive_list_free(&list);
			return -ENOMEM;
		}
	}
	directive_list_free(field);
	*field = list;
	return 0;
}

char *
directive_list_format(const struct config_list *list, char *buffer, size_t size)
{
	int used = snprintf(buffer, size, "(");

	for (size_t i = 0; i < list->count && (size_t)used < size; i++)
		used += snprintf(buffer + used, size - (size_t)used, "%s \"%s\"", i > 0 ? "," : "",
		    list->items[i]);
	if ((size_t)used < size)
		(void)snprintf(buffer + used, size - (size_t)used, " )");
	return buffer;
}

bool
directive_list_equal(const struct config_list *a, const struct config_list *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++) {
		if (strcmp(a->items[i], b->items[i]) != 0)
			return false;
	}
	return true;
}

void
directive_list_free(struct config_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i]);
	free(list->items);
	*list = (struct config_list){ 0 };
}

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

/* Write a number of ROW as a user would: a field's value or a bound of its range. */
static char *
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

/* Write the range of ROW: "1 to 64". */
static char *
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

/* Write the words of a closed set: "\"a\", \"b\"". */
static char *
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
