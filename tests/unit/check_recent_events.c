/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ring of recent events, and the table of peers.
 */
#include <config.h>

#include <arpa/inet.h>
#include <check.h>
#include <string.h>

#include "engine/peer_table.h"
#include "engine/recent_events.h"
#include "suite.h"

static void
add(struct recent_events *events, uint64_t connection)
{
	recent_events_add(events,
	    &(struct recent_event){ .connection = connection, .reason = COUNTER_CLOSED_ADMIN });
}

START_TEST(an_empty_ring_has_nothing)
{
	struct recent_events *events = recent_events_new();

	ck_assert_ptr_nonnull(events);
	ck_assert_ptr_null(recent_events_next(events, NULL));
	recent_events_free(events);
}
END_TEST

/* Fewer than there is room for, exactly as many, and more, also many times around. */
START_TEST(the_newest_come_first_and_the_oldest_go)
{
	static const unsigned counts[] = { 1, 2, RECENT_EVENTS_MAX - 1, RECENT_EVENTS_MAX,
		RECENT_EVENTS_MAX + 1, 2 * RECENT_EVENTS_MAX, 2 * RECENT_EVENTS_MAX + 7 };

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		struct recent_events *events = recent_events_new();
		const struct recent_event *event = NULL;
		unsigned expected = counts[i], seen = 0;
		uint64_t id = UINT64_MAX;

		for (unsigned k = 1; k <= counts[i]; k++)
			add(events, k);
		while ((event = recent_events_next(events, event)) != NULL) {
			ck_assert_uint_eq(event->connection, expected--);
			ck_assert_uint_lt(event->id, id);
			id = event->id;
			seen++;
		}
		ck_assert_uint_eq(
		    seen, counts[i] < RECENT_EVENTS_MAX ? counts[i] : RECENT_EVENTS_MAX);
		recent_events_free(events);
	}
}
END_TEST

START_TEST(reasons_are_of_closes_and_refusals)
{
	ck_assert(recent_event_is_reason(COUNTER_CLOSED_IDLE_TIMEOUT));
	ck_assert(!recent_event_is_refusal(COUNTER_CLOSED_IDLE_TIMEOUT));
	ck_assert(recent_event_is_reason(COUNTER_REJECTED_NO_DESCRIPTORS));
	ck_assert(recent_event_is_refusal(COUNTER_REJECTED_NO_DESCRIPTORS));
	ck_assert(!recent_event_is_reason(COUNTER_DROPPED_SOURCE_RATE));
	ck_assert(!recent_event_is_reason(COUNTER_ACCEPT_EMFILE));
	ck_assert(!recent_event_is_reason(COUNTER_COUNT));
}
END_TEST

static void
count(struct peer_table *table, const char *address)
{
	struct connection conn = { .bytes_in = 3, .bytes_out = 2, .waiting = 1 };

	if (inet_pton(AF_INET, address, &conn.peer.in.sin_addr) == 1)
		conn.peer.family = AF_INET;
	else if (inet_pton(AF_INET6, address, &conn.peer.in6.sin6_addr) == 1)
		conn.peer.family = AF_INET6;
	else {
		conn.peer.un.family = AF_UNIX;
		conn.peer.un.uid = 1000;
	}
	peer_table_add(table, &conn);
}

static size_t
peers(const struct peer_table *table)
{
	size_t i = 0;

	while (peer_table_at(table, i) != NULL)
		i++;
	return i;
}

START_TEST(peers_are_told_apart_by_their_bits)
{
	static const char *const addresses[] = { "192.0.2.1", "::ffff:192.0.2.1", "192.0.2.200",
		"192.0.3.1", "2001:db8::1", "2001:db8::2", "2001:db8:0:1::1", "", "" };
	static const struct {
		unsigned ipv4, ipv6;
		size_t peers;
	} rows[] = { { 32, 128, 7 }, { 24, 64, 5 }, { 23, 48, 3 }, { 0, 0, 3 } };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct peer_table *table = peer_table_new(100, rows[i].ipv4, rows[i].ipv6);
		uint64_t connections = 0;
		const struct peer_info *peer;

		for (size_t k = 0; k < sizeof(addresses) / sizeof(addresses[0]); k++)
			count(table, addresses[k]);
		ck_assert_uint_eq(peers(table), rows[i].peers);
		for (size_t k = 0; (peer = peer_table_at(table, k)) != NULL; k++) {
			connections += peer->connections;
			ck_assert_uint_eq(peer->bytes_in, 3 * peer->connections);
			ck_assert_uint_eq(peer->pending_bytes, peer->connections);
		}
		ck_assert_uint_eq(connections, sizeof(addresses) / sizeof(addresses[0]));
		ck_assert_uint_eq(peer_table_ungrouped(table), 0);
		peer_table_free(table);
	}
}
END_TEST

START_TEST(a_full_table_counts_the_rest)
{
	struct peer_table *table = peer_table_new(10, 32, 128);
	char text[INET6_ADDRSTRLEN];

	for (unsigned i = 0; i < 50; i++) {
		(void)snprintf(text, sizeof(text), "10.0.0.%u", i % 25);
		count(table, text);
	}
	ck_assert_uint_eq(peers(table), 10);
	ck_assert_uint_eq(peer_table_ungrouped(table), 30);
	peer_table_free(table);
}
END_TEST

Suite *
test_suite(void)
{
	Suite *suite = suite_create("recent_events");
	TCase *tests = tcase_create("recent_events");

	suite_add_tcase(suite, tests);
	tcase_add_test(tests, an_empty_ring_has_nothing);
	tcase_add_test(tests, the_newest_come_first_and_the_oldest_go);
	tcase_add_test(tests, reasons_are_of_closes_and_refusals);
	tcase_add_test(tests, peers_are_told_apart_by_their_bits);
	tcase_add_test(tests, a_full_table_counts_the_rest);
	return suite;
}
