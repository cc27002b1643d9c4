/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "control/control_server.h"

#include <jansson.h>
#include <stdatomic.h>

#include "control_bed.h"
#include "suite.h"

#define CROSS "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: "

static const struct {
	const char *request;
	int code;
} cases[] = {
	{ "GET /livez HTTP/1.1\r\n" OWN "\r\n", 200 },
	{ "GET /livez HTTP/1.0\r\nHost: 127.0.0.1\r\nConnection: keep-alive\r\n\r\n", 200 },
	{ "GET /livez?x=1 HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", 200 },
	{ "GET /livez HTTP/1.1\r\nHost: LocalHost:9862\r\n\r\n", 200 },
	{ "HEAD /stats HTTP/1.1\r\n" OWN "\r\n", 200 },
	{ "GET /metrics HTTP/1.1\r\n" OWN "Origin: http://localhost:3000\r\n\r\n", 200 },
	{ "GET /nowhere HTTP/1.1\r\n" OWN "\r\n", 404 },
	{ "GET /livez/ HTTP/1.1\r\n" OWN "\r\n", 404 },
	{ "GET //livez HTTP/1.1\r\n" OWN "\r\n", 404 },
	{ "GET /live%7a HTTP/1.1\r\n" OWN "\r\n", 400 },
	{ "GET /livez%00 HTTP/1.1\r\n" OWN "\r\n", 400 },
	{ "GET /livez\x01 HTTP/1.1\r\n" OWN "\r\n", 400 },
	{ "GET /livez\xe4 HTTP/1.1\r\n" OWN "\r\n", 400 },
	{ "GET http://localhost/livez HTTP/1.1\r\n" OWN "\r\n", 200 },
	{ "GET http://localhost HTTP/1.1\r\n" OWN "\r\n", 200 },
	{ "GET http://example.org/stats HTTP/1.1\r\n" OWN "\r\n", 403 },
	{ "GET http://localhost:x/stats HTTP/1.1\r\n" OWN "\r\n", 400 },
	{ "GET https://localhost/stats HTTP/1.1\r\n" OWN "\r\n", 400 },
	{ "GET /livez HTTP/1.1\r\n\r\n", 400 },
	{ "GET /livez HTTP/1.0\r\n\r\n", 200 },
	{ "GET /version HTTP/1.0\r\nHost: example.org\r\n\r\n", 403 },
	{ "GET /version HTTP/1.1\r\nHost: Good.Example:9862\r\n\r\n", 200 },
	{ "GET /version HTTP/1.1\r\nHost: [2001:db8::1]\r\n\r\n", 200 },
	{ "GET /version HTTP/1.1\r\n" OWN "Origin: https://good.example\r\n\r\n", 200 },
	{ "GET /version HTTP/1.1\r\n" OWN OWN "\r\n", 400 },
	{ "GET /version HTTP/1.1\r\nHost: localhost.example.org\r\n\r\n", 403 },
	{ "GET /version HTTP/1.1\r\nHost: example.org\r\n\r\n", 403 },
	{ "GET /version HTTP/1.1\r\nHost: localhost:80x\r\n\r\n", 403 },
	{ "GET /version HTTP/1.1\r\nHost: [::1\r\n\r\n", 403 },
	{ "GET /version HTTP/1.1\r\n" OWN "Origin: http://example.org\r\n\r\n", 403 },
	{ "GET /version HTTP/1.1\r\n" OWN "Origin: null\r\n\r\n", 403 },
	{ "GET /version HTTP/1.1\r\n" OWN "Sec-Fetch-Site: cross-site\r\n\r\n", 403 },
	{ "GET / HTTP/1.1\r\n" OWN CROSS "navigate\r\nSec-Fetch-Dest: document\r\n\r\n", 200 },
	{ "HEAD /stats HTTP/1.1\r\n" OWN CROSS "navigate\r\nSec-Fetch-Dest: document\r\n\r\n",
	    200 },
	{ "GET / HTTP/1.1\r\n" OWN CROSS "navigate\r\nSec-Fetch-Dest: iframe\r\n\r\n", 403 },
	{ "GET / HTTP/1.1\r\n" OWN CROSS "no-cors\r\nSec-Fetch-Dest: script\r\n\r\n", 403 },
	{ "GET / HTTP/1.1\r\n" OWN CROSS "cors\r\nSec-Fetch-Dest: document\r\n\r\n", 403 },
	{ "GET / HTTP/1.1\r\n" OWN CROSS "navigate\r\n\r\n", 403 },
	{ "GET / HTTP/1.1\r\n" OWN CROSS
	  "navigate\r\nSec-Fetch-Dest: document\r\nOrigin: http://example.org\r\n\r\n",
	    403 },
	{ "POST /stats HTTP/1.1\r\n" OWN CROSS "navigate\r\nSec-Fetch-Dest: document\r\n\r\n",
	    403 },
	{ "GET /livez HTTP/1.1\r\nHost: example.org\r\n\r\n", 200 },
	{ "GET /readyz HTTP/1.1\r\nHost: [::1\r\n\r\n", 200 },
	{ "GET http://example.org/readyz HTTP/1.1\r\n" OWN "\r\n", 200 },
	{ "GET /livez HTTP/1.1\r\n" OWN "Origin: http://example.org\r\n\r\n", 403 },
	{ "GET /livez HTTP/1.1\r\n" OWN "Sec-Fetch-Site: cross-site\r\n\r\n", 403 },
	{ "POST /stats HTTP/1.1\r\n" OWN "Content-Length: 3\r\n\r\nabc", 405 },
	{ "OPTIONS /stats HTTP/1.1\r\n" OWN "\r\n", 405 },
	{ "BREW /stats HTTP/1.1\r\n" OWN "\r\n", 405 },
	{ "POST /stats HTTP/1.1\r\n" OWN "Content-Length: 99999\r\n\r\n", 413 },
	{ "GET /connections HTTP/1.1\r\n" OWN "\r\n", 200 },
	{ "HEAD /connections HTTP/1.1\r\n" OWN "\r\n", 200 },
	{ "GET /connections?limit=0 HTTP/1.1\r\n" OWN "\r\n", 200 },
	{ "GET /connections?limit=1000 HTTP/1.1\r\n" OWN "\r\n", 200 },
	{ "GET /connections?limit=1001 HTTP/1.1\r\n" OWN "\r\n", 400 },
	{ "GET /connections?limit= HTTP/1.1\r\n" OWN "\r\n", 400 },
	{ "GET /connections?limit HTTP/1.1\r\n" OWN "\r\n", 400 },
	{ "GET /connections?limit=+1 HTTP/1.1\r\n" OWN "\r\n", 400 },
	{ "GET /connections?limit=1&limit=1 HTTP/1.1\r\n" OWN "\r\n", 400 },
	{ "GET /connections?limits=1 HTTP/1.1\r\n" OWN "\r\n", 400 },
	{ "GET /connections?sort=bytes_in&order=asc&state=open&tcp=1 HTTP/1.1\r\n" OWN "\r\n",
	    200 },
	{ "GET /connections?peer=127.0.0.0/8&listener=one&offset=9 HTTP/1.1\r\n" OWN "\r\n", 200 },
	{ "GET /connections?peer=2001:db8::/32 HTTP/1.1\r\n" OWN "\r\n", 200 },
	{ "GET /connections?peer=127.0.0.1%2f8 HTTP/1.1\r\n" OWN "\r\n", 400 },
	{ "GET /connections?sort=bytes HTTP/1.1\r\n" OWN "\r\n", 400 },
	{ "GET /connections/1 HTTP/1.1\r\n" OWN "\r\n", 404 },
	{ "GET /connections/0 HTTP/1.1\r\n" OWN "\r\n", 404 },
	{ "GET /connections/18446744073709551616 HTTP/1.1\r\n" OWN "\r\n", 404 },
	{ "GET /connections/ HTTP/1.1\r\n" OWN "\r\n", 404 },
	{ "GET /connections/ID HTTP/1.1\r\n" OWN "\r\n", 404 },
	{ "GET /connections/-1 HTTP/1.1\r\n" OWN "\r\n", 404 },
	{ "GET /connections/1/close HTTP/1.1\r\n" OWN "\r\n", 405 },
	{ "POST /connections/1/close HTTP/1.1\r\n" OWN "\r\n", 403 },
	{ "POST /stop HTTP/1.1\r\n" OWN "\r\n", 403 },
	{ "GET /stop HTTP/1.1\r\n" OWN "\r\n", 405 },
	{ "POST /nowhere HTTP/1.1\r\n" OWN "\r\n", 404 },
	{ "GET /config HTTP/1.1\r\n" OWN "\r\n", 200 },
	{ "GET /version HTTP/1.1\r\n" OWN "\r\n", 200 },
	{ "GET / HTTP/1.1\r\n" OWN "\r\n", 200 },
	{ "rubbish rubbish rubbish\r\n\r\n", 400 },
};

