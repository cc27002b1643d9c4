/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The small rooms of the base floor: text, addresses, lists of errors, control groups.
 */
#include <config.h>

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/address.h"
#include "base/cgroup.h"
#include "base/clock.h"
#include "base/error_list.h"
#include "base/text.h"
#include "suite.h"

START_TEST(durations_are_parsed)
{
	static const struct {
		const char *text;
		int64_t ns;
	} rows[] = {
		{ "0s", 0 },
		{ "1ns", 1 },
		{ "250ms", 250 * NS_PER_MS },
		{ "30s", 30 * NS_PER_S },
		{ "10m", 600 * NS_PER_S },
		{ "2h", 7200 * NS_PER_S },
		{ "1d", 86400 * NS_PER_S },
		{ "9223372036854775807ns", INT64_MAX },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *error = NULL;
		int64_t ns = -1;

		ck_assert_int_eq(units_parse_duration(rows[i].text, &ns, &error), 0);
		ck_assert_int_eq(ns, rows[i].ns);
	}
}
END_TEST

START_TEST(bad_durations_are_refused)
{
	static const struct {
		const char *text;
		int result;
		const char *says;
	} rows[] = {
		{ "", -EINVAL, "not a duration" },
		{ "s", -EINVAL, "not a duration" },
		{ "-1s", -EINVAL, "not a duration" },
		{ "+1s", -EINVAL, "not a duration" },
		{ " 1s", -EINVAL, "not a duration" },
		{ "30", -EINVAL, "no unit" },
		{ "1 s", -EINVAL, "space in it" },
		{ "1.5s", -EINVAL, "\"1500ms\" for 1.5s" },
		{ "1sec", -EINVAL, "unknown unit" },
		{ "1S", -EINVAL, "unknown unit" },
		{ "9223372036854775808ns", -ERANGE, "too large" },
		{ "106752d", -ERANGE, "too large" },
		{ "99999999999999999999s", -ERANGE, "too large" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *error = NULL;
		int64_t ns = -7;

		ck_assert_int_eq(units_parse_duration(rows[i].text, &ns, &error), rows[i].result);
		ck_assert_ptr_nonnull(strstr(error, rows[i].says));
		ck_assert_int_eq(ns, -7);
	}
}
END_TEST

START_TEST(sizes_are_parsed_and_written)
{
	static const struct {
		const char *text;
		int64_t bytes;
	} rows[] = {
		{ "0B", 0 },
		{ "1000B", 1000 },
		{ "64KiB", 65536 },
		{ "1MiB", 1048576 },
		{ "3GiB", INT64_C(3) << 30 },
		{ "1TiB", INT64_C(1) << 40 },
	};
	char text[UNITS_TEXT_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *error = NULL;
		int64_t bytes = -1;

		ck_assert_int_eq(units_parse_size(rows[i].text, &bytes, &error), 0);
		ck_assert_int_eq(bytes, rows[i].bytes);
		ck_assert_str_eq(units_format_size(bytes, text, sizeof(text)), rows[i].text);
	}
	ck_assert_str_eq(units_format_duration(90 * NS_PER_S, text, sizeof(text)), "90s");
	ck_assert_str_eq(units_format_duration(120 * NS_PER_S, text, sizeof(text)), "2m");
	ck_assert_str_eq(units_format_duration(1500 * NS_PER_MS, text, sizeof(text)), "1500ms");
}
END_TEST

START_TEST(bytes_are_written_for_people)
{
	static const struct {
		double bytes;
		const char *text;
	} rows[] = {
		{ 0, "0 B" },
		{ 1023, "1023 B" },
		{ 1024, "1.0 KiB" },
		{ 12897485, "12.3 MiB" },
		{ 1048575, "1.0 MiB" },
		{ 104805171, "99.9 MiB" },
		{ 104857600, "100 MiB" },
		{ 1072693248, "1023 MiB" },
		{ 9223372036854775807.0, "8.0 EiB" },
	};
	char text[UNITS_TEXT_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		ck_assert_str_eq(
		    units_human_bytes(rows[i].bytes, text, sizeof(text)), rows[i].text);
	ck_assert_str_eq(units_human_rate(2048, text, sizeof(text)), "2.0 KiB/s");
}
END_TEST

START_TEST(seconds_are_written_for_people)
{
	static const struct {
		double seconds;
		const char *text;
	} rows[] = {
		{ 0, "0s" },
		{ -1, "0s" },
		{ 9.99e-7, "999ns" },
		{ 9.997e-7, "1.00us" },
		{ 9.996e-6, "10.0us" },
		{ 0.000012345, "12.3us" },
		{ 0.00009996, "100us" },
		{ 0.000417, "417us" },
		{ 0.0009996, "1.00ms" },
		{ 0.0123, "12.3ms" },
		{ 0.25, "250ms" },
		{ 0.9996, "1.00s" },
		{ 4.25, "4.25s" },
		{ 59.94, "59.9s" },
		{ 59.96, "1m00s" },
		{ 250.9, "4m10s" },
		{ 3600, "1h00m" },
		{ 93784, "1d02h" },
		{ 1e15, "11574074074d01h" },
	};
	char text[UNITS_TEXT_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		ck_assert_str_eq(
		    units_human_seconds(rows[i].seconds, text, sizeof(text)), rows[i].text);
}
END_TEST

START_TEST(numbers_are_written_for_people)
{
	char text[UNITS_TEXT_MAX];

	ck_assert_str_eq(units_human_number(2048, text, sizeof(text)), "2048");
	ck_assert_str_eq(units_human_number(0.5, text, sizeof(text)), "0.50");
	ck_assert_str_eq(units_human_number(12.345, text, sizeof(text)), "12.3");
	ck_assert_str_eq(units_human_number(1e300, text, 4), "100");
}
END_TEST

START_TEST(moments_are_written_in_utc)
{
	char text[TEXT_TIME_MAX];

	ck_assert_str_eq(text_time(0, text, sizeof(text)), "1970-01-01T00:00:00.000Z");
	ck_assert_str_eq(
	    text_time(1795309323456 * NS_PER_MS, text, sizeof(text)), "2026-11-22T01:02:03.456Z");
	ck_assert_str_eq(text_time(INT64_MAX, text, sizeof(text)), "2262-04-11T23:47:16.854Z");
	ck_assert_str_eq(text_time(-1, text, sizeof(text)), "1969-12-31T23:59:59.999Z");
	ck_assert_str_eq(text_time(-NS_PER_S, text, sizeof(text)), "1969-12-31T23:59:59.000Z");
	ck_assert_str_eq(
	    text_time(-1500 * NS_PER_MS, text, sizeof(text)), "1969-12-31T23:59:58.500Z");
	ck_assert_str_eq(text_time(INT64_MIN, text, sizeof(text)), "1677-09-21T00:12:43.145Z");
}
END_TEST

START_TEST(addresses_survive_a_round_trip)
{
	static const char *const rows[] = { "tcp://127.0.0.1:7", "tcp://[::1]:65535", "tcp://*:7",
		"tcp://[2001:db8::1]:0", "udp://127.0.0.1:7", "udp://[::1]:65535", "udp://*:7",
		"udp://[fe80::1%lo]:7", "tcp://[fe80::1%no-such-if]:7", "tcp://[fe80::1%7]:7",
		"unix:/run/echod/echo.sock", "unix:@echod", "unixgram:/run/echod/echo.sock",
		"unixgram:@echod" };
	char text[ADDRESS_TEXT_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct address address;
		const char *error = NULL;

		ck_assert_int_eq(address_parse(rows[i], &address, &error), 0);
		ck_assert_str_eq(address_format(&address, text, sizeof(text)), rows[i]);
		ck_assert(address_equal(&address, &address));
	}
}
END_TEST

START_TEST(bad_addresses_are_refused)
{
	static const struct {
		const char *text;
		const char *says;
	} rows[] = {
		{ "", "is not an address" },
		{ "127.0.0.1:7", "is not an address" },
		{ "sctp://127.0.0.1:7", "is not an address" },
		{ "udp:127.0.0.1:7", "is not an address" },
		{ "unixgrams:/run/x", "is not an address" },
		{ "udp://localhost:7", "no numeric host" },
		{ "udp://127.0.0.1", "no valid port" },
		{ "udp://[fe80::1%]:7", "interface" },
		{ "udp://[fe80::1%a/b]:7", "interface" },
		{ "unixgram:", "no usable socket path" },
		{ "unixgram:relative", "no usable socket path" },
		{ "tcp://localhost:7", "no numeric host" },
		{ "tcp://127.1:7", "no numeric host" },
		{ "tcp://::1:7", "without brackets" },
		{ "tcp://:7", "no numeric host" },
		{ "tcp://[::1]", "no valid port" },
		{ "tcp://127.0.0.1", "no valid port" },
		{ "tcp://127.0.0.1:", "no valid port" },
		{ "tcp://127.0.0.1:65536", "no valid port" },
		{ "tcp://127.0.0.1:7x", "no valid port" },
		{ "tcp://127.0.0.1:-7", "no valid port" },
		{ "tcp://[fe80::1%sixteen-letters-]:7", "interface" },
		{ "udp://[fe80::1]:7", "is link-local and names no interface" },
		{ "unix:", "no usable socket path" },
		{ "unix:relative", "no usable socket path" },
		{ "unix:@", "no usable socket path" },
		{ "unix:/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		    "no usable socket path" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct address address;
		const char *error = NULL;

		ck_assert_int_eq(address_parse(rows[i].text, &address, &error), -EINVAL);
		ck_assert_msg(strstr(error, rows[i].says) != NULL, "%s: %s", rows[i].text, error);
	}
}
END_TEST

/* One place for each transport: an address is equal to itself alone. */
START_TEST(transports_are_told_apart)
{
	static const struct {
		const char *text, *name;
		bool ip, datagram, path;
	} rows[] = {
		{ "tcp://127.0.0.1:1", "tcp", true, false, false },
		{ "udp://127.0.0.1:1", "udp", true, true, false },
		{ "tcp://*:1", "tcp", true, false, false },
		{ "udp://*:1", "udp", true, true, false },
		{ "unix:/x", "unix", false, false, true },
		{ "unixgram:/x", "unixgram", false, true, true },
		{ "unix:@x", "unix", false, false, false },
		{ "unixgram:@x", "unixgram", false, true, false },
	};
	struct address addresses[ARRAY_SIZE(rows)];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct address *address = &addresses[i];
		const char *error = NULL;

		ck_assert_int_eq(address_parse(rows[i].text, &addresses[i], &error), 0);
		ck_assert_str_eq(address_transport_name(address->transport), rows[i].name);
		ck_assert(address_is_ip(address) == rows[i].ip);
		ck_assert(address_is_datagram(address) == rows[i].datagram);
		ck_assert(address_is_path(address) == rows[i].path);
		ck_assert(address->wildcard == (strchr(rows[i].text, '*') != NULL));
		for (size_t j = 0; j < i; j++)
			ck_assert(!address_equal(&addresses[j], address));
	}
}
END_TEST

START_TEST(sockets_tell_their_transport)
{
	static const struct {
		int family, type;
		const char *text;
	} rows[] = {
		{ AF_INET, SOCK_STREAM, "tcp://0.0.0.0:0" },
		{ AF_INET, SOCK_DGRAM, "udp://0.0.0.0:0" },
		{ AF_UNIX, SOCK_STREAM, "unix:" },
		{ AF_UNIX, SOCK_DGRAM, "unixgram:" },
	};
	char text[ADDRESS_TEXT_MAX];
	struct address address;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int fd = socket(rows[i].family, rows[i].type | SOCK_CLOEXEC, 0);

		ck_assert_int_ge(fd, 0);
		ck_assert_int_eq(address_of_socket(fd, &address), 0);
		ck_assert_str_eq(address_format(&address, text, sizeof(text)), rows[i].text);
		ck_assert(!address_is_path(&address));
		close(fd);
	}
	ck_assert_int_eq(address_of_socket(-1, &address), -EBADF);
}
END_TEST

/* A peer's address is the same text whatever the kind of its socket. */
START_TEST(unix_peers_keep_one_form)
{
	char text[ADDRESS_TEXT_MAX];
	struct address address;
	const char *error;

	ck_assert_int_eq(address_parse("unixgram:/run/x", &address, &error), 0);
	address_format_sockaddr(&address.u.sa, address.length, text, sizeof(text));
	ck_assert_str_eq(text, "unix:/run/x");
}
END_TEST

START_TEST(mapped_peers_read_as_ipv4)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(7) };
	char text[ADDRESS_TEXT_MAX];

	ck_assert_int_eq(inet_pton(AF_INET6, "::ffff:192.0.2.1", &in6.sin6_addr), 1);
	address_format_sockaddr((struct sockaddr *)&in6, sizeof(in6), text, sizeof(text));
	ck_assert_str_eq(text, "192.0.2.1:7");
}
END_TEST

