/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "engine/inspection.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "engine_bed.h"
#include "suite.h"

#define PATIENCE_NS (10 * NS_PER_S)
#define CLIENTS_MAX 64

static int clients[CLIENTS_MAX];
static size_t client_count;

/* What the last answer said: the records are copied, they do not outlive it. */
static unsigned asked, answers;
static bool answered_empty_handed;
static unsigned closings, told;
static int told_result;
static struct inspection_list last;
static struct connection_info rows[CLIENTS_MAX];

static void
setup(void)
{
	char address[64];

	client_count = 0;
	asked = answers = closings = told = 0;
	bed_configure();
	/* another run may be under way on this machine */
	(void)snprintf(address, sizeof(address), "unix:@check_inspection.%d", (int)getpid());
	bed_add_listener("local", address);
	bed_open();
}

static void
teardown(void)
{
	for (size_t i = 0; i < client_count; i++)
		close(clients[i]);
	bed_stop();
	bed_close();
	ck_assert_uint_eq(answers, asked);
	ck_assert_uint_eq(told, closings);
}

static void
start(void)
{
	ck_assert_int_eq(engine_start(engine, &errors), 0);
}

static void
turn(void)
{
	loop_run_once(loop);
	usleep(500);
}

/* Connect to the listener of that name and make sure that a worker has the connection. */
static int
client_new(const char *name)
{
	int64_t deadline = clock_now_ns() + PATIENCE_NS;
	bool accepting;
	const struct listen_socket *listening = engine_find_socket(
	    engine, service_find(&engine->services, name), &accepting);
	char byte = 'x';
	int fd;

	ck_assert_ptr_nonnull(listening);
	fd = socket(listening->address.u.sa.sa_family, SOCK_STREAM, 0);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(connect(fd, &listening->address.u.sa, listening->address.length), 0);
	ck_assert_int_eq(send(fd, &byte, 1, 0), 1);
	while (recv(fd, &byte, 1, MSG_DONTWAIT) != 1) {
		ck_assert_int_lt(clock_now_ns(), deadline);
		turn();
	}
	clients[client_count++] = fd;
	return fd;
}

static void
on_list(void *context, int r, struct inspection_list *list)
{
	ck_assert_ptr_eq(context, engine);
	answers++;
	answered_empty_handed = list == NULL;
	ck_assert_int_eq(r == 0, list != NULL);
	if (list == NULL)
		return;
	last = *list;
	ck_assert_uint_le(list->count, CLIENTS_MAX);
	for (size_t i = 0; i < list->count; i++)
		rows[i] = list->rows[i].connection;
	free(list);
}

static void
request_query(const struct inspection_query *query)
{
	unsigned before = answers;

	ck_assert_int_eq(inspection_ask(&engine->inspection, query, on_list, engine), 0);
	ck_assert_uint_eq(answers, before);
	asked++;
}

static void
request(size_t limit)
{
	request_query(&(struct inspection_query){ .limit = limit });
}

/* Ask and wait until that and all that was asked before is answered, once each. */
static void
ask_query(const struct inspection_query *query)
{
	int64_t deadline = clock_now_ns() + PATIENCE_NS;

	request_query(query);
	while (answers < asked) {
		ck_assert_int_lt(clock_now_ns(), deadline);
		turn();
	}
	turn();
	ck_assert_uint_eq(answers, asked);
	ck_assert(!answered_empty_handed);
}

static void
ask(size_t limit)
{
	ask_query(&(struct inspection_query){ .limit = limit });
}

/* Have the last client's LENGTH bytes echoed. */
static void
exchange(int fd, size_t length)
{
	static char data[65536];
	int64_t deadline = clock_now_ns() + PATIENCE_NS;
	size_t out = 0, in = 0;

	while (in < length) {
		ssize_t n;

		ck_assert_int_lt(clock_now_ns(), deadline);
		if (out < length && (n = send(fd, data, length - out, MSG_DONTWAIT)) > 0)
			out += (size_t)n;
		if ((n = recv(fd, data, sizeof(data), MSG_DONTWAIT)) > 0)
			in += (size_t)n;
	}
}

