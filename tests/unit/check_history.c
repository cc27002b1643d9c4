/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ring of steps and the peaks, with clocks of the test's own.
 */
#include <config.h>

#include <check.h>
#include <stdlib.h>

#include "control/history_json.h"
#include "document_text.h"
#include "engine/history.h"
#include "engine/service.h"
#include "suite.h"

static struct history history;
static struct service_list services;
static struct service *service;

static void
set_up(void)
{
	TAILQ_INIT(&services);
	service = service_new("a", 2);
	ck_assert_ptr_nonnull(service);
	TAILQ_INSERT_TAIL(&services, service, next);
	history_init(&history, 0);
}

static void
tear_down(void)
{
	service_free(service);
}

static void
receive(size_t worker, uint64_t bytes)
{
	counters_add(&service->shards[worker].counters, COUNTER_RECEIVED_BYTES, bytes);
}

static void
tick(double seconds)
{
	history_tick(&history, &services, 0, (int64_t)(seconds * (double)NS_PER_S));
}

/* Tick for each second from FIRST to LAST. */
static void
run(int first, int last)
{
	for (int i = first; i <= last; i++)
		tick(i);
}

/* The values of "received_bytes" in /history. */
static json_t *
received(json_t **ret_document)
{
	json_t *series;

	*ret_document = json_of(history_json_new(&history));
	series = json_object_get(json_object_get(*ret_document, "series"), "received_bytes");
	ck_assert(json_is_array(series));
	return series;
}

START_TEST(rate_is_by_the_time_that_passed)
{
	receive(0, 600);
	receive(1, 400);
	tick(0.25);
	ck_assert_uint_eq(service->peaks.rates[PEAK_RECEIVED_BYTES], 0);
	tick(4);
	ck_assert_uint_eq(service->peaks.rates[PEAK_RECEIVED_BYTES], 250);
	ck_assert_uint_eq(history.peaks.rates[PEAK_RECEIVED_BYTES], 250);
	receive(0, 200);
	tick(5);
	ck_assert_uint_eq(history.peaks.rates[PEAK_RECEIVED_BYTES], 250);
}
END_TEST

START_TEST(ring_keeps_the_last_hour)
{
	json_t *document, *values;

	for (int step = 0; step < HISTORY_STEPS + 5; step++) {
		receive(0, (uint64_t)step);
		run(step * 10 + 1, step * 10 + 10);
	}
	values = received(&document);
	ck_assert_uint_eq(json_array_size(values), HISTORY_STEPS);
	for (size_t i = 0; i < HISTORY_STEPS; i++)
		ck_assert_int_eq(json_integer_value(json_array_get(values, i)), (int)i + 5);
	json_decref(document);
}
END_TEST

START_TEST(late_end_of_a_step_makes_it_unknown)
{
	json_t *document, *values;

	run(1, 8);
	receive(0, 100);
	/* the ends of three steps are missed; the fourth counts from here */
	tick(35);
	receive(0, 7);
	run(36, 40);
	values = received(&document);
	ck_assert_uint_eq(json_array_size(values), 4);
	for (size_t i = 0; i < 3; i++)
		ck_assert(json_is_null(json_array_get(values, i)));
	ck_assert_int_eq(json_integer_value(json_array_get(values, 3)), 7);
	json_decref(document);
}
END_TEST

START_TEST(slightly_late_end_is_known)
{
	json_t *document, *values;

	receive(0, 100);
	tick(10.8);
	receive(0, 7);
	tick(20.1);
	values = received(&document);
	ck_assert_uint_eq(json_array_size(values), 2);
	ck_assert_int_eq(json_integer_value(json_array_get(values, 0)), 100);
	ck_assert_int_eq(json_integer_value(json_array_get(values, 1)), 7);
	json_decref(document);
}
END_TEST

START_TEST(hours_of_silence_are_no_long_loop)
{
	json_t *document, *values;

	tick(1e9);
	values = received(&document);
	ck_assert_uint_eq(json_array_size(values), HISTORY_STEPS);
	ck_assert(json_is_null(json_array_get(values, HISTORY_STEPS - 1)));
	json_decref(document);
}
END_TEST

START_TEST(connections_are_the_most_in_the_step)
{
	history_connected(&history, 9, &service->peaks, 4);
	history_tick(&history, &services, 2, 10 * NS_PER_S);
	history_connected(&history, 3, &service->peaks, 3);
	history_tick(&history, &services, 0, 20 * NS_PER_S);
	ck_assert_int_eq(history.ring[0][HISTORY_CONNECTIONS], 9);
	ck_assert_int_eq(history.ring[1][HISTORY_CONNECTIONS], 3);
	ck_assert_int_eq(history.peaks.connections, 9);
	ck_assert_int_eq(service->peaks.connections, 4);
}
END_TEST

Suite *
test_suite(void)
{
	Suite *suite = suite_create("history");

	TCase *tcase = tcase_create("history");
	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, rate_is_by_the_time_that_passed);
	tcase_add_test(tcase, ring_keeps_the_last_hour);
	tcase_add_test(tcase, late_end_of_a_step_makes_it_unknown);
	tcase_add_test(tcase, slightly_late_end_is_known);
	tcase_add_test(tcase, hours_of_silence_are_no_long_loop);
	tcase_add_test(tcase, connections_are_the_most_in_the_step);
	suite_add_tcase(suite, tcase);
	return suite;
}
