/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "config/config_carry.h"
#include "config/config_file.h"
#include "config/config_overlap.h"
#include "config/config_read.h"
#include "config/directive.h"
#include "suite.h"

#define LISTENER "listeners = ( { name = \"echo\"; address = \"tcp://127.0.0.1:0\"; } );\n"
#define EXPECT_MAX 32

/* Return a path in the source tree; automake says where that is. */
static const char *
source_path(const char *name)
{
	static char path[4096];
	const char *folder = getenv("srcdir");

	(void)snprintf(path, sizeof(path), "%s/%s", folder != NULL ? folder : ".", name);
	return path;
}

static char *
join(const struct error_list *errors)
{
	size_t size;
	char *text;
	FILE *out = open_memstream(&text, &size);

	for (size_t i = 0; i < errors->count; i++)
		(void)fprintf(out, "%s\n", errors->lines[i]);
	ck_assert_int_eq(fclose(out), 0);
	return text;
}

static struct config *
must_parse(const char *text)
{
	struct error_list errors = ERROR_LIST_EMPTY;
	struct config *config = config_file_parse("test.conf", text, &errors);

	ck_assert_msg(config != NULL, "%s", error_list_first(&errors));
	ck_assert_uint_eq(error_list_count(&errors), 0);
	error_list_done(&errors);
	return config;
}

/* TEXT must give exactly one message, which has EXPECTED in it. */
static void
must_refuse(const char *text, const char *expected)
{
	struct error_list errors = ERROR_LIST_EMPTY;
	struct config *config = config_file_parse("test.conf", text, &errors);
	char *all = join(&errors);

	ck_assert_msg(config == NULL, "accepted: %s", text);
	ck_assert_msg(error_list_count(&errors) == 1, "for %s\ngot %s", text, all);
	ck_assert_msg(strstr(all, expected) != NULL, "wanted %s\ngot %s", expected, all);
	free(all);
	error_list_done(&errors);
}

struct changes {
	char text[4096];
	size_t count;
};

static void
note_change(void *context, const char *key, const char *from, const char *to)
{
	struct changes *changes = context;
	size_t used = strlen(changes->text);

	(void)snprintf(
	    changes->text + used, sizeof(changes->text) - used, "%s: %s -> %s\n", key, from, to);
	changes->count++;
}

static void
must_differ(const struct config *old, const struct config *new, const char *expected)
{
	struct changes changes = { .text = "" };

	config_diff(old, new, note_change, &changes);
	ck_assert_str_eq(changes.text, expected);
}

static char *
dump(const struct config *config)
{
	size_t size;
	char *text;
	FILE *out = open_memstream(&text, &size);

	config_file_dump(config, out);
	ck_assert_int_eq(fclose(out), 0);
	return text;
}

/* Dump, read back, compare. */
static void
must_survive_dump(const struct config *config)
{
	char *text = dump(config);
	struct error_list errors = ERROR_LIST_EMPTY;
	struct config *again = config_file_parse("dump", text, &errors);

	ck_assert_msg(again != NULL, "%s\n%s", error_list_first(&errors), text);
	must_differ(config, again, "");
	ck_assert_uint_eq(config->listener_count, again->listener_count);
	for (size_t i = 0; i < config->listener_count; i++) {
		const struct listener_config *a = &config->listeners[i], *b = &again->listeners[i];

		ck_assert(address_equal(&a->address, &b->address));
		ck_assert_int_eq(a->address.wildcard, b->address.wildcard);
	}
	config_unref(again);
	free(text);
}

START_TEST(without_a_file)
{
	struct error_list errors = ERROR_LIST_EMPTY;
	struct config *config = config_new_default();

	ck_assert_ptr_nonnull(config);
	config_check(config, &errors);
	ck_assert_int_eq(config_overlap_check(config, true, &errors), 0);
	ck_assert_uint_eq(error_list_count(&errors), 0);
	ck_assert_ptr_null(config->path);
	ck_assert_uint_eq(config->listener_count, 2);
	ck_assert_str_eq(config->listeners[0].name, "echo");
	ck_assert_str_eq(config->listeners[0].address_text, "tcp://127.0.0.1:7007");
	ck_assert_str_eq(config->listeners[1].name, "echo6");
	ck_assert_str_eq(config->listeners[1].address_text, "tcp://[::1]:7007");
	ck_assert(config->listeners[0].enabled && config->listeners[0].nodelay);
	ck_assert_int_eq(config->listeners[0].backlog, 4096);
	ck_assert_int_eq(config->listeners[0].idle_timeout, 600 * NS_PER_S);
	ck_assert_int_eq(config->listeners[0].mode, 0660);
	ck_assert_int_eq(config->listeners[0].min_source_port, 1024);
	ck_assert_int_eq(config->listeners[0].rate_per_source, 200);
	ck_assert_int_eq(config->listeners[0].burst_per_source, 400);
	ck_assert_int_eq(config->listeners[0].rate_total, 50000);
	ck_assert_int_eq(config->listeners[0].budget_per_source, 10000);
	ck_assert_uint_eq(config->listeners[0].allow.count, 0);
	ck_assert_uint_eq(config->listeners[0].deny.count, 0);
	ck_assert_int_eq(config->limits.connections, 10000);
	ck_assert_int_eq(config->limits.output_high, 256 * 1024);
	ck_assert_int_eq(config->limits.linger_timeout, 5 * NS_PER_S);
	ck_assert_int_eq(config->log.target, CONFIG_LOG_AUTO);
	ck_assert_int_eq(config->log.connections, CONFIG_LOG_CONNECTIONS_ERRORS);
	ck_assert_str_eq(config->log.file, "");
	ck_assert_str_eq(config->control.http, "127.0.0.1:9862");
	ck_assert_int_eq(address_port(&config->control.http_address), 9862);
	ck_assert_uint_eq(config->control.http_hosts.count, 0);
	ck_assert_str_eq(config->control.socket, "auto");
	ck_assert_int_eq(config->control.mode, 0660);
	ck_assert_int_eq(config->shutdown.timeout, 30 * NS_PER_S);
	must_survive_dump(config);
	config_unref(config);
	config_unref(NULL);
}
END_TEST

