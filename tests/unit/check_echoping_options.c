/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * echoping's command line, the addresses on it, and the times and bars that it draws.
 */
#include <config.h>

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "echoping/load.h"
#include "echoping/options.h"
#include "echoping/run.h"
#include "suite.h"

static struct error_list errors;
static struct echoping_options options;

static void
start(void)
{
	errors = (struct error_list)ERROR_LIST_EMPTY;
}

static void
end(void)
{
	error_list_done(&errors);
}

/* Parse words that are separated by single spaces. */
static int
parse(const char *words)
{
	char text[256], *rest = text;
	char *argv[32] = { NULL };
	int argc = 0;

	error_list_done(&errors);
	ck_assert_uint_lt(strlen(words), sizeof(text));
	memcpy(text, words, strlen(words) + 1);
	while (rest != NULL)
		argv[argc++] = strsep(&rest, " ");
	optind = 0; /* glibc's way to begin anew */
	return echoping_options_parse(argc, argv, &errors, &options);
}

static void
assert_refused(const char *words, const char *says)
{
	ck_assert_int_eq(parse(words), -EINVAL);
	ck_assert_uint_ge(error_list_count(&errors), 1);
	ck_assert_msg(strstr(error_list_first(&errors), says) != NULL, "%s: %s", words,
	    error_list_first(&errors));
}

START_TEST(a_plain_address_is_a_ping)
{
	ck_assert_int_eq(parse("echoping 127.0.0.1"), 0);
	ck_assert_int_eq(options.action, ECHOPING_PING);
	ck_assert_int_eq(options.targets[0].transport, ADDRESS_TCP);
	ck_assert_str_eq(options.targets[0].host, "127.0.0.1");
	ck_assert_str_eq(options.targets[0].port, "7");
	ck_assert_uint_eq(options.size, 56);
	ck_assert_uint_eq(options.count, 10);
	ck_assert_int_eq(options.interval_ns, NS_PER_S);
	ck_assert_int_eq(options.timeout_ns, 5 * NS_PER_S);
	ck_assert_int_eq(options.output, ECHOPING_HUMAN);
}
END_TEST

START_TEST(a_load_is_bounded_in_time)
{
	ck_assert_int_eq(parse("echoping udp [::1]:7007 -c 5"), 0);
	ck_assert_int_eq(options.action, ECHOPING_LOAD);
	ck_assert_int_eq(options.targets[0].transport, ADDRESS_UDP);
	ck_assert_str_eq(options.targets[0].host, "::1");
	ck_assert_uint_eq(options.connections, 5);
	ck_assert_uint_eq(options.pipeline, 1);
	ck_assert_uint_eq(options.count, 0);
	ck_assert_int_eq(options.duration_ns, 10 * NS_PER_S);
	ck_assert_int_eq(options.timeout_ns, NS_PER_S);
	ck_assert_int_eq(parse("echoping h -c 5 -n 100"), 0);
	ck_assert_int_eq(options.duration_ns, 0);
	ck_assert_uint_eq(options.count, 100);
	ck_assert_int_eq(parse("echoping h -c 5 -n 0"), 0);
	ck_assert_int_eq(options.duration_ns, 10 * NS_PER_S);
}
END_TEST

START_TEST(what_belongs_to_a_load_makes_one)
{
	static const char *const rows[] = { "-c 1", "-p 2", "-d 1s", "-r 10", "-t 1", "--sample 2",
		"--churn", "--idle 1", "--burst -p 2 udp" };
	char words[64];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		(void)snprintf(words, sizeof(words), "echoping %s h", rows[i]);
		ck_assert_int_eq(parse(words), 0);
		ck_assert_int_eq(options.action, ECHOPING_LOAD);
	}
}
END_TEST

