/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "control/connections_json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include <event2/buffer.h>

#include "base/clock.h"
#include "control/document.h"
#include "control/json_value.h"

struct connections_json {
	struct document document;     /* first: the two have one address */
	struct inspection_list *list; /* owned */
	size_t limit;
	size_t offset;
	int64_t wall_ns; /* when list was taken */
	size_t written;  /* pieces */
};

static json_t *
connections_json_tcp(const struct connection_tcp_info *tcp)
{
	json_t *object = json_object();
	int r = 0;

	r |= json_object_set_new(object, "rtt_seconds", json_value_fine_seconds(tcp->rtt_ns));
	r |= json_object_set_new(object, "rttvar_seconds", json_value_fine_seconds(tcp->rttvar_ns));
	r |= json_object_set_new(
	    object, "min_rtt_seconds", json_value_fine_seconds(tcp->min_rtt_ns));
	r |= json_object_set_new(object, "retransmits", json_value_count(tcp->retransmits));
	r |= json_object_set_new(object, "mss", json_value_count(tcp->mss));
	r |= json_object_set_new(object, "cwnd", json_value_count(tcp->cwnd));
	r |= json_object_set_new(object, "delivery_rate", json_value_count(tcp->delivery_rate));
	return json_value_checked(object, r);
}

static json_t *
connections_json_row(const struct connection_info *info, int64_t now_ns, int64_t wall_ns)
{
	int64_t age_ns = now_ns - info->accepted_ns, idle_ns = now_ns - info->active_ns;
	const char *transport = address_transport_name(info->transport);
	const char *state = connection_state_name(info->state);
	char peer[ADDRESS_TEXT_MAX], local[ADDRESS_TEXT_MAX];
	json_t *object = json_object();
	int r = 0;

	connection_peer_format(&info->peer, peer, sizeof(peer));
	address_format_sockaddr(&info->local.u.sa, info->local.length, local, sizeof(local));
	r |= json_object_set_new(object, "id", json_value_count(info->id));
	r |= json_object_set_new(object, "listener", json_string(info->listener));
	r |= json_object_set_new(object, "worker", json_integer(info->worker));
	r |= json_object_set_new(object, "transport", json_string(transport));
	r |= json_object_set_new(object, "peer", json_string(peer));
	r |= json_object_set_new(object, "local", json_string(local));
	r |= json_object_set_new(object, "since", json_value_moment(wall_ns - age_ns));
	r |= json_object_set_new(object, "age_seconds", json_value_seconds(age_ns));
	r |= json_object_set_new(object, "idle_seconds", json_value_seconds(idle_ns));
	r |= json_object_set_new(object, "state", json_string(state));
	r |= json_object_set_new(object, "bytes_in", json_value_count(info->bytes_in));
	r |= json_object_set_new(object, "bytes_out", json_value_count(info->bytes_out));
	r |= json_object_set_new(object, "reads", json_value_count(info->reads));
	r |= json_object_set_new(object, "pending_bytes", json_value_count(info->pending_bytes));
	r |= json_object_set_new(object, "read_paused", json_boolean(info->read_paused));
	r |= json_object_set_new(object, "pauses", json_value_count(info->pauses));
	r |= json_object_set_new(object, "paused_seconds", json_value_seconds(info->paused_ns));
	if (info->has_tcp)
		r |= json_object_set_new(object, "tcp", connections_json_tcp(&info->tcp));
	return json_value_checked(object, r);
}

static int
connections_json_write_head(const struct connections_json *json, struct evbuffer *out)
{
	return evbuffer_add_printf(out,
	    "{\"total\":%" PRId64 ",\"matched\":%" PRIu64 ",\"limit\":%zu,\"offset\":%zu,"
	    "\"connections\":[",
	    json->list->total, json->list->matched, json->limit, json->offset);
}

/* A piece is one row. */
static int
connections_json_write(struct document *document, struct evbuffer *out)
{
	struct connections_json *json = (struct connections_json *)document;
	const struct inspection_list *list = json->list;
	size_t i = json->written++;

	if (i == 0 && connections_json_write_head(json, out) < 0)
		return -ENOMEM;
	if (i == list->count)
		return evbuffer_add_printf(out, "]}\n") < 0 ? -ENOMEM : 0;
	if (i > 0 && evbuffer_add(out, ",", 1) < 0)
		return -ENOMEM;
	if (json_value_write(out,
		connections_json_row(&list->rows[i].connection, list->taken_ns, json->wall_ns)) < 0)
		return -ENOMEM;
	return 1;
}

static void
connections_json_free(struct document *document)
{
	struct connections_json *json = (struct connections_json *)document;

	free(json->list);
	free(json);
}

struct document *
connections_json_new(struct inspection_list *list, const struct inspection_query *query)
{
	struct connections_json *json = calloc(1, sizeof(*json));

	if (json == NULL) {
		free(list);
		return NULL;
	}
	json->document = (struct document){ .type = JSON_VALUE_TYPE,
		.write = connections_json_write,
		.free = connections_json_free };
	json->list = list;
	json->limit = query->limit;
	json->offset = query->offset;
	json->wall_ns = clock_wall_ns();
	return &json->document;
}

json_t *
connections_json_one(const struct inspection_list *list, size_t index)
{
	return connections_json_row(&list->rows[index].connection, list->taken_ns, clock_wall_ns());
}