/* The table is data for the manual, the dump and the checks: it must be sound. */
START_TEST(tables)
{
	for (enum config_section s = CONFIG_TOP; s < CONFIG_SECTIONS; s++) {
		const struct directive_table *table = directive_table(s);

		ck_assert_uint_le(table->count, CONFIG_SECTION_MAX);
		for (size_t i = 0; i < table->count; i++) {
			const struct directive *row = &table->rows[i];

			ck_assert_ptr_eq(directive_find(table, row->key), row);
			ck_assert_msg(row->help[strlen(row->help) - 1] == '.', "%s", row->key);
			ck_assert_int_le(row->minimum, row->maximum);
			ck_assert(row->type != DIRECTIVE_WORD || row->words != NULL);
			ck_assert(s == CONFIG_LISTENERS || row->suits == DIRECTIVE_ANY);
		}
	}
	ck_assert_ptr_null(directive_find(directive_table(CONFIG_LOG), "none"));
	ck_assert_str_eq(directive_effect_name(DIRECTIVE_LIVE), "live");
	ck_assert_str_eq(directive_effect_name(DIRECTIVE_NEW_CONNECTIONS), "new connections");
	ck_assert_str_eq(directive_effect_name(DIRECTIVE_RESTART), "restart");
}
END_TEST

