/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What echoctl prints: escaping, widths, units, tables, lists of figures.
 */
#include <config.h>

#include <check.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "echoctl/json.h"
#include "echoctl/table.h"
#include "echoctl/text.h"
#include "suite.h"

#define CLEAR_SCREEN "\033[2J"

static const struct echoctl_style plain = { .human = false };
static const struct echoctl_style colourful = { .colour = true, .human = true };
static char *text;
static size_t length;
static FILE *out;

static void
start(void)
{
	(void)setlocale(LC_CTYPE, "C.UTF-8");
	text = NULL;
	out = open_memstream(&text, &length);
	ck_assert_ptr_nonnull(out);
}

static void
end(void)
{
	(void)fclose(out);
	free(text);
}

/* Compare all that was printed since the last time. */
static void
assert_printed(const char *expected)
{
	(void)fflush(out);
	ck_assert_str_eq(text, expected);
	(void)fclose(out);
	free(text);
	out = open_memstream(&text, &length);
	ck_assert_ptr_nonnull(out);
}

START_TEST(escaping_keeps_backslashes)
{
	char buffer[64];

	ck_assert_str_eq(
	    echoctl_text_escape("a\\x1b\033b\\", 8, buffer, sizeof(buffer)), "a\\x1b\\x1bb\\");
	ck_assert_str_eq(echoctl_text_escape("", 0, buffer, sizeof(buffer)), "");
	ck_assert_str_eq(echoctl_text_escape("\xc3\xa9\xff\xc2\x9b", 5, buffer, sizeof(buffer)),
	    "\xc3\xa9\\xff\\xc2\\x9b");
	ck_assert_str_eq(echoctl_text_escape("a\0b", 3, buffer, sizeof(buffer)), "a\\x00b");
}
END_TEST

START_TEST(escaping_stays_in_its_buffer)
{
	static const char source[] = "ab\\c\033\\d\xc3\xa9\\";

	for (size_t size = 0; size <= 32; size++) {
		char *buffer = malloc(size + 1);

		ck_assert_ptr_nonnull(buffer);
		buffer[size] = 'X';
		echoctl_text_escape(source, strlen(source), buffer, size);
		ck_assert_int_eq(buffer[size], 'X');
		if (size > 0)
			ck_assert_uint_lt(strlen(buffer), size);
		free(buffer);
	}
}
END_TEST

START_TEST(long_text_is_escaped_whole)
{
	char source[2000], *copy;
	size_t used = 0;

	while (used + 4 <= sizeof(source)) {
		memcpy(source + used, "x\xe2\x82\xac", 4);
		used += 4;
	}
	echoctl_text_write(out, source, used);
	(void)fflush(out);
	ck_assert_uint_eq(length, used);
	ck_assert_int_eq(memcmp(text, source, used), 0);
	copy = echoctl_text_dup("\033\033");
	ck_assert_str_eq(copy, "\\x1b\\x1b");
	free(copy);
}
END_TEST

START_TEST(lines_stay_lines)
{
	echoctl_text_write_lines(out, "a\tb\r\n\033\n", 7);
	assert_printed("a\tb\\x0d\n\\x1b\n");
	echoctl_text_write(out, "a\tb\n", 4);
	assert_printed("a\\x09b\\x0a");
}
END_TEST

START_TEST(columns_are_those_of_a_terminal)
{
	size_t columns;

	ck_assert_uint_eq(echoctl_text_columns(""), 0);
	ck_assert_uint_eq(echoctl_text_columns("abc"), 3);
	ck_assert_uint_eq(echoctl_text_columns("\xc3\xa9"), 1);
	ck_assert_uint_eq(echoctl_text_columns("e\xcc\x81"), 1);
	ck_assert_uint_eq(echoctl_text_columns("\xe6\xbc\xa2\xe5\xad\x97"), 4);
	ck_assert_uint_eq(echoctl_text_fit("\xe6\xbc\xa2\xe5\xad\x97", 3, &columns), 3);
	ck_assert_uint_eq(columns, 2);
	ck_assert_uint_eq(echoctl_text_fit("abc", 0, &columns), 0);
}
END_TEST

