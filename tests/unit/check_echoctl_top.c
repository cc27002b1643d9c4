/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What echoctl top computes and draws: rates between two samples, orders, frames.
 */
#include <config.h>

#include <check.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "echoctl/json.h"
#include "echoctl/top.h"
#include "suite.h"

/* A rate that is not known is missing. */
#define UNKNOWN (-1.0)

static void
start(void)
{
	(void)setlocale(LC_CTYPE, "C.UTF-8");
}

/* The answer of /stats after UPTIME seconds; all counters stand at COUNT. */
static json_t *
stats_at(double uptime, int pid, int count)
{
	return json_pack(
	    "{s:{s:i,s:s,s:s,s:f,s:b},s:{s:i,s:i,s:i,s:i,s:i,s:{s:i,s:i},s:{s:i}},s:{s:i}}",
	    "process", "pid", pid, "started", "then", "version", "1", "uptime_seconds", uptime,
	    "ready", 1, "totals", "connections", 3, "received_bytes", count, "sent_bytes", count,
	    "pending_bytes", 0, "connections_accepted", count, "connections_closed", "a", count,
	    "b", count, "connections_rejected", "limit", count, "limits", "connections", 10);
}

static json_t *
row(int id, double age, int in, int out, int pending)
{
	return json_pack("{s:i,s:s,s:s,s:s,s:f,s:i,s:i,s:i}", "id", id, "listener", "echo", "peer",
	    "192.0.2.1:5", "state", "open", "age_seconds", age, "bytes_in", in, "bytes_out", out,
	    "pending_bytes", pending);
}

static json_t *
connections(json_t *a, json_t *b, json_t *c)
{
	return json_pack("{s:[o*,o*,o*]}", "connections", a, b, c);
}

static struct echoctl_sample *
sample_of(json_t *stats, json_t *document, struct echoctl_sample *before)
{
	return echoctl_sample_new(ECHOCTL_LIST_CONNECTIONS, stats, document, before);
}

static json_int_t
id_of(const struct echoctl_sample *sample, size_t row)
{
	return echoctl_json_integer(sample->rows[row], "id");
}

static double
figure_of(const struct echoctl_sample *sample, size_t row, const char *key)
{
	return echoctl_json_number(sample->rows[row], key);
}

static double
rate_of(const struct echoctl_sample *sample, const char *key)
{
	return echoctl_json_number(echoctl_json_get(sample->stats, "rates"), key);
}

static void
sort_by(struct echoctl_sample *sample, enum echoctl_sort sort, bool ascending)
{
	const struct echoctl_top_choice choice = { .sort = sort, .ascending = ascending };

	echoctl_sample_sort(sample, &choice);
}

static void
assert_order(const struct echoctl_sample *sample, json_int_t a, json_int_t b, json_int_t c)
{
	ck_assert_uint_eq(sample->count, 3);
	ck_assert_int_eq(id_of(sample, 0), a);
	ck_assert_int_eq(id_of(sample, 1), b);
	ck_assert_int_eq(id_of(sample, 2), c);
}

/* Compare the rate of a connection that went from BEFORE to AFTER bytes in SECONDS. */
static void
assert_rate(int before, int after, double seconds, double expected)
{
	struct echoctl_sample *first = sample_of(
	    stats_at(5, 1, 0), connections(row(1, 10, before, 0, 0), NULL, NULL), NULL);
	struct echoctl_sample *second = sample_of(
	    stats_at(7, 1, 0), connections(row(1, 10 + seconds, after, 0, 0), NULL, NULL), first);

	ck_assert_double_eq(figure_of(second, 0, "in_rate"), expected);
	echoctl_sample_free(first);
	echoctl_sample_free(second);
}

START_TEST(a_rate_needs_growth_and_time)
{
	assert_rate(10, 30, 2, 10);
	assert_rate(10, 10, 2, 0);
	assert_rate(10, 9, 2, UNKNOWN);
	assert_rate(-1, 9, 2, UNKNOWN);
	assert_rate(1, -1, 2, UNKNOWN);
	assert_rate(1, 2, 0, UNKNOWN);
	assert_rate(1, 2, -1, UNKNOWN);
}
END_TEST