START_TEST(workers_that_do_not_run_count_as_empty)
{
	ask(100);
	ck_assert_uint_eq(last.count, 0);
	ck_assert_int_eq(last.total, 0);
	start();
	client_new("one");
	ck_assert_int_eq(engine_stop(engine), 0);
	ask(100);
	ck_assert_uint_eq(last.count, 0);
}
END_TEST

START_TEST(rows_say_what_happened)
{
	struct sockaddr_in local, peer;
	socklen_t length = sizeof(local);
	char data[1000] = "";
	size_t echoed = 0;
	int fd;

	start();
	fd = client_new("two");
	ck_assert_int_eq(send(fd, data, sizeof(data), 0), sizeof(data));
	while (echoed < sizeof(data))
		echoed += (size_t)recv(fd, data, sizeof(data), 0);
	ask(10);
	ck_assert_int_eq(last.total, 1);
	ck_assert_uint_eq(last.count, 1);
	ck_assert_str_eq(rows[0].listener, "two");
	ck_assert_uint_lt(rows[0].worker, 2);
	ck_assert_int_eq(rows[0].transport, ADDRESS_TCP);
	ck_assert_int_eq(rows[0].state, CONNECTION_OPEN);
	ck_assert_uint_eq(rows[0].bytes_in, 1001);
	ck_assert_uint_eq(rows[0].bytes_out, 1001);
	ck_assert_uint_ge(rows[0].reads, 2);
	ck_assert_uint_eq(rows[0].pending_bytes, 0);
	ck_assert(!rows[0].read_paused);
	ck_assert_int_le(rows[0].accepted_ns, rows[0].active_ns);
	ck_assert_int_le(rows[0].active_ns, last.taken_ns);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&local, &length), 0);
	ck_assert_uint_eq(rows[0].peer.in.sin_port, local.sin_port);
	ck_assert_int_eq(getpeername(fd, (struct sockaddr *)&peer, &length), 0);
	ck_assert_uint_eq(rows[0].local.u.in.sin_port, peer.sin_port);
}
END_TEST

START_TEST(unix_rows_know_their_client)
{
	start();
	client_new("local");
	ask(10);
	ck_assert_uint_eq(last.count, 1);
	ck_assert_int_eq(rows[0].transport, ADDRESS_UNIX);
	ck_assert_int_eq(rows[0].peer.un.pid, getpid());
	ck_assert_int_eq(rows[0].local.u.sa.sa_family, AF_UNIX);
}
END_TEST

START_TEST(oldest_come_first_over_workers_and_listeners)
{
	static const char *const names[] = { "one", "two", "local" };
	static const size_t limits[] = { 0, 1, 7, 20, 1000 };
	bool seen[2] = { false, false };

	start();
	for (size_t i = 0; i < 20; i++)
		client_new(names[i % 3]);
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		ask(limits[i]);
		ck_assert_int_eq(last.total, 20);
		ck_assert_uint_eq(last.count, limits[i] < 20 ? limits[i] : 20);
		for (size_t row = 0; row < last.count; row++) {
			ck_assert_uint_eq(rows[row].id, row + 1);
			ck_assert_str_eq(rows[row].listener, names[row % 3]);
			seen[rows[row].worker] = true;
		}
	}
	ck_assert(seen[0] && seen[1]);
}
END_TEST

START_TEST(pause_shows_while_it_lasts)
{
	int64_t deadline = clock_now_ns() + PATIENCE_NS;
	static char data[65536];
	int fd;

	start();
	fd = client_new("one");
	do {
		ck_assert_int_lt(clock_now_ns(), deadline);
		while (send(fd, data, sizeof(data), MSG_DONTWAIT) > 0)
			;
		ask(10);
	} while (!rows[0].read_paused);
	ck_assert_uint_ge(rows[0].pending_bytes, 1);
	ck_assert_uint_eq(rows[0].bytes_in - rows[0].bytes_out, rows[0].pending_bytes);
	ck_assert_uint_ge(rows[0].pauses, 1);
	while (rows[0].paused_ns < 20 * NS_PER_MS) {
		ck_assert_int_lt(clock_now_ns(), deadline);
		ask(10);
	}
}
END_TEST