START_TEST(exact_figures_are_digits)
{
	char buffer[UNITS_TEXT_MAX];
	const size_t size = sizeof(buffer);

	ck_assert_str_eq(echoctl_json_format("sent_bytes", 0, false, buffer, size), "0");
	ck_assert_str_eq(
	    echoctl_json_format("sent_bytes", 9223372036854775807.0, false, buffer, size),
	    "9223372036854775808");
	ck_assert_str_eq(echoctl_json_format("age_seconds", 0, false, buffer, size), "0.000");
	ck_assert_str_eq(
	    echoctl_json_format("age_seconds", 0.000417, false, buffer, size), "0.000417");
	ck_assert_str_eq(
	    echoctl_json_format("age_seconds", 0.0009996, false, buffer, size), "0.001");
	ck_assert_str_eq(echoctl_json_format("age_seconds", 0.25, false, buffer, size), "0.250");
	ck_assert_str_eq(
	    echoctl_json_format("age_seconds", 1e15, false, buffer, size), "1000000000000000.000");
}
END_TEST

START_TEST(figures_know_their_units)
{
	char buffer[UNITS_TEXT_MAX];
	const size_t size = sizeof(buffer);

	ck_assert_str_eq(echoctl_json_format("bytes_in", 2048, true, buffer, size), "2.0 KiB");
	ck_assert_str_eq(echoctl_json_format("sent_bytes", 2048, true, buffer, size), "2.0 KiB");
	ck_assert_str_eq(echoctl_json_format("age_seconds", 90, true, buffer, size), "1m30s");
	ck_assert_str_eq(
	    echoctl_json_format("delivery_rate", 2048, true, buffer, size), "2.0 KiB/s");
	ck_assert_str_eq(echoctl_json_format("delivery_rate", 2048, false, buffer, size), "2048");
	ck_assert_str_eq(echoctl_json_format("reads", 2048, true, buffer, size), "2048");
	ck_assert_str_eq(echoctl_json_format("load", 1e300, true, buffer, 4), "100");
}
END_TEST

static const struct echoctl_column columns[] = {
	{ .title = "ID", .right = true },
	{ .title = "NAME", .shorten = 6 },
	{ .title = "SIZE", .right = true, .least = 6, .drop = 1 },
	{ .title = "END" },
};

static struct echoctl_table *
table_of(const char *const *cells, size_t count)
{
	struct echoctl_table *table = echoctl_table_new(columns, ARRAY_SIZE(columns));

	for (size_t i = 0; i < count; i++)
		echoctl_table_add(table, cells[i]);
	return table;
}

START_TEST(a_table_is_aligned)
{
	static const char *const cells[] = { "1", "echo", "5", "x", "100", "\xe6\xbc\xa2", NULL, "",
		"7", "long name" CLEAR_SCREEN, "12345678", "y z" };
	struct echoctl_table *table = table_of(cells, ARRAY_SIZE(cells));

	ck_assert_int_eq(echoctl_table_print(table, &plain, ECHOCTL_TITLE, "\n", out), 0);
	assert_printed(" ID  NAME                  SIZE  END\n"
		       "  1  echo                     5  x\n"
		       "100  \xe6\xbc\xa2                       -  -\n"
		       "  7  long name\\x1b[2J  12345678  y z\n");
	echoctl_table_free(table);
}
END_TEST

/* Compare a table of one row, printed for a screen of WIDTH columns. */
static void
assert_fitted(size_t width, const char *expected)
{
	static const char *const cells[] = { "1", "abcdefghijkl", "5", "x" };
	struct echoctl_style narrow = { .width = width };
	struct echoctl_table *table = table_of(cells, ARRAY_SIZE(cells));

	ck_assert_int_eq(echoctl_table_print(table, &narrow, ECHOCTL_BAR, "|\n", out), 0);
	assert_printed(expected);
	echoctl_table_free(table);
}

