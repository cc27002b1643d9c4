/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * echoctl's command line, where it looks for the daemon, and the targets that it asks for.
 */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "echoctl/options.h"
#include "echoctl/session.h"
#include "suite.h"

static struct error_list errors;
static struct echoctl_options options;
static char folder[64];

static void
start(void)
{
	errors = (struct error_list)ERROR_LIST_EMPTY;
	strcpy(folder, "/tmp/check_echoctl.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void
end(void)
{
	error_list_done(&errors);
	(void)rmdir(folder);
}

/* Parse words that are separated by single spaces. */
static int
parse(const char *words)
{
	static char text[512]; /* the options point into it */
	char *rest = text, *argv[32] = { NULL };
	int argc = 0;

	error_list_done(&errors);
	ck_assert_uint_lt(strlen(words), sizeof(text));
	strcpy(text, words);
	while (rest != NULL)
		argv[argc++] = strsep(&rest, " ");
	optind = 0; /* glibc's way to begin anew */
	return echoctl_options_parse(argc, argv, &errors, &options);
}

static void
assert_refused(const char *words, const char *says)
{
	ck_assert_int_eq(parse(words), -EINVAL);
	ck_assert_uint_ge(error_list_count(&errors), 1);
	ck_assert_msg(strstr(error_list_first(&errors), says) != NULL, "%s: %s", words,
	    error_list_first(&errors));
}

/* As assert_refused(), but SAYS is the whole message. */
static void
assert_refused_plainly(const char *words, const char *says)
{
	assert_refused(words, says);
	ck_assert_str_eq(error_list_first(&errors), says);
}

START_TEST(each_verb_is_known_by_its_name)
{
	static const struct {
		const char *name;
		bool has_operand;
	} verbs[ECHOCTL_VERBS] = {
		[ECHOCTL_STATUS] = { "status", false },
		[ECHOCTL_STATS] = { "stats", false },
		[ECHOCTL_CONNECTIONS] = { "connections", false },
		[ECHOCTL_CONNECTION] = { "connection", true },
		[ECHOCTL_PEERS] = { "peers", false },
		[ECHOCTL_SOURCES] = { "sources", false },
		[ECHOCTL_EVENTS] = { "events", false },
		[ECHOCTL_TOP] = { "top", false },
		[ECHOCTL_METRICS] = { "metrics", false },
		[ECHOCTL_CONFIG] = { "config", false },
		[ECHOCTL_HEALTH] = { "health", false },
		[ECHOCTL_RELOAD] = { "reload", false },
		[ECHOCTL_DRAIN] = { "drain", false },
		[ECHOCTL_UNDRAIN] = { "undrain", false },
		[ECHOCTL_STOP] = { "stop", false },
		[ECHOCTL_CLOSE] = { "close", true },
		[ECHOCTL_LOG_LEVEL] = { "log-level", true },
		[ECHOCTL_LOG_REOPEN] = { "log-reopen", false },
		[ECHOCTL_DAEMON_VERSION] = { "version", false },
	};

	for (int i = 0; i < ECHOCTL_HELP_ON; i++) {
		char words[64];

		const char *operand = i == ECHOCTL_LOG_LEVEL ? "info" : "7";

		(void)snprintf(words, sizeof(words), "echoctl %s%s%s", verbs[i].name,
		    verbs[i].has_operand ? " " : "", verbs[i].has_operand ? operand : "");
		ck_assert_int_eq(parse(words), 0);
		ck_assert_int_eq(options.action, ECHOCTL_ASK);
		ck_assert_int_eq(options.verb, i);
		if (verbs[i].has_operand)
			ck_assert_str_eq(options.operand, operand);
		else
			ck_assert_ptr_null(options.operand);
	}
}
END_TEST

START_TEST(near_words_are_suggested)
{
	assert_refused("echoctl relaod", "unknown verb \"relaod\": did you mean \"reload\"?");
	assert_refused("echoctl conections", "did you mean \"connections\"?");
	assert_refused("echoctl log_level", "did you mean \"log-level\"?");
	assert_refused_plainly("echoctl upgrade", "unknown verb \"upgrade\"");
	assert_refused_plainly("echoctl x", "unknown verb \"x\"");
	assert_refused_plainly("echoctl ", "unknown verb \"\"");
}
END_TEST

START_TEST(all_options_have_two_forms)
{
	ck_assert_int_eq(parse("echoctl -s /a -j -t 3s status"), 0);
	ck_assert_str_eq(options.socket, "/a");
	ck_assert(options.json);
	ck_assert_int_eq(options.timeout_ns, 3 * NS_PER_S);
	ck_assert_int_eq(parse("echoctl status --url=http://h:1 --json --timeout 250ms"), 0);
	ck_assert_str_eq(options.url, "http://h:1");
	ck_assert_ptr_null(options.socket);
	ck_assert_int_eq(options.timeout_ns, 250 * NS_PER_MS);
	ck_assert_int_eq(parse("echoctl stop -w"), 0);
	ck_assert(options.wait);
	ck_assert_int_eq(parse("echoctl top --interval 5s"), 0);
	ck_assert_int_eq(options.interval_ns, 5 * NS_PER_S);
	ck_assert_int_eq(parse("echoctl top"), 0);
	ck_assert_int_eq(options.interval_ns, NS_PER_S);
	ck_assert_int_eq(parse("echoctl events -f"), 0);
	ck_assert(options.follow);
	ck_assert_int_eq(parse("echoctl peers --prefix=24,64"), 0);
	ck_assert_str_eq(options.prefix, "24,64");
	ck_assert_int_eq(parse("echoctl -h nonsense"), 0);
	ck_assert_int_eq(options.action, ECHOCTL_HELP);
	ck_assert_int_eq(options.verb, ECHOCTL_VERBS);
	ck_assert_int_eq(parse("echoctl help"), 0);
	ck_assert_int_eq(options.action, ECHOCTL_HELP);
	ck_assert_int_eq(options.verb, ECHOCTL_VERBS);
	ck_assert_int_eq(parse("echoctl help close"), 0);
	ck_assert_int_eq(options.action, ECHOCTL_HELP);
	ck_assert_int_eq(options.verb, ECHOCTL_CLOSE);
	ck_assert_int_eq(parse("echoctl --version"), 0);
	ck_assert_int_eq(options.action, ECHOCTL_VERSION);
}
END_TEST

START_TEST(mistakes_are_named)
{
	assert_refused("echoctl", "no verb");
	assert_refused("echoctl drian", "did you mean \"drain\"?");
	assert_refused("echoctl drain now", "drain: \"now\" is too much");
	assert_refused("echoctl close", "close: which ID?");
	assert_refused("echoctl close -- -1", "not the number of a connection");
	assert_refused("echoctl close 99999999999999999999", "not the number of a connection");
	assert_refused("echoctl -s /a -u b status", "do not go together");
	assert_refused("echoctl -u ftp://b status", "http://HOST:PORT");
	assert_refused("echoctl -u http://b/?a status", "http://HOST:PORT");
	assert_refused("echoctl -t 0s status", "is not from 1ms to 1d");
	assert_refused("echoctl -w reload", "--wait belongs to the verb stop");
	assert_refused("echoctl -W reload", "--wide belongs to the verb status");
	assert_refused("echoctl -n 1 top", "--limit belongs to the verb connections");
	assert_refused("echoctl -p ::1 sources", "--peer belongs to the verb connections");
	assert_refused("echoctl connections -O -1", "is not a whole number");
	assert_refused("echoctl -j top", "connections");
	assert_refused("echoctl -t x -n y connections", "--timeout");
	ck_assert_uint_eq(error_list_count(&errors), 2);
}
END_TEST

static void
assert_target(const char *words, const char *target)
{
	char *text;

	ck_assert_int_eq(parse(words), 0);
	text = echoctl_session_url("", "/connections?tcp=1", &options);
	ck_assert_str_eq(text, target);
	free(text);
}

START_TEST(filters_become_a_query)
{
	assert_target("echoctl connections", "/connections?tcp=1");
	assert_target("echoctl connections -n 0", "/connections?tcp=1&limit=0");
	assert_target("echoctl connections -k bytes_in -o asc -p 2001:db8::/32",
	    "/connections?tcp=1&peer=2001%3Adb8%3A%3A%2F32&sort=bytes_in&order=asc");
	assert_target("echoctl connections -l a&b=c#d%+\"\r\n\x7f\xff?",
	    "/connections?tcp=1&listener=a%26b%3Dc%23d%25%2B%22%0D%0A%7F%FF%3F");
}
END_TEST

START_TEST(sources_take_a_listener_and_a_limit)
{
	char *target;

	ck_assert_int_eq(parse("echoctl sources -l echo-udp -n 5"), 0);
	target = echoctl_session_url("http://h", "/sources", &options);
	ck_assert_str_eq(target, "http://h/sources?listener=echo-udp&limit=5");
	free(target);
}
END_TEST

START_TEST(an_operand_becomes_a_part_of_the_target)
{
	char *text;

	options = (struct echoctl_options){ .operand = "a b" };
	text = echoctl_session_url("", "/log/level?level=*", &options);
	ck_assert_str_eq(text, "/log/level?level=a%20b");
	free(text);
	options.operand = "7";
	text = echoctl_session_url("", "/connections/*/close", &options);
	ck_assert_str_eq(text, "/connections/7/close");
	free(text);
}
END_TEST

START_TEST(what_is_given_is_not_searched_for)
{
	struct echoctl_location location;

	ck_assert_int_eq(echoctl_locate("/a/b", NULL, folder, &location), 0);
	ck_assert_str_eq(location.socket, "/a/b");
	ck_assert_str_eq(location.url, "http://localhost");
	ck_assert_uint_eq(location.count, 0);
	echoctl_location_done(&location);
	ck_assert_int_eq(echoctl_locate(NULL, "h:1//", folder, &location), 0);
	ck_assert_ptr_null(location.socket);
	ck_assert_str_eq(location.url, "http://h:1");
	echoctl_location_done(&location);
	ck_assert_int_eq(echoctl_locate(NULL, "https://h/echod/", folder, &location), 0);
	ck_assert_str_eq(location.url, "https://h/echod");
	echoctl_location_done(&location);
}
END_TEST

START_TEST(the_search_takes_what_exists)
{
	char present[96], path[128], list[160], longer[256];
	size_t system = geteuid() == 0 ? 2 : 3;
	struct echoctl_location location;

	(void)snprintf(list, sizeof(list), "%s/none::%s/a/", folder, folder);
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	ck_assert_int_eq(setenv("RUNTIME_DIRECTORY", list, 1), 0);
	ck_assert_int_eq(setenv("XDG_RUNTIME_DIR", longer, 1), 0);
	ck_assert_int_eq(echoctl_locate(NULL, NULL, folder, &location), -ENOENT);
	ck_assert_uint_eq(location.count, 4);
	ck_assert_int_eq(location.places[0].error, ENOENT);
	ck_assert_int_eq(location.places[5 - system].error, ENAMETOOLONG);
	(void)snprintf(path, sizeof(path), "%s/echod/control.sock", folder);
	ck_assert_str_eq(location.places[system].path, path);
	echoctl_location_done(&location);

	(void)snprintf(present, sizeof(present), "%s/echod", folder);
	ck_assert_int_eq(mkdir(present, 0700), 0);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	ck_assert_int_eq(echoctl_locate(NULL, NULL, folder, &location), 0);
	ck_assert_str_eq(location.socket, path);
	ck_assert_str_eq(location.url, "http://localhost");
	echoctl_location_done(&location);
	ck_assert_int_eq(rmdir(path), 0);
	ck_assert_int_eq(rmdir(present), 0);

	/* a user's own daemon comes before root's */
	ck_assert_int_eq(setenv("RUNTIME_DIRECTORY", "", 1), 0);
	ck_assert_int_eq(setenv("XDG_RUNTIME_DIR", "/user", 1), 0);
	ck_assert(geteuid() != 0 || seteuid(65534) == 0);
	ck_assert_int_eq(echoctl_locate(NULL, NULL, "/run", &location), -ENOENT);
	ck_assert_str_eq(location.places[0].path, "/user/echod/control.sock");
	ck_assert_str_eq(location.places[1].path, "/run/echod/control.sock");
	echoctl_location_done(&location);
	ck_assert(getuid() != 0 || seteuid(0) == 0);

	ck_assert_int_eq(setenv("RUNTIME_DIRECTORY", "", 1), 0);
	ck_assert_int_eq(unsetenv("XDG_RUNTIME_DIR"), 0);
	ck_assert_int_eq(echoctl_locate(NULL, NULL, "", &location), -ENOENT);
	ck_assert_uint_eq(location.count, 0);
	echoctl_location_done(&location);
}
END_TEST

Suite *
test_suite(void)
{
	Suite *suite = suite_create("echoctl_options");
	TCase *tests = tcase_create("echoctl_options");

	suite_add_tcase(suite, tests);
	tcase_add_checked_fixture(tests, start, end);
	tcase_add_test(tests, each_verb_is_known_by_its_name);
	tcase_add_test(tests, near_words_are_suggested);
	tcase_add_test(tests, all_options_have_two_forms);
	tcase_add_test(tests, mistakes_are_named);
	tcase_add_test(tests, filters_become_a_query);
	tcase_add_test(tests, sources_take_a_listener_and_a_limit);
	tcase_add_test(tests, an_operand_becomes_a_part_of_the_target);
	tcase_add_test(tests, what_is_given_is_not_searched_for);
	tcase_add_test(tests, the_search_takes_what_exists);
	return suite;
}