/* A refused value leaves the field as it was; a good one is written back as it was read. */
START_TEST(values)
{
	static const struct {
		enum config_section section;
		const char *key, *text, *back; /* back NULL: refused */
	} cases[] = {
		{ CONFIG_TOP, "workers", "0", "0" },
		{ CONFIG_TOP, "workers", "64", "64" },
		{ CONFIG_TOP, "workers", "65", NULL },
		{ CONFIG_TOP, "workers", "-1", NULL },
		{ CONFIG_TOP, "workers", "+1", NULL },
		{ CONFIG_TOP, "workers", "01", NULL },
		{ CONFIG_TOP, "workers", "0x1", NULL },
		{ CONFIG_TOP, "workers", "1L", NULL },
		{ CONFIG_TOP, "workers", "1.0", NULL },
		{ CONFIG_TOP, "workers", "", NULL },
		{ CONFIG_TOP, "workers", " 1", NULL },
		{ CONFIG_TOP, "workers", "4294967297", NULL },
		{ CONFIG_TOP, "workers", "18446744073709551617", NULL },
		{ CONFIG_LIMITS, "output_high", "4KiB", "4KiB" },
		{ CONFIG_LIMITS, "output_high", "4096B", "4KiB" },
		{ CONFIG_LIMITS, "output_high", "1025MiB", NULL },
		{ CONFIG_LIMITS, "output_high", "16777216TiB", NULL },
		{ CONFIG_LIMITS, "output_high", "64kib", NULL },
		{ CONFIG_LIMITS, "linger_timeout", "1ms", "1ms" },
		{ CONFIG_LIMITS, "linger_timeout", "600s", "10m" },
		{ CONFIG_LIMITS, "linger_timeout", "601s", NULL },
		{ CONFIG_LIMITS, "linger_timeout", "999us", NULL },
		{ CONFIG_LIMITS, "linger_timeout", "5 s", NULL },
		{ CONFIG_LOG, "level", "debug", "debug" },
		{ CONFIG_LOG, "level", "Debug", NULL },
		{ CONFIG_LOG, "target", "journal", "journal" },
		{ CONFIG_CONTROL, "http", "", "" },
		{ CONFIG_CONTROL, "http", "[0::1]:080", "[::1]:80" },
		{ CONFIG_CONTROL, "http", "*:80", "*:80" },
		{ CONFIG_CONTROL, "http", "tcp://127.0.0.1:80", NULL },
		{ CONFIG_CONTROL, "http", "localhost:80", NULL },
		{ CONFIG_CONTROL, "http_hosts", "( )", "( )" },
		{ CONFIG_CONTROL, "socket", "auto", "auto" },
		{ CONFIG_CONTROL, "socket", "", "" },
		{ CONFIG_CONTROL, "mode", "600", "0600" },
		{ CONFIG_LISTENERS, "mss", "0", "0" },
		{ CONFIG_LISTENERS, "mss", "88", "88" },
		{ CONFIG_LISTENERS, "mss", "87", NULL },
		{ CONFIG_LISTENERS, "keepalive", "0s", "0s" },
		{ CONFIG_LISTENERS, "keepalive", "32767s", "32767s" },
		{ CONFIG_LISTENERS, "keepalive", "32768s", NULL },
		{ CONFIG_LISTENERS, "nodelay", "false", "false" },
		{ CONFIG_LISTENERS, "nodelay", "no", NULL },
		{ CONFIG_LISTENERS, "mode", "600", "0600" },
		{ CONFIG_LISTENERS, "mode", "0600", "0600" },
		{ CONFIG_LISTENERS, "mode", "60", NULL },
		{ CONFIG_LISTENERS, "mode", "00600", NULL },
		{ CONFIG_LISTENERS, "name", "a.b-c_9", "a.b-c_9" },
		{ CONFIG_LISTENERS, "name", "a:b", NULL },
		{ CONFIG_LISTENERS, "address", "tcp://[0:0::1]:07", "tcp://[::1]:7" },
		{ CONFIG_LISTENERS, "address", "tcp://*:7", "tcp://*:7" },
		{ CONFIG_LISTENERS, "address", "tcp://[::]:7", "tcp://[::]:7" },
		{ CONFIG_LISTENERS, "address", "tcp://[::ffff:1.2.3.4]:7",
		    "tcp://[::ffff:1.2.3.4]:7" },
		{ CONFIG_LISTENERS, "address", "unix:/a b\\", "unix:/a b\\" },
		{ CONFIG_LISTENERS, "address", "unix:@x", "unix:@x" },
		{ CONFIG_LISTENERS, "address", "tcp:127.0.0.1:7", NULL },
		{ CONFIG_LISTENERS, "address", "udp://[0:0::1]:07", "udp://[::1]:7" },
		{ CONFIG_LISTENERS, "address", "udp://*:7", "udp://*:7" },
		{ CONFIG_LISTENERS, "address", "unixgram:/a b\\", "unixgram:/a b\\" },
		{ CONFIG_LISTENERS, "address", "unixgram:@x", "unixgram:@x" },
		{ CONFIG_LISTENERS, "address", "udp:127.0.0.1:7", NULL },
		{ CONFIG_LISTENERS, "address", "unixgram:x", NULL },
		{ CONFIG_LISTENERS, "min_source_port", "65535", "65535" },
		{ CONFIG_LISTENERS, "min_source_port", "65536", NULL },
		{ CONFIG_LISTENERS, "rate_per_source", "0", "0" },
		{ CONFIG_LISTENERS, "burst_per_source", "1", "1" },
		{ CONFIG_LISTENERS, "burst_per_source", "0", NULL },
		{ CONFIG_LISTENERS, "rate_total", "100000000", "100000000" },
		{ CONFIG_LISTENERS, "budget_per_source", "0", "0" },
		{ CONFIG_LISTENERS, "allow", "( )", "( )" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct error_list errors = ERROR_LIST_EMPTY;
		struct config *config = config_new_default();
		const struct directive *row = directive_find(
		    directive_table(cases[i].section), cases[i].key);
		void *base = cases[i].section == CONFIG_LISTENERS
				 ? &config->listeners[0]
				 : directive_base(config, cases[i].section);
		char before[DIRECTIVE_TEXT_MAX], after[DIRECTIVE_TEXT_MAX];
		int r;

		directive_format(row, base, before, sizeof(before));
		r = directive_set(row, base, cases[i].text, "P: ", &errors);
		directive_format(row, base, after, sizeof(after));
		if (cases[i].back != NULL) {
			ck_assert_msg(r == 0, "%s", error_list_first(&errors));
			ck_assert_str_eq(after, cases[i].back);
		} else {
			ck_assert_msg(r < 0, "%s = %s", cases[i].key, cases[i].text);
			ck_assert_str_eq(after, before);
			ck_assert_uint_eq(errors.count, 1);
			ck_assert_int_eq(strncmp(errors.lines[0], "P: ", 3), 0);
		}
		error_list_done(&errors);
		config_unref(config);
	}
}
END_TEST

/* Read the "# expect: TEXT" lines at the top of PATH. */
static size_t
read_expected(const char *path, char expected[][512])
{
	static const char mark[] = "# expect: ";
	FILE *in = fopen(path, "re");
	size_t count = 0;
	char line[512];

	ck_assert_ptr_nonnull(in);
	while (fgets(line, sizeof(line), in) != NULL && strncmp(line, mark, strlen(mark)) == 0) {
		ck_assert_uint_lt(count, EXPECT_MAX);
		line[strcspn(line, "\n")] = '\0';
		strcpy(expected[count++], line + strlen(mark));
	}
	(void)fclose(in);
	ck_assert_msg(count > 0, "%s does not say what to expect", path);
	return count;
}

/* Each message must be expected and each expectation met, in the same order. */
static void
check_bad_file(const char *path)
{
	static char expected[EXPECT_MAX][512];
	struct error_list errors = ERROR_LIST_EMPTY;
	struct config *config = config_file_read(path, true, &errors, NULL);
	size_t count = read_expected(path, expected);
	char *all = join(&errors);

	ck_assert_msg(config == NULL, "%s was accepted", path);
	for (size_t i = 0; i < count; i++)
		ck_assert_msg(i < errors.count && strstr(errors.lines[i], expected[i]) != NULL,
		    "%s: wanted %s\ngot %s", path, expected[i], all);
	ck_assert_msg(errors.count == count, "%s: more than expected:\n%s", path, all);
	free(all);
	error_list_done(&errors);
}

static void
check_good_file(const char *path)
{
	struct error_list errors = ERROR_LIST_EMPTY;
	struct config *config = config_file_read(path, true, &errors, NULL);

	ck_assert_msg(config != NULL, "%s", error_list_first(&errors));
	ck_assert_str_eq(config->path, path);
	must_survive_dump(config);
	config_unref(config);
}

static void
for_each_file(const char *folder, void (*check)(const char *path))
{
	char path[4096], full[4400];
	const struct dirent *entry;
	size_t count = 0;
	DIR *dir;

	(void)snprintf(path, sizeof(path), "%s", source_path(folder));
	dir = opendir(path);
	ck_assert_msg(dir != NULL, "no folder %s", path);
	while ((entry = readdir(dir)) != NULL) {
		const char *dot = strrchr(entry->d_name, '.');

		if (dot == NULL || strcmp(dot, ".conf") != 0)
			continue;
		(void)snprintf(full, sizeof(full), "%s/%s", path, entry->d_name);
		check(full);
		count++;
	}
	(void)closedir(dir);
	ck_assert_uint_gt(count, 0);
}

START_TEST(bad_files)
{
	for_each_file("tests/config/bad", check_bad_file);
}
END_TEST

START_TEST(good_files)
{
	for_each_file("tests/config/good", check_good_file);
}
END_TEST

/* The packaged file shows the defaults. */
START_TEST(packaged_file)
{
	struct error_list errors = ERROR_LIST_EMPTY;
	struct config *config = config_file_read(
	    source_path("etc/echod.conf"), true, &errors, NULL);
	struct config *defaults = config_new_default();

	ck_assert_msg(config != NULL, "%s", error_list_first(&errors));
	must_differ(defaults, config,
	    "listeners.echo.address: tcp://127.0.0.1:7007 -> tcp://*:7\n"
	    "listeners.echo6: tcp://[::1]:7007 -> \n"
	    "listeners.echo-udp:  -> udp://[::]:7\n"
	    "listeners.echo-local:  -> unix:/run/echod/echo.sock\n"
	    "control.socket: auto -> /run/echod/control.sock\n");
	ck_assert(config->listeners[0].address.wildcard);
	ck_assert(!config->listeners[1].enabled);
	ck_assert(!config->listeners[2].enabled);
	config_unref(defaults);
	config_unref(config);
}
END_TEST

/* A file that was cut short at any byte must be refused, see the order of the packaged one. */
START_TEST(every_cut)
{
	char reason[CONFIG_READ_REASON_MAX], *text = NULL;

	ck_assert_int_eq(
	    config_read_whole(source_path("etc/echod.conf"), reason, sizeof(reason), &text), 0);
	*strrchr(text, ')') = '\0';
	for (size_t length = strlen(text); length > 0; length--) {
		struct error_list errors = ERROR_LIST_EMPTY;

		text[length] = '\0';
		/* a cut key may be one that was there before: two mistakes */
		ck_assert_ptr_null(config_file_parse("cut", text, &errors));
		ck_assert_uint_ge(error_list_count(&errors), 1);
		error_list_done(&errors);
	}
	free(text);
}
END_TEST

START_TEST(escapes)
{
	struct error_list errors = ERROR_LIST_EMPTY;
	struct config *config = config_file_read(
	    source_path("tests/config/good/escapes.conf"), true, &errors, NULL);

	ck_assert_msg(config != NULL, "%s", error_list_first(&errors));
	ck_assert_str_eq(config->listeners[0].address_text, "unix:/tmp/a \"b\" \\ c \xc3\xa9");
	ck_assert_str_eq(config->listeners[0].address.u.un.sun_path, "/tmp/a \"b\" \\ c \xc3\xa9");
	config_unref(config);
}
END_TEST

START_TEST(origins)
{
	struct config *config = must_parse(
	    "workers = 1;\n\nlog = {\n level =\n\"info\"; };\n" LISTENER);
	const struct directive_table *log = directive_table(CONFIG_LOG);
	size_t level = (size_t)(directive_find(log, "level") - log->rows);
	char *text;

	ck_assert_str_eq(config->origins[CONFIG_TOP][0].file, "test.conf");
	ck_assert_uint_eq(config->origins[CONFIG_TOP][0].line, 1);
	ck_assert_uint_eq(config->origins[CONFIG_LOG][level].line, 4);
	ck_assert_ptr_null(config->origins[CONFIG_LIMITS][0].file);
	ck_assert_uint_eq(config->origins[CONFIG_LISTENERS][0].line, 6);
	ck_assert_uint_eq(config->listeners[0].origins[0].line, 6);
	text = dump(config);
	ck_assert_ptr_nonnull(strstr(text, "# test.conf:4\n"));
	ck_assert_ptr_nonnull(strstr(text, "# default\n"));
	ck_assert_ptr_null(strstr(text, "v6only"));
	free(text);
	config_unref(config);
}
END_TEST

START_TEST(included_files)
{
	struct error_list errors = ERROR_LIST_EMPTY;
	struct config *config = config_file_read(
	    source_path("tests/config/good/include.conf"), true, &errors, NULL);
	const char *file;

	ck_assert_msg(config != NULL, "%s", error_list_first(&errors));
	ck_assert_uint_eq(config->file_name_count, 4);
	ck_assert_int_eq(config->limits.connections, 77);
	ck_assert_int_eq(config->workers, 2);
	ck_assert_uint_eq(config->listener_count, 2);
	ck_assert_str_eq(config->listeners[0].name, "first");
	file = config->listeners[0].origins[0].file;
	ck_assert_str_eq(strrchr(file, '/'), "/listener.inc");
	ck_assert_uint_eq(config->listeners[0].origins[0].line, 2);
	ck_assert_uint_eq(config->listeners[1].origins[0].line, 5);
	file = config->origins[CONFIG_TOP][0].file;
	ck_assert_str_eq(strrchr(file, '/'), "/deeper.inc");
	config_unref(config);
	must_refuse("@include \"x.conf\"\n" LISTENER, "test.conf:1: @include is not possible here");
}
END_TEST

START_TEST(syntax)
{
	must_refuse("\x01", "test.conf:1: did not expect '\\x01' here");
	must_refuse("**1 = 5;" LISTENER, "did not expect '**1' here");
	must_refuse("a.b = 5;" LISTENER, "expected \"=\" before '.b'");
	must_refuse(LISTENER "}", "test.conf:2: did not expect '}' here");
	must_refuse(LISTENER "limits = { \"x\" }", "did not expect '\"x\"' here");
	must_refuse(LISTENER "workers = 2 3;", "did not expect '3' here");
	must_refuse(LISTENER "workers = 2 \"3\";", "did not expect '\"3\"' here");
	must_refuse("\xef\xbb\xbf" LISTENER, "test.conf:1: the file begins with a byte order mark");
	must_refuse(LISTENER "workers =\xc2\xa0"
			     "2;",
	    "test.conf:2: there is a no-break space");
	must_refuse(LISTENER "log = { level = \xe2\x80\x9cinfo\xe2\x80\x9d; };",
	    "test.conf:2: there is a typographic quote here (write \")");
	must_refuse(
	    LISTENER "log = { level = 'info'; };", "test.conf:2: a string stands in double");
	must_refuse("listeners = [\n { name = \"a\"; } ];",
	    "test.conf:1: a list of groups stands in ( ), not in [ ]");
	must_refuse(LISTENER "true = 5;", "test.conf:2: syntax error");
	must_refuse(LISTENER "log = { level = \"in", "test.conf:2: a string is not closed");
	must_refuse(LISTENER "log = { file = \"\\x7\"; };", "wrong escape");
	must_refuse(LISTENER "/* ", "test.conf:2: the comment that starts here");
	must_refuse("", "test.conf:1: the file ends without listeners");
	config_unref(must_parse(LISTENER "# no newline at the end"));
	config_unref(must_parse(LISTENER "// the same"));
	config_unref(must_parse("/* \" */ " LISTENER "/**/"));
}
END_TEST

/* A mistake does not bring others with it: a refused value is not judged by the cross checks. */
START_TEST(one_message_each)
{
	must_refuse(LISTENER "limits = { output_high = \"8KB\"; output_low = \"16KiB\"; };",
	    "limits.output_high: \"8KB\" has an unknown unit");
	must_refuse(LISTENER "limits = { output_low = \"2GiB\"; };", "limits.output_low");
	must_refuse(LISTENER "log = { target = \"fil\"; file = \"/tmp/x\"; };", "log.target");
	must_refuse("listeners = ( { name = \"a\"; address = \"tcp:x\"; mode = \"0600\"; } );",
	    "listeners[0].address");
	must_refuse("listeners = ( { name = \"\"; address = \"tcp://*:1\"; } );", "is not a name");
}
END_TEST

/* Only some builds have it; the packaged "auto" is fine in all. */
START_TEST(journal_needs_libsystemd)
{
	static const char text[] = LISTENER "log = {\n\ttarget = \"journal\"; };\n";
#ifdef HAVE_SYSTEMD
	config_unref(must_parse(text));
#else
	must_refuse(text, "test.conf:3: log.target: \"journal\" needs a build with libsystemd");
#endif
}
END_TEST

START_TEST(unreadable_files)
{
	static const struct {
		const char *path, *reason;
	} cases[] = {
		{ "/nonexistent/echod.conf", "cannot open: No such file or directory" },
		{ "/dev/null", "is neither a regular file nor a pipe" },
		{ "/", "is neither a regular file nor a pipe" },
		{ "/proc/self/status", "changed while it was read (try again)" },
	};
	struct error_list errors = ERROR_LIST_EMPTY;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		ck_assert_ptr_null(config_file_read(cases[i].path, true, &errors, NULL));
		ck_assert_uint_eq(error_list_count(&errors), 1);
		ck_assert_ptr_nonnull(strstr(error_list_first(&errors), cases[i].path));
		ck_assert_ptr_nonnull(strstr(error_list_first(&errors), cases[i].reason));
		error_list_done(&errors);
	}
}
END_TEST

