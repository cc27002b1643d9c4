/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "control/connections_query.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "control/request.h"

#define SHOWN_MAX 128
#define NETWORK_TEXT_MAX (INET6_ADDRSTRLEN + sizeof("/128"))

/* One of a closed set of values; the table ends with a NULL word. */
struct word {
	const char *word;
	int value;
};

static const struct word sorts[] = {
	{ "age", INSPECTION_BY_AGE },
	{ "idle", INSPECTION_BY_IDLE },
	{ "bytes_in", INSPECTION_BY_BYTES_IN },
	{ "bytes_out", INSPECTION_BY_BYTES_OUT },
	{ "pending", INSPECTION_BY_PENDING },
	{ NULL, 0 },
};

static const struct word states[] = {
	{ "open", CONNECTION_OPEN },
	{ "flushing", CONNECTION_FLUSHING },
	{ "lingering", CONNECTION_LINGERING },
	{ NULL, 0 },
};

static const struct word orders[] = {
	{ "asc", true },
	{ "desc", false },
	{ NULL, 0 },
};

static const struct word switches[] = {
	{ "0", false },
	{ "1", true },
	{ NULL, 0 },
};

/* One parameter being read. */
struct parse {
	struct inspection_query *query;
	const struct query_field *field;
	char *error;
};

static int fail(const struct parse *parse, const char *format, ...) ATTR_PRINTF(2, 3);

static int
fail(const struct parse *parse, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(parse->error, QUERY_ERROR_MAX, format, ap);
	va_end(ap);
	return -EINVAL;
}

static int
parse_word(const struct parse *parse, const struct word *words, int *ret_value)
{
	const struct query_field *field = parse->field;
	char list[SHOWN_MAX] = "";

	for (size_t i = 0; words[i].word != NULL; i++) {
		if (query_text_is(field->value, field->value_length, words[i].word)) {
			*ret_value = words[i].value;
			return 0;
		}
		if (i > 0)
			strcat(list, words[i + 1].word != NULL ? ", " : " or ");
		strcat(list, words[i].word);
	}
	return fail(parse, "%.*s is %s", (int)field->name_length, field->name, list);
}

static int
parse_listener(const struct parse *parse)
{
	size_t length = parse->field->value_length;

	if (length == 0 || length > CONFIG_LISTENER_NAME_MAX)
		return fail(parse, "listener is a name of 1 to %d bytes", CONFIG_LISTENER_NAME_MAX);
	memcpy(parse->query->listener, parse->field->value, length);
	parse->query->listener[length] = '\0';
	return 0;
}

static int
parse_peer(const struct parse *parse)
{
	size_t length = parse->field->value_length;
	char text[NETWORK_TEXT_MAX] = "";
	const char *reason;

	if (length < sizeof(text))
		memcpy(text, parse->field->value, length);
	if (network_parse(text, &parse->query->peer, &reason) < 0)
		return fail(parse, "peer %s", reason);
	parse->query->by_peer = true;
	return 0;
}

static int
parse_state(const struct parse *parse)
{
	int value, r = parse_word(parse, states, &value);

	if (r < 0)
		return r;
	parse->query->by_state = true;
	parse->query->state = (enum connection_state)value;
	return 0;
}

static int
parse_sort(const struct parse *parse)
{
	int value, r = parse_word(parse, sorts, &value);

	if (r == 0)
		parse->query->sort = (enum inspection_sort)value;
	return r;
}

static int
parse_order(const struct parse *parse)
{
	int value, r = parse_word(parse, orders, &value);

	if (r == 0)
		parse->query->ascending = value;
	return r;
}

static int
parse_tcp(const struct parse *parse)
{
	int value, r = parse_word(parse, switches, &value);

	if (r == 0)
		parse->query->tcp = value;
	return r;
}

static int
parse_limit(const struct parse *parse)
{
	uint64_t number;

	if (query_number(parse->field->value, parse->field->value_length, CONNECTIONS_QUERY_MAX,
		&number) < 0)
		return fail(parse, "limit is a whole number from 0 to %d", CONNECTIONS_QUERY_MAX);
	parse->query->limit = (size_t)number;
	return 0;
}

static int
parse_offset(const struct parse *parse)
{
	uint64_t number;

	if (query_number(
		parse->field->value, parse->field->value_length, INSPECTION_REACH_MAX, &number) < 0)
		return fail(parse, "offset is a whole number from 0 to %d", INSPECTION_REACH_MAX);
	parse->query->offset = (size_t)number;
	return 0;
}

static const struct {
	const char *name;
	int (*parse)(const struct parse *parse);
} parameters[] = {
	{ "listener", parse_listener },
	{ "peer", parse_peer },
	{ "state", parse_state },
	{ "sort", parse_sort },
	{ "order", parse_order },
	{ "limit", parse_limit },
	{ "offset", parse_offset },
	{ "tcp", parse_tcp },
};

static int
parse_field(const struct parse *parse, unsigned *seen)
{
	const struct query_field *field = parse->field;
	char text[SHOWN_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(parameters); i++) {
		if (!query_text_is(field->name, field->name_length, parameters[i].name))
			continue;
		if (field->value == NULL)
			return fail(parse, "%s has no value", parameters[i].name);
		if (*seen & 1U << i)
			return fail(parse, "%s is given twice", parameters[i].name);
		*seen |= 1U << i;
		return parameters[i].parse(parse);
	}
	return fail(parse,
	    "unknown parameter \"%s\": there are listener, peer, state, sort, order, limit, offset "
	    "and tcp",
	    text_escape(field->name, field->name_length, text, sizeof(text)));
}

int
connections_query_parse(const char *text, struct inspection_query *ret_query, char *error)
{
	struct inspection_query query = { .limit = CONNECTIONS_QUERY_DEFAULT };
	struct query_field field;
	const struct parse parse = { &query, &field, error };
	unsigned seen = 0;
	int r;

	while (query_next(&text, &field)) {
		r = parse_field(&parse, &seen);
		if (r < 0)
			return r;
	}
	if (query.limit + query.offset > INSPECTION_REACH_MAX)
		return fail(
		    &parse, "limit and offset together are at most %d", INSPECTION_REACH_MAX);
	*ret_query = query;
	return 0;
}