START_TEST(the_first_sample_has_no_rates)
{
	struct echoctl_sample *sample = sample_of(
	    stats_at(5, 1, 100), connections(row(1, 3, 10, 10, 0), NULL, NULL), NULL);

	ck_assert_ptr_nonnull(sample);
	ck_assert_uint_eq(sample->count, 1);
	ck_assert_double_eq(rate_of(sample, "received_rate"), UNKNOWN);
	ck_assert_double_eq(figure_of(sample, 0, "in_rate"), UNKNOWN);
	ck_assert_double_eq(figure_of(sample, 0, "bytes_in"), 10);
	echoctl_sample_free(sample);
}
END_TEST

START_TEST(rates_are_by_the_time_of_the_daemon)
{
	struct echoctl_sample *before = sample_of(stats_at(5, 1, 100),
	    connections(row(7, 3, 10, 10, 0), row(2, 1, 50, 50, 0), NULL), NULL);
	struct echoctl_sample *after = sample_of(stats_at(7, 1, 300),
	    connections(row(9, 0.5, 20, 10, 0), row(7, 7, 410, 10, 0), row(4, 60, 99, 99, 0)),
	    before);

	ck_assert_double_eq(rate_of(after, "received_rate"), 100);
	ck_assert_double_eq(rate_of(after, "accepted_per_second"), 100);
	ck_assert_double_eq(rate_of(after, "closed_per_second"), 200);
	ck_assert_double_eq(rate_of(after, "rejected_per_second"), 100);
	/* rows are by id: one that was not told of, one that grew, one that is new */
	ck_assert_int_eq(id_of(after, 0), 4);
	ck_assert_double_eq(figure_of(after, 0, "in_rate"), UNKNOWN);
	ck_assert_int_eq(id_of(after, 1), 7);
	ck_assert_double_eq(figure_of(after, 1, "in_rate"), 100);
	ck_assert_double_eq(figure_of(after, 1, "out_rate"), 0);
	ck_assert_int_eq(id_of(after, 2), 9);
	ck_assert_double_eq(figure_of(after, 2, "in_rate"), 40);
	ck_assert_double_eq(figure_of(after, 2, "out_rate"), 20);
	echoctl_sample_free(before);
	echoctl_sample_free(after);
}
END_TEST

START_TEST(another_run_is_not_compared_with)
{
	struct echoctl_sample *before = sample_of(
	    stats_at(5, 1, 100), connections(row(1, 3, 10, 10, 0), NULL, NULL), NULL);
	struct echoctl_sample *after = sample_of(
	    stats_at(7, 2, 300), connections(row(1, 5, 20, 20, 0), NULL, NULL), before);

	ck_assert_double_eq(rate_of(after, "received_rate"), UNKNOWN);
	ck_assert_double_eq(figure_of(after, 0, "in_rate"), UNKNOWN);
	echoctl_sample_free(before);
	echoctl_sample_free(after);
}
END_TEST

START_TEST(strange_answers_make_empty_samples)
{
	struct echoctl_sample *sample = sample_of(
	    json_object(), json_pack("{s:i}", "connections", 5), NULL);
	struct echoctl_sample *next = sample_of(
	    json_object(), json_pack("{s:[i,n,{}]}", "connections", 5), sample);

	ck_assert_uint_eq(sample->count, 0);
	ck_assert_uint_eq(next->count, 3);
	ck_assert_int_eq(id_of(next, 0), -1);
	sort_by(next, ECHOCTL_SORT_RATE, false);
	echoctl_sample_free(sample);
	echoctl_sample_free(next);
	echoctl_sample_free(NULL);
}
END_TEST