static char *good_hosts[] = { (char[]){ "good.example" }, (char[]){ "[2001:db8::1]" } };

START_TEST(requests_get_their_status)
{
	open_http();
	cfg->control.http_hosts = (struct config_list){ good_hosts, ARRAY_SIZE(good_hosts) };
	control_server_change(control, &cfg->control);
	ck_assert_msg(
	    ask(cases[_i].request) == cases[_i].code, "%s gave %s", cases[_i].request, reply);
	cfg->control.http_hosts.count = 0;
	cfg->control.http_hosts.items = NULL;
	ck_assert_ptr_null(asked.verb);
}
END_TEST

START_TEST(every_answer_has_its_headers)
{
	static const char *const requests[] = { "GET /livez", "HEAD /metrics", "GET /nowhere",
		"POST /stats", "GET /connections" };

	open_http();
	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		char request[128];

		snprintf(request, sizeof(request), "%s HTTP/1.0\r\n" OWN "\r\n", requests[i]);
		ck_assert_int_ne(ask(request), 0);
		ck_assert_ptr_nonnull(strstr(reply, "\r\nConnection: close\r\n"));
		ck_assert_ptr_nonnull(strstr(reply, "\r\nCache-Control: no-store\r\n"));
		ck_assert_ptr_nonnull(strstr(reply, "\r\nX-Content-Type-Options: nosniff\r\n"));
		ck_assert_ptr_nonnull(
		    strstr(reply, "\r\nContent-Security-Policy: default-src 'none'\r\n"));
		ck_assert_ptr_nonnull(strstr(reply, "\r\nContent-Length: "));
	}
	ask("POST /stats HTTP/1.1\r\n" OWN "\r\n");
	ck_assert_ptr_nonnull(strstr(reply, "\r\nAllow: GET, HEAD\r\n"));
}
END_TEST