START_TEST(text_is_escaped)
{
	static const struct {
		const char *source;
		const char *result;
	} rows[] = {
		{ "plain text", "plain text" },
		{ "tab\there", "tab\\x09here" },
		{ "line\nforged", "line\\x0aforged" },
		{ "\x1b[2J", "\\x1b[2J" },
		{ "back\\slash", "back\\x5cslash" },
		{ "caf\xc3\xa9", "caf\xc3\xa9" },
		{ "\xff\xfe", "\\xff\\xfe" },
		{ "\xc0\xaf", "\\xc0\\xaf" },          /* overlong */
		{ "\xed\xa0\x80", "\\xed\\xa0\\x80" }, /* surrogate */
		{ "\xc2\x9b", "\\xc2\\x9b" },          /* C1: CSI */
		{ "\xe2\x80\xae", "\\xe2\\x80\\xae" }, /* right-to-left override */
		{ "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80" },
		{ "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80" }, /* beyond Unicode */
		{ "\x7f", "\\x7f" },
	};
	char text[64];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		ck_assert_str_eq(
		    text_escape_string(rows[i].source, text, sizeof(text)), rows[i].result);
	/* cut between characters, never inside one */
	ck_assert_str_eq(text_escape_string("ab\n", text, 6), "ab");
	ck_assert_str_eq(text_escape_string("ab\xc3\xa9", text, 4), "ab");
}
END_TEST

