/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Connections on a real worker thread, spoken to over socket pairs and TCP.
 */
#include <config.h>

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "engine/service.h"
#include "engine/worker.h"
#include "suite.h"

#define DEADLINE_NS (20 * NS_PER_S)

static struct worker *worker;
static struct service *service;
#define OUTPUT_HIGH 65536

/* What a test sets apart from the rest; 0 is the bed's own. */
struct limits {
	int64_t idle_timeout;
	int64_t lifetime;
	int64_t byte_limit;
	int64_t stall_timeout;
};

static uint64_t last_id;

static struct config *
make_config(const struct limits *limits)
{
	struct config *config = config_new_default();

	ck_assert_ptr_nonnull(config);
	config->limits.output_high = OUTPUT_HIGH;
	config->limits.output_low = 16384;
	config->limits.stall_timeout = limits->stall_timeout > 0 ? limits->stall_timeout
								 : 60 * NS_PER_S;
	config->limits.linger_timeout = 5 * NS_PER_S;
	config->log.connections = CONFIG_LOG_CONNECTIONS_OFF;
	config->listeners[0].idle_timeout = limits->idle_timeout;
	config->listeners[0].lifetime = limits->lifetime;
	config->listeners[0].byte_limit = limits->byte_limit;
	return config;
}

/* Have the worker obey LIMITS, as a reload does. */
static void
obey(struct limits limits)
{
	struct config *config = make_config(&limits);
	struct worker_update *update = worker_update_new(config, 1);

	ck_assert_ptr_nonnull(update);
	worker_update_add(update, service, &config->listeners[0]);
	worker_update_apply(update, &worker);
	config_unref(config);
}

static void
setup(void)
{
	struct limits none = { 0 };
	struct config *config = make_config(&none);

	signal(SIGPIPE, SIG_IGN);
	worker = worker_new(0, config);
	config_unref(config);
	ck_assert_ptr_nonnull(worker);
	service = service_new("test", 1);
	ck_assert_ptr_nonnull(service);
	obey(none);
	ck_assert_int_eq(worker_start(worker), 0);
}

static void
stop(void)
{
	worker_begin_stop(worker);
	while (!worker_is_stopped(worker))
		(void)poll(NULL, 0, 1);
	ck_assert(!worker->started);
}

static void
teardown(void)
{
	struct counters_sum sum;
	uint64_t closed = 0;

	stop();
	service_sum(service, &sum);
	for (int i = COUNTER_CLOSED_CLIENT_FIN; i <= COUNTER_CLOSED_NO_MEMORY; i++)
		closed += sum.values[i];
	/* whatever a test did: each connection ended once, and nothing is said to wait any more */
	ck_assert_uint_eq(closed, last_id);
	ck_assert_uint_eq(sum.values[COUNTER_PENDING_BYTES], 0);
	ck_assert_uint_le(sum.values[COUNTER_SENT_BYTES], sum.values[COUNTER_RECEIVED_BYTES]);
	ck_assert_int_eq(worker_sum_load(&worker, 1), 0);
	ck_assert_int_eq(atomic_load(&service->connections), 0);
	worker_free(worker);
	service_free(service);
}

static void
hand_over(int fd)
{
	union connection_peer peer = { .family = AF_UNIX };

	ck_assert_int_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	worker_take(worker, service, fd, ++last_id, &peer);
}

/* One end of a UNIX pair, the other is served. */
static int
client_unix(void)
{
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	hand_over(pair[1]);
	return pair[0];
}

/* A TCP client, its other end is served. */
static int
client_tcp(void)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(in);
	int listener = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0),
	    one = 1;
	int served;

	ck_assert_int_eq(bind(listener, (struct sockaddr *)&in, length), 0);
	ck_assert_int_eq(listen(listener, 1), 0);
	ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&in, &length), 0);
	ck_assert_int_eq(connect(client, (struct sockaddr *)&in, length), 0);
	ck_assert_int_eq(setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)), 0);
	served = accept(listener, NULL, NULL);
	ck_assert_int_ge(served, 0);
	close(listener);
	hand_over(served);
	return client;
}

static void
write_all(int fd, const char *data, size_t length)
{
	while (length > 0) {
		ssize_t n = write(fd, data, length);

		ck_assert_int_gt(n, 0);
		data += n;
		length -= (size_t)n;
	}
}

