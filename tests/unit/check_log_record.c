/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "base/log_record.h"

#include <check.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "suite.h"

/* 2026-11-22T01:02:03.456Z */
#define WALL_NS INT64_C(1795309323456000000)

static char line[LOG_RECORD_LINE];

static struct log_record *record_make(
    const struct log_field *fields, size_t count, const char *format, ...) ATTR_PRINTF(3, 4);

static struct log_record *
record_make(const struct log_field *fields, size_t count, const char *format, ...)
{
	struct log_record *record;
	static const struct log_place place = { "/usr/src/echod/src/engine/plan.c", "plan_do", 12 };
	va_list ap;

	va_start(ap, format);
	record = log_record_new(LOG_LEVEL_WARNING, WALL_NS, &place, fields, count, format, ap);
	va_end(ap);
	ck_assert_ptr_nonnull(record);
	return record;
}

/* Render RECORD (taken) without a prefix. */
static const char *
line_of(enum log_format format, struct log_record *record)
{
	size_t length = log_record_line(record, format, LOG_PREFIX_NONE, line);

	ck_assert_uint_eq(length, strlen(line));
	log_record_free(record);
	return line;
}

START_TEST(text_has_time_level_fields)
{
	struct log_field fields[] = {
		LOG_TEXT("listener", "echo"),
		LOG_NUMBER("connection", 12),
		LOG_NUMBER("offset", INT64_MIN),
		LOG_TEXT("absent", NULL),
	};
	struct log_record *record = record_make(fields, 4, "message %d", 7);

	log_record_line(record, LOG_FORMAT_TEXT, LOG_PREFIX_TIME, line);
	ck_assert_str_eq(line,
	    "2026-11-22T01:02:03.456Z warning message 7 listener=echo connection=12"
	    " offset=-9223372036854775808");
	log_record_line(record, LOG_FORMAT_TEXT, LOG_PREFIX_PRIORITY, line);
	ck_assert_str_eq(
	    line, "<4>message 7 listener=echo connection=12 offset=-9223372036854775808");
	log_record_free(record);
}
END_TEST

START_TEST(text_quotes_values)
{
	struct log_field fields[] = {
		LOG_TEXT("space", "a b"),
		LOG_TEXT("empty", ""),
		LOG_TEXT("quote", "say \"hi\""),
		LOG_TEXT("equals", "a=b"),
		LOG_TEXT("plain", "[::1]:7"),
	};

	ck_assert_str_eq(line_of(LOG_FORMAT_TEXT, record_make(fields, 5, "m")),
	    "m space=\"a b\" empty=\"\" quote=\"say \\\"hi\\\"\" equals=\"a=b\" plain=[::1]:7");
}
END_TEST

START_TEST(text_escapes_peer_bytes)
{
	struct log_field fields[] = {
		LOG_TEXT("peer", "x\ny\x1b[2J\\z\xff\xc3\xa9\x7f"),
	};

	ck_assert_str_eq(
	    line_of(LOG_FORMAT_TEXT, record_make(fields, 1, "%s", "a\r\nb\x1b\\\xc0\x80")),
	    "a\\x0d\\x0ab\\x1b\\x5c\\xc0\\x80 peer=x\\x0ay\\x1b[2J\\x5cz\\xff\xc3\xa9\\x7f");
}
END_TEST

START_TEST(json_escapes_peer_bytes)
{
	struct log_field fields[] = {
		LOG_TEXT("peer", "x\ny\x1b\\\"\xff\xc3\xa9"),
		LOG_NUMBER("connection", 12),
	};

	ck_assert_str_eq(line_of(LOG_FORMAT_JSON, record_make(fields, 2, "say \"%s\"", "a\nb")),
	    "{\"time\":\"2026-11-22T01:02:03.456Z\",\"level\":\"warning\","
	    "\"message\":\"say \\\"a\\\\x0ab\\\"\","
	    "\"peer\":\"x\\\\x0ay\\\\x1b\\\\x5c\\\"\\\\xff\xc3\xa9\",\"connection\":12}");
}
END_TEST

