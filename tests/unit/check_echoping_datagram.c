/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A UDP socket of echoping's load, driven by hand: what goes out together, and what becomes of
 * datagrams that the kernel does not take. The other end is a UNIX datagram socket, which loses
 * nothing and delivers at once.
 */
#include <config.h>

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "echoping/load.h"
#include "suite.h"

/* Fewer than net.unix.max_dgram_qlen. */
#define PIPELINE 8
#define SIZE 64

static struct echoping_options options;
static struct echoping_run run;
static struct echoping_plan plan;
static struct echoping_worker worker;
static struct echoping_link *party;
static struct echoping_payload *payload;
static int server;

/* What the next calls of sendmmsg() do: take at most so many, or fail with -errno if negative. */
static int script[4];
static size_t script_length;
static unsigned calls;

/* In place of libc's. */
int
sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags)
{
	int most = calls < script_length ? script[calls] : (int)count;

	calls++;
	if (most < 0) {
		errno = -most;
		return -1;
	}
	return (int)syscall(
	    SYS_sendmmsg, fd, messages, count < (unsigned)most ? count : (unsigned)most, flags);
}

static void
let_sends(int first, int second)
{
	script[0] = first;
	script[1] = second;
	script_length = 2;
	calls = 0;
}

static void
start(void)
{
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, fds), 0);
	payload = echoping_payload_new();
	ck_assert_ptr_nonnull(payload);
	options = (struct echoping_options){ .size = SIZE,
		.timeout_ns = NS_PER_S,
		.connections = 1,
		.pipeline = PIPELINE,
		.threads = 1,
		.sample = 1 };
	run = (struct echoping_run){
		.options = &options, .payload = payload, .target = { .transport = ADDRESS_UDP }
	};
	plan = (struct echoping_plan){ .run = &run, .end_ns = INT64_MAX };
	ck_assert_int_eq(echoping_worker_init(&worker, &plan, 0, 1, UINT64_MAX, &fds[0]), 0);
	party = (struct echoping_link *)(void *)worker.links;
	server = fds[1];
	script_length = calls = 0;
}

static void
end(void)
{
	echoping_worker_done(&worker);
	echoping_payload_free(payload);
	(void)close(server);
}

static void
pump(void)
{
	echoping_datagram_kind.pump(party, clock_now_ns());
}

static void
on_event(uint32_t events)
{
	echoping_datagram_kind.on_event(party, events);
}

/* The server finds datagrams FIRST to LAST and nothing else; it sends them back if ECHO is set. */
static void
server_finds(uint64_t first, uint64_t last, bool echo)
{
	unsigned char data[SIZE + 1];
	uint64_t sequence;

	for (uint64_t i = first; i <= last; i++) {
		ssize_t n = recv(server, data, sizeof(data), 0);

		ck_assert_int_eq(n, SIZE);
		ck_assert_int_eq(
		    echoping_payload_open(payload, 0, data, (size_t)n, false, SIZE, &sequence), 0);
		ck_assert_uint_eq(sequence, i);
		if (echo)
			ck_assert_int_eq(send(server, data, SIZE, 0), SIZE);
	}
	ck_assert_int_lt(recv(server, data, sizeof(data), 0), 0);
}

START_TEST(what_may_begin_goes_out_with_one_call)
{
	pump();
	ck_assert_uint_eq(calls, 1);
	server_finds(0, PIPELINE - 1, false);
	ck_assert_uint_eq(worker.results->sent, PIPELINE);
}
END_TEST

START_TEST(what_came_back_together_is_followed_together)
{
	pump();
	server_finds(0, PIPELINE - 1, true);
	on_event(EPOLLIN);
	ck_assert_uint_eq(worker.results->received, PIPELINE);
	ck_assert_uint_eq(calls, 2);
	server_finds(PIPELINE, 2 * PIPELINE - 1, false);
}
END_TEST

/* The server takes COUNT datagrams into DATA, or sends so many of it back. */
static void
server_takes(unsigned char (*data)[SIZE], size_t count)
{
	for (size_t i = 0; i < count; i++)
		ck_assert_int_eq(recv(server, data[i], SIZE, 0), SIZE);
}

static void
server_gives(unsigned char (*data)[SIZE], size_t count)
{
	for (size_t i = 0; i < count; i++)
		ck_assert_int_eq(send(server, data[i], SIZE, 0), SIZE);
}

