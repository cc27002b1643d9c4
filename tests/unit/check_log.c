/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "base/log.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "suite.h"

#define LIMIT_NS (10 * NS_PER_S)

static char directory[64];
static char path[96], old_path[96];
static char content[1 << 19];
static struct error_list errors = ERROR_LIST_EMPTY;
static struct log_settings settings = { .level = LOG_LEVEL_INFO, .mode = 0640 };
static sem_t entered, release;

static void
setup(void)
{
	strcpy(directory, "/tmp/check_log.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/log", directory);
	snprintf(old_path, sizeof(old_path), "%s/log.1", directory);
	sem_init(&entered, 0, 0);
	sem_init(&release, 0, 0);
}

static void
teardown(void)
{
	log_close(NS_PER_S);
	unlink(path);
	unlink(old_path);
	rmdir(directory);
	error_list_done(&errors);
}

static void
open_file(void)
{
	settings.target = LOG_TARGET_FILE;
	settings.file = path;
	ck_assert_int_eq(log_open(&settings, &errors), 0);
}

static const char *
read_content(const char *file)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, content, sizeof(content) - 1);

	ck_assert_int_ge(n, 0);
	content[n] = '\0';
	if (fd >= 0)
		close(fd);
	return content;
}

static void
pause_a_little(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 5 * NS_PER_MS }, NULL);
}

static void
wait_for_text(const char *file, const char *text)
{
	int64_t until = clock_now_ns() + LIMIT_NS;

	while (strstr(read_content(file), text) == NULL) {
		ck_assert_msg(clock_now_ns() < until, "no \"%s\" in: %s", text, content);
		pause_a_little();
	}
}

static struct log_totals
totals(void)
{
	struct log_totals now;

	log_totals_read(&now);
	return now;
}

