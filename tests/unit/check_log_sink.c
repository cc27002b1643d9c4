/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "base/log_sink.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "suite.h"

static char directory[64];
static char path[128];
static char content[1 << 17];
static struct error_list errors = ERROR_LIST_EMPTY;
static atomic_bool interrupt;

static void
setup(void)
{
	strcpy(directory, "/tmp/check_log_sink.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/log", directory);
}

static void
teardown(void)
{
	unlink(path);
	rmdir(directory);
	error_list_done(&errors);
}

static int sink_say(struct log_sink *sink, const char *format, ...) ATTR_PRINTF(2, 3);

static int
sink_say(struct log_sink *sink, const char *format, ...)
{
	struct log_record *record;
	va_list ap;
	int r;

	va_start(ap, format);
	record = log_record_new(LOG_LEVEL_NOTICE, 0, LOG_HERE, NULL, 0, format, ap);
	va_end(ap);
	r = record == NULL ? -ENOMEM : log_sink_write(sink, record, &interrupt);
	log_record_free(record);
	return r;
}

static int
sink_open_file(const char *file, struct log_sink *ret_sink)
{
	struct log_settings settings = { .target = LOG_TARGET_FILE, .file = file, .mode = 0640 };

	return log_sink_open(&settings, &errors, ret_sink);
}

static const char *
read_content(const char *file)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	ck_assert_int_ge(fd, 0);
	n = read(fd, content, sizeof(content) - 1);
	ck_assert_int_ge(n, 0);
	content[n] = '\0';
	close(fd);
	return content;
}

