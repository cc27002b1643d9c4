/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "config/directive_list.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/network.h"
#include "base/text.h"

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
