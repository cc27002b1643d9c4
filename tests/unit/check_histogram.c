/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include <check.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/distribution.h"
#include "suite.h"

static struct histogram first, second;

static void
start(void)
{
	first = (struct histogram){ 0 };
	second = (struct histogram){ 0 };
}

START_TEST(an_empty_one_is_all_zero)
{
	ck_assert_uint_eq(first.count, 0);
	ck_assert_int_eq(histogram_percentile(&first, 0), 0);
	ck_assert_int_eq(histogram_percentile(&first, 50), 0);
	ck_assert_int_eq(histogram_percentile(&first, 100), 0);
	ck_assert_uint_eq(histogram_count_up_to(&first, INT64_MAX), 0);
	ck_assert(histogram_mean(&first) == 0);
}
END_TEST

START_TEST(small_values_are_exact)
{
	for (int64_t value = 0; value < 128; value++) {
		first = (struct histogram){ 0 };
		histogram_record(&first, value);
		histogram_record(&first, 1000000);
		ck_assert_int_eq(histogram_percentile(&first, 50), value);
		ck_assert_uint_eq(histogram_count_up_to(&first, value), 1);
		ck_assert_uint_eq(histogram_count_up_to(&first, value - 1), 0);
	}
}
END_TEST

/* Both neighbours of each power of two, and the middle between them: the places to be wrong at. */
START_TEST(any_value_is_known_to_one_percent)
{
	for (unsigned bit = 3; bit < 63; bit++) {
		const int64_t power = INT64_C(1) << bit;
		const int64_t values[] = { power - 1, power, power + 1, power + power / 2 };

		for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
			int64_t found;

			/* a smaller and a greater one, so that minimum and maximum do not help */
			first = (struct histogram){ 0 };
			histogram_record(&first, 0);
			histogram_record(&first, values[i]);
			histogram_record(&first, INT64_MAX);
			found = histogram_percentile(&first, 50);
			ck_assert_msg(llabs(found - values[i]) <= values[i] / 120,
			    "%jd was found as %jd", (intmax_t)values[i], (intmax_t)found);
			ck_assert_uint_eq(histogram_count_up_to(&first, values[i]), 2);
		}
	}
}
END_TEST

START_TEST(limits_of_the_type_are_taken)
{
	histogram_record(&first, INT64_MIN);
	histogram_record(&first, -1);
	histogram_record(&first, INT64_MAX);
	histogram_record(&first, INT64_MAX);
	ck_assert_int_eq(first.min_ns, 0);
	ck_assert_int_eq(first.max_ns, INT64_MAX);
	ck_assert_int_eq(first.sum_ns, INT64_MAX);
	ck_assert_uint_eq(histogram_count_up_to(&first, 0), 2);
	ck_assert_uint_eq(histogram_count_up_to(&first, -1), 0);
	ck_assert_uint_eq(histogram_count_up_to(&first, INT64_MAX), 4);
}
END_TEST

START_TEST(percentiles_follow_the_ranks)
{
	for (int64_t us = 1; us <= 1000; us++)
		histogram_record(&first, us * 1000);
	ck_assert_int_eq(histogram_percentile(&first, 0), 1000);
	ck_assert_int_eq(histogram_percentile(&first, 100), 1000000);
	for (int percent = 1; percent < 100; percent++) {
		int64_t found = histogram_percentile(&first, percent);

		ck_assert_int_le(llabs(found - percent * 10000), percent * 10000 / 120);
	}
	ck_assert_int_le(llabs(histogram_percentile(&first, 99.9) - 999000), 999000 / 120);
	ck_assert(histogram_mean(&first) == 500500);
}
END_TEST

START_TEST(percentiles_stay_within_what_was_recorded)
{
	histogram_record(&first, 1000001);
	ck_assert_int_eq(histogram_percentile(&first, 1), 1000001);
	ck_assert_int_eq(histogram_percentile(&first, 99.99), 1000001);
}
END_TEST

START_TEST(merging_adds_up)
{
	histogram_record(&first, 10);
	histogram_record(&first, 5000);
	histogram_record(&second, 3);
	histogram_record(&second, 70000);
	histogram_merge(&first, &second);
	ck_assert_uint_eq(first.count, 4);
	ck_assert_int_eq(first.sum_ns, 75013);
	ck_assert_int_eq(first.min_ns, 3);
	ck_assert_int_eq(first.max_ns, 70000);
	ck_assert_uint_eq(histogram_count_up_to(&first, 10), 2);
	ck_assert_uint_eq(second.count, 2);
}
END_TEST

START_TEST(an_empty_one_changes_nothing_when_merged)
{
	histogram_record(&first, 10);
	histogram_merge(&first, &second);
	ck_assert_uint_eq(first.count, 1);
	ck_assert_int_eq(first.min_ns, 10);
	histogram_merge(&second, &first);
	ck_assert_int_eq(second.min_ns, 10);
	ck_assert_int_eq(second.max_ns, 10);
}
END_TEST

Suite *
test_suite(void)
{
	Suite *suite = suite_create("histogram");
	TCase *tests = tcase_create("histogram");

	suite_add_tcase(suite, tests);
	tcase_add_checked_fixture(tests, start, NULL);
	tcase_add_test(tests, an_empty_one_is_all_zero);
	tcase_add_test(tests, small_values_are_exact);
	tcase_add_test(tests, any_value_is_known_to_one_percent);
	tcase_add_test(tests, limits_of_the_type_are_taken);
	tcase_add_test(tests, percentiles_follow_the_ranks);
	tcase_add_test(tests, percentiles_stay_within_what_was_recorded);
	tcase_add_test(tests, merging_adds_up);
	tcase_add_test(tests, an_empty_one_changes_nothing_when_merged);
	return suite;
}