START_TEST(all_options_have_long_forms)
{
	ck_assert_int_eq(
	    parse("echoping --connections 4 --size 1KiB --pipeline 3 --duration 2s --count 9 "
		  "--rate 7 --threads 2 --timeout 1m --idle 6 --quiet --json tcp host:9"),
	    0);
	ck_assert_uint_eq(options.connections, 4);
	ck_assert_uint_eq(options.size, 1024);
	ck_assert_uint_eq(options.pipeline, 3);
	ck_assert_int_eq(options.duration_ns, 2 * NS_PER_S);
	ck_assert_uint_eq(options.count, 9);
	ck_assert_uint_eq(options.rate, 7);
	ck_assert_uint_eq(options.threads, 2);
	ck_assert_int_eq(options.timeout_ns, 60 * NS_PER_S);
	ck_assert_uint_eq(options.idle, 6);
	ck_assert(options.quiet);
	ck_assert_int_eq(options.output, ECHOPING_JSON);
	ck_assert_int_eq(parse("echoping --interval 20ms --csv --ipv6 host"), 0);
	ck_assert_int_eq(options.interval_ns, 20 * NS_PER_MS);
	ck_assert_int_eq(options.output, ECHOPING_CSV);
	ck_assert_int_eq(options.family, AF_INET6);
	ck_assert_int_eq(parse("echoping --help"), 0);
	ck_assert_int_eq(options.action, ECHOPING_HELP);
	ck_assert_int_eq(parse("echoping --version"), 0);
	ck_assert_int_eq(options.action, ECHOPING_VERSION);
}
END_TEST

START_TEST(an_open_loop_has_a_deep_pipeline)
{
	ck_assert_int_eq(parse("echoping h -r 10"), 0);
	ck_assert_uint_eq(options.pipeline, 1024);
	ck_assert_int_eq(parse("echoping h -r 10 -p 2"), 0);
	ck_assert_uint_eq(options.pipeline, 2);
	ck_assert_int_eq(parse("echoping h -r 10 --churn"), 0);
	ck_assert_uint_eq(options.pipeline, 1);
}
END_TEST

START_TEST(sizes_fit_the_transport)
{
	ck_assert_int_eq(parse("echoping -s 1 h"), 0);
	ck_assert_int_eq(parse("echoping -s 16MiB h"), 0);
	ck_assert_uint_eq(options.size, 16 << 20);
	ck_assert_int_eq(parse("echoping -s 65507 udp h"), 0);
	ck_assert_int_eq(parse("echoping -s 8 udp h"), 0);
	assert_refused("echoping -s 16777217 h", "--size");
	assert_refused("echoping -s 17MiB h", "16MiB");
	assert_refused("echoping -s 0 h", "--size");
	assert_refused("echoping -s 1.5 h", "--size");
	assert_refused("echoping -s 65508 udp h", "datagram");
	assert_refused("echoping -s 7 udp h", "datagram");
}
END_TEST

START_TEST(mistakes_are_named)
{
	assert_refused("echoping", "no address");
	assert_refused("echoping -c 2 tcp h extra", "more than one address");
	assert_refused("echoping tcp://h udp://h", "one transport");
	assert_refused("echoping 127.0.0.1 7007", "HOST:PORT");
	assert_refused("echoping h -c 0", "--connections");
	assert_refused("echoping h -c 1x", "--connections");
	assert_refused("echoping h -c -1", "--connections");
	assert_refused("echoping h -n 99999999999999999999999", "--count");
	assert_refused("echoping h -d 10x", "unknown unit");
	assert_refused("echoping h -d 1.5s", "1500ms");
	assert_refused("echoping h -w 1e3", "more than a number and a unit");
	assert_refused("echoping h -w 99999999999999999999", "is not from");
	assert_refused("echoping h -i 0s", "--interval");
	assert_refused("echoping h -c 2 -t 3", "--threads");
	assert_refused("echoping h -c 2 -i 1s --csv", "--interval");
	assert_refused("echoping udp h --churn", "--churn");
	assert_refused("echoping udp h --sample 2", "--sample");
	assert_refused("echoping h --churn --sample 2", "--sample");
	assert_refused("echoping udp h --idle 5", "--idle");
	assert_refused("echoping h --burst -p 2", "--burst");
	assert_refused("echoping udp h --burst", "--pipeline");
	assert_refused("echoping udp h --burst -p 2 -r 9", "--rate");
	assert_refused("echoping h --churn -p 2", "--pipeline");
	assert_refused("echoping h --json --csv", "--csv");
	assert_refused("echoping h -c 100000 -p 1000", "in flight");
}
END_TEST