static int
read_fd(int fd, char *reason, char **ret_text)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return config_read_whole(path, reason, CONFIG_READ_REASON_MAX, ret_text);
}

START_TEST(reading)
{
	char reason[CONFIG_READ_REASON_MAX], path[] = "/tmp/check_config.XXXXXX", *text = NULL;
	int ends[2], fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(read_fd(fd, reason, &text), 0);
	ck_assert_str_eq(text, "");
	free(text);
	ck_assert_int_eq(ftruncate(fd, CONFIG_READ_MAX + 1), 0);
	ck_assert_int_lt(read_fd(fd, reason, &text), 0);
	ck_assert_str_eq(reason, "is larger than 1 MiB");
	ck_assert_int_eq(ftruncate(fd, CONFIG_READ_MAX), 0);
	ck_assert_int_lt(read_fd(fd, reason, &text), 0);
	ck_assert_str_eq(reason, "has a NUL byte and so is not a text file");
	(void)close(fd);

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	ck_assert_int_eq(write(ends[1], LISTENER, strlen(LISTENER)), strlen(LISTENER));
	(void)close(ends[1]);
	ck_assert_int_eq(read_fd(ends[0], reason, &text), 0);
	ck_assert_str_eq(text, LISTENER);
	free(text);
	(void)close(ends[0]);
}
END_TEST

