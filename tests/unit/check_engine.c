/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rooms around the connections: loop, sampling, inherited sockets, socket files, plans,
 * admission.
 */
#include <config.h>

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/distribution.h"
#include "base/socket_file.h"
#include "engine/engine.h"
#include "engine/listen_socket.h"
#include "suite.h"

#define POSTS 20000

/* --- loop --- */

struct totals {
	struct loop *loop;
	unsigned next[4]; /* what each poster's next number has to be */
	unsigned total;
};

struct note {
	struct post post;
	struct totals *totals;
	unsigned poster;
	unsigned number;
};

static struct note notes[4][POSTS];

static void
take_note(void *arg)
{
	struct note *note = arg;
	struct totals *totals = note->totals;

	ck_assert_uint_eq(note->number, totals->next[note->poster]);
	totals->next[note->poster]++;
	if (++totals->total == 4 * POSTS)
		loop_stop(totals->loop);
}

static void *
post_notes(void *arg)
{
	struct note *first = arg;

	for (unsigned i = 0; i < POSTS; i++)
		loop_post(first->totals->loop, &first[i].post, take_note, &first[i]);
	return NULL;
}

START_TEST(posts_arrive_once_and_in_order)
{
	struct totals totals = { .loop = loop_new() };
	pthread_t threads[4];

	ck_assert_ptr_nonnull(totals.loop);
	for (unsigned p = 0; p < 4; p++) {
		for (unsigned i = 0; i < POSTS; i++)
			notes[p][i] = (struct note){ .totals = &totals, .poster = p, .number = i };
		ck_assert_int_eq(pthread_create(&threads[p], NULL, post_notes, notes[p]), 0);
	}
	ck_assert_int_eq(loop_run(totals.loop), 0);
	for (unsigned p = 0; p < 4; p++) {
		pthread_join(threads[p], NULL);
		ck_assert_uint_eq(totals.next[p], POSTS);
	}
	/* what is never run does not matter */
	loop_post(totals.loop, &notes[0][0].post, take_note, &notes[0][0]);
	loop_free(totals.loop);
}
END_TEST

/* --- sampling --- */

START_TEST(first_of_a_tick_are_measured_then_some)
{
	struct sampling sampling = { 0 };

	for (int64_t tick_ns = 4; tick_ns < 40; tick_ns += 4) {
		unsigned measured = 0;

		for (int i = 0; i < SAMPLING_FIRST; i++)
			ck_assert(sampling_take(&sampling, tick_ns));
		for (int i = 0; i < 100 * SAMPLING_INTERVAL; i++)
			measured += sampling_take(&sampling, tick_ns);
		ck_assert_uint_eq(measured, 100);
	}
	for (int64_t tick_ns = 40; tick_ns < 400; tick_ns++)
		ck_assert(sampling_take(&sampling, tick_ns));
}
END_TEST

/* --- inheritance --- */

static struct inheritance
inherit(int fd, const char *name)
{
	struct inheritance inheritance = { calloc(1, sizeof(struct inherited_socket)), 1 };

	inheritance.sockets[0].fd = fd;
	inheritance.sockets[0].name = strdup(name);
	return inheritance;
}

static int
listen_loopback(int type)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, type, 0);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	if (type == SOCK_STREAM)
		ck_assert_int_eq(listen(fd, 1), 0);
	return fd;
}