START_TEST(bare_numbers_are_seconds)
{
	static const struct {
		const char *text;
		int64_t ns;
	} rows[] = {
		{ "1", NS_PER_S },
		{ "0.2", 200 * NS_PER_MS },
		{ ".5", 500 * NS_PER_MS },
		{ "2.", 2 * NS_PER_S },
		{ "3600", 3600 * NS_PER_S },
		{ "0.0010000001", NS_PER_MS },
		{ "1.999999999", 2 * NS_PER_S - 1 },
	};
	char words[64];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		(void)snprintf(words, sizeof(words), "echoping h -w %s", rows[i].text);
		ck_assert_int_eq(parse(words), 0);
		ck_assert_int_eq(options.timeout_ns, rows[i].ns);
	}
	assert_refused("echoping h -w 0", "is not from");
	assert_refused("echoping h -w .", "not a duration");
	assert_refused("echoping h -w -1", "not a duration");
	assert_refused("echoping h -w 1.2.3", "fraction");
}
END_TEST

START_TEST(all_mistakes_are_told_at_once)
{
	ck_assert_int_eq(parse("echoping -c 0 -s x -w 5x h:99999"), -EINVAL);
	ck_assert_uint_eq(error_list_count(&errors), 4);
}
END_TEST

START_TEST(addresses_are_understood)
{
	static const struct {
		const char *word;
		const char *text;
		enum address_transport transport;
		const char *host;
		const char *port;
	} rows[] = {
		{ NULL, "host", ADDRESS_TCP, "host", "7" },
		{ NULL, "host:7007", ADDRESS_TCP, "host", "7007" },
		{ "udp", "host:7007", ADDRESS_UDP, "host", "7007" },
		{ NULL, "udp://host:7007", ADDRESS_UDP, "host", "7007" },
		{ "udp", "udp://host", ADDRESS_UDP, "host", "7" },
		{ "tcp", "[::1]:65535", ADDRESS_TCP, "::1", "65535" },
		{ "tcp", "[fe80::1%lo]", ADDRESS_TCP, "fe80::1%lo", "7" },
		{ "tcp", "::1", ADDRESS_TCP, "::1", "7" },
		{ NULL, "tcp://[2001:db8::1]:1", ADDRESS_TCP, "2001:db8::1", "1" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct echoping_target target;

		ck_assert_int_eq(
		    echoping_target_parse(rows[i].word, rows[i].text, &errors, &target), 0);
		ck_assert_int_eq(target.transport, rows[i].transport);
		ck_assert_str_eq(target.host, rows[i].host);
		ck_assert_str_eq(target.port, rows[i].port);
	}
}
END_TEST

START_TEST(unix_addresses_are_understood)
{
	static const struct {
		const char *word;
		const char *text;
		const char *url;
	} rows[] = {
		{ NULL, "/run/echo.sock", "unix:/run/echo.sock" },
		{ NULL, "@echo", "unix:@echo" },
		{ "unix", "relative.sock", "unix:relative.sock" },
		{ NULL, "unix:/run/echo.sock", "unix:/run/echo.sock" },
		{ "unix", "unix:@echo", "unix:@echo" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct echoping_target target;
		char url[ADDRESS_TEXT_MAX];

		ck_assert_int_eq(
		    echoping_target_parse(rows[i].word, rows[i].text, &errors, &target), 0);
		ck_assert_int_eq(target.transport, ADDRESS_UNIX);
		ck_assert_str_eq(
		    address_format(&target.addresses[0], url, sizeof(url)), rows[i].url);
	}
}
END_TEST

START_TEST(bad_addresses_are_refused)
{
	static const struct {
		const char *word;
		const char *text;
		const char *says;
	} rows[] = {
		{ NULL, "", "no host" },
		{ NULL, ":7", "no host" },
		{ NULL, "host:", "no valid port" },
		{ NULL, "host:0", "no valid port" },
		{ NULL, "host:65536", "no valid port" },
		{ NULL, "host:7x", "no valid port" },
		{ NULL, "host:echo", "no valid port" },
		{ NULL, "[::1", "[IPV6]:PORT" },
		{ NULL, "[::1]7", "[IPV6]:PORT" },
		{ NULL, "http://host:7", "no transport" },
		{ "tcp", "http://host", "no transport" },
		{ "sctp", "host", "not tcp, udp, unix or unixgram" },
		{ "tcp", "udp://host", "contradicts" },
		{ "unix", "tcp://host", "contradicts" },
		{ "unix", "", "no UNIX socket" },
		{ "unix", "@", "no UNIX socket" },
		{ "unix",
		    "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		    "too long" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct echoping_target target;

		error_list_done(&errors);
		ck_assert_int_eq(
		    echoping_target_parse(rows[i].word, rows[i].text, &errors, &target), -EINVAL);
		ck_assert_uint_eq(error_list_count(&errors), 1);
		ck_assert_msg(strstr(error_list_first(&errors), rows[i].says) != NULL, "%s: %s",
		    rows[i].text, error_list_first(&errors));
	}
}
END_TEST

START_TEST(a_timetable_does_not_drift)
{
	struct echoping_plan plan = { .start_ns = 1000, .interval_ns = (double)NS_PER_S / 3 };

	ck_assert_int_eq(echoping_plan_due(&plan, 0), 1000);
	ck_assert_int_eq(echoping_plan_due(&plan, 3), 1000 + NS_PER_S);
	ck_assert_int_eq(echoping_plan_due(&plan, 3000000), 1000 + 1000000 * NS_PER_S);
}
END_TEST

/* Columns on the screen: bytes that do not continue a character. */
static size_t
columns(const char *line, size_t length)
{
	size_t count = 0;

	for (size_t i = 0; i < length; i++)
		count += ((unsigned char)line[i] & 0xc0) != 0x80;
	return count;
}

START_TEST(a_drawing_fits_the_screen)
{
	static const int64_t spreads[] = { 1, 2, 30, 1000, 1000000, INT64_C(900000000000) };
	static struct histogram histogram;

	for (size_t i = 0; i < 2 * ARRAY_SIZE(spreads); i++) {
		char *text = NULL;
		size_t size = 0, lines = 0;
		FILE *out = open_memstream(&text, &size);

		histogram = (struct histogram){ 0 };
		for (int64_t k = 0; k <= 100; k++)
			histogram_record(&histogram, 1000 + k * spreads[i / 2] * 10);
		ck_assert_ptr_nonnull(out);
		echoping_draw_histogram(out, &histogram, i % 3 == 0 ? 40 : 80, i % 2 == 0);
		ck_assert_int_eq(fclose(out), 0);
		for (char *line = text; *line != '\0'; lines++) {
			size_t length = strcspn(line, "\n");

			ck_assert_uint_le(columns(line, length), i % 3 == 0 ? 40 : 80);
			ck_assert_ptr_nonnull(strchr(line, '%'));
			line += length + 1;
		}
		ck_assert_uint_ge(lines, 1);
		ck_assert_uint_le(lines, 20);
		free(text);
	}
}
END_TEST

Suite *
test_suite(void)
{
	Suite *suite = suite_create("echoping_options");
	TCase *tests = tcase_create("echoping_options");

	suite_add_tcase(suite, tests);
	tcase_add_checked_fixture(tests, start, end);
	tcase_add_test(tests, a_plain_address_is_a_ping);
	tcase_add_test(tests, a_load_is_bounded_in_time);
	tcase_add_test(tests, what_belongs_to_a_load_makes_one);
	tcase_add_test(tests, all_options_have_long_forms);
	tcase_add_test(tests, an_open_loop_has_a_deep_pipeline);
	tcase_add_test(tests, sizes_fit_the_transport);
	tcase_add_test(tests, mistakes_are_named);
	tcase_add_test(tests, bare_numbers_are_seconds);
	tcase_add_test(tests, all_mistakes_are_told_at_once);
	tcase_add_test(tests, addresses_are_understood);
	tcase_add_test(tests, unix_addresses_are_understood);
	tcase_add_test(tests, bad_addresses_are_refused);
	tcase_add_test(tests, a_timetable_does_not_drift);
	tcase_add_test(tests, a_drawing_fits_the_screen);
	return suite;
}