START_TEST(head_has_the_length_and_no_body)
{
	char length[64];

	open_http();
	ask("GET /connections HTTP/1.1\r\n" OWN "\r\n");
	snprintf(length, sizeof(length), "\r\nContent-Length: %zu\r\n", strlen(body()));
	ask("HEAD /connections HTTP/1.1\r\n" OWN "\r\n");
	ck_assert_ptr_nonnull(strstr(reply, length));
	ck_assert_str_eq(body(), "");
}
END_TEST

START_TEST(readiness_says_why_not)
{
	open_http();
	ck_assert_int_eq(ask("GET /readyz HTTP/1.1\r\n" OWN "\r\n"), 200);
	ck_assert_str_eq(body(), "ok\n");
	status.not_ready = "draining";
	ck_assert_int_eq(ask("GET /readyz HTTP/1.1\r\n" OWN "\r\n"), 503);
	ck_assert_str_eq(body(), "draining\n");
	ck_assert_int_eq(ask("GET /livez HTTP/1.1\r\n" OWN "\r\n"), 200);
}
END_TEST

START_TEST(fin_after_the_request_does_not_cost_the_answer)
{
	int fd;

	open_http();
	fd = send_request("GET /connections HTTP/1.1\r\n" OWN "\r\n");
	shutdown(fd, SHUT_WR);
	hear(fd);
	ck_assert_str_eq(
	    body(), "{\"total\":0,\"matched\":0,\"limit\":100,\"offset\":0,\"connections\":[]}\n");
}
END_TEST