START_TEST(file_is_made_for_us_alone)
{
	struct log_sink sink;
	struct stat st;

	umask(0);
	ck_assert_int_eq(sink_open_file(path, &sink), 0);
	ck_assert_int_eq(fcntl(sink.fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	ck_assert_int_eq(fstat(sink.fd, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0640);
	ck_assert_int_eq(sink_say(&sink, "one"), 0);
	log_sink_close(&sink);
	ck_assert_int_eq(sink_open_file(path, &sink), 0);
	ck_assert_int_eq(sink_say(&sink, "two"), 0);
	log_sink_close(&sink);
	ck_assert_str_eq(read_content(path),
	    "1970-01-01T00:00:00.000Z notice one\n1970-01-01T00:00:00.000Z notice two\n");
}
END_TEST

/* Open PATH and expect one error line that ends with TEXT and names the path. */
static void
expect_refused(const char *text)
{
	struct log_sink sink = { .fd = -7 };
	char expected[256];

	ck_assert_int_lt(sink_open_file(path, &sink), 0);
	ck_assert_int_eq(sink.fd, -7);
	ck_assert_uint_eq(error_list_count(&errors), 1);
	snprintf(expected, sizeof(expected), "log file %s: %s", path, text);
	ck_assert_str_eq(error_list_first(&errors), expected);
	error_list_done(&errors);
}

START_TEST(wrong_files_are_refused)
{
	char other[160];
	struct stat st;
	int fd;

	snprintf(other, sizeof(other), "%s.other", path);
	ck_assert_int_eq(symlink(other, path), 0);
	expect_refused("is a symbolic link, which is not followed");
	ck_assert_int_eq(stat(other, &st), -1);
	unlink(path);

	ck_assert_int_eq(mkfifo(path, 0600), 0);
	expect_refused("is not a regular file");
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	expect_refused("is not a regular file");
	close(fd);
	unlink(path);

	fd = open(other, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	close(fd);
	ck_assert_int_eq(link(other, path), 0);
	expect_refused("has more than one hard link");
	ck_assert_int_eq(stat(other, &st), 0);
	ck_assert_int_eq(st.st_size, 0);
	unlink(other);
	if (geteuid() == 0) {
		ck_assert_int_eq(chown(path, 12345, (gid_t)-1), 0);
		expect_refused("belongs to another user");
	}
	unlink(path);

	ck_assert_int_eq(mkdir(path, 0700), 0);
	expect_refused("open: Is a directory");
	rmdir(path);

	snprintf(path, sizeof(path), "%s/no\nwhere/log", directory);
	ck_assert_int_eq(sink_open_file(path, &(struct log_sink){ 0 }), -ENOENT);
	ck_assert_ptr_nonnull(
	    strstr(error_list_first(&errors), "/no\\x0awhere/log: open: No such"));
	error_list_done(&errors);
	ck_assert_int_eq(sink_open_file("relative", &(struct log_sink){ 0 }), -EINVAL);
}
END_TEST

START_TEST(journal_needs_its_function)
{
	struct log_settings settings = { .target = LOG_TARGET_JOURNAL };

	ck_assert_int_eq(log_sink_open(&settings, &errors, &(struct log_sink){ 0 }), -EOPNOTSUPP);
	ck_assert_uint_eq(error_list_count(&errors), 1);
}
END_TEST

/* Count the lines of the file; each but the torn ones must be whole. */
static int
count_lines(const char *file, int torn)
{
	static const char head[] = "1970-01-01T00:00:00.000Z notice line ";
	char *state, *line;
	int count = 0;

	read_content(file);
	ck_assert_ptr_null(strstr(content, "\n\n"));
	for (line = strtok_r(content, "\n", &state); line != NULL;
	     line = strtok_r(NULL, "\n", &state)) {
		if (strncmp(line, head, strlen(head)) == 0 &&
		    strlen(line) == strlen(head) + 6 + 1 + 50)
			count++;
		else
			torn--;
	}
	ck_assert_int_eq(torn, 0);
	return count;
}

static int
say_numbered(struct log_sink *sink, int number)
{
	return sink_say(sink, "line %06d %050d", number, 0);
}

START_TEST(size_limit_tears_one_line_only)
{
	struct rlimit limit = { .rlim_cur = 1000, .rlim_max = RLIM_INFINITY };
	struct log_sink sink;
	int good = 0, first, later = 0;
	bool torn;

	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(sink_open_file(path, &sink), 0);
	/* no ck_assert() under the limit: each one writes to a file of Check */
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	while ((first = say_numbered(&sink, good)) == 0 && good < 1000)
		good++;
	torn = sink.torn;
	for (int i = 0; i < 5; i++)
		later += say_numbered(&sink, i);
	limit.rlim_cur = RLIM_INFINITY;
	setrlimit(RLIMIT_FSIZE, &limit);
	ck_assert_int_eq(good, 10);
	ck_assert_int_eq(first, -EFBIG);
	ck_assert_int_eq(later, -5 * EFBIG);
	ck_assert(torn);
	ck_assert_int_eq(say_numbered(&sink, good), 0);
	ck_assert_int_eq(say_numbered(&sink, good), 0);
	log_sink_close(&sink);
	ck_assert_int_eq(count_lines(path, 1), good + 2);
}
END_TEST

/* A mount namespace of our own, where we may have one. */
static bool
mount_private(const char *where)
{
	return unshare(CLONE_NEWNS) == 0 &&
	       mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("tmpfs", where, "tmpfs", 0, "size=64k") == 0;
}

START_TEST(full_disk_tears_one_line_only)
{
	char filler[128];
	struct log_sink sink, again;
	int fd, good = 0, r = 0;

	if (!mount_private(directory))
		return; /* not root */
	snprintf(filler, sizeof(filler), "%s/filler", directory);
	fd = open(filler, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	for (int i = 0; i < 8; i++)
		ck_assert_int_eq(write(fd, content, 4096), 4096);
	close(fd);
	ck_assert_int_eq(sink_open_file(path, &sink), 0);
	while (good < 10000 && (r = say_numbered(&sink, good)) == 0)
		good++;
	ck_assert_int_eq(r, -ENOSPC);
	ck_assert_int_gt(good, 0);
	ck_assert(sink.torn);
	ck_assert_int_eq(say_numbered(&sink, good), -ENOSPC);
	ck_assert_int_eq(unlink(filler), 0);
	/* what is torn is known to the one who goes on in the same file */
	ck_assert_int_eq(sink_open_file(path, &again), 0);
	log_sink_follow(&again, &sink);
	log_sink_close(&sink);
	ck_assert_int_eq(say_numbered(&again, good), 0);
	ck_assert_int_eq(say_numbered(&again, good), 0);
	log_sink_close(&again);
	ck_assert_int_eq(count_lines(path, 1), good + 2);
	umount2(directory, MNT_DETACH);
}
END_TEST

START_TEST(one_record_is_one_write)
{
	struct log_sink sink;
	struct log_settings settings = { .stderr_priority = true, .format = LOG_FORMAT_JSON };
	int ends[2];
	ssize_t n;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	ck_assert_int_eq(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
	ck_assert_int_eq(log_sink_open(&settings, &errors, &sink), 0);
	ck_assert_int_eq(sink_say(&sink, "one"), 0);
	ck_assert_int_eq(sink_say(&sink, "two"), 0);
	n = recv(ends[0], content, sizeof(content) - 1, 0);
	ck_assert_int_gt(n, 0);
	content[n] = '\0';
	ck_assert_str_eq(content, "<5>{\"time\":\"1970-01-01T00:00:00.000Z\",\"level\":\"notice\","
				  "\"message\":\"one\"}\n");
	log_sink_close(&sink);
	ck_assert_int_ge(fcntl(STDERR_FILENO, F_GETFD), 0);
	/* a reader that is gone costs the line */
	close(ends[0]);
	signal(SIGPIPE, SIG_IGN);
	ck_assert_int_lt(sink_say(&sink, "three"), 0);
}
END_TEST

/* A pipe that another process made non-blocking and nobody reads: interrupted, never lost. */
START_TEST(interrupt_ends_the_wait)
{
	struct log_sink sink = LOG_SINK_STDERR;
	int ends[2], r = 0;

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	ck_assert_int_eq(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
	atomic_store(&interrupt, true);
	for (int i = 0; i < 100000 && r == 0; i++)
		r = say_numbered(&sink, i);
	ck_assert_int_eq(r, -ECANCELED);
	ck_assert_int_gt(read(ends[0], content, 8192), 0);
	ck_assert_int_eq(say_numbered(&sink, 1), 0);
}
END_TEST

/* As syslogd sees it: PRI of facility daemon, our name and process, no time and level of ours. */
START_TEST(syslog_gets_lines)
{
	struct log_settings settings = { .target = LOG_TARGET_SYSLOG };
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "/dev/log" };
	struct log_sink sink;
	char tail[64];
	ssize_t n;
	int fd;

	if (!mount_private("/dev"))
		return; /* not root */
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(log_sink_open(&settings, &errors, &sink), 0);
	ck_assert_int_eq(sink_say(&sink, "hello %%s\n"), 0);
	n = recv(fd, content, sizeof(content) - 1, MSG_DONTWAIT);
	ck_assert_int_gt(n, 0);
	content[n] = '\0';
	ck_assert_int_eq(strncmp(content, "<29>", 4), 0);
	snprintf(tail, sizeof(tail), " echod[%d]: hello %%s\\x0a", (int)getpid());
	ck_assert_ptr_nonnull(strstr(content, tail));
	log_sink_close(&sink);
	close(fd);
}
END_TEST

Suite *
test_suite(void)
{
	Suite *suite = suite_create("log_sink");
	TCase *tcase = tcase_create("log_sink");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 20);
	tcase_add_test(tcase, file_is_made_for_us_alone);
	tcase_add_test(tcase, wrong_files_are_refused);
	tcase_add_test(tcase, journal_needs_its_function);
	tcase_add_test(tcase, size_limit_tears_one_line_only);
	tcase_add_test(tcase, full_disk_tears_one_line_only);
	tcase_add_test(tcase, one_record_is_one_write);
	tcase_add_test(tcase, interrupt_ends_the_wait);
	tcase_add_test(tcase, syslog_gets_lines);
	suite_add_tcase(suite, tcase);
	return suite;
}