/* Make stderr a pipe, which holds some 600 of the long lines. Returns the end to read from. */
static int
pipe_stderr(void)
{
	int ends[2];

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	ck_assert_int_eq(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
	close(ends[1]);
	ck_assert_int_eq(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
	return ends[0];
}

/* Read into `content` until TEXT comes. */
static void
drain_until(int fd, const char *text)
{
	int64_t until = clock_now_ns() + LIMIT_NS;
	size_t used = 0;

	content[0] = '\0';
	while (strstr(content, text) == NULL) {
		ssize_t n = read(fd, content + used, sizeof(content) - 1 - used);

		ck_assert_msg(clock_now_ns() < until, "no \"%s\" in: %s", text, content);
		if (n > 0)
			used += (size_t)n;
		else
			pause_a_little();
		content[used] = '\0';
	}
}

static unsigned
count_text(const char *text)
{
	unsigned count = 0;

	for (const char *p = content; (p = strstr(p, text)) != NULL; p++)
		count++;
	return count;
}

/* A journal that keeps the log thread until it is released. */
static int
journal_stuck(const struct iovec *fields, int count)
{
	ck_assert_int_ge(count, 3);
	ck_assert_int_eq(strncmp(fields[0].iov_base, "MESSAGE=", 8), 0);
	sem_post(&entered);
	while (sem_wait(&release) < 0)
		;
	return 0;
}

static int
journal_refuses(const struct iovec *fields ATTR_UNUSED, int count ATTR_UNUSED)
{
	return -EAGAIN;
}

static int
journal_takes(const struct iovec *fields ATTR_UNUSED, int count ATTR_UNUSED)
{
	return 0;
}

START_TEST(closed_log_writes_to_stderr)
{
	int fd = pipe_stderr();

	ck_assert(log_enabled(LOG_LEVEL_INFO));
	ck_assert(!log_enabled(LOG_LEVEL_DEBUG));
	log_debug("unseen");
	log_warning("before %s", "open");
	drain_until(fd, "\n");
	ck_assert_ptr_nonnull(strstr(content, "Z warning before open\n"));
	ck_assert_ptr_null(strstr(content, "unseen"));
	open_file();
	log_info("in the file");
	log_close(LIMIT_NS);
	ck_assert_ptr_nonnull(strstr(read_content(path), "Z info in the file\n"));
	log_notice("after");
	drain_until(fd, "\n");
	ck_assert_ptr_nonnull(strstr(content, "Z notice after\n"));
	/* full, and nobody to make room: lost, not waited for */
	for (int i = 0; i < 2000; i++)
		log_notice("%0100d", i);
	ck_assert_uint_gt(totals().dropped, 0);
	ck_assert_int_lt(log_change(&settings, &errors), 0);
	ck_assert_int_eq(log_reopen(&errors), -EOPNOTSUPP);
}
END_TEST

START_TEST(fields_level_and_errno)
{
	struct log_field fields[] = { LOG_TEXT("peer", "a\nb c"), LOG_NUMBER("connection", 3) };

	settings.format = LOG_FORMAT_JSON;
	open_file();
	errno = ENOENT;
	log_fields(LOG_LEVEL_ERROR, fields, 2, "failed: %m");
	ck_assert_int_eq(errno, ENOENT);
	log_set_level(LOG_LEVEL_ERROR);
	log_warning("unseen");
	log_set_level(LOG_LEVEL_DEBUG);
	log_debug("seen");
	log_close(LIMIT_NS);
	read_content(path);
	ck_assert_ptr_nonnull(
	    strstr(content, "\"level\":\"error\",\"message\":\"failed: No such file or directory\","
			    "\"peer\":\"a\\\\x0ab c\",\"connection\":3}\n"));
	ck_assert_ptr_nonnull(strstr(content, "\"level\":\"debug\",\"message\":\"seen\"}\n"));
	ck_assert_ptr_null(strstr(content, "unseen"));
	ck_assert_uint_eq(totals().written, 2);
	ck_assert_uint_eq(totals().dropped, 0);
	ck_assert_uint_eq(totals().suppressed, 0);
}
END_TEST

/* The messages that a journal took, one a line; it takes one for each post of `release`. */
static char taken[1 << 16];

static int
journal_takes_one(const struct iovec *fields, int count ATTR_UNUSED)
{
	size_t used = strlen(taken);

	sem_post(&entered);
	while (sem_wait(&release) < 0)
		;
	snprintf(taken + used, sizeof(taken) - used, "%.*s\n", (int)fields[0].iov_len - 8,
	    (const char *)fields[0].iov_base + 8);
	return 0;
}

START_TEST(queue_is_bounded_and_remembers_the_gap)
{
	enum { LINES = 1024 };

	settings.target = LOG_TARGET_JOURNAL;
	settings.journal_send = journal_takes_one;
	ck_assert_int_eq(log_open(&settings, &errors), 0);
	log_info("line 0");
	sem_wait(&entered);
	/* the thread has one in hand: the queue takes so many, and two are lost */
	for (int i = 1; i <= LINES + 2; i++)
		log_info("line %d", i);
	ck_assert_uint_eq(totals().dropped, 2);
	sem_post(&release);
	sem_wait(&entered);
	log_info("after the gap");
	ck_assert_uint_eq(totals().dropped, 2);
	for (int i = 0; i < LINES + 2; i++)
		sem_post(&release);
	log_close(LIMIT_NS);
	for (int i = 0; i <= LINES; i++) {
		char line[32];

		snprintf(line, sizeof(line), "line %d\n", i);
		ck_assert_ptr_nonnull(strstr(taken, line));
	}
	ck_assert_ptr_nonnull(strstr(taken,
	    "line 1024\n"
	    "dropped 2 lines: the log target was slow, full or gone, or memory short\n"
	    "after the gap\n"));
	ck_assert_uint_eq(totals().written, LINES + 3);
	ck_assert_uint_eq(totals().dropped, 2);
}
END_TEST

START_TEST(rate_limit_reports_without_a_later_line)
{
	settings.rate_limit = 5;
	open_file();
	for (int i = 0; i < 20; i++)
		log_info("line %d", i);
	/* the limit is for ordinary lines */
	log_notice("important");
	ck_assert_uint_eq(totals().suppressed, 15);
	wait_for_text(path, " notice important\n");
	wait_for_text(path, " warning suppressed 15 lines over log.rate_limit\n");
	ck_assert_uint_eq(count_text("info line"), 5);
	/* the next second: the summary stands before its first line, or comes at the end */
	for (int i = 0; i < 6; i++)
		log_info("more %d", i);
	log_close(LIMIT_NS);
	read_content(path);
	ck_assert_uint_eq(count_text("info more"), 5);
	ck_assert_ptr_nonnull(strstr(content, "more 4\n"));
	ck_assert_ptr_nonnull(strstr(content, "suppressed 1 lines over log.rate_limit\n"));
	ck_assert_uint_eq(totals().suppressed, 16);
	ck_assert_uint_eq(totals().written, 13);
}
END_TEST

/* Add up what the summaries say. */
static unsigned long
sum_dropped(void)
{
	static const char text[] = "<4>dropped ";
	unsigned long sum = 0;

	for (const char *p = content; (p = strstr(p, text)) != NULL; p++)
		sum += strtoul(p + strlen(text), NULL, 10);
	return sum;
}

START_TEST(slow_reader_costs_lines_and_no_time)
{
	int64_t begin, until;
	size_t used = 0;
	int fd = pipe_stderr();

	settings.stderr_priority = true;
	ck_assert_int_eq(log_open(&settings, &errors), 0);
	begin = clock_now_ns();
	for (int i = 0; i < 5000; i++)
		log_info("line %0100d", i);
	ck_assert_int_lt(clock_now_ns() - begin, 5 * NS_PER_S);
	ck_assert_uint_gt(totals().dropped, 3000);
	/* with a reader, and with no later line, each line is there or in a summary */
	until = clock_now_ns() + LIMIT_NS;
	while (count_text("<6>line ") + sum_dropped() < 5000 || content[used - 1] != '\n') {
		ssize_t n = read(fd, content + used, sizeof(content) - 1 - used);

		ck_assert_msg(clock_now_ns() < until, "%u lines and %lu dropped",
		    count_text("<6>line "), sum_dropped());
		used += n > 0 ? (size_t)n : 0;
		content[used] = '\0';
		if (n <= 0)
			pause_a_little();
	}
	ck_assert_uint_eq(count_text("<6>line ") + sum_dropped(), 5000);
	ck_assert_uint_eq(sum_dropped(), totals().dropped);
	ck_assert_ptr_nonnull(
	    strstr(content, " lines: the log target was slow, full or gone, or memory short\n"));
	log_info("the end");
	drain_until(fd, "<6>the end\n");
}
END_TEST

START_TEST(close_does_not_wait_for_a_stopped_reader)
{
	int64_t begin;

	(void)pipe_stderr();
	ck_assert_int_eq(log_open(&settings, &errors), 0);
	for (int i = 0; i < 1000; i++)
		log_info("line %0100d", i);
	begin = clock_now_ns();
	log_close(100 * NS_PER_MS);
	ck_assert_int_lt(clock_now_ns() - begin, 2 * NS_PER_S);
	ck_assert_uint_eq(totals().written + totals().dropped, 1000);
}
END_TEST

START_TEST(change_leaves_a_stopped_reader)
{
	(void)pipe_stderr();
	ck_assert_int_eq(log_open(&settings, &errors), 0);
	for (int i = 0; i < 1000; i++)
		log_info("line %0100d", i);
	settings.target = LOG_TARGET_FILE;
	settings.file = path;
	ck_assert_int_eq(log_change(&settings, &errors), 0);
	wait_for_text(path, "00999\n");
	log_close(LIMIT_NS);
	ck_assert_uint_eq(totals().dropped, 0);
	ck_assert_uint_eq(totals().written, 1000);
}
END_TEST

START_TEST(close_leaves_a_stuck_thread_behind)
{
	settings.target = LOG_TARGET_JOURNAL;
	settings.journal_send = journal_stuck;
	ck_assert_int_eq(log_open(&settings, &errors), 0);
	log_info("in hand");
	sem_wait(&entered);
	log_info("queued");
	log_close(50 * NS_PER_MS);
	ck_assert_uint_eq(totals().written, 0);
	ck_assert_uint_eq(totals().dropped, 1);
	if (_i == 0)
		return; /* exit while the thread is still in there */
	open_file();
	log_info("for the file");
	ck_assert_int_eq(log_reopen(&errors), 0); /* never seen by the thread, closed by us */
	if (_i == 1)
		sem_post(&release);
	else
		log_close(0);
	if (_i == 1)
		wait_for_text(path, "for the file\n");
}
END_TEST

/* Make stderr a target that refuses every line. */
static void
break_stderr(void)
{
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

	ck_assert_int_eq(dup2(fd, STDERR_FILENO), STDERR_FILENO);
	close(fd);
}

START_TEST(journal_that_cannot_be_had_is_told_once)
{
	int fd = pipe_stderr();

	settings.target = LOG_TARGET_JOURNAL;
	settings.journal_send = journal_refuses;
	settings.format = LOG_FORMAT_JSON;
	ck_assert_int_eq(log_open(&settings, &errors), 0);
	for (int i = 0; i < 10; i++)
		log_info("line");
	log_info("last");
	drain_until(fd, "\"message\":\"last\"}\n");
	ck_assert_uint_eq(count_text("\"message\":\"line\"}\n"), 10);
	ck_assert_uint_eq(
	    count_text("\"level\":\"error\",\"message\":\"log.target: the journal cannot be had: "
		       "Resource temporarily unavailable: lines go to standard error until it "
		       "can\"}\n"),
	    1);
	settings.journal_send = journal_takes;
	ck_assert_int_eq(log_change(&settings, &errors), 0);
	log_info("for the journal");
	log_close(LIMIT_NS);
	log_notice("after");
	drain_until(fd, "after\n");
	ck_assert_ptr_null(strstr(content, "for the journal"));
	ck_assert_uint_eq(totals().dropped, 0);
}
END_TEST

START_TEST(target_that_is_missing_is_told_before_the_first_line)
{
	int fd = pipe_stderr();

	settings.target = LOG_TARGET_JOURNAL;
	settings.journal_send = journal_takes;
	settings.journal_socket = "/nowhere";
	settings.level = LOG_LEVEL_ERROR;
	ck_assert_int_eq(log_open(&settings, &errors), 0);
	drain_until(fd, "the journal cannot be had: No such file or directory");
}
END_TEST

START_TEST(errors_cost_the_line)
{
	break_stderr();
	settings.target = LOG_TARGET_JOURNAL;
	settings.journal_send = journal_refuses;
	ck_assert_int_eq(log_open(&settings, &errors), 0);
	for (int i = 0; i < 10; i++)
		log_info("lost");
	while (totals().dropped < 10)
		pause_a_little();
	settings.target = LOG_TARGET_FILE;
	settings.file = path;
	ck_assert_int_eq(log_change(&settings, &errors), 0);
	/* a target that works again owes the summary even if no line comes */
	wait_for_text(
	    path, "dropped 10 lines: the log target was slow, full or gone, or memory short\n");
}
END_TEST

static int
count_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int count = 0;

	ck_assert_ptr_nonnull(dir);
	while (readdir(dir) != NULL)
		count++;
	closedir(dir);
	return count;
}

START_TEST(reopen_follows_rotation)
{
	int descriptors;

	open_file();
	log_info("first");
	wait_for_text(path, "first\n");
	descriptors = count_descriptors();
	ck_assert_int_eq(rename(path, old_path), 0);
	log_info("second");
	wait_for_text(old_path, "second\n");
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(log_reopen(&errors), 0);
	log_info("third");
	wait_for_text(path, "third\n");
	ck_assert_ptr_null(strstr(read_content(path), "second"));
	ck_assert_ptr_null(strstr(read_content(old_path), "third"));
	ck_assert_int_eq(count_descriptors(), descriptors);
	log_close(LIMIT_NS);
	ck_assert_int_eq(count_descriptors(), descriptors - 1);
}
END_TEST

START_TEST(bad_change_leaves_the_old_target)
{
	struct log_settings bad = settings;
	char missing[96], expected[160];

	snprintf(missing, sizeof(missing), "%s/missing/log", directory);
	snprintf(
	    expected, sizeof(expected), "log file %s: open: No such file or directory", missing);
	open_file();
	bad.target = LOG_TARGET_FILE;
	bad.file = missing;
	bad.level = LOG_LEVEL_ERROR;
	ck_assert_int_eq(log_change(&bad, &errors), -ENOENT);
	ck_assert_str_eq(error_list_first(&errors), expected);
	ck_assert(log_enabled(LOG_LEVEL_INFO));
	log_info("still here");
	wait_for_text(path, "still here\n");
	ck_assert_int_eq(rename(path, old_path), 0);
	ck_assert_int_eq(symlink("log.2", path), 0);
	ck_assert_int_lt(log_reopen(&errors), 0);
	ck_assert_uint_eq(error_list_count(&errors), 2);
	log_info("and still");
	wait_for_text(old_path, "and still\n");
}
END_TEST

static void *
writer_main(void *name)
{
	for (int i = 0; i < 1000; i++) {
		log_fields(LOG_LEVEL_INFO, (struct log_field[]){ LOG_NUMBER("n", i) }, 1, "%s",
		    (const char *)name);
		if (i % 100 == 0)
			pause_a_little();
	}
	return NULL;
}

START_TEST(many_writers)
{
	static char names[4][8] = { "w-one", "w-two", "w-three", "w-four" };
	struct log_totals now;
	pthread_t threads[4];

	open_file();
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, writer_main, names[i]), 0);
	for (int i = 0; i < 20; i++) {
		settings.level = i % 2 == 0 ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO;
		ck_assert_int_eq(log_change(&settings, &errors), 0);
		ck_assert_int_eq(log_reopen(&errors), 0);
		pause_a_little();
	}
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	log_close(LIMIT_NS);
	now = totals();
	read_content(path);
	ck_assert_uint_eq(count_text(" info w-"), 4000 - now.dropped);
	ck_assert_uint_eq(count_text("\n"), now.written);
}
END_TEST

Suite *
test_suite(void)
{
	Suite *suite = suite_create("log");
	TCase *tcase = tcase_create("log");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, closed_log_writes_to_stderr);
	tcase_add_test(tcase, fields_level_and_errno);
	tcase_add_test(tcase, queue_is_bounded_and_remembers_the_gap);
	tcase_add_test(tcase, rate_limit_reports_without_a_later_line);
	tcase_add_test(tcase, slow_reader_costs_lines_and_no_time);
	tcase_add_test(tcase, close_does_not_wait_for_a_stopped_reader);
	tcase_add_test(tcase, change_leaves_a_stopped_reader);
	tcase_add_loop_test(tcase, close_leaves_a_stuck_thread_behind, 0, 3);
	tcase_add_test(tcase, journal_that_cannot_be_had_is_told_once);
	tcase_add_test(tcase, target_that_is_missing_is_told_before_the_first_line);
	tcase_add_test(tcase, errors_cost_the_line);
	tcase_add_test(tcase, reopen_follows_rotation);
	tcase_add_test(tcase, bad_change_leaves_the_old_target);
	tcase_add_test(tcase, many_writers);
	suite_add_tcase(suite, tcase);
	return suite;
}