/* Read until LENGTH bytes or EOF, whichever comes first; a deadline fails the test. */
static size_t
read_up_to(int fd, char *data, size_t length)
{
	int64_t deadline_ns = clock_now_ns() + DEADLINE_NS;
	size_t have = 0;

	while (have < length) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t n;

		ck_assert_int_lt(clock_now_ns(), deadline_ns);
		if (poll(&p, 1, 100) <= 0)
			continue;
		n = read(fd, data + have, length - have);
		ck_assert_msg(n >= 0, "read: %s", strerror(errno));
		if (n == 0)
			break;
		have += (size_t)n;
	}
	return have;
}

static uint64_t
count(enum counter id)
{
	struct counters_sum sum;

	service_sum(service, &sum);
	return sum.values[id];
}

static void
wait_count(enum counter id, uint64_t value)
{
	int64_t deadline_ns = clock_now_ns() + DEADLINE_NS;

	while (count(id) != value) {
		ck_assert_msg(clock_now_ns() < deadline_ns, "counter %d is %llu, not %llu", id,
		    (unsigned long long)count(id), (unsigned long long)value);
		(void)poll(NULL, 0, 2);
	}
}

static void
fill(char *data, size_t length)
{
	uint32_t x = 12345;

	for (size_t i = 0; i < length; i++) {
		x = x * 1664525 + 1013904223;
		data[i] = (char)(x >> 24);
	}
}

START_TEST(half_close_echoes_everything_then_fin)
{
	static char sent[30000], got[sizeof(sent) + 1];
	int fd = _i == 0 ? client_unix() : client_tcp();

	fill(sent, sizeof(sent));
	write_all(fd, sent, sizeof(sent));
	ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
	ck_assert_uint_eq(read_up_to(fd, got, sizeof(got)), sizeof(sent));
	ck_assert_mem_eq(sent, got, sizeof(sent));
	wait_count(COUNTER_CLOSED_CLIENT_FIN, 1);
	ck_assert_uint_eq(count(COUNTER_RECEIVED_BYTES), sizeof(sent));
	ck_assert_uint_eq(count(COUNTER_SENT_BYTES), sizeof(sent));
	close(fd);
}
END_TEST

/* Nothing is read until far more than the high mark waits, then all of it comes, in order. */
START_TEST(back_pressure_loses_nothing)
{
	static char sent[16 << 20], got[sizeof(sent)];
	int fd = _i == 0 ? client_unix() : client_tcp();
	size_t out = 0, in = 0;
	int64_t deadline_ns = clock_now_ns() + DEADLINE_NS;

	fill(sent, sizeof(sent));
	ck_assert_int_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	while (count(COUNTER_READ_PAUSES) == 0 && out < sizeof(sent)) {
		ssize_t n = write(fd, sent + out, sizeof(sent) - out);

		ck_assert(n > 0 || errno == EAGAIN);
		out += n > 0 ? (size_t)n : 0;
		ck_assert_int_lt(clock_now_ns(), deadline_ns);
	}
	ck_assert_uint_ge(count(COUNTER_READ_PAUSES), 1);
	ck_assert_uint_le(count(COUNTER_PENDING_BYTES), OUTPUT_HIGH);
	while (in < sizeof(sent)) {
		ssize_t n;

		ck_assert_int_lt(clock_now_ns(), deadline_ns);
		if (out < sizeof(sent) && (n = write(fd, sent + out, sizeof(sent) - out)) > 0)
			out += (size_t)n;
		n = read(fd, got + in, sizeof(got) - in);
		ck_assert(n > 0 || (n < 0 && errno == EAGAIN));
		in += n > 0 ? (size_t)n : 0;
	}
	ck_assert_mem_eq(sent, got, sizeof(sent));
	wait_count(COUNTER_PENDING_BYTES, 0);
	close(fd);
	wait_count(COUNTER_CLOSED_CLIENT_FIN, 1);
}
END_TEST

START_TEST(byte_limit_is_exact_and_ends_with_fin)
{
	char got[256];
	int fd;

	obey((struct limits){ .byte_limit = 100 });
	fd = _i == 0 ? client_unix() : client_tcp();
	/* the bytes over the limit are in the socket when the limit is met: no reset may follow */
	write_all(fd,
	    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
	    128);
	ck_assert_uint_eq(read_up_to(fd, got, sizeof(got)), 100);
	ck_assert_uint_eq(count(COUNTER_RECEIVED_BYTES), 100);
	/* it lingers until our FIN */
	ck_assert_uint_eq(count(COUNTER_CLOSED_BYTE_LIMIT), 0);
	close(fd);
	wait_count(COUNTER_CLOSED_BYTE_LIMIT, 1);
}
END_TEST