START_TEST(distance_counts_edits)
{
	ck_assert_uint_eq(text_distance("backlog", "backlog"), 0);
	ck_assert_uint_eq(text_distance("baklog", "backlog"), 1);
	ck_assert_uint_eq(text_distance("bakclog", "backlog"), 1);
	ck_assert_uint_eq(text_distance("backlogs", "backlog"), 1);
	ck_assert_uint_eq(text_distance("", "abc"), 3);
	ck_assert_uint_eq(text_distance("idle", "lifetime"), 6);
}
END_TEST

START_TEST(error_lists_keep_their_order)
{
	struct error_list list = ERROR_LIST_EMPTY, more = ERROR_LIST_EMPTY;

	ck_assert_uint_eq(error_list_count(&list), 0);
	error_list_add(&list, "first %d", 1);
	error_list_add(&list, "second");
	ck_assert_uint_eq(error_list_count(&list), 2);
	ck_assert_str_eq(error_list_first(&list), "first 1");
	ck_assert_str_eq(error_list_line(&list, 1), "second");
	ck_assert_ptr_null(error_list_line(&list, 2));
	error_list_add(&more, "third");
	more.lost = 7;
	(void)strcpy(more.kept, "without memory");
	error_list_move(&list, &more);
	ck_assert_uint_eq(error_list_count(&more), 0);
	ck_assert_uint_eq(error_list_count(&list), 11);
	ck_assert_str_eq(error_list_line(&list, 2), "third");
	ck_assert_str_eq(error_list_line(&list, 3), "without memory");
	error_list_done(&list);
	ck_assert_uint_eq(error_list_count(&list), 0);
}
END_TEST