START_TEST(differences)
{
	struct config *old = must_parse("listeners = (\n"
					"{ name = \"a\"; address = \"tcp://127.0.0.1:1\"; },\n"
					"{ name = \"b\"; address = \"tcp://[::1]:2\"; },\n"
					"{ name = \"c\"; address = \"tcp://[::1]:3\"; } );\n");
	struct config *new = must_parse(
	    "listeners = (\n"
	    "{ name = \"d\"; address = \"unix:@d\"; },\n"
	    "{ name = \"c\"; address = \"tcp://[::1]:4\"; v6only = true; },\n"
	    "{ name = \"b\"; address = \"tcp://[::1]:2\"; v6only = true;\n"
	    "  idle_timeout = \"5s\"; } );\n"
	    "workers = 2; control = { http = \"\"; http_hosts = ( \"a\", \"b\" ); clients = 3; };\n"
	    "limits = { connections = 5; stall_timeout = \"1m\"; };");

	must_differ(old, old, "");
	must_differ(old, new,
	    "listeners.a: tcp://127.0.0.1:1 -> \n"
	    "listeners.b.v6only: false -> true\n"
	    "listeners.b.idle_timeout: 10m -> 5s\n"
	    "listeners.c.address: tcp://[::1]:3 -> tcp://[::1]:4\n"
	    "listeners.c.v6only: false -> true\n"
	    "listeners.d:  -> unix:@d\n"
	    "workers: 0 -> 2\n"
	    "limits.connections: 10000 -> 5\n"
	    "control.http: 127.0.0.1:9862 -> \n"
	    "control.http_hosts: ( ) -> ( \"a\", \"b\" )\n"
	    "control.clients: 64 -> 3\n");
	config_unref(old);
	config_unref(new);
}
END_TEST