START_TEST(clients_that_leave_at_once_do_no_harm)
{
	struct linger reset = { .l_onoff = 1 };

	open_http();
	for (int i = 0; i < 100; i++) {
		int fd = send_request("GET /connections?limit=1000 HTTP/1.1\r\n" OWN "\r\n");

		if (i % 2 == 0)
			setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		if (i % 3 == 0)
			loop_run_once(loop);
		close(fd);
	}
	ck_assert_int_eq(ask("GET /livez HTTP/1.1\r\n" OWN "\r\n"), 200);
}
END_TEST

static void
do_wait(void *arg)
{
	while (!atomic_load((atomic_bool *)arg))
		usleep(500);
}

/* Keep all workers from answering until *RELEASE is set. */
static void
hold_workers(atomic_bool *release)
{
	static struct post posts[2];

	ck_assert_uint_eq(engine->worker_count, ARRAY_SIZE(posts));
	for (size_t i = 0; i < ARRAY_SIZE(posts); i++)
		loop_post(engine->workers[i]->loop, &posts[i], do_wait, release);
}

START_TEST(closing_with_answers_under_way_is_safe)
{
	static atomic_bool release;
	int fds[5];

	open_http();
	hold_workers(&release);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = send_request("GET /connections HTTP/1.1\r\n" OWN "\r\n");
	for (int i = 0; i < 20; i++) {
		loop_run_once(loop);
		usleep(1000);
	}
	control_server_free(control);
	control = NULL;
	atomic_store(&release, true);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		hear(fds[i]);
		ck_assert_ptr_eq(strstr(reply, "HTTP/1.1 503 "), reply);
	}
}
END_TEST

START_TEST(answers_that_need_no_worker_come_while_one_hangs)
{
	static atomic_bool release;
	int fds[20];

	cfg->control.clients = 40;
	cfg->control.timeout = 300 * NS_PER_MS;
	open_http();
	hold_workers(&release);
	/* more than may wait; then their clients leave */
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = send_request("GET /connections HTTP/1.1\r\n" OWN "\r\n");
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		hear(fds[i]);
	for (int i = 0; i < 20; i++) {
		ck_assert_int_eq(ask("GET /stats HTTP/1.1\r\n" OWN "\r\n"), 200);
		ck_assert_int_eq(ask("GET /metrics HTTP/1.1\r\n" OWN "\r\n"), 200);
	}
	fds[0] = send_request("GET /connections HTTP/1.1\r\n" OWN "\r\n");
	ck_assert_int_eq(ask("GET /config HTTP/1.1\r\n" OWN "\r\n"), 200);
	atomic_store(&release, true);
	hear(fds[0]);
	ck_assert_ptr_eq(strstr(reply, "HTTP/1.1 200 "), reply);
}
END_TEST

START_TEST(questions_about_one_follow_each_other)
{
	static atomic_bool release;
	int fds[6];

	open_http();
	hold_workers(&release);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		fds[i] = send_request(i % 2 == 0 ? "GET /connections/5 HTTP/1.1\r\n" OWN "\r\n"
						 : "GET /sources HTTP/1.1\r\n" OWN "\r\n");
		for (int turn = 0; turn < 20; turn++)
			loop_run_once(loop);
	}
	atomic_store(&release, true);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		hear(fds[i]);
		ck_assert_ptr_eq(
		    strstr(reply, i % 2 == 0 ? "HTTP/1.1 404 " : "HTTP/1.1 200 "), reply);
	}
}
END_TEST

