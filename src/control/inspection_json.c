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

/* A word of so many edits is not what was meant. */
#define REASON_FAR 5

/* Bits of an address, and how many make a network where nobody says so. */
#define IPV4_BITS 32
#define IPV6_BITS 128
#define IPV4_PREFIX_DEFAULT 24
#define IPV6_PREFIX_DEFAULT 64

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
	{ "connections", INSPECTION_BY_CONNECTIONS },
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

static const struct word groups[] = {
	{ "address", false },
	{ "prefix", true },
	{ NULL, 0 },
};

static const struct word kinds[] = {
	{ "closed", false },
	{ "refused", true },
	{ NULL, 0 },
};

enum parameter_id {
	LISTENER,
	LIMIT,
	PEER,
	STATE,
	SORT,
	ORDER,
	OFFSET,
	TCP,
	GROUP,
	IPV4_PREFIX,
	IPV6_PREFIX,
	SINCE,
	REASON,
	KIND,
};

/* Which lists take a parameter. */
#define OF(KIND) (1U << INSPECTION_##KIND)

/* What a query may hold. The value is a word, a number, or text. */
static const struct parameter {
	const char *name;
	const struct word *words;
	uint64_t maximum;
	unsigned lists;
} parameters[] = {
	[LISTENER] = { "listener", NULL, 0, OF(CONNECTIONS) | OF(SOURCES) | OF(EVENTS) },
	[LIMIT] = { "limit", NULL, INSPECTION_ROWS_MAX,
	    OF(CONNECTIONS) | OF(SOURCES) | OF(EVENTS) },
	[PEER] = { "peer", NULL, 0, OF(CONNECTIONS) | OF(EVENTS) },
	[STATE] = { "state", states, 0, OF(CONNECTIONS) },
	[SORT] = { "sort", sorts, 0, OF(CONNECTIONS) },
	[ORDER] = { "order", orders, 0, OF(CONNECTIONS) },
	[OFFSET] = { "offset", NULL, INSPECTION_REACH_MAX, OF(CONNECTIONS) },
	[TCP] = { "tcp", switches, 0, OF(CONNECTIONS) },
	[GROUP] = { "group", groups, 0, OF(CONNECTIONS) },
	[IPV4_PREFIX] = { "ipv4_prefix", NULL, IPV4_BITS, OF(CONNECTIONS) },
	[IPV6_PREFIX] = { "ipv6_prefix", NULL, IPV6_BITS, OF(CONNECTIONS) },
	[SINCE] = { "since", NULL, UINT64_MAX, OF(EVENTS) },
	[REASON] = { "reason", NULL, 0, OF(EVENTS) },
	[KIND] = { "kind", kinds, 0, OF(EVENTS) },
};

static bool
parameter_is_of(enum parameter_id id, enum inspection_kind list)
{
	return (parameters[id].lists & 1U << list) != 0;
}