START_TEST(json_priority_prefix)
{
	struct log_record *record = record_make(NULL, 0, "m");

	log_record_line(record, LOG_FORMAT_JSON, LOG_PREFIX_PRIORITY, line);
	ck_assert_str_eq(line,
	    "<4>{\"time\":\"2026-11-22T01:02:03.456Z\",\"level\":\"warning\",\"message\":\"m\"}");
	log_record_free(record);
}
END_TEST

START_TEST(journal_fields)
{
	struct log_field fields[] = { LOG_TEXT("peer", "a\nb"), LOG_NUMBER("connection", 12) };
	static const char *const expected[] = {
		"MESSAGE=two\\x0alines peer=a\\x0ab connection=12",
		"PRIORITY=4",
		"SYSLOG_IDENTIFIER=echod",
		"CODE_FILE=src/engine/plan.c",
		"CODE_LINE=12",
		"CODE_FUNC=plan_do",
		"ECHOD_PEER=a\\x0ab",
		"ECHOD_CONNECTION=12",
	};
	struct log_record *record = record_make(fields, 2, "two\nlines");
	struct iovec vectors[LOG_RECORD_IOVECS];

	ck_assert_int_eq(log_record_journal(record, line, vectors), ARRAY_SIZE(expected));
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		ck_assert_uint_eq(vectors[i].iov_len, strlen(expected[i]));
		ck_assert_mem_eq(vectors[i].iov_base, expected[i], vectors[i].iov_len);
	}
	log_record_free(record);
}
END_TEST

/* The worst bytes for each form, longer than any line: cut, but a whole line and a whole object. */
START_TEST(long_lines_are_cut)
{
	static const char *const keys[] = { "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k",
		"l", "m", "n", "o", "p", "q", "r", "s", "t" };
	static const char bytes[] = { '"', '\\', '\n', 'x', '\xff' };
	struct iovec vectors[LOG_RECORD_IOVECS];
	struct log_field fields[ARRAY_SIZE(keys)];
	char huge[10000];

	for (size_t i = 0; i < sizeof(bytes); i++) {
		struct log_record *record;
		size_t length;

		memset(huge, bytes[i], sizeof(huge) - 1);
		huge[sizeof(huge) - 1] = '\0';
		for (size_t k = 0; k < ARRAY_SIZE(keys); k++)
			fields[k] = k % 2 == 0 ? LOG_TEXT(keys[k], huge) : LOG_NUMBER(keys[k], -1);
		record = record_make(fields, ARRAY_SIZE(keys), "%s", huge);
		length = log_record_line(record, LOG_FORMAT_TEXT, LOG_PREFIX_TIME, line);
		ck_assert_uint_lt(length, LOG_RECORD_LINE - 2);
		ck_assert_uint_gt(length, LOG_RECORD_MESSAGE);
		length = log_record_line(record, LOG_FORMAT_JSON, LOG_PREFIX_PRIORITY, line);
		ck_assert_uint_lt(length, LOG_RECORD_LINE - 2);
		ck_assert_uint_gt(length, LOG_RECORD_MESSAGE);
		ck_assert_str_eq(line + length - 2, "1}");
		ck_assert_int_le(log_record_journal(record, line, vectors), LOG_RECORD_IOVECS);
		log_record_free(record);
	}
}
END_TEST

Suite *
test_suite(void)
{
	Suite *suite = suite_create("log_record");
	TCase *tcase = tcase_create("log_record");

	tcase_add_test(tcase, text_has_time_level_fields);
	tcase_add_test(tcase, text_quotes_values);
	tcase_add_test(tcase, text_escapes_peer_bytes);
	tcase_add_test(tcase, json_escapes_peer_bytes);
	tcase_add_test(tcase, json_priority_prefix);
	tcase_add_test(tcase, journal_fields);
	tcase_add_test(tcase, long_lines_are_cut);
	suite_add_tcase(suite, tcase);
	return suite;
}