START_TEST(a_table_fits_the_screen)
{
	assert_fitted(34, "ID  NAME            SIZE  END     |\n"
			  " 1  abcdefghijkl       5  x|\n");
	/* a long name is shortened, as far as may be */
	assert_fitted(23, "ID  NAME      SIZE  END|\n"
			  " 1  abc\xe2\x80\xa6kl       5  x|\n");
	/* then the column of least use goes, and the name has its room */
	assert_fitted(22, "ID  NAME          END |\n"
			  " 1  abcdefghijkl  x|\n");
	/* a screen too narrow for anything still has a line a row */
	assert_fitted(5, "ID   |\n"
			 " 1|\n");
	assert_fitted(1, "\xe2\x80\xa6|\n"
			 "1|\n");
}
END_TEST

START_TEST(prose_goes_on_in_the_next_line)
{
	static const struct echoctl_column prose[] = { { .title = NULL }, { .prose = true } };
	struct echoctl_style narrow = { .width = 40 };
	struct echoctl_table *table = echoctl_table_new(prose, 2);

	echoctl_table_add(table, "key");
	echoctl_table_add(table, "words that do not all fit in one line of this");
	echoctl_table_add(table, "next");
	echoctl_table_add(table, "short");
	ck_assert_int_eq(echoctl_table_print(table, &narrow, ECHOCTL_TITLE, "\n", out), 0);
	assert_printed("key   words that do not all fit in one\n"
		       "      line of this\n"
		       "next  short\n");
	echoctl_table_free(table);
}
END_TEST

static void
assert_shortened(const char *source, size_t width, const char *expected)
{
	char *shorter = echoctl_text_shorten(source, width);

	ck_assert_str_eq(shorter, expected);
	ck_assert_uint_le(echoctl_text_columns(shorter), width);
	free(shorter);
}

START_TEST(a_text_is_shortened_in_the_middle)
{
	assert_shortened("abcdefghij", 6, "abc\xe2\x80\xa6ij");
	assert_shortened("abcdefghij", 2, "a\xe2\x80\xa6");
	assert_shortened("abcdefghij", 1, "\xe2\x80\xa6");
	assert_shortened("abcdefghij", 0, "");
	/* neither half a wide character nor a mark without its letter */
	assert_shortened("\xe6\xbc\xa2\xe5\xad\x97\xe6\xbc\xa2\xe5\xad\x97", 6,
	    "\xe6\xbc\xa2\xe2\x80\xa6\xe5\xad\x97");
	assert_shortened("abcde\xcc\x81x", 4, "ab\xe2\x80\xa6x");
}
END_TEST

static void
assert_broken(const char *source, size_t width, const char *expected)
{
	char *lines = echoctl_text_break(source, width);

	ck_assert_str_eq(lines, expected);
	free(lines);
}

START_TEST(a_line_breaks_at_blanks_and_in_long_words)
{
	assert_broken("", 0, "");
	assert_broken("ab cd ef", 8, "ab cd ef");
	assert_broken("ab cd ef", 7, "ab cd\nef");
	assert_broken("ab cd ef", 5, "ab cd\nef");
	assert_broken("ab cd ef", 2, "ab\ncd\nef");
	assert_broken("a bcdefgh i", 3, "a\nbcd\nefg\nh i");
	assert_broken("abc ", 3, "abc");
	assert_broken("abc", 0, "a\nb\nc");
	assert_broken("\xe6\xbc\xa2\xe5\xad\x97x", 3, "\xe6\xbc\xa2\n\xe5\xad\x97x");
	assert_broken("\xe6\xbc\xa2\xe5\xad\x97", 1, "\xe6\xbc\xa2\n\xe5\xad\x97");
}
END_TEST

START_TEST(a_table_without_rows_has_titles)
{
	struct echoctl_table *table = table_of(NULL, 0);

	ck_assert_int_eq(echoctl_table_print(table, &plain, ECHOCTL_TITLE, "\n", out), 0);
	assert_printed("ID  NAME    SIZE  END\n");
	echoctl_table_free(table);
	ck_assert_int_lt(echoctl_table_print(NULL, &plain, ECHOCTL_TITLE, "\n", out), 0);
	echoctl_table_free(NULL);
}
END_TEST