START_TEST(burst_follows_when_all_came_back)
{
	unsigned char data[PIPELINE][SIZE];

	options.burst = true;
	pump();
	server_takes(data, PIPELINE);
	server_gives(data, 3);
	on_event(EPOLLIN);
	ck_assert_uint_eq(worker.results->received, 3);
	server_finds(1, 0, false); /* nothing */
	server_gives(data + 3, PIPELINE - 3);
	on_event(EPOLLIN);
	ck_assert_uint_eq(worker.results->received, PIPELINE);
	server_finds(PIPELINE, 2 * PIPELINE - 1, false);
}
END_TEST

START_TEST(burst_follows_when_some_were_lost)
{
	unsigned char data[PIPELINE][SIZE];

	options.burst = true;
	pump();
	server_takes(data, PIPELINE);
	server_gives(data + 1, PIPELINE - 1);
	on_event(EPOLLIN);
	server_finds(1, 0, false); /* nothing */
	echoping_datagram_kind.on_tick(party, clock_now_ns() + options.timeout_ns + 1);
	ck_assert_uint_eq(worker.results->lost, 1);
	server_finds(PIPELINE, 2 * PIPELINE - 1, false);
}
END_TEST

/* Forty in flight, of which the socket takes five at a time: its queue is short. */
static void
send_forty(bool echo)
{
	options.pipeline = 40;
	worker.quota = 40;
	for (uint64_t next = 0; next < 40; next += 5) {
		let_sends(5, -EAGAIN);
		if (next == 0)
			pump();
		else
			on_event(EPOLLOUT);
		server_finds(next, next + 4, echo && next > 0);
	}
	ck_assert_uint_eq(worker.results->sent, 40);
	ck_assert_uint_eq(party->watched & EPOLLOUT, 0);
}

START_TEST(burst_goes_out_whole)
{
	options.burst = true;
	/* some come back before all is out */
	send_forty(true);
}
END_TEST

START_TEST(more_than_a_batch_in_flight)
{
	send_forty(false);
}
END_TEST

START_TEST(what_a_call_left_goes_out_with_the_next)
{
	let_sends(3, PIPELINE);
	pump();
	ck_assert_uint_eq(calls, 2);
	server_finds(0, PIPELINE - 1, true);
	ck_assert_uint_eq(worker.results->sent, PIPELINE);
	on_event(EPOLLIN);
	ck_assert_uint_eq(worker.results->received, PIPELINE);
	ck_assert_uint_eq(worker.results->mismatched, 0);
}
END_TEST

START_TEST(a_full_socket_is_waited_for)
{
	let_sends(3, -EAGAIN);
	pump();
	ck_assert_uint_eq(calls, 2);
	ck_assert_uint_eq(party->watched, EPOLLIN | EPOLLOUT);
	/* the echoes of those that went out do not wait for the others */
	server_finds(0, 2, true);
	let_sends(-EAGAIN, -EAGAIN);
	on_event(EPOLLIN);
	ck_assert_uint_eq(calls, 0);
	ck_assert_uint_eq(worker.results->received, 3);
	let_sends(PIPELINE, PIPELINE);
	on_event(EPOLLOUT);
	ck_assert_uint_eq(party->watched, EPOLLIN);
	server_finds(3, 2 + PIPELINE, true);
	ck_assert_uint_eq(worker.results->sent, 3 + PIPELINE);
}
END_TEST

START_TEST(what_a_full_socket_keeps_in_the_end_was_not_sent)
{
	let_sends(3, -EAGAIN);
	pump();
	server_finds(0, 2, true);
	worker.sending = false;
	pump();
	ck_assert_uint_eq(worker.results->sent, 3);
	/* nothing is due in a closed loop */
	ck_assert_uint_eq(worker.results->unsent, 0);
	on_event(EPOLLIN | EPOLLOUT);
	ck_assert_uint_eq(worker.results->received, 3);
	server_finds(1, 0, false);
	ck_assert_uint_eq(worker.results->lost, 0);
}
END_TEST

START_TEST(nobody_there_ends_it)
{
	let_sends(1, -ECONNREFUSED);
	pump();
	ck_assert(party->retired);
	ck_assert(worker.results->refused);
	ck_assert_uint_eq(worker.results->lost, PIPELINE);
	ck_assert_uint_eq(worker.results->sent, PIPELINE);
}
END_TEST

