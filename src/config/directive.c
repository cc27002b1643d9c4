/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "config/directive.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "base/text.h"

/* A value as it is shown in a message, and the whole message after the value. */
#define SHOWN_MAX 160
#define DESCRIPTION_MAX 320

/* Longest name that DNS has, RFC 1035. */
#define HOST_MAX 253

#define DIGITS "0123456789"
#define NAME_BYTES "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" DIGITS ".-_"

/* A text that is to become the value of a field, and where to complain. */
struct assignment {
	const struct directive *row;
	void *base;
	void *field; /* of the row in the base */
	const char *text;
	const char *prefix;
	struct error_list *errors;
};

static void
free_list(struct config_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i]);
	free(list->items);
	*list = (struct config_list){ 0 };
}

static char *
format_list(const struct config_list *list, char *buffer, size_t size)
{
	int used = snprintf(buffer, size, "(");

	for (size_t i = 0; i < list->count && (size_t)used < size; i++)
		used += snprintf(buffer + used, size - (size_t)used, "%s \"%s\"", i > 0 ? "," : "",
		    list->items[i]);
	if ((size_t)used < size)
		(void)snprintf(buffer + used, size - (size_t)used, " )");
	return buffer;
}

/* FIELD: of ROW, or a bound of its range. */
static char *
format_field(const struct directive *row, const void *field, char *buffer, size_t size)
{
	const int64_t *number = field;
	const char *text;

	switch (row->type) {
	case DIRECTIVE_BOOLEAN:
		(void)snprintf(buffer, size, "%s", *(const bool *)field ? "true" : "false");
		break;
	case DIRECTIVE_COUNT:
		(void)snprintf(buffer, size, "%" PRId64, *number);
		break;
	case DIRECTIVE_DURATION:
		return units_format_duration(*number, buffer, size);
	case DIRECTIVE_SIZE:
		return units_format_size(*number, buffer, size);
	case DIRECTIVE_MODE:
		(void)snprintf(buffer, size, "%04" PRIo64, (uint64_t)*number);
		break;
	case DIRECTIVE_WORD:
		buffer[0] = '\0';
		for (const struct directive_word *w = row->words; w->word != NULL; w++) {
			if (w->value == *number)
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
		return format_list(field, buffer, size);
	}
	return buffer;
}

/* Write the range of ROW: "1 to 64". */
static char *
format_range(const struct directive *row, char *buffer, size_t size)
{
	const char *quote = directive_is_quoted(row->type) ? "\"" : "";
	char zero[UNITS_TEXT_MAX + 8] = "", low[UNITS_TEXT_MAX], high[UNITS_TEXT_MAX];

	if (row->zero)
		(void)snprintf(zero, sizeof(zero), "%s%s%s, or ", quote,
		    format_field(row, &(int64_t){ 0 }, low, sizeof(low)), quote);
	(void)snprintf(buffer, size, "%s%s%s%s to %s%s%s", zero, quote,
	    format_field(row, &row->minimum, low, sizeof(low)), quote, quote,
	    format_field(row, &row->maximum, high, sizeof(high)), quote);
	return buffer;
}

/* Write the words of a closed set: "\"a\", \"b\"". */
static char *
format_words(const struct directive_word *words, char *buffer, size_t size)
{
	int used = 0;

	buffer[0] = '\0';
	for (; words->word != NULL && (size_t)used < size; words++)
		used += snprintf(buffer + used, size - (size_t)used, "%s\"%s\"",
		    used > 0 ? ", " : "", words->word);
	return buffer;
}

static int refuse(const struct assignment *a, const char *format, ...) ATTR_PRINTF(2, 3);

static int
refuse(const struct assignment *a, const char *format, ...)
{
	const char *quote = directive_is_quoted(a->row->type) ? "\"" : "";
	char shown[SHOWN_MAX], reason[DESCRIPTION_MAX + SHOWN_MAX];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(reason, sizeof(reason), format, ap);
	va_end(ap);
	text_escape_string(a->text, shown, sizeof(shown));
	error_list_add(a->errors, "%s%s%s%s %s", a->prefix, quote, shown, quote, reason);
	return -EINVAL;
}

static int
refuse_range(const struct assignment *a)
{
	char range[DESCRIPTION_MAX];

	return refuse(a, "is out of range (%s)", format_range(a->row, range, sizeof(range)));
}

static int
store_number(const struct assignment *a, int64_t value)
{
	const struct directive *row = a->row;

	if ((value < row->minimum || value > row->maximum) && (value != 0 || !row->zero))
		return refuse_range(a);
	*(int64_t *)a->field = value;
	return 0;
}

static int
store_text(const struct assignment *a, const char *text)
{
	char **field = a->field, *copy = strdup(text);

	if (copy == NULL)
		return -ENOMEM;
	free(*field);
	*field = copy;
	return 0;
}

static int
set_boolean(const struct assignment *a)
{
	bool value = strcmp(a->text, "true") == 0;

	if (!value && strcmp(a->text, "false") != 0)
		return refuse(a, "is not true or false (write true or false)");
	*(bool *)a->field = value;
	return 0;
}

/* Decimal digits alone: a leading zero would be octal to some, a suffix or prefix is a slip. */
static int
set_count(const struct assignment *a)
{
	const char *text = a->text, *digits = text + (*text == '-' || *text == '+');
	char range[DESCRIPTION_MAX];

	if (*digits == '\0' || digits[strspn(digits, DIGITS)] != '\0' || *text == '+')
		return refuse(a, "is not a plain whole number (write one: %s)",
		    format_range(a->row, range, sizeof(range)));
	if (digits[0] == '0' && digits[1] != '\0') {
		digits += strspn(digits, "0");
		return refuse(
		    a, "has a leading zero (write %.20s)", *digits == '\0' ? "0" : digits);
	}
	/* what does not fit becomes the largest or smallest number, which no range has */
	return store_number(a, strtoimax(text, NULL, 10));
}

static int
set_quantity(const struct assignment *a)
{
	int (*parse)(const char *, int64_t *, const char **) = a->row->type == DIRECTIVE_DURATION
								   ? units_parse_duration
								   : units_parse_size;
	const char *reason, *text = a->text;
	char hint[DESCRIPTION_MAX];
	int64_t value;
	int r;

	if (*text != '\0' && text[strspn(text, DIGITS)] == '\0')
		return refuse(a, "has no unit (write %s)",
		    directive_unit_hint(a->row->type, text, hint, sizeof(hint)));
	r = parse(text, &value, &reason);
	if (r == -ERANGE)
		return refuse_range(a);
	if (r == 0)
		return store_number(a, value);
	if (a->row->type == DIRECTIVE_DURATION ? units_suggest_duration(text, hint, sizeof(hint))
					       : units_suggest_size(text, hint, sizeof(hint)))
		return refuse(a, "has %s (write \"%s\")",
		    strchr(text, ' ') != NULL ? "a space in it" : "an unknown unit", hint);
	return refuse(a, "%s", reason);
}

static int
set_word(const struct assignment *a)
{
	const char *near = NULL;
	char list[DESCRIPTION_MAX];

	for (const struct directive_word *w = a->row->words; w->word != NULL; w++) {
		if (strcmp(a->text, w->word) == 0) {
			*(int64_t *)a->field = w->value;
			return 0;
		}
		if (directive_is_nearer(a->text, w->word, near))
			near = w->word;
	}
	format_words(a->row->words, list, sizeof(list));
	if (near == NULL)
		return refuse(a, "is not a known word (write one of %s)", list);
	return refuse(a, "is not one of %s (did you mean \"%s\"?)", list, near);
}

static int
set_mode(const struct assignment *a)
{
	size_t length = strlen(a->text);

	if ((length != 3 && length != 4) || strspn(a->text, "01234567") != length)
		return refuse(a, "is not a mode (write octal permission bits, such as \"0660\")");
	return store_number(a, strtoimax(a->text, NULL, 8));
}

static int
set_string(const struct assignment *a)
{
	if (strlen(a->text) > (size_t)a->row->maximum)
		return refuse(a, "is too long (at most %" PRId64 " bytes)", a->row->maximum);
	return store_text(a, a->text);
}

static int
set_name(const struct assignment *a)
{
	size_t length = strlen(a->text);

	if (length == 0 || length > CONFIG_LISTENER_NAME_MAX ||
	    strspn(a->text, NAME_BYTES) != length)
		return refuse(a,
		    "is not a name (write 1 to %d letters, digits, dots, hyphens or "
		    "underscores)",
		    CONFIG_LISTENER_NAME_MAX);
	return store_text(a, a->text);
}

/* The text is kept in the one form that address_format() writes, where that means the same. */
static int
set_address(const struct assignment *a)
{
	bool bare = a->row->type == DIRECTIVE_HOST_PORT;
	int (*parse)(const char *, struct address *, const char **) = bare ? address_parse_host_port
									   : address_parse;
	struct address address = { 0 }, again;
	char normal[ADDRESS_TEXT_MAX];
	const char *reason, *text = a->text, *form;
	int r;

	if (bare && *text != '\0' && strchr(text, ':') == NULL)
		return refuse(a,
		    "is not HOST:PORT (write one, such as \"127.0.0.1:9862\", or \"\" for none)");
	if (!bare || *text != '\0') {
		if (parse(text, &address, &reason) < 0)
			return refuse(a, "%s", reason);
		form = address_format(&address, normal, sizeof(normal)) +
		       (bare ? strlen("tcp://") : 0);
		if (parse(form, &again, &reason) == 0 && again.wildcard == address.wildcard &&
		    address_equal(&again, &address))
			text = form;
	}
	r = store_text(a, text);
	if (r == 0)
		*(struct address *)(void *)((char *)a->base + a->row->address_offset) = address;
	return r;
}

static int
set_no_items(const struct assignment *a)
{
	return directive_list_set(a->row, a->base, NULL, 0, a->prefix, a->errors);
}

static const struct type {
	int (*set)(const struct assignment *a);
	const char *wanted; /* what a user may write; a range or words may follow */
	bool quoted;
} types[] = {
	[DIRECTIVE_BOOLEAN] = { set_boolean, "true or false", false },
	[DIRECTIVE_COUNT] = { set_count, "a whole number: ", false },
	[DIRECTIVE_DURATION] = { set_quantity, "a duration in quotes, such as \"30s\"", true },
	[DIRECTIVE_SIZE] = { set_quantity, "a size in quotes, such as \"64KiB\"", true },
	[DIRECTIVE_WORD] = { set_word, "one of ", true },
	[DIRECTIVE_MODE] = { set_mode, "octal permission bits in quotes, such as \"0660\"", true },
	[DIRECTIVE_STRING] = { set_string, "text in quotes", true },
	[DIRECTIVE_NAME] = { set_name, "a name in quotes, such as \"echo\"", true },
	[DIRECTIVE_ADDRESS] = { set_address, "an address in quotes, such as \"tcp://127.0.0.1:7\"",
	    true },
	[DIRECTIVE_HOST_PORT] = { set_address,
	    "HOST:PORT in quotes, such as \"127.0.0.1:9862\", or \"\" for none", true },
	[DIRECTIVE_HOSTS] = { set_no_items, "hosts in parentheses, such as ( \"echo.example\" )",
	    false },
	[DIRECTIVE_NETWORKS] = { set_no_items,
	    "networks in parentheses, such as ( \"192.0.2.0/24\", \"2001:db8::/32\" )", false },
};

const struct directive *
directive_find(const struct directive_table *table, const char *key)
{
	for (size_t i = 0; i < table->count; i++) {
		if (strcmp(table->rows[i].key, key) == 0)
			return &table->rows[i];
	}
	return NULL;
}

bool
directive_suits_address(const struct directive *row, const struct address *address)
{
	switch (row->suits) {
	case DIRECTIVE_ANY:
		return true;
	case DIRECTIVE_STREAM:
		return !address_is_datagram(address);
	case DIRECTIVE_IP:
		return address_is_ip(address);
	case DIRECTIVE_IPV6:
		return address_is_ip(address) && address->u.sa.sa_family == AF_INET6;
	case DIRECTIVE_TCP:
		return address->transport == ADDRESS_TCP;
	case DIRECTIVE_UDP:
		return address->transport == ADDRESS_UDP;
	case DIRECTIVE_DATAGRAM:
		return address_is_datagram(address);
	case DIRECTIVE_FILE:
		return address_is_path(address);
	}
	return false;
}

const char *
directive_effect_name(enum directive_effect effect)
{
	static const char *const names[] = {
		[DIRECTIVE_LIVE] = "live",
		[DIRECTIVE_NEW_CONNECTIONS] = "new connections",
		[DIRECTIVE_RESTART] = "restart",
	};

	return names[effect];
}

bool
directive_is_list(enum directive_type type)
{
	return types[type].set == set_no_items;
}

bool
directive_is_quoted(enum directive_type type)
{
	return types[type].quoted;
}

int
directive_set(const struct directive *row, void *base, const char *text, const char *prefix,
    struct error_list *errors)
{
	const struct assignment a = { row, base, (char *)base + row->offset, text, prefix, errors };

	return types[row->type].set(&a);
}

/* A name, an IPv4 address, or an IPv6 address in brackets, as a Host header has before a port. */
static bool
is_host(const char *text)
{
	size_t length = strlen(text);
	char inner[INET6_ADDRSTRLEN];
	struct in6_addr in6;

	if (text[0] != '[')
		return length > 0 && length <= HOST_MAX && strspn(text, NAME_BYTES) == length;
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
	return is_host(text) ? NULL
			     : "is not a host (write a name or address without a port, such as "
			       "\"echo.example\" or \"[2001:db8::1]\")";
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
		return -EINVAL;
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
			free_list(&list);
			return -ENOMEM;
		}
	}
	free_list(field);
	*field = list;
	return 0;
}