/* STYLE decides whether what comes later is shortened to the columns that there are. */
static void
assert_continued(const struct echoctl_style *style, const char *second)
{
	static const struct echoctl_column some[] = { { .title = "A", .least = 4, .shorten = 4 },
		{ .title = "B", .optional = true }, { .title = "C", .right = true } };
	struct echoctl_table *table = echoctl_table_new(some, 3);

	echoctl_table_add(table, "1");
	echoctl_table_add(table, NULL);
	echoctl_table_add(table, "333");
	ck_assert_int_eq(echoctl_table_print(table, style, ECHOCTL_PLAIN, "\n", out), 0);
	assert_printed("A       C\n"
		       "1     333\n");
	echoctl_table_continue(table);
	ck_assert_int_eq(echoctl_table_print(table, style, ECHOCTL_PLAIN, "\n", out), 0);
	assert_printed("");
	for (int again = 0; again < 2; again++) {
		echoctl_table_add(table, "abcdefg");
		echoctl_table_add(table, "x");
		echoctl_table_add(table, "3");
		ck_assert_int_eq(echoctl_table_print(table, style, ECHOCTL_PLAIN, "\n", out), 0);
		assert_printed(second);
		echoctl_table_continue(table);
	}
	echoctl_table_free(table);
}

START_TEST(a_table_can_go_on)
{
	static const struct echoctl_style narrow = { .width = 20 };

	assert_continued(&narrow, "ab\xe2\x80\xa6g    3\n");
	assert_continued(&plain, "abcdefg    3\n");
}
END_TEST

START_TEST(an_optional_column_needs_a_value)
{
	static const struct echoctl_column some[] = { { .title = "A" },
		{ .title = "B", .optional = true }, { .title = "C" } };

	for (size_t width = 0; width < 80; width += 40) {
		const struct echoctl_style style = { .width = width };
		struct echoctl_table *table = echoctl_table_new(some, 3);

		echoctl_table_add(table, "1");
		echoctl_table_add(table, NULL);
		echoctl_table_add(table, "3");
		ck_assert_int_eq(echoctl_table_print(table, &style, ECHOCTL_PLAIN, "\n", out), 0);
		assert_printed("A  C\n"
			       "1  3\n");
		echoctl_table_free(table);
		table = echoctl_table_new(some, 3);
		for (size_t i = 0; i < 6; i++)
			echoctl_table_add(table, i == 4 ? "x" : NULL);
		ck_assert_int_eq(echoctl_table_print(table, &style, ECHOCTL_PLAIN, "\n", out), 0);
		assert_printed("A  B  C\n"
			       "-  -  -\n"
			       "-  x  -\n");
		echoctl_table_free(table);
	}
}
END_TEST

START_TEST(colours_are_not_counted)
{
	struct echoctl_table *table = echoctl_table_new(columns, 2);

	echoctl_table_add(table, "1");
	echoctl_table_add_tone(table, "x", ECHOCTL_BAD);
	ck_assert_int_eq(echoctl_table_print(table, &colourful, ECHOCTL_TITLE, "\n", out), 0);
	assert_printed("\033[1mID  NAME\033[0m\n"
		       " 1  \033[31mx\033[0m\n");
	echoctl_table_free(table);
}
END_TEST

START_TEST(a_document_is_a_list)
{
	static const char source[] =
	    "{\"a\":{\"b_bytes\":4096,\"c\":null},\"d\":[{\"name\":\"x\",\"n\":1},"
	    "{\"id\":7,\"t\":true}],\"e\":[],\"f.g\":\"y\",\"h\":0.5,\"i\":9223372036854775807}";
	json_t *document = echoctl_json_parse(source, strlen(source));

	ck_assert_ptr_nonnull(document);
	ck_assert_int_eq(echoctl_json_print(document, &plain, out), 0);
	assert_printed("a.b_bytes  4096\n"
		       "a.c        -\n"
		       "d[x].name  x\n"
		       "d[x].n     1\n"
		       "d[7].id    7\n"
		       "d[7].t     true\n"
		       "f.g        y\n"
		       "h          0.50\n"
		       "i          9223372036854775807\n");
	json_decref(document);
}
END_TEST