/* What runs goes on in the next one, which outlives the file names of the one before. */
START_TEST(what_waits)
{
	struct error_list errors = ERROR_LIST_EMPTY;
	struct config *running = must_parse("workers = 2; listeners = (\n"
					    "{ name = \"a\"; address = \"tcp://[::1]:1\"; },\n"
					    "{ name = \"b\"; address = \"tcp://[::1]:2\"; } );\n");
	struct config *next = must_parse("workers = 3; control = { http = \"\"; }; listeners = (\n"
					 "{ name = \"b\"; address = \"tcp://[::1]:3\";\n"
					 "  v6only = true; },\n"
					 "{ name = \"c\"; address = \"tcp://[::1]:1\";\n"
					 "  v6only = true; nodelay = false; } );\n");
	const struct directive_table *table = directive_table(CONFIG_LISTENERS);
	const struct directive *v6only = directive_find(table, "v6only");

	running->control.gid = 4711;
	ck_assert_int_eq(config_carry_over(next, running, &errors), 0);
	config_unref(running);
	ck_assert_uint_eq(next->waiting_count, 3);
	ck_assert_uint_eq(next->control.gid, 4711);
	ck_assert_int_eq(next->workers, 2);
	ck_assert_str_eq(config_origin_of(next, CONFIG_TOP, "workers")->file, "test.conf");
	ck_assert_str_eq(next->control.http, "127.0.0.1:9862");
	ck_assert_uint_eq(address_port(&next->control.http_address), 9862);
	ck_assert(next->listeners[0].v6only);
	ck_assert(!next->listeners[1].v6only && !next->listeners[1].nodelay);
	ck_assert_ptr_null(config_find_waiting(next, &next->listeners[0], v6only));
	ck_assert_str_eq(config_find_waiting(next, &next->listeners[1], v6only), "true");
	ck_assert_str_eq(next->waiting[0].key, "listeners.c.v6only");
	ck_assert_str_eq(next->waiting[1].key, "workers");
	ck_assert_str_eq(next->waiting[2].key, "control.http");
	config_unref(next);
}
END_TEST