START_TEST(byte_limit_spans_many_reads)
{
	static char sent[200000], got[sizeof(sent)];
	int fd;

	obey((struct limits){ .byte_limit = 100001 });
	fd = client_tcp();
	fill(sent, sizeof(sent));
	write_all(fd, sent, sizeof(sent));
	ck_assert_uint_eq(read_up_to(fd, got, sizeof(got)), 100001);
	ck_assert_mem_eq(sent, got, 100001);
	close(fd);
	wait_count(COUNTER_CLOSED_BYTE_LIMIT, 1);
}
END_TEST

START_TEST(idle_connections_get_a_fin)
{
	char byte;
	int fd;

	obey((struct limits){ .idle_timeout = 300 * NS_PER_MS });
	fd = client_tcp();
	ck_assert_uint_eq(read_up_to(fd, &byte, 1), 0);
	close(fd);
	wait_count(COUNTER_CLOSED_IDLE_TIMEOUT, 1);
}
END_TEST

START_TEST(busy_connections_are_not_idle)
{
	int64_t end_ns = clock_now_ns() + 1200 * NS_PER_MS;
	char byte = 'x';
	int fd;

	obey((struct limits){ .idle_timeout = 500 * NS_PER_MS });
	fd = client_tcp();
	while (clock_now_ns() < end_ns) {
		write_all(fd, &byte, 1);
		ck_assert_uint_eq(read_up_to(fd, &byte, 1), 1);
		(void)poll(NULL, 0, 50);
	}
	ck_assert_uint_eq(count(COUNTER_CLOSED_IDLE_TIMEOUT), 0);
	close(fd);
	wait_count(COUNTER_CLOSED_CLIENT_FIN, 1);
}
END_TEST

START_TEST(lifetime_ends_a_busy_connection)
{
	char byte = 'x';
	int fd;

	obey((struct limits){ .lifetime = 400 * NS_PER_MS });
	fd = client_tcp();
	for (;;) {
		ssize_t n = send(fd, &byte, 1, MSG_NOSIGNAL);

		if (n < 0)
			break;
		if (read_up_to(fd, &byte, 1) == 0)
			break;
	}
	close(fd);
	wait_count(COUNTER_CLOSED_LIFETIME, 1);
}
END_TEST

START_TEST(stalled_clients_are_cut)
{
	static char data[1 << 20];
	int fd = client_tcp();

	obey((struct limits){ .stall_timeout = 400 * NS_PER_MS });
	ck_assert_int_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	while (count(COUNTER_CLOSED_STALLED) == 0) {
		if (write(fd, data, sizeof(data)) < 0)
			ck_assert(errno == EAGAIN || errno == ECONNRESET || errno == EPIPE);
		(void)poll(NULL, 0, 5);
	}
	close(fd);
}
END_TEST

START_TEST(resets_are_counted_as_such)
{
	struct linger reset = { .l_onoff = 1, .l_linger = 0 };
	int fd = client_tcp();
	char byte = 'x';

	write_all(fd, &byte, 1);
	ck_assert_uint_eq(read_up_to(fd, &byte, 1), 1);
	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
	close(fd);
	wait_count(COUNTER_CLOSED_CLIENT_RESET, 1);
}
END_TEST

/* The write inside the read callback fails: one close, not two. */
START_TEST(failing_write_in_the_read_callback)
{
	char byte[16] = "x";
	int fd = client_unix();

	/* the served end can read what is here, but nobody takes its answer */
	ck_assert_int_eq(shutdown(fd, SHUT_RD), 0);
	write_all(fd, byte, sizeof(byte));
	wait_count(COUNTER_CLOSED_CLIENT_RESET, 1);
	close(fd);
}
END_TEST

