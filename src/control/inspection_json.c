/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "control/inspection_json.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "control/document.h"
#include "control/request.h"

/* Rows of a list, unless its query says how many. */
#define LIMIT_DEFAULT 100

#define SHOWN_MAX 128
#define NETWORK_TEXT_MAX (INET6_ADDRSTRLEN + sizeof("/128"))

/* One of a closed set of values; the table ends with a NULL word. */
struct word {
	const char *word;
	unsigned value;
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

enum parameter_id { LISTENER, LIMIT, PEER, STATE, SORT, ORDER, OFFSET, TCP };

/* What a query may hold; /sources takes the first two. The value is a word, a number, or text. */
static const struct parameter {
	const char *name;
	const struct word *words;
	unsigned maximum;
} parameters[] = {
	[LISTENER] = { .name = "listener" },
	[LIMIT] = { .name = "limit", .maximum = INSPECTION_ROWS_MAX },
	[PEER] = { .name = "peer" },
	[STATE] = { .name = "state", .words = states },
	[SORT] = { .name = "sort", .words = sorts },
	[ORDER] = { .name = "order", .words = orders },
	[OFFSET] = { .name = "offset", .maximum = INSPECTION_REACH_MAX },
	[TCP] = { .name = "tcp", .words = switches },
};

/* A query being read. */
struct parse {
	struct inspection_query *query;
	struct query_field field; /* the present one */
	unsigned seen;            /* mask of parameters */
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
parse_listener(const struct parse *parse)
{
	const char *name = parse->field.value;

	if (*name == '\0' || strlen(name) > CONFIG_LISTENER_NAME_MAX)
		return fail(parse, "listener is a name of 1 to %d bytes", CONFIG_LISTENER_NAME_MAX);
	strcpy(parse->query->listener, name);
	return 0;
}

static int
parse_peer(const struct parse *parse)
{
	const char *reason;

	if (network_parse(parse->field.value, &parse->query->peer, &reason) < 0)
		return fail(parse, "peer %s", reason);
	parse->query->by_peer = true;
	return 0;
}

/* Take a word or a number. */
static int
parse_value(const struct parse *parse, const struct parameter *parameter, uint64_t *ret_value)
{
	const struct query_field *field = &parse->field;
	const struct word *word = parameter->words;
	char list[SHOWN_MAX] = "";

	if (word == NULL) {
		if (query_number(
			field->value, strlen(field->value), parameter->maximum, ret_value) == 0)
			return 0;
		return fail(parse, "%s is a whole number from 0 to %u", parameter->name,
		    parameter->maximum);
	}
	for (; word->word != NULL; word++) {
		if (strcmp(field->value, word->word) == 0) {
			*ret_value = word->value;
			return 0;
		}
		if (word > parameter->words)
			strcat(list, word[1].word != NULL ? ", " : " or ");
		strcat(list, word->word);
	}
	return fail(parse, "%s is %s", parameter->name, list);
}

static int
parse_parameter(const struct parse *parse, enum parameter_id id)
{
	struct inspection_query *query = parse->query;
	uint64_t value;
	int r;

	if (id == LISTENER)
		return parse_listener(parse);
	if (id == PEER)
		return parse_peer(parse);
	r = parse_value(parse, &parameters[id], &value);
	if (r < 0)
		return r;
	if (id == STATE) {
		query->by_state = true;
		query->state = (enum connection_state)value;
	} else if (id == SORT) {
		query->sort = (enum inspection_sort)value;
	} else if (id == ORDER) {
		query->ascending = value;
	} else if (id == LIMIT) {
		query->limit = (size_t)value;
	} else if (id == OFFSET) {
		query->offset = (size_t)value;
	} else {
		query->tcp = value;
	}
	return 0;
}

static int
parse_field(struct parse *parse)
{
	const struct query_field *field = &parse->field;
	bool sources = parse->query->kind == INSPECTION_SOURCES;
	unsigned count = sources ? LIMIT + 1 : ARRAY_SIZE(parameters), i = 0;
	char text[SHOWN_MAX];

	while (i < count && strcmp(field->name, parameters[i].name) != 0)
		i++;
	if (i == count || (sources && !field->has_value))
		return fail(parse, "unknown parameter \"%s\": there are %s",
		    text_escape_string(field->name, text, sizeof(text)),
		    sources ? "listener=NAME and limit=NUMBER"
			    : "listener, peer, state, sort, order, limit, offset and tcp");
	if (!field->has_value)
		return fail(parse, "%s has no value", parameters[i].name);
	if (!sources && (parse->seen & 1U << i) != 0)
		return fail(parse, "%s is given twice", parameters[i].name);
	parse->seen |= 1U << i;
	return parse_parameter(parse, (enum parameter_id)i);
}

int
inspection_json_parse(
    enum inspection_kind kind, const char *text, struct inspection_query *ret_query, char *error)
{
	struct inspection_query query = { .kind = kind, .limit = LIMIT_DEFAULT };
	struct parse parse = { .query = &query, .error = error };
	int r;