/* A default is text like any other value; a table with a bad one fails here, in every test. */
int
directive_set_defaults(const struct directive_table *table, void *base)
{
	struct error_list errors = ERROR_LIST_EMPTY;
	int r = 0;

	for (size_t i = 0; i < table->count && r == 0; i++) {
		if (table->rows[i].default_text != NULL)
			r = directive_set(
			    &table->rows[i], base, table->rows[i].default_text, "", &errors);
	}
	error_list_done(&errors);
	return r;
}

void
directive_free_fields(const struct directive_table *table, void *base)
{
	for (size_t i = 0; i < table->count; i++) {
		const struct directive *row = &table->rows[i];
		void *field = (char *)base + row->offset;

		if (directive_is_list(row->type))
			free_list(field);
		else if (row->type >= DIRECTIVE_STRING) /* no type from there on is a number */
			free(*(char **)field);
	}
}

char *
directive_format(const struct directive *row, const void *base, char *buffer, size_t size)
{
	return format_field(row, (const char *)base + row->offset, buffer, size);
}

bool
directive_equal(const struct directive *row, const void *a, const void *b)
{
	char left[DIRECTIVE_TEXT_MAX], right[DIRECTIVE_TEXT_MAX];

	return strcmp(directive_format(row, a, left, sizeof(left)),
		   directive_format(row, b, right, sizeof(right))) == 0;
}

char *
directive_describe(const struct directive *row, char *buffer, size_t size)
{
	char list[DESCRIPTION_MAX] = "";

	if (row->type == DIRECTIVE_COUNT)
		format_range(row, list, sizeof(list));
	else if (row->type == DIRECTIVE_WORD)
		format_words(row->words, list, sizeof(list));
	(void)snprintf(buffer, size, "%s%s", types[row->type].wanted, list);
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

bool
directive_is_nearer(const char *text, const char *word, const char *near)
{
	size_t distance = text_distance(text, word);

	if (strcasecmp(text, word) == 0)
		return near == NULL || strcasecmp(text, near) != 0;
	return distance < 3 && distance < strlen(word) &&
	       (near == NULL || distance < text_distance(text, near));
}