START_TEST(a_server_that_restarts_does_not_end_it)
{
	pump();
	server_finds(0, PIPELINE - 1, true);
	let_sends(-ECONNREFUSED, PIPELINE);
	on_event(EPOLLIN);
	ck_assert(!party->retired);
	ck_assert(worker.results->refused);
	on_event(EPOLLOUT);
	server_finds(PIPELINE, 2 * PIPELINE - 1, true);
	on_event(EPOLLIN);
	ck_assert_uint_eq(worker.results->received, 2 * PIPELINE);
	ck_assert_uint_eq(worker.results->lost, 0);
}
END_TEST

START_TEST(another_failure_ends_it)
{
	pump();
	server_finds(0, PIPELINE - 1, true);
	let_sends(2, -EPERM);
	on_event(EPOLLIN);
	ck_assert(party->retired);
	ck_assert_uint_eq(worker.results->received, PIPELINE);
	ck_assert_uint_eq(worker.results->lost, PIPELINE);
	ck_assert_uint_eq(worker.results->sent, 2 * PIPELINE);
	ck_assert_str_eq(worker.results->first_error, "connection 0: Operation not permitted");
}
END_TEST

START_TEST(lost_ones_make_room_after_the_timeout)
{
	pump();
	server_finds(0, PIPELINE - 1, false);
	echoping_datagram_kind.on_tick(party, clock_now_ns() + options.timeout_ns / 2);
	ck_assert_uint_eq(worker.results->lost, 0);
	echoping_datagram_kind.on_tick(party, clock_now_ns() + options.timeout_ns + 1);
	ck_assert_uint_eq(worker.results->lost, PIPELINE);
	server_finds(PIPELINE, 2 * PIPELINE - 1, true);
	on_event(EPOLLIN);
	ck_assert_uint_eq(worker.results->received, PIPELINE);
}
END_TEST

START_TEST(each_of_those_that_came_together_is_judged)
{
	unsigned char data[PIPELINE][SIZE + 1];

	pump();
	for (size_t i = 0; i < PIPELINE; i++)
		ck_assert_int_eq(recv(server, data[i], SIZE, 0), SIZE);
	data[1][SIZE - 1] ^= 1;
	data[2][SIZE] = 0;
	ck_assert_int_eq(send(server, data[0], SIZE, 0), SIZE);
	ck_assert_int_eq(send(server, data[1], SIZE, 0), SIZE);
	ck_assert_int_eq(send(server, data[2], SIZE + 1, 0), SIZE + 1);
	ck_assert_int_eq(send(server, data[3], SIZE - 1, 0), SIZE - 1);
	ck_assert_int_eq(send(server, data[0], SIZE, 0), SIZE);
	ck_assert_int_eq(send(server, data[4], SIZE, 0), SIZE);
	on_event(EPOLLIN);
	ck_assert_uint_eq(worker.results->received, 2);
	ck_assert_uint_eq(worker.results->mismatched, 3);
	server_finds(PIPELINE, PIPELINE + 1, false);
	echoping_datagram_kind.on_tick(party, clock_now_ns());
	ck_assert_uint_eq(worker.results->duplicates, 1);
}
END_TEST

Suite *
test_suite(void)
{
	Suite *suite = suite_create("echoping_datagram");
	TCase *together = tcase_create("together"), *failures = tcase_create("failures");

	tcase_add_checked_fixture(together, start, end);
	tcase_add_test(together, what_may_begin_goes_out_with_one_call);
	tcase_add_test(together, what_came_back_together_is_followed_together);
	tcase_add_test(together, burst_follows_when_all_came_back);
	tcase_add_test(together, burst_follows_when_some_were_lost);
	tcase_add_test(together, burst_goes_out_whole);
	tcase_add_test(together, more_than_a_batch_in_flight);
	tcase_add_test(together, each_of_those_that_came_together_is_judged);
	suite_add_tcase(suite, together);

	tcase_add_checked_fixture(failures, start, end);
	tcase_add_test(failures, what_a_call_left_goes_out_with_the_next);
	tcase_add_test(failures, a_full_socket_is_waited_for);
	tcase_add_test(failures, what_a_full_socket_keeps_in_the_end_was_not_sent);
	tcase_add_test(failures, nobody_there_ends_it);
	tcase_add_test(failures, a_server_that_restarts_does_not_end_it);
	tcase_add_test(failures, another_failure_ends_it);
	tcase_add_test(failures, lost_ones_make_room_after_the_timeout);
	suite_add_tcase(suite, failures);

	return suite;
}