/* --- control groups --- */

static char root[] = "/tmp/check_base.XXXXXX";

/* Write TEXT to the file PATH below root, and make the folders it needs. */
static void
put(const char *path, const char *text)
{
	char full[512];
	FILE *file;

	(void)snprintf(full, sizeof(full), "%s/%s", root, path);
	for (char *slash = full + strlen(root) + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
		*slash = '\0';
		(void)mkdir(full, 0700);
		*slash = '/';
	}
	file = fopen(full, "w");
	ck_assert_ptr_nonnull(file);
	ck_assert_int_ge(fputs(text, file), 0);
	ck_assert_int_eq(fclose(file), 0);
}

static void
clear_root(void)
{
	char command[sizeof(root) + 16];

	(void)snprintf(command, sizeof(command), "rm -r %s", root);
	ck_assert_int_eq(system(command), 0);
	(void)snprintf(root, sizeof(root), "/tmp/check_base.XXXXXX");
}

#define SELF "proc/self/cgroup"
#define GROUPS "sys/fs/cgroup"

/* Files of a system, up to three, and what follows from them; 0: as many CPUs as there are. */
static const struct {
	const char *self; /* /proc/self/cgroup */
	const char *files[3][2];
	int64_t cpus;
	const char *tasks; /* how the text of the limits goes on */
} systems[] = {
	/* version 2: the group's own quota, rounded up, never 0 */
	{ "0::/a/b\n", { { "/a/b/cpu.max", "100000 100000\n" } }, 1, "unlimited" },
	{ "0::/a/b\n", { { "/a/b/cpu.max", "150000 100000\n" } }, 2, "unlimited" },
	{ "0::/a/b\n", { { "/a/b/cpu.max", "1000 100000\n" } }, 1, "unlimited" },
	{ "0::/a/b\n", { { "/a/b/cpu.max", "max 100000\n" } }, 0, "unlimited" },
	{ "0::/a/b\n", { { "/a/b/cpu.max", "9223372036854775807 2\n" } }, 0, "unlimited" },
	/* a parent's, the root's, the least of several */
	{ "0::/a/b\n", { { "/a/cpu.max", "50000 100000\n" }, { "/a/b/cpu.max", "max 100000\n" } },
	    1, "unlimited" },
	{ "0::/\n", { { "/cpu.max", "100000 50000\n" } }, 2, "unlimited" },
	{ "0::/\n", { { "/cpu.max", "100000 100000\n" }, { "/pids.max", "100\n" } }, 1, "100" },
	{ "0::/a/b\n",
	    { { "/a/b/pids.max", "max\n" }, { "/a/pids.max", "70\n" }, { "/pids.max", "90\n" } }, 0,
	    "70" },
	/* a group that cannot be seen from here: what is mounted is ours */
	{ "0::/far/away\n", { { "/cpu.max", "30000 100000\n" } }, 1, "unlimited" },
	{ "0::/../../far\n", { { "/cpu.max", "30000 100000\n" } }, 1, "unlimited" },
	/* version 1, and both at once */
	{ "4:cpu,cpuacct:/a\n",
	    { { "/cpu,cpuacct/a/cpu.cfs_quota_us", "90000\n" },
		{ "/cpu,cpuacct/a/cpu.cfs_period_us", "100000\n" } },
	    1, "unlimited" },
	{ "4:cpu,cpuacct:/a\n",
	    { { "/cpu,cpuacct/a/cpu.cfs_quota_us", "-1\n" },
		{ "/cpu,cpuacct/a/cpu.cfs_period_us", "100000\n" } },
	    0, "unlimited" },
	{ "7:cpuset:/a\n8:pids:/a/b\n1:name=systemd:/\n0::/a\n",
	    { { "/pids/a/pids.max", "33\n" }, { "/cpuset/a/cpu.max", "1 100000\n" } }, 0, "33" },
	/* nothing that can be read */
	{ "", { { "/cpu.max", "100000 100000\n" } }, 0, "unlimited" },
	{ "nonsense\n0:\n", { { "/cpu.max", "1 100000\n" } }, 0, "unlimited" },
	{ "0::/a\n", { { "/a/cpu.max", "" }, { "/a/pids.max", "" } }, 0, "unlimited" },
	{ "0::/a\n", { { "/a/cpu.max", "0 0\n" }, { "/a/pids.max", "0\n" } }, 0, "unlimited" },
	{ "0::/a\n", { { "/a/cpu.max", "-5 100000\n" } }, 0, "unlimited" },
};

