/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Outages of echoping: when they begin and end, and which are one.
 */
#include <config.h>

#include <check.h>
#include <string.h>

#include "base/attributes.h"
#include "echoping/outage.h"
#include "suite.h"

static struct echoping_outages outages;

static void
start(void)
{
	outages = (struct echoping_outages){ .count = 0 };
}

static void
add(int64_t begin_ns, int64_t end_ns, uint64_t lost, const char *cause)
{
	struct echoping_outage outage = { .begin_ns = 0 };

	echoping_outage_extend(&outage, begin_ns, lost, cause);
	echoping_outage_end(&outage, end_ns, &outages);
	ck_assert_int_eq(outage.begin_ns, 0);
}

START_TEST(the_first_cause_stays)
{
	struct echoping_outage outage = { .begin_ns = 0 };

	echoping_outage_end(&outage, 5, &outages);
	ck_assert_uint_eq(outages.count, 0);
	echoping_outage_extend(&outage, 10, 2, "first");
	echoping_outage_extend(&outage, 20, 3, "second");
	echoping_outage_end(&outage, 30, &outages);
	ck_assert_uint_eq(outages.count, 1);
	ck_assert_int_eq(outages.list[0].begin_ns, 10);
	ck_assert_int_eq(outages.list[0].end_ns, 30);
	ck_assert_uint_eq(outages.list[0].lost, 5);
	ck_assert_str_eq(outages.list[0].cause, "first");
}
END_TEST

START_TEST(what_overlaps_is_one)
{
	add(100, 200, 1, "b");
	add(300, 400, 1, "c");
	add(90, 110, 1, "a");
	add(150, 350, 2, "bridge");
	echoping_outages_join(&outages, 4);
	ck_assert_uint_eq(outages.count, 1);
	ck_assert_int_eq(outages.list[0].begin_ns, 90);
	ck_assert_int_eq(outages.list[0].end_ns, 400);
	ck_assert_uint_eq(outages.list[0].lost, 5);
	ck_assert_uint_eq(outages.list[0].connections, 4);
	ck_assert_str_eq(outages.list[0].cause, "a");
}
END_TEST

START_TEST(no_more_had_it_than_there_were)
{
	for (int i = 0; i < 10; i++)
		add(100 + 10 * i, 115 + 10 * i, 1, "closed");
	echoping_outages_join(&outages, 3);
	ck_assert_uint_eq(outages.count, 1);
	ck_assert_uint_eq(outages.list[0].lost, 10);
	ck_assert_uint_eq(outages.list[0].connections, 3);
}
END_TEST

START_TEST(they_come_in_the_order_of_time)
{
	static struct echoping_outages other;

	add(500, INT64_MAX, 0, "last");
	other = outages;
	start();
	add(300, 301, 0, "second");
	add(100, 101, 0, "first");
	echoping_outages_merge(&outages, &other);
	echoping_outages_join(&outages, 4);
	ck_assert_uint_eq(outages.count, 3);
	ck_assert_str_eq(outages.list[0].cause, "first");
	ck_assert_str_eq(outages.list[2].cause, "last");
	ck_assert_int_eq(outages.list[2].end_ns, INT64_MAX);
}
END_TEST

START_TEST(a_thousand_connections_take_one_place)
{
	for (int i = 0; i < 1000; i++)
		add(1000 + i, 5000 + i, 1, "restart");
	ck_assert_uint_eq(outages.count, 1);
	ck_assert_uint_eq(outages.list[0].connections, 1000);
	for (int i = 0; i < 2 * ECHOPING_OUTAGES_MAX; i++)
		add(10000 + 10 * i, 10001 + 10 * i, 1, "flapping");
	ck_assert_uint_eq(outages.count, ECHOPING_OUTAGES_MAX);
	ck_assert_uint_eq(outages.more, ECHOPING_OUTAGES_MAX + 1);
}
END_TEST

Suite *
test_suite(void)
{
	Suite *suite = suite_create("echoping_outage");
	TCase *tests = tcase_create("echoping_outage");

	suite_add_tcase(suite, tests);
	tcase_add_checked_fixture(tests, start, NULL);
	tcase_add_test(tests, the_first_cause_stays);
	tcase_add_test(tests, what_overlaps_is_one);
	tcase_add_test(tests, no_more_had_it_than_there_were);
	tcase_add_test(tests, they_come_in_the_order_of_time);
	tcase_add_test(tests, a_thousand_connections_take_one_place);
	return suite;
}
