/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "control/inspection_json.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/config_file.h"
#include "control/config_json.h"
#include "control/request.h"
#include "document_text.h"
#include "suite.h"

START_TEST(accept_decides_the_format)
{
	static const struct {
		const char *accept;
		bool openmetrics;
	} cases[] = {
		{ NULL, false },
		{ "", false },
		{ "*/*", false },
		{ "text/plain", false },
		{ "application/json", false },
		{ "application/openmetrics-text", true },
		{ "Application/OpenMetrics-Text; Version=1.0.0", true },
		{ "application/openmetrics-text; version=\"0.0.1\"", true },
		{ "application/openmetrics-text; version=2.0.0", false },
		{ "application/openmetrics-text; q=0", false },
		{ "application/openmetrics-text;q=0.000", false },
		{ "application/openmetrics-text;q=0.5,text/plain;q=0.6", false },
		{ "application/openmetrics-text;q=0.6,text/plain;q=0.5", true },
		{ "text/plain;q=0.25,application/openmetrics-text;q=0.251", true },
		{ "application/openmetrics-text;version=1.0.0;q=0.5,"
		  "application/openmetrics-text;version=0.0.1;q=0.4,"
		  "text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
		    true },
		{ "text/html, */*;q=0.8", false },
		{ ";;,=,;q", false },
		{ "application/openmetrics-text;q=x", false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		ck_assert_msg(request_wants_openmetrics(cases[i].accept) == cases[i].openmetrics,
		    "%s", cases[i].accept);
}
END_TEST

START_TEST(queries_are_read)
{
	struct inspection_query query;
	char error[QUERY_ERROR_MAX];

	ck_assert_int_eq(inspection_json_parse(INSPECTION_CONNECTIONS, "", &query, error), 0);
	ck_assert_uint_eq(query.limit, 100);
	ck_assert_uint_eq(query.offset, 0);
	ck_assert_int_eq(query.sort, INSPECTION_BY_AGE);
	ck_assert(!query.ascending && !query.tcp && !query.by_peer && !query.by_state);
	ck_assert_str_eq(query.listener, "");
	ck_assert_int_eq(inspection_json_parse(INSPECTION_CONNECTIONS,
			     "listener=a.b-c&peer=2001:db8::/32&state=flushing&sort=pending"
			     "&order=asc&limit=1000&offset=9000&tcp=1",
			     &query, error),
	    0);
	ck_assert_str_eq(query.listener, "a.b-c");
	ck_assert(query.by_peer && query.peer.bits == 32);
	ck_assert(query.by_state && query.state == CONNECTION_FLUSHING);
	ck_assert_int_eq(query.sort, INSPECTION_BY_PENDING);
	ck_assert(query.ascending && query.tcp);
	ck_assert_uint_eq(query.limit, 1000);
	ck_assert_uint_eq(query.offset, 9000);
	ck_assert_uint_eq(query.id, 0);
}
END_TEST

START_TEST(wrong_queries_are_explained)
{
	static const struct {
		const char *query, *error;
	} cases[] = {
		{ "limit=1001", "limit is a whole number from 0 to 1000" },
		{ "limit=", "limit is a whole number from 0 to 1000" },
		{ "limit", "limit has no value" },
		{ "limit=1&limit=1", "limit is given twice" },
		{ "limit=18446744073709551617", "limit is a whole number from 0 to 1000" },
		{ "limit=1000&offset=9001", "limit and offset together are at most 10000" },
		{ "offset=10001", "offset is a whole number from 0 to 10000" },
		{ "offset=-1", "offset is a whole number from 0 to 10000" },
		{ "sort=bytes", "sort is age, idle, bytes_in, bytes_out, pending or connections" },
		{ "sort=connections", "sort=connections goes with group" },
		{ "group=peer", "group is address or prefix" },
		{ "group=address&sort=age",
		    "with group, sort is connections, bytes_in, bytes_out or pending" },
		{ "group=address&tcp=1", "tcp is of single connections" },
		{ "group=prefix&ipv4_prefix=33", "ipv4_prefix is a whole number from 0 to 32" },
		{ "group=address&ipv4_prefix=24",
		    "ipv4_prefix and ipv6_prefix go with group=prefix" },
		{ "ipv6_prefix=64", "ipv4_prefix and ipv6_prefix go with group=prefix" },
		{ "since=1", "unknown parameter \"since\"" },
		{ "order=up", "order is asc or desc" },
		{ "state=closed", "state is open, flushing or lingering" },
		{ "tcp=yes", "tcp is 0 or 1" },
		{ "listener=", "listener is a name of 1 to 64 bytes" },
		{ "peer=", "peer has no numeric address" },
		{ "peer=10.0.0.1/8", "peer has bits set beyond its prefix length" },
		{ "peer=10.0.0.0/33", "peer has no valid prefix length" },
		{ "peer=0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000/000001",
		    "peer has no numeric address" },
		{ "Limit=1", "unknown parameter \"Limit\"" },
		{ "a&b", "unknown parameter \"a\"" },
		{ "&", "unknown parameter \"\"" },
		{ "limit=1&", NULL },
		{ "peer=10.0.0.0%2F8", NULL },
		{ "%6Cimit=%31&listener=a%2ab", NULL },
		{ "limit=1%26offset=2", "limit is a whole number from 0 to 1000" },
		{ "peer=10.0.0.0%2", "a name or a value is longer than 127 bytes, or has %00" },
		{ "peer=10.0.0.0%", "a name or a value is longer than 127 bytes, or has %00" },
		{ "peer=10.0.0.0%2G8", "a name or a value is longer than 127 bytes, or has %00" },
		{ "peer=10.0.0.0%-18", "a name or a value is longer than 127 bytes, or has %00" },
		{ "listener=a%00b", "a name or a value is longer than 127 bytes, or has %00" },
		{ "a%0ab=1", "unknown parameter \"a\\x0ab\"" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct inspection_query query = { .limit = 7 };
		char error[QUERY_ERROR_MAX] = "";
		int r = inspection_json_parse(
		    INSPECTION_CONNECTIONS, cases[i].query, &query, error);

		if (cases[i].error == NULL) {
			ck_assert_int_eq(r, 0);
			continue;
		}
		ck_assert_msg(r == -EINVAL, "%s", cases[i].query);
		ck_assert_msg(strncmp(error, cases[i].error, strlen(cases[i].error)) == 0, "%s: %s",
		    cases[i].query, error);
		ck_assert_uint_eq(query.limit, 7);
	}
}
END_TEST

START_TEST(queries_by_peers_are_read)
{
	struct inspection_query query;
	char error[QUERY_ERROR_MAX];

	ck_assert_int_eq(
	    inspection_json_parse(INSPECTION_CONNECTIONS, "group=address", &query, error), 0);
	ck_assert_int_eq(query.kind, INSPECTION_PEERS);
	ck_assert_int_eq(query.sort, INSPECTION_BY_CONNECTIONS);
	ck_assert_uint_eq(query.ipv4_bits, 32);
	ck_assert_uint_eq(query.ipv6_bits, 128);
	ck_assert_int_eq(inspection_json_parse(INSPECTION_CONNECTIONS,
			     "ipv4_prefix=16&sort=bytes_in&group=prefix", &query, error),
	    0);
	ck_assert_int_eq(query.sort, INSPECTION_BY_BYTES_IN);
	ck_assert_uint_eq(query.ipv4_bits, 16);
	ck_assert_uint_eq(query.ipv6_bits, 64);
}
END_TEST

START_TEST(queries_for_events_are_read)
{
	static const struct {
		const char *query, *error;
	} cases[] = {
		{ "reason=idle_timeot",
		    "there is no such reason (did you mean \"idle_timeout\"?)" },
		{ "reason=weather", "reason is one that a connection was closed or refused for" },
		/* a reason of datagrams, and no reason at all */
		{ "reason=source_rate", "reason is " },
		{ "reason=EMFILE", "reason is " },
		{ "kind=open", "kind is closed or refused" },
		{ "since=-1", "since is a whole number from 0 to " },
		{ "sort=age", "unknown parameter \"sort\": there are listener, limit, peer, since, "
			      "reason and kind" },
	};
	struct inspection_query query;
	char error[QUERY_ERROR_MAX];

	ck_assert_int_eq(
	    inspection_json_parse(INSPECTION_EVENTS,
		"since=18446744073709551615&reason=limit&kind=refused&peer=::1", &query, error),
	    0);
	ck_assert_uint_eq(query.since, UINT64_MAX);
	ck_assert(query.by_reason);
	ck_assert_uint_eq(query.reason, COUNTER_REJECTED_LIMIT);
	ck_assert(query.by_kind && query.refused && query.by_peer);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		ck_assert_int_eq(
		    inspection_json_parse(INSPECTION_EVENTS, cases[i].query, &query, error),
		    -EINVAL);
		ck_assert_msg(strncmp(error, cases[i].error, strlen(cases[i].error)) == 0, "%s: %s",
		    cases[i].query, error);
	}
}
END_TEST

START_TEST(queries_for_sources_are_read)
{
	static const char unknown[] = ": there are listener and limit";
	static const struct {
		const char *query, *error;
	} cases[] = {
		{ "sort=age", "unknown parameter \"sort\"" },
		{ "limit", "limit has no value" },
		{ "limit=1001", "limit is a whole number from 0 to 1000" },
		{ "listener=", "listener is a name of 1 to 64 bytes" },
	};
	struct inspection_query query;
	char error[QUERY_ERROR_MAX];

	ck_assert_int_eq(inspection_json_parse(INSPECTION_SOURCES, "", &query, error), 0);
	ck_assert_int_eq(query.kind, INSPECTION_SOURCES);
	ck_assert_uint_eq(query.limit, 100);
	ck_assert_int_eq(
	    inspection_json_parse(INSPECTION_SOURCES, "limit=1000&listener=b", &query, error), 0);
	ck_assert_str_eq(query.listener, "b");
	ck_assert_uint_eq(query.limit, 1000);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		size_t length = strlen(cases[i].error);

		ck_assert_int_eq(
		    inspection_json_parse(INSPECTION_SOURCES, cases[i].query, &query, error),
		    -EINVAL);
		ck_assert_int_eq(strncmp(error, cases[i].error, length), 0);
		ck_assert_str_eq(error + length, error[0] == 'u' ? unknown : "");
	}
}
END_TEST

/* The row of /config with that key. */
static json_t *
directive(const json_t *document, const char *key)
{
	const json_t *rows = json_object_get(document, "directives");

	for (size_t i = 0; i < json_array_size(rows); i++) {
		json_t *row = json_array_get(rows, i);

		if (strcmp(json_string_value(json_object_get(row, "key")), key) == 0)
			return row;
	}
	ck_abort_msg("no row for %s", key);
}

static void
assert_member(const json_t *row, const char *name, const char *value)
{
	ck_assert_str_eq(json_string_value(json_object_get(row, name)), value);
}

START_TEST(config_tells_where_values_come_from)
{
	struct error_list errors = ERROR_LIST_EMPTY;
	struct config *other = config_file_parse("name\xff.conf",
	    "workers = 3;\n"
	    "control = { http_hosts = ( \"a\", \"b\" ); };\n"
	    "listeners = ( { name = \"x.y\"; address = \"unix:@a\"; },\n"
	    "{ name = \"u\"; address = \"udp://*:7\"; deny = ( \"10.0.0.0/8\", \"::1\" ); } );\n",
	    &errors);
	json_t *document, *row;

	ck_assert_ptr_nonnull(other);
	document = json_of(config_json_new(other));
	row = directive(document, "workers");
	assert_member(row, "value", "3");
	assert_member(row, "effect", "restart");
	ck_assert(json_is_false(json_object_get(row, "default")));
	ck_assert_ptr_nonnull(strstr(json_string_value(json_object_get(row, "origin")), ":1"));
	row = directive(document, "control.http_hosts");
	assert_member(row, "value", "( \"a\", \"b\" )");
	assert_member(row, "effect", "live");
	row = directive(document, "limits.output_high");
	assert_member(row, "value", "256KiB");
	assert_member(row, "origin", "default");
	ck_assert(json_is_true(json_object_get(row, "default")));
	ck_assert_ptr_nonnull(json_string_value(json_object_get(row, "help")));
	row = directive(document, "listeners.x.y.address");
	assert_member(row, "value", "unix:@a");
	row = directive(document, "listeners.u.deny");
	assert_member(row, "value", "( \"10.0.0.0/8\", \"::1\" )");
	assert_member(row, "effect", "live");
	row = directive(document, "listeners.u.allow");
	assert_member(row, "value", "( )");
	assert_member(row, "origin", "default");
	json_decref(document);
	config_unref(other);
	other = config_new_default();
	document = json_of(config_json_new(other));
	ck_assert(json_is_null(json_object_get(document, "path")));
	json_decref(document);
	config_unref(other);
}
END_TEST

/* A reload lets go of the configuration that is being written down, whenever that happens. */
START_TEST(config_is_one_whatever_a_reload_does)
{
	const char *source = "workers = 3;\n"
			     "listeners = ( { name = \"x\"; address = \"unix:@a\"; } );\n";
	struct error_list errors = ERROR_LIST_EMPTY;
	struct config *first = config_file_parse("first.conf", source, &errors);
	char *expected = text_of(config_json_new(first));

	config_unref(first);
	for (int pieces = 0; pieces < 5; pieces++) {
		struct evbuffer *out = evbuffer_new();
		struct document *document;

		first = config_file_parse("first.conf", source, &errors);
		document = config_json_new(first);
		for (int i = 0; i < pieces; i++)
			ck_assert_int_eq(document_write(document, out), 1);
		config_unref(first);
		while (document_write(document, out) > 0)
			continue;
		document_free(document);
		ck_assert_int_eq(evbuffer_add(out, "", 1), 0);
		ck_assert_str_eq((char *)evbuffer_pullup(out, -1), expected);
		evbuffer_free(out);
	}
	free(expected);
}
END_TEST

START_TEST(changes_are_told_apart)
{
	struct control_change *changes = calloc(2, sizeof(*changes));
	struct control_reload reload = { .changes = changes, .count = 2 };
	json_t *document, *list;

	changes[0] = (struct control_change){ strdup("a.b"), strdup(""), strdup("x\"\n"), false };
	changes[1] = (struct control_change){ strdup("c"), strdup("1"), strdup("2"), true };
	error_list_add(&reload.errors, "FILE:1: wrong");
	document = config_json_changes(&reload);
	list = json_object_get(document, "changed");
	ck_assert_uint_eq(json_array_size(list), 1);
	assert_member(json_array_get(list, 0), "key", "a.b");
	assert_member(json_array_get(list, 0), "from", "");
	assert_member(json_array_get(list, 0), "to", "x\"\n");
	list = json_object_get(document, "needs_restart");
	ck_assert_uint_eq(json_array_size(list), 1);
	assert_member(json_array_get(list, 0), "key", "c");
	json_decref(document);
	document = config_json_errors(&reload.errors);
	list = json_object_get(document, "errors");
	ck_assert_str_eq(json_string_value(json_array_get(list, 0)), "FILE:1: wrong");
	json_decref(document);
	control_reload_done(&reload);
	ck_assert_uint_eq(reload.count, 0);
	control_reload_done(&reload);
}
END_TEST

Suite *
test_suite(void)
{
	Suite *suite = suite_create("control_query");
	TCase *tests = tcase_create("query");

	tcase_add_test(tests, accept_decides_the_format);
	tcase_add_test(tests, queries_are_read);
	tcase_add_test(tests, wrong_queries_are_explained);
	tcase_add_test(tests, queries_by_peers_are_read);
	tcase_add_test(tests, queries_for_events_are_read);
	tcase_add_test(tests, queries_for_sources_are_read);
	tcase_add_test(tests, config_tells_where_values_come_from);
	tcase_add_test(tests, config_is_one_whatever_a_reload_does);
	tcase_add_test(tests, changes_are_told_apart);
	suite_add_tcase(suite, tests);
	return suite;
}