START_TEST(control_groups_lower_what_the_machine_has)
{
	cpu_set_t mask;
	char limits[CGROUP_LIMITS_MAX], wanted[64], path[128];
	int64_t cpus = systems[_i].cpus;

	ck_assert_int_eq(sched_getaffinity(0, sizeof(mask), &mask), 0);
	if (cpus == 0 || cpus > CPU_COUNT(&mask))
		cpus = CPU_COUNT(&mask);
	ck_assert_ptr_nonnull(mkdtemp(root));
	put(SELF, systems[_i].self);
	for (size_t i = 0; i < 3 && systems[_i].files[i][0] != NULL; i++) {
		(void)snprintf(path, sizeof(path), GROUPS "%s", systems[_i].files[i][0]);
		put(path, systems[_i].files[i][1]);
	}
	(void)snprintf(wanted, sizeof(wanted), "pids.max, TasksMax=, is %s", systems[_i].tasks);
	ck_assert_int_eq(cgroup_cpus(root), cpus);
	ck_assert_ptr_nonnull(strstr(cgroup_thread_limits(root, limits, sizeof(limits)), wanted));
	clear_root();
}
END_TEST

START_TEST(a_system_without_control_groups_has_no_quota)
{
	char limits[CGROUP_LIMITS_MAX];

	ck_assert_int_ge(cgroup_cpus("/nowhere"), 1);
	ck_assert_ptr_nonnull(
	    strstr(cgroup_thread_limits("/nowhere", limits, sizeof(limits)), "unlimited"));
}
END_TEST