	while ((r = query_next(&text, &parse.field)) > 0) {
		r = parse_field(&parse);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return fail(&parse,
		    "a name or a value is longer than %d bytes, or has %%00 or a %% that begins no "
		    "%%XX",
		    QUERY_TEXT_MAX - 1);
	if (query.limit + query.offset > INSPECTION_REACH_MAX)
		return fail(
		    &parse, "limit and offset together are at most %d", INSPECTION_REACH_MAX);
	*ret_query = query;
	return 0;
}

struct inspection_json {
	struct document document;     /* first: the two have one address */
	struct inspection_list *list; /* owned by document */
	enum inspection_kind kind;
	size_t limit;
	size_t offset;
	int64_t wall_ns; /* when list was taken */
};

static json_t *
inspection_json_tcp(const struct connection_tcp_info *tcp)
{
	const struct document_member members[] = {
		{ "rtt_seconds", document_fine_seconds(tcp->rtt_ns) },
		{ "rttvar_seconds", document_fine_seconds(tcp->rttvar_ns) },
		{ "min_rtt_seconds", document_fine_seconds(tcp->min_rtt_ns) },
		{ "retransmits", document_count(tcp->retransmits) },
		{ "mss", document_count(tcp->mss) },
		{ "cwnd", document_count(tcp->cwnd) },
		{ "delivery_rate", document_count(tcp->delivery_rate) },
	};

	return document_object(members, ARRAY_SIZE(members));
}

static json_t *
inspection_json_connection_row(const struct connection_info *info, int64_t now_ns, int64_t wall_ns)
{
	int64_t age_ns = now_ns - info->accepted_ns;
	char peer[ADDRESS_TEXT_MAX], local[ADDRESS_TEXT_MAX];
	const struct document_member members[] = {
		{ "id", document_count(info->id) },
		{ "listener", json_string(info->listener) },
		{ "worker", json_integer(info->worker) },
		{ "transport", json_string(address_transport_name(info->transport)) },
		{ "peer", json_string(connection_peer_format(&info->peer, peer, sizeof(peer))) },
		{ "local", json_string(address_format_sockaddr(
			       &info->local.u.sa, info->local.length, local, sizeof(local))) },
		{ "since", document_moment(wall_ns - age_ns) },
		{ "age_seconds", document_seconds(age_ns) },
		{ "idle_seconds", document_seconds(now_ns - info->active_ns) },
		{ "state", json_string(connection_state_name(info->state)) },
		{ "bytes_in", document_count(info->bytes_in) },
		{ "bytes_out", document_count(info->bytes_out) },
		{ "reads", document_count(info->reads) },
		{ "pending_bytes", document_count(info->pending_bytes) },
		{ "read_paused", json_boolean(info->read_paused) },
		{ "pauses", document_count(info->pauses) },
		{ "paused_seconds", document_seconds(info->paused_ns) },
		{ "tcp", info->has_tcp ? inspection_json_tcp(&info->tcp) : NULL },
	};

	/* without TCP, the last one does not exist */
	return document_object(members, ARRAY_SIZE(members) - (info->has_tcp ? 0 : 1));
}

static json_t *
inspection_json_source_row(const struct source_info *row, int64_t now_ns)
{
	const struct source *source = &row->source;
	bool v4 = IN6_IS_ADDR_V4MAPPED(&source->prefix);
	char host[INET6_ADDRSTRLEN], text[NETWORK_TEXT_MAX];

	(void)inet_ntop(
	    v4 ? AF_INET : AF_INET6, &source->prefix.s6_addr[v4 ? 12 : 0], host, sizeof(host));
	(void)snprintf(text, sizeof(text), "%s/%d", host, v4 ? 32 : 64);
	return json_pack("{s:s, s:s, s:o, s:o, s:o}", "listener", row->listener, "source", text,
	    "echoed", document_count(source->echoed), "dropped", document_count(source->dropped),
	    "idle_seconds", document_seconds(now_ns - source->seen_ns));
}

static void
inspection_json_head(struct inspection_json *json)
{
	const struct inspection_list *list = json->list;

	if (json->kind == INSPECTION_SOURCES)
		document_print(&json->document,
		    "{\"known\":%" PRIu64 ",\"limit\":%zu,\"sources\":[", list->matched,
		    json->limit);
	else
		document_print(&json->document,
		    "{\"total\":%" PRId64 ",\"matched\":%" PRIu64
		    ",\"limit\":%zu,\"offset\":%zu,\"connections\":[",
		    list->total, list->matched, json->limit, json->offset);
}

/* A piece is one row. */
static bool
inspection_json_piece(struct document *document)
{
	struct inspection_json *json = (struct inspection_json *)document;
	const struct inspection_list *list = json->list;
	size_t i = document->piece;

	if (i == 0)
		inspection_json_head(json);
	if (i == list->count) {
		document_print(document, "]}\n");
		return false;
	}
	document_add_row(document, i == 0,
	    json->kind == INSPECTION_SOURCES
		? inspection_json_source_row(&list->rows[i].source, list->taken_ns)
		: inspection_json_connection_row(
		      &list->rows[i].connection, list->taken_ns, json->wall_ns));
	return true;
}

struct document *
inspection_json_new(struct inspection_list *list, const struct inspection_query *query)
{
	static document_step *const steps[] = { inspection_json_piece, NULL };
	struct inspection_json *json = document_new(sizeof(*json), DOCUMENT_JSON, steps);

	if (json == NULL) {
		free(list);
		return NULL;
	}
	json->document.owned = json->list = list;
	json->document.release = free;
	json->kind = query->kind;
	json->limit = query->limit;
	json->offset = query->offset;
	json->wall_ns = clock_wall_ns();
	return &json->document;
}

json_t *
inspection_json_connection(const struct inspection_list *list)
{
	return inspection_json_connection_row(
	    &list->rows[0].connection, list->taken_ns, clock_wall_ns());
}