START_TEST(rows_are_put_in_order)
{
	struct echoctl_sample *before = sample_of(stats_at(5, 1, 0),
	    connections(row(1, 30, 0, 0, 0), row(2, 20, 0, 0, 0), row(3, 10, 0, 0, 0)), NULL);
	struct echoctl_sample *sample = sample_of(stats_at(6, 1, 0),
	    connections(row(1, 31, 500, 0, 7), row(2, 21, 300, 300, 7), row(3, 11, 0, 400, 9)),
	    before);

	assert_order(sample, 1, 2, 3);
	sort_by(sample, ECHOCTL_SORT_RATE, false);
	assert_order(sample, 2, 1, 3);
	sort_by(sample, ECHOCTL_SORT_RATE, true);
	assert_order(sample, 3, 1, 2);
	sort_by(sample, ECHOCTL_SORT_IN, false);
	assert_order(sample, 1, 2, 3);
	sort_by(sample, ECHOCTL_SORT_OUT, false);
	assert_order(sample, 3, 2, 1);
	sort_by(sample, ECHOCTL_SORT_PENDING, false);
	assert_order(sample, 3, 1, 2);
	sort_by(sample, ECHOCTL_SORT_AGE, true);
	assert_order(sample, 3, 2, 1);
	echoctl_sample_free(before);
	echoctl_sample_free(sample);
}
END_TEST

START_TEST(keys_choose)
{
	struct echoctl_top_choice choice = { .sort = ECHOCTL_SORT_RATE };

	ck_assert(echoctl_top_choice_take(&choice, 'a'));
	ck_assert_int_eq(choice.sort, ECHOCTL_SORT_AGE);
	ck_assert(!choice.ascending);
	ck_assert(echoctl_top_choice_take(&choice, 'a'));
	ck_assert(choice.ascending);
	ck_assert(echoctl_top_choice_take(&choice, 'o'));
	ck_assert_int_eq(choice.sort, ECHOCTL_SORT_OUT);
	ck_assert(!choice.ascending);
	ck_assert(echoctl_top_choice_take(&choice, ' '));
	ck_assert(choice.paused);
	ck_assert(echoctl_top_choice_take(&choice, ' '));
	ck_assert(!choice.paused);
	ck_assert(!echoctl_top_choice_take(&choice, 'x'));
	ck_assert(!echoctl_top_choice_take(&choice, 0));
}
END_TEST

START_TEST(keys_choose_the_list)
{
	struct echoctl_top_choice choice = { .sort = ECHOCTL_SORT_RATE };

	ck_assert(!echoctl_top_choice_take(&choice, 'd'));
	choice.paused = true;
	ck_assert(echoctl_top_choice_take(&choice, 's'));
	ck_assert_int_eq(choice.list, ECHOCTL_LIST_SOURCES);
	ck_assert_int_eq(choice.sort, ECHOCTL_SORT_DATAGRAMS);
	ck_assert(!choice.paused);
	ck_assert(echoctl_top_choice_take(&choice, 'd'));
	ck_assert_int_eq(choice.sort, ECHOCTL_SORT_DROPPED);
	ck_assert(echoctl_top_choice_take(&choice, 'r'));
	ck_assert_int_eq(choice.sort, ECHOCTL_SORT_DATAGRAMS);
	ck_assert(echoctl_top_choice_take(&choice, 'r'));
	ck_assert(choice.ascending);
	ck_assert(!echoctl_top_choice_take(&choice, 'p'));
	ck_assert(echoctl_top_choice_take(&choice, 's'));
	ck_assert_int_eq(choice.list, ECHOCTL_LIST_CONNECTIONS);
	ck_assert_int_eq(choice.sort, ECHOCTL_SORT_RATE);
	ck_assert(!choice.ascending);
}
END_TEST

static json_t *
source(const char *name, const char *listener, int echoed, int dropped)
{
	return json_pack("{s:s,s:s,s:i,s:i,s:f}", "source", name, "listener", listener, "echoed",
	    echoed, "dropped", dropped, "idle_seconds", 0.5);
}

static json_t *
sources(int known, json_t *a, json_t *b, json_t *c)
{
	return json_pack("{s:i,s:[o*,o*,o*]}", "known", known, "sources", a, b, c);
}

static void
assert_source(const struct echoctl_sample *sample, size_t row, const char *name, double echoed,
    double dropped)
{
	ck_assert_str_eq(echoctl_json_text(sample->rows[row], "source"), name);
	ck_assert_double_eq(figure_of(sample, row, "echoed_per_second"), echoed);
	ck_assert_double_eq(figure_of(sample, row, "dropped_per_second"), dropped);
}