START_TEST(drain_finishes_the_idle_and_cuts_the_rest)
{
	static char data[1 << 20];
	int idle = client_tcp(), busy = client_tcp();
	char byte;

	ck_assert_int_eq(fcntl(busy, F_SETFL, O_NONBLOCK), 0);
	while (count(COUNTER_READ_PAUSES) == 0)
		ck_assert(write(busy, data, sizeof(data)) > 0 || errno == EAGAIN);
	worker_drain(worker, WORKER_DRAINING, 100 * NS_PER_MS);
	ck_assert_uint_eq(read_up_to(idle, &byte, 1), 0);
	close(idle);
	wait_count(COUNTER_CLOSED_DRAIN, 1);
	ck_assert_int_ge(worker_sum_load(&worker, 1), 1);
	worker_drain(worker, WORKER_CUTTING, 0);
	stop();
	ck_assert_uint_eq(count(COUNTER_CLOSED_DRAIN_FORCED), 1);
	close(busy);
}
END_TEST

static atomic_bool held; /* the worker waits while this is true */

static void
do_wait(void *arg)
{
	atomic_store((atomic_bool *)arg, true);
	while (atomic_load(&held))
		(void)poll(NULL, 0, 1);
}

/* A hand-over behind the word to stop, before the worker has heard it. */
START_TEST(what_waits_in_the_mailbox_at_a_stop_is_closed_and_counted)
{
	atomic_bool waits = false;
	struct post post;
	char byte;
	int fds[3];

	atomic_store(&held, true);
	loop_post(worker->loop, &post, do_wait, &waits);
	while (!atomic_load(&waits))
		(void)poll(NULL, 0, 1);
	fds[0] = client_unix();
	worker_begin_stop(worker);
	fds[1] = client_unix();
	fds[2] = client_tcp();
	atomic_store(&held, false);
	stop();
	ck_assert_uint_eq(count(COUNTER_CLOSED_DRAIN_FORCED), 3);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		ck_assert_int_le(read(fds[i], &byte, 1), 0);
		close(fds[i]);
	}
}
END_TEST

/* One that is given up, and then moves again, can still be joined. */
START_TEST(a_worker_that_runs_no_post_hangs)
{
	atomic_bool waits = false;
	struct post post;
	int fd = client_unix();

	atomic_store(&held, true);
	loop_post(worker->loop, &post, do_wait, &waits);
	worker_begin_stop(worker);
	while (!worker_is_stopped(worker))
		(void)poll(NULL, 0, 1);
	ck_assert(worker->hangs);
	ck_assert(worker->started);
	atomic_store(&held, false);
	while (worker->started) {
		(void)worker_is_stopped(worker);
		(void)poll(NULL, 0, 1);
	}
	ck_assert(!worker->hangs);
	close(fd);
}
END_TEST

/* What the kernel acknowledged before a drain is echoed before our FIN. */
START_TEST(finish_echoes_what_was_acknowledged)
{
	static char sent[100000], got[sizeof(sent) + 1];
	int fd = client_tcp();

	fill(sent, sizeof(sent));
	write_all(fd, sent, sizeof(sent));
	worker_drain(worker, WORKER_CUTTING, 0);
	ck_assert_uint_eq(read_up_to(fd, got, sizeof(got)), sizeof(sent));
	ck_assert_mem_eq(sent, got, sizeof(sent));
	close(fd);
	wait_count(COUNTER_CLOSED_DRAIN_FORCED, 1);
}
END_TEST

Suite *
test_suite(void)
{
	Suite *suite = suite_create("connection");
	TCase *tests = tcase_create("connection");

	suite_add_tcase(suite, tests);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_set_timeout(tests, 60);
	tcase_add_loop_test(tests, half_close_echoes_everything_then_fin, 0, 2);
	tcase_add_loop_test(tests, back_pressure_loses_nothing, 0, 2);
	tcase_add_loop_test(tests, byte_limit_is_exact_and_ends_with_fin, 0, 2);
	tcase_add_test(tests, byte_limit_spans_many_reads);
	tcase_add_test(tests, idle_connections_get_a_fin);
	tcase_add_test(tests, busy_connections_are_not_idle);
	tcase_add_test(tests, lifetime_ends_a_busy_connection);
	tcase_add_test(tests, stalled_clients_are_cut);
	tcase_add_test(tests, resets_are_counted_as_such);
	tcase_add_test(tests, failing_write_in_the_read_callback);
	tcase_add_test(tests, drain_finishes_the_idle_and_cuts_the_rest);
	tcase_add_test(tests, what_waits_in_the_mailbox_at_a_stop_is_closed_and_counted);
	tcase_add_test(tests, a_worker_that_runs_no_post_hangs);
	tcase_add_test(tests, finish_echoes_what_was_acknowledged);
	return suite;
}