START_TEST(answers_under_way_survive_a_stop)
{
	start();
	for (size_t i = 0; i < 10; i++)
		client_new("one");
	request(5);
	for (int i = 0; i < 3; i++)
		loop_run_once(loop);
	ck_assert_int_eq(engine_stop(engine), 0);
	while (answers == 0)
		loop_run_once(loop);
	ck_assert(!answered_empty_handed);
}
END_TEST

START_TEST(lists_while_connections_come_and_go)
{
	start();
	for (size_t round = 0; round < 20; round++) {
		if (answers == asked)
			request(CLIENTS_MAX);
		client_new(round % 2 == 0 ? "one" : "local");
		if (round % 3 == 2)
			close(clients[--client_count]);
	}
	while (answers < asked)
		turn();
	ask(CLIENTS_MAX);
}
END_TEST

START_TEST(queries_filter_sort_and_cut)
{
	struct inspection_query query = { .limit = 100, .sort = INSPECTION_BY_BYTES_IN };
	const char *error;

	start();
	for (size_t i = 0; i < 20; i++)
		exchange(client_new(i % 2 == 0 ? "one" : "local"), 100 * ((i * 7) % 20 + 1));
	ask_query(&query);
	ck_assert_uint_eq(last.count, 20);
	for (size_t i = 0; i < 20; i++)
		ck_assert_uint_eq(rows[i].bytes_in, 1 + 100 * (20 - i));

	query.ascending = true;
	query.offset = 3;
	query.limit = 4;
	ask_query(&query);
	ck_assert_uint_eq(last.matched, 20);
	ck_assert_uint_eq(last.count, 4);
	for (size_t i = 0; i < 4; i++)
		ck_assert_uint_eq(rows[i].bytes_in, 1 + 100 * (4 + i));

	query = (struct inspection_query){ .limit = 100, .listener = "local" };
	ask_query(&query);
	ck_assert_uint_eq(last.count, 10);

	query = (struct inspection_query){ .limit = 100, .by_peer = true };
	ck_assert_int_eq(network_parse("127.0.0.0/8", &query.peer, &error), 0);
	ask_query(&query);
	ck_assert_uint_eq(last.count, 10);
	ck_assert_int_eq(network_parse("192.0.2.0/24", &query.peer, &error), 0);
	ask_query(&query);
	ck_assert_uint_eq(last.count, 0);

	query = (struct inspection_query){ .limit = 1, .id = 7, .tcp = true };
	ask_query(&query);
	ck_assert_uint_eq(last.count, 1);
	ck_assert_uint_eq(rows[0].id, 7);
	ck_assert(rows[0].has_tcp);
	ck_assert_uint_gt(rows[0].tcp.mss, 0);

	query = (struct inspection_query){
		.limit = 100, .by_state = true, .state = CONNECTION_FLUSHING
	};
	ask_query(&query);
	ck_assert_uint_eq(last.count, 0);

	query = (struct inspection_query){ .limit = INSPECTION_ROWS_MAX + 1 };
	ck_assert_int_eq(inspection_ask(&engine->inspection, &query, on_list, engine), -EINVAL);
	query = (struct inspection_query){ .limit = 1, .offset = INSPECTION_REACH_MAX };
	ck_assert_int_eq(inspection_ask(&engine->inspection, &query, on_list, engine), -EINVAL);
}
END_TEST

static void
on_closed(void *context, int r, struct inspection_list *list)
{
	ck_assert_ptr_eq(context, engine);
	ck_assert_ptr_null(list);
	told++;
	told_result = r;
}