Suite *
test_suite(void)
{
	Suite *suite = suite_create("base");
	TCase *tests = tcase_create("base");

	suite_add_tcase(suite, tests);
	tcase_add_test(tests, durations_are_parsed);
	tcase_add_test(tests, bad_durations_are_refused);
	tcase_add_test(tests, sizes_are_parsed_and_written);
	tcase_add_test(tests, bytes_are_written_for_people);
	tcase_add_test(tests, seconds_are_written_for_people);
	tcase_add_test(tests, numbers_are_written_for_people);
	tcase_add_test(tests, moments_are_written_in_utc);
	tcase_add_test(tests, addresses_survive_a_round_trip);
	tcase_add_test(tests, bad_addresses_are_refused);
	tcase_add_test(tests, transports_are_told_apart);
	tcase_add_test(tests, sockets_tell_their_transport);
	tcase_add_test(tests, unix_peers_keep_one_form);
	tcase_add_test(tests, mapped_peers_read_as_ipv4);
	tcase_add_test(tests, text_is_escaped);
	tcase_add_test(tests, distance_counts_edits);
	tcase_add_test(tests, error_lists_keep_their_order);
	tcase_add_loop_test(
	    tests, control_groups_lower_what_the_machine_has, 0, (int)ARRAY_SIZE(systems));
	tcase_add_test(tests, a_system_without_control_groups_has_no_quota);
	return suite;
}