START_TEST(unfit_descriptors_are_refused_by_number_and_name)
{
	struct {
		int fd;
		const char *says;
	} rows[] = {
		{ socket(AF_INET, SOCK_DGRAM, 0), "is not bound" },
		{ socket(AF_UNIX, SOCK_DGRAM, 0), "is not bound" },
		{ open("/dev/null", O_RDONLY), "is not a socket" },
		{ socket(AF_INET, SOCK_STREAM, 0), "does not listen" },
		{ socket(AF_NETLINK, SOCK_RAW, 0), "of a family" },
		{ socket(AF_UNIX, SOCK_SEQPACKET, 0), "is no stream and no datagram socket" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct inheritance inheritance = inherit(rows[i].fd, "web");
		struct error_list errors = ERROR_LIST_EMPTY;
		char number[48];

		ck_assert_int_ge(rows[i].fd, 0);
		ck_assert_int_eq(inheritance_check(&inheritance, &errors), -EINVAL);
		ck_assert_ptr_nonnull(strstr(error_list_first(&errors), rows[i].says));
		(void)snprintf(number, sizeof(number), "descriptor %d (name \"web\")", rows[i].fd);
		ck_assert_ptr_nonnull(strstr(error_list_first(&errors), number));
		error_list_done(&errors);
		inheritance_done(&inheritance, false);
	}
}
END_TEST

START_TEST(inherited_datagrams_are_for_datagram_listeners)
{
	struct listener_config cfg = { .name = (char *)"echo" };
	int fd = listen_loopback(SOCK_DGRAM);
	struct inheritance inheritance = inherit(fd, "echo");
	struct error_list errors = ERROR_LIST_EMPTY;

	ck_assert_int_eq(inheritance_check(&inheritance, &errors), 0);
	cfg.address = inheritance.sockets[0].address;
	cfg.address.transport = ADDRESS_TCP;
	ck_assert_int_eq(inheritance_take(&inheritance, &cfg, &errors), -EPROTOTYPE);
	error_list_done(&errors);
	cfg.address.transport = ADDRESS_UDP;
	ck_assert_int_eq(inheritance_take(&inheritance, &cfg, &errors), fd);
	inheritance.sockets[0].fd = fd;
	inheritance_done(&inheritance, false);
}
END_TEST

START_TEST(inherited_sockets_match_by_name_then_address)
{
	struct listener_config cfg = { .name = (char *)"echo" };
	int fd = listen_loopback(SOCK_STREAM);
	struct inheritance inheritance = inherit(fd, "echo");
	struct error_list errors = ERROR_LIST_EMPTY;

	ck_assert_int_eq(inheritance_check(&inheritance, &errors), 0);
	cfg.address = inheritance.sockets[0].address;
	cfg.name = (char *)"other";
	ck_assert_int_eq(inheritance_take(&inheritance, &cfg, &errors), fd);
	ck_assert_int_eq(inheritance_take(&inheritance, &cfg, &errors), -ENOENT);
	inheritance.sockets[0].fd = fd;
	cfg.address.u.in.sin_port ^= 1;
	ck_assert_int_eq(inheritance_take(&inheritance, &cfg, &errors), -ENOENT);
	cfg.name = (char *)"echo";
	ck_assert_int_eq(inheritance_take(&inheritance, &cfg, &errors), fd);
	ck_assert_int_eq(inheritance_take(NULL, &cfg, &errors), -ENOENT);
	close(fd);
	inheritance_done(&inheritance, false);
}
END_TEST

/* --- socket files --- */

static char folder[] = "/tmp/check_engine.XXXXXX";

static struct address
path_address(const char *name)
{
	char text[128];
	struct address address;
	const char *error;

	(void)snprintf(text, sizeof(text), "unix:%s/%s", folder, name);
	ck_assert_int_eq(address_parse(text, &address, &error), 0);
	return address;
}

static int
bind_path(const struct address *address, struct socket_file *file)
{
	struct error_list errors = ERROR_LIST_EMPTY;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	int r = socket_file_bind(fd, address, NULL, "test", file, &errors);

	ck_assert_uint_eq(error_list_count(&errors), r < 0 ? 1 : 0);
	error_list_done(&errors);
	if (r < 0) {
		close(fd);
		return r;
	}
	ck_assert_int_eq(listen(fd, 1), 0);
	return fd;
}

START_TEST(socket_files_are_claimed_and_removed)
{
	struct socket_file one = SOCKET_FILE_NONE, two = SOCKET_FILE_NONE;
	struct address address;
	struct stat st;
	int fd, other;

	ck_assert_ptr_nonnull(mkdtemp(folder));
	address = path_address("sock");

	/* a file without a listener behind it is replaced */
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	ck_assert_int_eq(bind(fd, &address.u.sa, address.length), 0);
	close(fd);
	fd = bind_path(&address, &one);
	ck_assert_int_ge(fd, 0);

	/* while it is served nobody else gets it */
	ck_assert_int_eq(bind_path(&address, &two), -EADDRINUSE);

	/* nor by a program that knows nothing of the lock */
	ck_assert_int_eq(flock(one.lock_fd, LOCK_UN), 0);
	ck_assert_int_eq(bind_path(&address, &two), -EADDRINUSE);

	/* a file that somebody else put there is not ours to remove */
	ck_assert_int_eq(unlink(address.u.un.sun_path), 0);
	other = socket(AF_UNIX, SOCK_STREAM, 0);
	ck_assert_int_eq(bind(other, &address.u.sa, address.length), 0);
	socket_file_remove(&one);
	ck_assert_int_eq(lstat(address.u.un.sun_path, &st), 0);
	close(fd);
	close(other);

	/* our own is removed, and the lock with it */
	fd = bind_path(&address, &two);
	ck_assert_int_ge(fd, 0);
	socket_file_remove(&two);
	close(fd);
	ck_assert_int_lt(lstat(address.u.un.sun_path, &st), 0);
	ck_assert_int_eq(rmdir(folder), 0);
}
END_TEST

START_TEST(what_is_no_socket_is_left_alone)
{
	struct socket_file file = SOCKET_FILE_NONE;
	struct address address;
	char target[128];
	struct stat st;
	int fd;

	ck_assert_ptr_nonnull(mkdtemp(folder));
	address = path_address("sock");
	(void)snprintf(target, sizeof(target), "%s/target", folder);

	fd = open(address.u.un.sun_path, O_CREAT | O_WRONLY, 0600);
	ck_assert_int_eq(write(fd, "mine", 4), 4);
	close(fd);
	ck_assert_int_eq(bind_path(&address, &file), -EEXIST);
	ck_assert_int_eq(lstat(address.u.un.sun_path, &st), 0);
	ck_assert_int_eq(st.st_size, 4);

	ck_assert_int_eq(rename(address.u.un.sun_path, target), 0);
	ck_assert_int_eq(symlink(target, address.u.un.sun_path), 0);
	ck_assert_int_eq(bind_path(&address, &file), -EEXIST);
	ck_assert_int_eq(lstat(address.u.un.sun_path, &st), 0);
	ck_assert(S_ISLNK(st.st_mode));

	ck_assert_int_eq(unlink(address.u.un.sun_path), 0);
	ck_assert_int_eq(unlink(target), 0);
	ck_assert_int_eq(rmdir(folder), 0);
}
END_TEST

/* --- plans --- */

static struct config *
config_on(const char *address, const char *second)
{
	struct config *cfg = config_new_default();
	const char *texts[] = { address, second };

	ck_assert_ptr_nonnull(cfg);
	ck_assert_uint_eq(cfg->listener_count, 2);
	cfg->workers = 2;
	for (size_t i = 0; i < 2; i++) {
		const char *error;

		cfg->listeners[i].enabled = texts[i] != NULL;
		if (texts[i] != NULL)
			ck_assert_int_eq(
			    address_parse(texts[i], &cfg->listeners[i].address, &error), 0);
	}
	return cfg;
}

START_TEST(a_plan_that_fails_changes_nothing)
{
	struct error_list errors = ERROR_LIST_EMPTY;
	struct loop *loop = loop_new();
	struct config *good = config_on("tcp://127.0.0.1:0", NULL), *bad;
	struct engine *engine = engine_new(loop, good, &errors);
	char taken[ADDRESS_TEXT_MAX];
	struct address address;
	int fd = listen_loopback(SOCK_STREAM), kept;

	ck_assert_ptr_nonnull(engine);
	ck_assert_int_eq(plan_apply(engine, good, NULL, 0, &errors), 0);
	kept = TAILQ_FIRST(&engine->acceptor.listeners)->socket.fd;

	/* the first listener is a good new one, the second cannot be bound */
	ck_assert_int_eq(address_of_socket(fd, &address), 0);
	bad = config_on("tcp://127.0.0.2:0", address_format(&address, taken, sizeof(taken)));
	bad->limits.connections = 5;
	ck_assert_int_eq(plan_apply(engine, bad, NULL, 0, &errors), -EADDRINUSE);
	ck_assert_uint_eq(error_list_count(&errors), 1);
	ck_assert_ptr_nonnull(strstr(error_list_first(&errors), "bind"));
	ck_assert_int_eq(TAILQ_FIRST(&engine->acceptor.listeners)->socket.fd, kept);
	ck_assert_ptr_null(TAILQ_NEXT(TAILQ_FIRST(&engine->acceptor.listeners), next));
	ck_assert_int_eq(engine->acceptor.limit, good->limits.connections);

	/* the same configuration again keeps the socket, and its port */
	ck_assert_int_eq(plan_apply(engine, good, NULL, 0, &errors), 0);
	ck_assert_int_eq(TAILQ_FIRST(&engine->acceptor.listeners)->socket.fd, kept);

	error_list_done(&errors);
	engine_free(engine);
	loop_free(loop);
	config_unref(good);
	config_unref(bad);
	close(fd);
}
END_TEST

START_TEST(limits_reject_and_count)
{
	struct error_list errors = ERROR_LIST_EMPTY;
	struct loop *loop = loop_new();
	struct config *cfg = config_on("tcp://127.0.0.1:0", NULL);
	struct counters_sum sum;
	struct engine *engine;
	int clients[6];

	cfg->limits.connections = 3;
	engine = engine_new(loop, cfg, &errors);
	ck_assert_ptr_nonnull(engine);
	ck_assert_int_eq(plan_apply(engine, cfg, NULL, 0, &errors), 0);
	ck_assert_int_eq(engine_start(engine, &errors), 0);
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++) {
		struct address *address = &TAILQ_FIRST(&engine->acceptor.listeners)->socket.address;

		clients[i] = socket(AF_INET, SOCK_STREAM, 0);
		ck_assert_int_eq(connect(clients[i], &address->u.sa, address->length), 0);
	}
	for (int i = 0; i < 1000; i++) {
		loop_run_once(loop);
		engine_sum(engine, &sum);
		if (sum.values[COUNTER_REJECTED_LIMIT] == 3)
			break;
		(void)poll(NULL, 0, 2);
	}
	ck_assert_uint_eq(sum.values[COUNTER_REJECTED_LIMIT], 3);
	ck_assert_uint_eq(sum.values[COUNTER_CONNECTIONS_ACCEPTED], 3);
	ck_assert_int_eq(engine_connections(engine), 3);
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++)
		close(clients[i]);
	engine_free(engine);
	loop_free(loop);
	config_unref(cfg);
}
END_TEST

Suite *
test_suite(void)
{
	Suite *suite = suite_create("engine");
	TCase *tests = tcase_create("engine");

	suite_add_tcase(suite, tests);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, posts_arrive_once_and_in_order);
	tcase_add_test(tests, first_of_a_tick_are_measured_then_some);
	tcase_add_test(tests, unfit_descriptors_are_refused_by_number_and_name);
	tcase_add_test(tests, inherited_datagrams_are_for_datagram_listeners);
	tcase_add_test(tests, inherited_sockets_match_by_name_then_address);
	tcase_add_test(tests, socket_files_are_claimed_and_removed);
	tcase_add_test(tests, what_is_no_socket_is_left_alone);
	tcase_add_test(tests, a_plan_that_fails_changes_nothing);
	tcase_add_test(tests, limits_reject_and_count);
	return suite;
}