/* KNOWN is how many the daemon knew before: more than it told of, or not. */
static void
assert_rates_of_sources(int known, double echoed_of_new)
{
	struct echoctl_top_choice choice = { ECHOCTL_LIST_SOURCES, ECHOCTL_SORT_DROPPED, false,
		false };
	struct echoctl_sample *before = echoctl_sample_new(ECHOCTL_LIST_SOURCES, stats_at(5, 1, 0),
	    sources(known, source("b", "u", 10, 0), source("a", "v", 5, 5), NULL), NULL);
	struct echoctl_sample *after = echoctl_sample_new(ECHOCTL_LIST_SOURCES, stats_at(7, 1, 0),
	    sources(3, source("c", "u", 8, 0), source("b", "u", 20, 400), source("a", "v", 1, 9)),
	    before);

	assert_source(after, 0, "a", UNKNOWN, 2);
	assert_source(after, 1, "b", 5, 200);
	assert_source(after, 2, "c", echoed_of_new, echoed_of_new < 0 ? UNKNOWN : 0);
	echoctl_sample_sort(after, &choice);
	assert_source(after, 0, "b", 5, 200);
	echoctl_sample_free(before);
	echoctl_sample_free(after);
}

START_TEST(sources_have_rates)
{
	assert_rates_of_sources(2, 4);
	assert_rates_of_sources(3, UNKNOWN);
}
END_TEST

START_TEST(lists_are_not_compared_with_each_other)
{
	struct echoctl_sample *before = sample_of(
	    stats_at(5, 1, 100), connections(row(1, 3, 10, 10, 0), NULL, NULL), NULL);
	struct echoctl_sample *after = echoctl_sample_new(ECHOCTL_LIST_SOURCES, stats_at(7, 1, 300),
	    sources(1, source("a", "u", 5, 5), NULL, NULL), before);

	ck_assert_double_eq(rate_of(after, "received_rate"), 100);
	assert_source(after, 0, "a", UNKNOWN, UNKNOWN);
	echoctl_sample_free(before);
	echoctl_sample_free(after);
}
END_TEST

/* A frame never has more lines than the screen, nor one that reaches its last column. */
START_TEST(a_frame_fits_the_screen)
{
	static const struct echoctl_style style = { .human = true };
	struct echoctl_top_choice choice = { .sort = ECHOCTL_SORT_RATE };
	struct echoctl_sample *sample = sample_of(stats_at(5, 1, 0),
	    connections(row(1, 30, 0, 0, 0), row(2, 20, 0, 0, 0), row(3, 10, 0, 0, 0)), NULL);

	for (size_t lines = 5; lines < 12; lines++) {
		for (size_t columns = 1; columns < 140; columns += 7) {
			size_t length, count = 0;
			char *text = NULL;
			FILE *out = open_memstream(&text, &length);

			ck_assert_ptr_nonnull(out);
			ck_assert_int_eq(
			    echoctl_top_view(sample, &choice, &style, lines, columns, out), 0);
			(void)fclose(out);
			for (char *p = text, *e; (e = strstr(p, "\033[K\n")) != NULL; p = e + 4) {
				*e = '\0';
				ck_assert_uint_lt(
				    echoctl_text_columns(p), columns > 1 ? columns : 2);
				count++;
			}
			ck_assert_uint_eq(count, lines < 8 ? lines : 8);
			free(text);
		}
	}
	echoctl_sample_free(sample);
}
END_TEST

Suite *
test_suite(void)
{
	Suite *suite = suite_create("echoctl_top");
	TCase *tests = tcase_create("echoctl_top");

	suite_add_tcase(suite, tests);
	tcase_add_checked_fixture(tests, start, NULL);
	tcase_add_test(tests, a_rate_needs_growth_and_time);
	tcase_add_test(tests, the_first_sample_has_no_rates);
	tcase_add_test(tests, rates_are_by_the_time_of_the_daemon);
	tcase_add_test(tests, another_run_is_not_compared_with);
	tcase_add_test(tests, strange_answers_make_empty_samples);
	tcase_add_test(tests, rows_are_put_in_order);
	tcase_add_test(tests, keys_choose);
	tcase_add_test(tests, keys_choose_the_list);
	tcase_add_test(tests, sources_have_rates);
	tcase_add_test(tests, lists_are_not_compared_with_each_other);
	tcase_add_test(tests, a_frame_fits_the_screen);
	return suite;
}