/* A query being read. */
struct parse {
	struct inspection_query *query;
	struct query_field field; /* the present one */
	unsigned seen;            /* mask of parameters */
	bool prefixes;            /* group=prefix */
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

/* A reason is the counter that counts it. */
static int
parse_reason(const struct parse *parse)
{
	const char *wanted = parse->field.value, *near = NULL;
	size_t distance = REASON_FAR;

	for (unsigned id = 0; id < COUNTER_COUNT; id++) {
		const char *name = counter_info(id)->value;
		size_t far;

		if (!recent_event_is_reason(id))
			continue;
		if (strcmp(name, wanted) == 0) {
			parse->query->by_reason = true;
			parse->query->reason = id;
			return 0;
		}
		far = text_distance(name, wanted);
		if (far < distance) {
			distance = far;
			near = name;
		}
	}
	if (near == NULL)
		return fail(
		    parse, "reason is one that a connection was closed or refused for, see /stats");
	return fail(parse, "there is no such reason (did you mean \"%s\"?)", near);
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
		return fail(parse, "%s is a whole number from 0 to %" PRIu64, parameter->name,
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
parse_parameter(struct parse *parse, enum parameter_id id)
{
	struct inspection_query *query = parse->query;
	uint64_t value;
	int r;

	if (id == LISTENER)
		return parse_listener(parse);
	if (id == PEER)
		return parse_peer(parse);
	if (id == REASON)
		return parse_reason(parse);
	r = parse_value(parse, &parameters[id], &value);
	if (r < 0)
		return r;
	switch (id) {
	case STATE:
		query->by_state = true;
		query->state = (enum connection_state)value;
		break;
	case SORT:
		query->sort = (enum inspection_sort)value;
		break;
	case ORDER:
		query->ascending = value;
		break;
	case LIMIT:
		query->limit = (size_t)value;
		break;
	case OFFSET:
		query->offset = (size_t)value;
		break;
	case TCP:
		query->tcp = value;
		break;
	case GROUP:
		/* the other parameters may come before it or after it */
		parse->prefixes = value;
		break;
	case IPV4_PREFIX:
		query->ipv4_bits = (unsigned)value;
		break;
	case IPV6_PREFIX:
		query->ipv6_bits = (unsigned)value;
		break;
	case SINCE:
		query->since = value;
		break;
	case KIND:
		query->by_kind = true;
		query->refused = value;
		break;
	default:
		break;
	}
	return 0;
}

/* Write the names of what LIST takes to BUFFER, as a sentence has them. */
static const char *
parse_list_names(enum inspection_kind list, char *buffer, size_t size)
{
	const char *last = NULL;

	buffer[0] = '\0';
	for (unsigned i = 0; i < ARRAY_SIZE(parameters); i++) {
		size_t length = strlen(buffer);

		if (!parameter_is_of((enum parameter_id)i, list))
			continue;
		if (last != NULL)
			(void)snprintf(
			    buffer + length, size - length, "%s%s", length > 0 ? ", " : "", last);
		last = parameters[i].name;
	}
	(void)snprintf(buffer + strlen(buffer), size - strlen(buffer), " and %s", last);
	return buffer;
}

static bool
parse_was_given(const struct parse *parse, enum parameter_id id)
{
	return (parse->seen & 1U << id) != 0;
}

/* What counts by peers has an order of its own, and nothing of single connections. */
static int
parse_group(const struct parse *parse)
{
	struct inspection_query *query = parse->query;
	bool by_prefix = parse_was_given(parse, IPV4_PREFIX) || parse_was_given(parse, IPV6_PREFIX);

	if (!parse_was_given(parse, GROUP)) {
		if (by_prefix)
			return fail(parse, "ipv4_prefix and ipv6_prefix go with group=prefix");
		if (query->sort == INSPECTION_BY_CONNECTIONS)
			return fail(parse, "sort=connections goes with group");
		return 0;
	}
	if (!parse->prefixes && by_prefix)
		return fail(parse, "ipv4_prefix and ipv6_prefix go with group=prefix");
	if (parse_was_given(parse, TCP))
		return fail(parse, "tcp is of single connections: it does not go with group");
	if (!parse_was_given(parse, SORT))
		query->sort = INSPECTION_BY_CONNECTIONS;
	if (query->sort == INSPECTION_BY_AGE || query->sort == INSPECTION_BY_IDLE)
		return fail(
		    parse, "with group, sort is connections, bytes_in, bytes_out or pending");
	query->kind = INSPECTION_PEERS;
	if (!parse_was_given(parse, IPV4_PREFIX))
		query->ipv4_bits = parse->prefixes ? IPV4_PREFIX_DEFAULT : IPV4_BITS;
	if (!parse_was_given(parse, IPV6_PREFIX))
		query->ipv6_bits = parse->prefixes ? IPV6_PREFIX_DEFAULT : IPV6_BITS;
	return 0;
}

static int
parse_field(struct parse *parse)
{
	const struct query_field *field = &parse->field;
	const enum inspection_kind list = parse->query->kind;
	char text[SHOWN_MAX], names[SHOWN_MAX];
	unsigned i = 0;

	while (i < ARRAY_SIZE(parameters) && (!parameter_is_of((enum parameter_id)i, list) ||
						 strcmp(field->name, parameters[i].name) != 0))
		i++;
	if (i == ARRAY_SIZE(parameters))
		return fail(parse, "unknown parameter \"%s\": there are %s",
		    text_escape_string(field->name, text, sizeof(text)),
		    parse_list_names(list, names, sizeof(names)));
	if (!field->has_value)
		return fail(parse, "%s has no value", parameters[i].name);
	if (parse_was_given(parse, (enum parameter_id)i))
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
	r = parse_group(&parse);
	if (r < 0)
		return r;
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

static json_t *
inspection_json_peer_row(const struct peer_info *peer)
{
	bool v4 = IN6_IS_ADDR_V4MAPPED(&peer->network);
	unsigned bits = v4 ? peer->bits - (IPV6_BITS - IPV4_BITS) : peer->bits;
	bool whole = bits == (v4 ? IPV4_BITS : IPV6_BITS);
	char host[INET6_ADDRSTRLEN], text[NETWORK_TEXT_MAX];
	uint32_t uid;

	memcpy(&uid, &peer->network.s6_addr[12], sizeof(uid));
	(void)inet_ntop(
	    v4 ? AF_INET : AF_INET6, &peer->network.s6_addr[v4 ? 12 : 0], host, sizeof(host));
	if (peer->bits == PEER_IS_USER)
		(void)snprintf(text, sizeof(text), "uid %u", (unsigned)ntohl(uid));
	else
		(void)snprintf(text, sizeof(text), whole ? "%s" : "%s/%u", host, bits);
	return json_pack("{s:s, s:o, s:o, s:o, s:o}", "peer", text, "connections",
	    document_count(peer->connections), "bytes_in", document_count(peer->bytes_in),
	    "bytes_out", document_count(peer->bytes_out), "pending_bytes",
	    document_count(peer->pending_bytes));
}

static json_t *
inspection_json_event_row(const struct recent_event *event, int64_t now_ns, int64_t wall_ns)
{
	char peer[ADDRESS_TEXT_MAX];
	const struct document_member members[] = {
		{ "id", document_count(event->id) },
		{ "time", document_moment(wall_ns - (now_ns - (int64_t)event->id * NS_PER_US)) },
		{ "kind",
		    json_string(recent_event_is_refusal(event->reason) ? "refused" : "closed") },
		{ "listener", json_string(event->service->name) },
		{ "connection",
		    event->connection != 0 ? document_count(event->connection) : json_null() },
		{ "peer", json_string(connection_peer_format(&event->peer, peer, sizeof(peer))) },
		{ "reason", json_string(counter_info(event->reason)->value) },
		{ "bytes_in", document_count(event->bytes_in) },
		{ "bytes_out", document_count(event->bytes_out) },
		{ "duration_seconds", document_seconds(event->duration_ns) },
	};

	return document_object(members, ARRAY_SIZE(members));
}

static json_t *
inspection_json_row(const struct inspection_json *json, size_t i)
{
	const struct inspection_list *list = json->list;
	const union inspection_row *row = &list->rows[i];

	switch (json->kind) {
	case INSPECTION_SOURCES:
		return inspection_json_source_row(&row->source, list->taken_ns);
	case INSPECTION_PEERS:
		return inspection_json_peer_row(&row->peer);
	case INSPECTION_EVENTS:
		return inspection_json_event_row(&row->event, list->taken_ns, json->wall_ns);
	default:
		return inspection_json_connection_row(
		    &row->connection, list->taken_ns, json->wall_ns);
	}
}

static void
inspection_json_head(struct inspection_json *json)
{
	const struct inspection_list *list = json->list;
	struct document *document = &json->document;

	switch (json->kind) {
	case INSPECTION_SOURCES:
		document_print(document, "{\"known\":%" PRIu64 ",\"limit\":%zu,\"sources\":[",
		    list->matched, json->limit);
		break;
	case INSPECTION_EVENTS:
		document_print(document,
		    "{\"matched\":%" PRIu64 ",\"limit\":%zu,\"next\":%" PRIu64 ",\"events\":[",
		    list->matched, json->limit, list->next);
		break;
	default:
		document_print(document,
		    "{\"total\":%" PRId64 ",\"matched\":%" PRIu64 ",\"limit\":%zu,\"offset\":%zu,",
		    list->total, list->matched, json->limit, json->offset);
		if (json->kind == INSPECTION_PEERS)
			document_print(
			    document, "\"ungrouped\":%" PRIu64 ",\"peers\":[", list->ungrouped);
		else
			document_print(document, "\"connections\":[");
	}
}

/* A piece is one row. */
static bool
inspection_json_piece(struct document *document)
{
	struct inspection_json *json = (struct inspection_json *)document;
	size_t i = document->piece;

	if (i == 0)
		inspection_json_head(json);
	if (i == json->list->count) {
		document_print(document, "]}\n");
		return false;
	}
	document_add_row(document, i == 0, inspection_json_row(json, i));
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