static void
ask_to_close(uint64_t id)
{
	const struct inspection_query query = { .kind = INSPECTION_CLOSE, .id = id };

	ck_assert_int_eq(inspection_ask(&engine->inspection, &query, on_closed, engine), 0);
	closings++;
}

static void
close_by_id(uint64_t id)
{
	int64_t deadline = clock_now_ns() + PATIENCE_NS;
	unsigned before = told;

	ask_to_close(id);
	while (told == before) {
		ck_assert_int_lt(clock_now_ns(), deadline);
		turn();
	}
}

START_TEST(closing_ends_the_one_that_is_meant)
{
	struct counters_sum sum;
	char byte;

	start();
	for (size_t i = 0; i < 10; i++)
		client_new("one");
	close_by_id(4);
	ck_assert_int_eq(told_result, 0);
	ck_assert_int_eq(recv(clients[3], &byte, 1, 0), 0);
	close_by_id(4);
	ck_assert_int_eq(told_result, -ENOENT);
	close_by_id(0);
	ck_assert_int_eq(told_result, -ENOENT);
	ask(100);
	ck_assert_uint_eq(last.count, 9);
	engine_sum(engine, &sum);
	ck_assert_uint_eq(sum.values[COUNTER_CLOSED_ADMIN], 1);
}
END_TEST

START_TEST(one_list_at_a_time_and_closings_always)
{
	const struct inspection_query query = { .limit = 100 };
	int64_t deadline = clock_now_ns() + PATIENCE_NS;
	unsigned before = told;

	start();
	for (size_t i = 0; i < 10; i++)
		client_new("one");
	ask_to_close(1);
	request(100);
	ck_assert_int_eq(inspection_ask(&engine->inspection, &query, on_list, engine), -EBUSY);
	for (uint64_t id = 2; id < 6; id++)
		ask_to_close(id);
	while (answers < asked) {
		ck_assert_int_lt(clock_now_ns(), deadline);
		turn();
	}
	/* they went ahead of the list */
	ck_assert_uint_eq(told, before + 5);
	ck_assert_uint_eq(last.count, 5);
	ask(100);
}
END_TEST

START_TEST(connections_that_go_meanwhile_are_stepped_over)
{
	start();
	for (size_t round = 0; round < 100; round++) {
		while (client_count < CLIENTS_MAX)
			client_new(client_count % 2 == 0 ? "one" : "local");
		request(CLIENTS_MAX);
		while (client_count > 0)
			close(clients[--client_count]);
		ask_to_close(round * 7);
		while (answers < asked)
			turn();
		ck_assert(!answered_empty_handed);
	}
	turn();
}
END_TEST

START_TEST(what_is_asked_is_answered_at_the_end)
{
	start();
	request(5);
	ask_to_close(1);
	ask_to_close(2);
	/* see teardown() */
}
END_TEST

Suite *
test_suite(void)
{
	Suite *suite = suite_create("inspection");
	TCase *tcase = tcase_create("inspection");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 30);
	tcase_add_test(tcase, workers_that_do_not_run_count_as_empty);
	tcase_add_test(tcase, rows_say_what_happened);
	tcase_add_test(tcase, unix_rows_know_their_client);
	tcase_add_test(tcase, oldest_come_first_over_workers_and_listeners);
	tcase_add_test(tcase, pause_shows_while_it_lasts);
	tcase_add_test(tcase, answers_under_way_survive_a_stop);
	tcase_add_test(tcase, lists_while_connections_come_and_go);
	tcase_add_test(tcase, queries_filter_sort_and_cut);
	tcase_add_test(tcase, closing_ends_the_one_that_is_meant);
	tcase_add_test(tcase, one_list_at_a_time_and_closings_always);
	tcase_add_test(tcase, connections_that_go_meanwhile_are_stepped_over);
	tcase_add_test(tcase, what_is_asked_is_answered_at_the_end);
	suite_add_tcase(suite, tcase);
	return suite;
}
