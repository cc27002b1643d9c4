/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "control/sources_json.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>

#include "base/text.h"
#include "control/document.h"
#include "control/json_value.h"
#include "control/request.h"

#define SHOWN_MAX 128
struct sources_json {
	struct document document;     /* first: the two have one address */
	struct inspection_list *list; /* owned */
	size_t limit;
	size_t written; /* pieces */
};

#define SOURCE_TEXT_MAX (INET6_ADDRSTRLEN + sizeof("/64"))

static int
parse_listener(const struct query_field *field, struct inspection_query *query, char *error)
{
	if (field->value_length == 0 || field->value_length > CONFIG_LISTENER_NAME_MAX) {
		(void)snprintf(error, QUERY_ERROR_MAX, "listener is a name of 1 to %d bytes",
		    CONFIG_LISTENER_NAME_MAX);
		return -EINVAL;
	}
	memcpy(query->listener, field->value, field->value_length);
	query->listener[field->value_length] = '\0';
	return 0;
}

static int
parse_limit(const struct query_field *field, struct inspection_query *query, char *error)
{
	uint64_t number;

	if (query_number(field->value, field->value_length, SOURCES_QUERY_MAX, &number) < 0) {
		(void)snprintf(error, QUERY_ERROR_MAX, "limit is a whole number from 0 to %d",
		    SOURCES_QUERY_MAX);
		return -EINVAL;
	}
	query->limit = (size_t)number;
	return 0;
}

static int
parse_field(const struct query_field *field, struct inspection_query *query, char *error)
{
	char text[SHOWN_MAX];

	if (field->value != NULL && query_text_is(field->name, field->name_length, "listener"))
		return parse_listener(field, query, error);
	if (field->value != NULL && query_text_is(field->name, field->name_length, "limit"))
		return parse_limit(field, query, error);
	(void)snprintf(error, QUERY_ERROR_MAX,
	    "unknown parameter \"%s\": there are listener=NAME and limit=NUMBER",
	    text_escape(field->name, field->name_length, text, sizeof(text)));
	return -EINVAL;
}

int
sources_query_parse(const char *text, struct inspection_query *ret_query, char *error)
{
	struct inspection_query query = { .kind = INSPECTION_SOURCES,
		.limit = SOURCES_QUERY_DEFAULT };
	struct query_field field;

	while (query_next(&text, &field)) {
		int r = parse_field(&field, &query, error);

		if (r < 0)
			return r;
	}
	*ret_query = query;
	return 0;
}

static json_t *
sources_json_row(const struct source_info *row, int64_t now_ns)
{
	const struct source *source = &row->source;
	bool v4 = IN6_IS_ADDR_V4MAPPED(&source->prefix);
	char host[INET6_ADDRSTRLEN], text[SOURCE_TEXT_MAX];
	json_t *object = json_object();
	int r = 0;

	if (v4)
		(void)inet_ntop(AF_INET, &source->prefix.s6_addr[12], host, sizeof(host));
	else
		(void)inet_ntop(AF_INET6, &source->prefix, host, sizeof(host));
	(void)snprintf(text, sizeof(text), "%s/%d", host, v4 ? 32 : 64);
	r |= json_object_set_new(object, "listener", json_string(row->listener));
	r |= json_object_set_new(object, "source", json_string(text));
	r |= json_object_set_new(object, "echoed", json_value_count(source->echoed));
	r |= json_object_set_new(object, "dropped", json_value_count(source->dropped));
	r |= json_object_set_new(
	    object, "idle_seconds", json_value_seconds(now_ns - source->seen_ns));
	return json_value_checked(object, r);
}

/* A piece is one row. */
static int
sources_json_write(struct document *document, struct evbuffer *out)
{
	struct sources_json *json = (struct sources_json *)document;
	const struct inspection_list *list = json->list;
	size_t i = json->written++;

	if (i == 0 && evbuffer_add_printf(out, "{\"known\":%" PRIu64 ",\"limit\":%zu,\"sources\":[",
			  list->matched, json->limit) < 0)
		return -ENOMEM;
	if (i == list->count)
		return evbuffer_add_printf(out, "]}\n") < 0 ? -ENOMEM : 0;
	if (i > 0 && evbuffer_add(out, ",", 1) < 0)
		return -ENOMEM;
	return json_value_write(out, sources_json_row(&list->rows[i].source, list->taken_ns)) < 0
		   ? -ENOMEM
		   : 1;
}

static void
sources_json_free(struct document *document)
{
	struct sources_json *json = (struct sources_json *)document;

	free(json->list);
	free(json);
}

struct document *
sources_json_new(struct inspection_list *list, size_t limit)
{
	struct sources_json *json = calloc(1, sizeof(*json));

	if (json == NULL) {
		free(list);
		return NULL;
	}
	json->document = (struct document){
		.type = JSON_VALUE_TYPE, .write = sources_json_write, .free = sources_json_free
	};
	json->list = list;
	json->limit = limit;
	return &json->document;
}