/* What is too long for one message is compared and written whole all the same. */
START_TEST(long_lists)
{
	char text[2][12000];
	struct config *configs[2];

	for (size_t i = 0; i < 2; i++) {
		int used = snprintf(
		    text[i], sizeof(text[i]), LISTENER "control = { http_hosts = (");

		for (int j = 0; j < 32; j++)
			used += snprintf(text[i] + used, sizeof(text[i]) - (size_t)used,
			    "%s\"%0250d\"", j > 0 ? "," : "", j < 31 ? j : (int)i);
		(void)snprintf(text[i] + used, sizeof(text[i]) - (size_t)used, "); };");
		configs[i] = must_parse(text[i]);
		must_survive_dump(configs[i]);
	}
	ck_assert_uint_eq(configs[0]->control.http_hosts.count, 32);
	for (size_t i = 0; i < 2; i++) {
		struct changes changes = { .text = "" };

		config_diff(configs[0], configs[i], note_change, &changes);
		ck_assert_uint_eq(changes.count, i);
	}
	*strrchr(text[0], ')') = '\0';
	strcat(text[0], ", \"more\" ); };");
	must_refuse(text[0], "control.http_hosts: has 33 items (at most 32)");
	config_unref(configs[0]);
	config_unref(configs[1]);
}
END_TEST

/* As many networks as there may be, each as long as it can be, fit in every text. */
START_TEST(long_lists_of_networks)
{
	const struct directive *row = directive_find(directive_table(CONFIG_LISTENERS), "allow");
	char text[20000], value[DIRECTIVE_TEXT_MAX];
	int used = snprintf(
	    text, sizeof(text), "listeners = ( { name = \"a\"; address = \"udp://*:1\"; allow = (");
	struct config *config;

	for (int i = 0; i < 256; i++)
		used += snprintf(text + used, sizeof(text) - (size_t)used,
		    "%s\"0000:0000:0000:0000:0000:ffff:255.255.255.%03d/128\"", i > 0 ? "," : "",
		    100 + i % 100);
	(void)snprintf(text + used, sizeof(text) - (size_t)used, "); } );");
	config = must_parse(text);
	must_survive_dump(config);
	ck_assert_uint_eq(config->listeners[0].allow.count, 256);
	directive_format(row, &config->listeners[0], value, sizeof(value));
	ck_assert_str_eq(value + strlen(value) - 7, "/128\" )");
	config_unref(config);
	*strrchr(text, '}') = '\0';
	*strrchr(text, ')') = '\0';
	strcat(text, ", \"::1\" ); } );");
	must_refuse(text, "listeners[0].allow: has 257 items (at most 256)");
}
END_TEST