START_TEST(one_too_many_is_told_to_come_again)
{
	static atomic_bool release;
	int fds[12], busy = 0;

	cfg->control.clients = 40;
	open_http();
	hold_workers(&release);
	/* one is asked for, eight wait */
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		fds[i] = send_request("GET /connections HTTP/1.1\r\n" OWN "\r\n");
		for (int turn = 0; turn < 20; turn++) {
			loop_run_once(loop);
			usleep(200);
		}
	}
	atomic_store(&release, true);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		hear(fds[i]);
		if (strstr(reply, "HTTP/1.1 503 ") != reply)
			continue;
		busy++;
		ck_assert_ptr_nonnull(strstr(reply, "\r\nRetry-After: 1\r\n"));
		ck_assert_str_eq(
		    body(), "{\"error\":\"busy with other questions: try again in a second\"}\n");
	}
	ck_assert_int_eq(busy, ARRAY_SIZE(fds) - 9);
}
END_TEST

START_TEST(answer_that_does_not_come_is_ended_by_the_deadline)
{
	static atomic_bool release;
	int64_t took;

	cfg->control.timeout = 300 * NS_PER_MS;
	open_http();
	hold_workers(&release);
	took = hear(send_request("GET /connections HTTP/1.1\r\n" OWN "\r\n"));
	atomic_store(&release, true);
	ck_assert_str_eq(reply, "");
	ck_assert_int_ge(took, 250 * NS_PER_MS);
	ck_assert_int_lt(took, 5 * NS_PER_S);
	ck_assert_int_eq(ask("GET /connections HTTP/1.1\r\n" OWN "\r\n"), 200);
}
END_TEST

START_TEST(half_a_request_is_ended_by_the_deadline)
{
	int64_t took;

	cfg->control.timeout = 600 * NS_PER_MS;
	open_http();
	took = hear(send_request("GET /livez HTTP/1.1\r\nHost: local"));
	ck_assert_str_eq(reply, "");
	ck_assert_int_ge(took, 500 * NS_PER_MS);
	ck_assert_int_lt(took, 5 * NS_PER_S);
}
END_TEST

START_TEST(answers_do_not_put_off_deadlines)
{
	cfg->control.timeout = 600 * NS_PER_MS;
	open_http();
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(ask("GET /livez HTTP/1.1\r\n" OWN "\r\n"), 200);
	ck_assert_int_lt(hear(send_request("GET /livez HTTP/1.1\r\nHost: local")), 5 * NS_PER_S);
}
END_TEST

START_TEST(silent_clients_make_room_for_one_that_asks)
{
	int silent[40];

	cfg->control.timeout = 60 * NS_PER_S;
	open_http();
	for (size_t i = 0; i < ARRAY_SIZE(silent); i++)
		silent[i] = send_request("");
	ck_assert_int_eq(ask("GET /livez HTTP/1.1\r\n" OWN "\r\n"), 200);
	for (size_t i = 0; i < ARRAY_SIZE(silent); i++)
		close(silent[i]);
}
END_TEST

START_TEST(one_place_is_enough)
{
	cfg->control.clients = 1;
	open_http();
	for (int i = 0; i < 20; i++)
		ck_assert_int_eq(ask("GET /livez HTTP/1.1\r\n" OWN "\r\n"), 200);
	cfg->control.clients = 3;
	control_server_change(control, &cfg->control);
	ck_assert_int_eq(ask("GET /livez HTTP/1.1\r\n" OWN "\r\n"), 200);
}
END_TEST