START_TEST(a_long_path_is_cut)
{
	char source[4096] = "{\"", *p = source + 2;
	json_t *document;

	memset(p, 'k', 3000);
	strcpy(p + 3000, "\":{\"a\":1,\"b\":[2]},\"c\":3}");
	document = echoctl_json_parse(source, strlen(source));
	ck_assert_ptr_nonnull(document);
	ck_assert_int_eq(echoctl_json_print(document, &plain, out), 0);
	(void)fflush(out);
	ck_assert_ptr_nonnull(strstr(text, "\nc "));
	json_decref(document);
}
END_TEST

START_TEST(json_is_not_trusted)
{
	static const char source[] = "{\"a\":{\"n\":5,\"r\":1.5,\"s\":\"t\",\"y\":true},"
				     "\"sum\":{\"x\":1,\"y\":2,\"z\":\"no\"},"
				     "\"large\":{\"x\":9223372036854775807,\"y\":1}}";
	json_t *document = echoctl_json_parse(source, strlen(source));

	ck_assert_ptr_nonnull(document);
	ck_assert_int_eq(echoctl_json_integer(document, "a.n"), 5);
	ck_assert_int_eq(echoctl_json_integer(document, "a.r"), -1);
	ck_assert_int_eq(echoctl_json_integer(document, "a.n.x"), -1);
	ck_assert_int_eq(echoctl_json_integer(document, ""), -1);
	ck_assert(echoctl_json_number(document, "a.r") > 1.4);
	ck_assert(echoctl_json_number(document, "a.s") < 0);
	ck_assert_str_eq(echoctl_json_text(document, "a.s"), "t");
	ck_assert_ptr_null(echoctl_json_text(document, "a.n"));
	ck_assert(json_is_true(echoctl_json_get(document, "a.y")));
	ck_assert(!json_is_true(echoctl_json_get(document, "a.n")));
	ck_assert_int_eq(echoctl_json_sum(document, "sum"), 3);
	ck_assert_int_eq(echoctl_json_sum(document, "a.n"), 5);
	ck_assert_int_eq(echoctl_json_sum(document, "a.s"), -1);
	ck_assert_int_eq(echoctl_json_sum(document, "large"), -1);
	ck_assert_ptr_null(echoctl_json_get(NULL, "a"));
	json_decref(document);
	ck_assert_ptr_null(echoctl_json_parse("[]", 2));
	ck_assert_ptr_null(echoctl_json_parse("", 0));
	ck_assert_ptr_null(echoctl_json_parse("{}{}", 4));
}
END_TEST

Suite *
test_suite(void)
{
	Suite *suite = suite_create("echoctl_output");
	TCase *tests = tcase_create("echoctl_output");

	suite_add_tcase(suite, tests);
	tcase_add_checked_fixture(tests, start, end);
	tcase_add_test(tests, escaping_keeps_backslashes);
	tcase_add_test(tests, escaping_stays_in_its_buffer);
	tcase_add_test(tests, long_text_is_escaped_whole);
	tcase_add_test(tests, lines_stay_lines);
	tcase_add_test(tests, columns_are_those_of_a_terminal);
	tcase_add_test(tests, exact_figures_are_digits);
	tcase_add_test(tests, figures_know_their_units);
	tcase_add_test(tests, a_table_is_aligned);
	tcase_add_test(tests, a_table_fits_the_screen);
	tcase_add_test(tests, prose_goes_on_in_the_next_line);
	tcase_add_test(tests, a_text_is_shortened_in_the_middle);
	tcase_add_test(tests, a_line_breaks_at_blanks_and_in_long_words);
	tcase_add_test(tests, a_table_without_rows_has_titles);
	tcase_add_test(tests, a_table_can_go_on);
	tcase_add_test(tests, an_optional_column_needs_a_value);
	tcase_add_test(tests, colours_are_not_counted);
	tcase_add_test(tests, a_document_is_a_list);
	tcase_add_test(tests, a_long_path_is_cut);
	tcase_add_test(tests, json_is_not_trusted);
	return suite;
}