START_TEST(datagram_listeners)
{
	struct config *config = must_parse(
	    "listeners = ( { name = \"a\"; address = \"udp://[::1]:7\"; v6only = true;\n"
	    "rate_per_source = 0; allow = ( \"10.0.0.0/8\", \"::1\" ); deny = ( \"10.1.0.0/16\" ); "
	    "},\n"
	    "{ name = \"b\"; address = \"unixgram:/x\"; mode = \"0600\"; } );");
	const struct listener_config *lis = config->listeners;

	ck_assert_int_eq(lis[0].address.transport, ADDRESS_UDP);
	ck_assert_int_eq(lis[0].rate_per_source, 0);
	ck_assert_uint_eq(lis[0].allow.count, 2);
	ck_assert_str_eq(lis[0].allow.items[0], "10.0.0.0/8");
	ck_assert_str_eq(lis[0].allow.items[1], "::1");
	ck_assert_uint_eq(lis[0].deny.count, 1);
	ck_assert_str_eq(lis[0].deny.items[0], "10.1.0.0/16");
	ck_assert_int_eq(lis[1].address.transport, ADDRESS_UNIX_DATAGRAM);
	ck_assert_uint_eq(lis[1].allow.count, 0);
	must_survive_dump(config);
	config_unref(config);
}
END_TEST

/* The guards of a socket that is kept follow a reload; another transport is another socket. */
START_TEST(changed_networks)
{
	struct config *old = must_parse("listeners = ( { name = \"a\"; address = \"udp://[::]:7\"; "
					"allow = ( \"10.0.0.0/8\" ); },\n"
					"{ name = \"b\"; address = \"tcp://[::]:7\"; } );");
	struct config *new = must_parse(
	    "listeners = ( { name = \"a\"; address = \"udp://[::]:7\"; v6only = true;\n"
	    "deny = ( \"::/0\", \"10.0.0.1\" ); budget_per_source = 0; },\n"
	    "{ name = \"b\"; address = \"udp://[::1]:8\"; v6only = true; } );");

	must_differ(old, new,
	    "listeners.a.v6only: false -> true\n"
	    "listeners.a.budget_per_source: 10000 -> 0\n"
	    "listeners.a.allow: ( \"10.0.0.0/8\" ) -> ( )\n"
	    "listeners.a.deny: ( ) -> ( \"::/0\", \"10.0.0.1\" )\n"
	    "listeners.b.address: tcp://[::]:7 -> udp://[::1]:8\n"
	    "listeners.b.v6only: false -> true\n");
	must_differ(new, new, "");
	config_unref(old);
	config_unref(new);
}
END_TEST

/* -T shows, and the check accepts, the keys that do something for the address. */
START_TEST(each_kind_has_its_keys)
{
	static const char stream[] = " connections idle_timeout lifetime byte_limit";
	static const char guards[] = " min_source_port rate_per_source burst_per_source rate_total "
				     "budget_per_source allow deny";
	static const struct {
		const char *address, *keys, *more;
	} rows[] = {
		{ "tcp://127.0.0.1:1", " backlog freebind nodelay dscp mss keepalive", stream },
		{ "tcp://*:1", " backlog v6only freebind nodelay dscp mss keepalive", stream },
		{ "udp://127.0.0.1:1", " freebind dscp", guards },
		{ "udp://[::1]:1", " v6only freebind dscp", guards },
		{ "udp://*:1", " v6only freebind dscp", guards },
		{ "unix:/x", " backlog mode group", stream },
		{ "unix:@x", " backlog", stream },
		{ "unixgram:/x", " mode group", " rate_total budget_per_source" },
		{ "unixgram:@x", "", " rate_total budget_per_source" },
	};
	const struct directive_table *table = directive_table(CONFIG_LISTENERS);

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char expected[512], found[512] = "";
		struct address address;
		const char *error;

		ck_assert_int_eq(address_parse(rows[i].address, &address, &error), 0);
		for (size_t j = 0; j < table->count; j++) {
			if (!directive_suits_address(&table->rows[j], &address))
				continue;
			strcat(found, " ");
			strcat(found, table->rows[j].key);
		}
		(void)snprintf(expected, sizeof(expected), " name address enabled%s%s",
		    rows[i].keys, rows[i].more);
		ck_assert_msg(strcmp(found, expected) == 0, "%s has%s", rows[i].address, found);
	}
}
END_TEST

Suite *
test_suite(void)
{
	Suite *suite = suite_create("config");
	TCase *tests = tcase_create("config");

	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, without_a_file);
	tcase_add_test(tests, tables);
	tcase_add_test(tests, values);
	tcase_add_test(tests, bad_files);
	tcase_add_test(tests, good_files);
	tcase_add_test(tests, packaged_file);
	tcase_add_test(tests, every_cut);
	tcase_add_test(tests, escapes);
	tcase_add_test(tests, origins);
	tcase_add_test(tests, included_files);
	tcase_add_test(tests, syntax);
	tcase_add_test(tests, one_message_each);
	tcase_add_test(tests, journal_needs_libsystemd);
	tcase_add_test(tests, unreadable_files);
	tcase_add_test(tests, reading);
	tcase_add_test(tests, differences);
	tcase_add_test(tests, what_waits);
	tcase_add_test(tests, long_lists);
	tcase_add_test(tests, long_lists_of_networks);
	tcase_add_test(tests, datagram_listeners);
	tcase_add_test(tests, changed_networks);
	tcase_add_test(tests, each_kind_has_its_keys);
	suite_add_tcase(suite, tests);
	return suite;
}