START_TEST(address_in_use_is_named)
{
	struct control_config other = cfg->control;
	char text[64];

	open_http();
	snprintf(text, sizeof(text), "127.0.0.1:%u", address_port(&http));
	other.http = text;
	other.http_address = http;
	errno = 0;
	ck_assert_ptr_null(control_server_new(loop, engine, &status, &actions, &other, &errors));
	ck_assert_int_eq(errno, EADDRINUSE);
	ck_assert_ptr_nonnull(
	    strstr(error_list_first(&errors), "control.http: cannot bind 127.0.0.1:"));
}
END_TEST

/* Which allocation of jansson fails: 1 is the next one, 0 is none. */
static unsigned failing;

static void *
failing_malloc(size_t size)
{
	return failing > 0 && --failing == 0 ? NULL : malloc(size);
}

static size_t
count_quotes(const char *text)
{
	size_t count = 0;

	for (; *text != '\0'; text++)
		count += *text == '"';
	return count;
}

static const char *const documents[] = { "GET /stats", "GET /connections", "GET /connections/1",
	"GET /config", "GET /version", "GET /nowhere", "GET /connections/77", "GET /stop",
	"POST /stop", "GET /connections?limit=x" };

/* Whole, or a 503 without a body: figures may change from one to the next, quotes may not. */
START_TEST(an_allocation_that_fails_tears_no_answer)
{
	const struct address *address = &TAILQ_FIRST(&engine->acceptor.listeners)->socket.address;
	int client = socket(address->u.sa.sa_family, SOCK_STREAM, 0), code, now;
	unsigned number = 0, refused = 0;
	char request[128];
	size_t quotes;

	open_http();
	ck_assert_int_eq(connect(client, &address->u.sa, address->length), 0);
	while (ask("GET /connections/1 HTTP/1.1\r\n" OWN "\r\n") != 200)
		usleep(1000);
	snprintf(request, sizeof(request), "%s HTTP/1.1\r\n" OWN "\r\n", documents[_i]);
	code = ask(request);
	quotes = count_quotes(body());
	json_set_alloc_funcs(failing_malloc, free);
	do {
		failing = ++number;
		now = ask(request);
		if (now == 503) {
			refused++;
			ck_assert_str_eq(body(), "");
		} else {
			ck_assert_msg(now == code && count_quotes(body()) == quotes, "%s", reply);
		}
	} while (failing == 0);
	failing = 0;
	ck_assert_uint_gt(refused, 2);
	close(client);
}
END_TEST

Suite *
test_suite(void)
{
	Suite *suite = suite_create("control");
	TCase *wire = tcase_create("wire");

	tcase_add_checked_fixture(wire, setup, teardown);
	tcase_set_timeout(wire, 30);
	tcase_add_loop_test(wire, requests_get_their_status, 0, ARRAY_SIZE(cases));
	tcase_add_test(wire, every_answer_has_its_headers);
	tcase_add_test(wire, head_has_the_length_and_no_body);
	tcase_add_test(wire, readiness_says_why_not);
	tcase_add_test(wire, fin_after_the_request_does_not_cost_the_answer);
	tcase_add_test(wire, clients_that_leave_at_once_do_no_harm);
	tcase_add_test(wire, closing_with_answers_under_way_is_safe);
	tcase_add_test(wire, answers_that_need_no_worker_come_while_one_hangs);
	tcase_add_test(wire, questions_about_one_follow_each_other);
	tcase_add_test(wire, one_too_many_is_told_to_come_again);
	tcase_add_test(wire, answer_that_does_not_come_is_ended_by_the_deadline);
	tcase_add_test(wire, half_a_request_is_ended_by_the_deadline);
	tcase_add_test(wire, answers_do_not_put_off_deadlines);
	tcase_add_test(wire, silent_clients_make_room_for_one_that_asks);
	tcase_add_test(wire, one_place_is_enough);
	tcase_add_test(wire, address_in_use_is_named);
	tcase_add_loop_test(
	    wire, an_allocation_that_fails_tears_no_answer, 0, ARRAY_SIZE(documents));
	suite_add_tcase(suite, wire);
	return suite;
}
