/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "control/control_server.h"

#include <check.h>
#include <errno.h>
#include <event2/buffer.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "control/metrics_text.h"
#include "control/stats_json.h"
#include "engine/engine.h"
#include "engine/plan.h"

#define PATIENCE_NS (10 * NS_PER_S)
#define OWN "Host: localhost\r\n"

static struct loop *loop;
static struct engine *engine;
static struct config *cfg;
static struct control_server *control;
static struct process_status status;
static struct error_list errors = ERROR_LIST_EMPTY;
static struct address door;
static char reply[1 << 20];

static void
add_listener(const char *name)
{
	struct listener_config *lis = config_add_listener(cfg);
	const char *error;

	ck_assert_ptr_nonnull(lis);
	free(lis->name);
	free(lis->address_text);
	lis->name = strdup(name);
	lis->address_text = strdup("tcp://127.0.0.1:0");
	ck_assert_int_eq(address_parse(lis->address_text, &lis->address, &error), 0);
	lis->enabled = true;
}

static void
setup(void)
{
	const char *error;
	sigset_t all;

	signal(SIGPIPE, SIG_IGN);
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	cfg = config_new_empty();
	ck_assert_ptr_nonnull(cfg);
	cfg->workers = 2;
	cfg->limits.connections = 77;
	cfg->control.clients = 8;
	cfg->control.timeout = 5 * NS_PER_S;
	free(cfg->control.http);
	cfg->control.http = strdup("127.0.0.1:0");
	ck_assert_int_eq(
	    address_parse_host_port(cfg->control.http, &cfg->control.http_address, &error), 0);
	add_listener("one");
	add_listener("two");
	status = (struct process_status){ .started_ns = clock_now_ns(),
		.started_wall_ns = clock_wall_ns(),
		.last_reload_succeeded = true,
		.reloads_succeeded = 3,
		.reloads_failed = 4 };
	control = NULL;
	loop = loop_new();
	ck_assert_ptr_nonnull(loop);
	engine = engine_new(loop, cfg, &errors);
	ck_assert_ptr_nonnull(engine);
	ck_assert_int_eq(plan_apply(engine, cfg, NULL, 0, &errors), 0);
}

static void
teardown(void)
{
	engine_stop(engine);
	loop_run_once(loop);
	control_server_free(control);
	engine_free(engine);
	loop_free(loop);
	config_free(cfg);
	error_list_done(&errors);
}

/* --- documents ------------------------------------------------------------------------------ */

/* Give every counter of every service a value of its own. */
static uint64_t
counter_value(const char *service, int id)
{
	return (strcmp(service, "one") == 0 ? 1000 : 2000) + (uint64_t)id;
}

static void
count(void)
{
	struct service *service;

	TAILQ_FOREACH (service, &engine->services, next) {
		for (int id = 0; id < COUNTER_COUNT; id++) {
			/* in parts, as the main loop and the workers count */
			counters_add(&service->acceptor, (enum counter)id, 1);
			counters_add(&service->shares[1].counters, (enum counter)id,
			    counter_value(service->name, id) - 1);
		}
		atomic_store(&service->connections, 5);
	}
}

static char *
metrics_new(void)
{
	struct evbuffer *out = evbuffer_new();
	char *text;

	ck_assert_int_eq(metrics_text_write(out, engine, &status), 0);
	ck_assert_int_eq(evbuffer_add(out, "", 1), 0);
	text = strdup((const char *)evbuffer_pullup(out, -1));
	evbuffer_free(out);
	return text;
}

static void
assert_line(const char *text, const char *line)
{
	const char *found = strstr(text, line);

	ck_assert_msg(
	    found != NULL && (found == text || found[-1] == '\n') && found[strlen(line)] == '\n',
	    "no line %s", line);
}

START_TEST(metrics_have_every_counter)
{
	struct service *service;
	char *text, line[256];

	count();
	text = metrics_new();
	TAILQ_FOREACH (service, &engine->services, next) {
		for (int id = 0; id < COUNTER_COUNT; id++) {
			const struct counter_info *info = counter_info((enum counter)id);
			uint64_t value = counter_value(service->name, id);

			if (info->label == NULL)
				snprintf(line, sizeof(line), "%s{listener=\"%s\"} %" PRIu64,
				    info->metric, service->name, value);
			else
				snprintf(line, sizeof(line),
				    "%s{listener=\"%s\",%s=\"%s\"} %" PRIu64, info->metric,
				    service->name, info->label, info->value, value);
			assert_line(text, line);
		}
	}
	assert_line(text, "echod_connections{listener=\"two\"} 5");
	assert_line(text, "echod_connections_limit 77");
	assert_line(text, "echod_build_info{version=\"" PACKAGE_VERSION "\"} 1");
	assert_line(text, "echod_config_reloads_total{result=\"success\"} 3");
	assert_line(text, "echod_config_reloads_total{result=\"failure\"} 4");
	assert_line(text, "echod_config_last_reload_successful 1");
	assert_line(text, "echod_draining 0");
	free(text);
}
END_TEST

/* Each family is described once, and its samples follow its description at once. */
START_TEST(metrics_come_in_families)
{
	char *text = metrics_new(), *state = NULL, family[128] = "", name[160], seen[8192] = " ";

	for (char *line = strtok_r(text, "\n", &state); line != NULL;
	     line = strtok_r(NULL, "\n", &state)) {
		if (sscanf(line, "# HELP %100s", family) == 1) {
			snprintf(name, sizeof(name), " %s ", family);
			ck_assert_msg(strstr(seen, name) == NULL, "%s comes twice", family);
			strcat(seen, name + 1);
		} else if (sscanf(line, "# TYPE %100s", name) == 1) {
			ck_assert_str_eq(name, family);
		} else {
			ck_assert_int_eq(sscanf(line, "%100[a-z_]", name), 1);
			ck_assert_str_eq(name, family);
		}
	}
	ck_assert_ptr_nonnull(strstr(seen, " process_resident_memory_bytes "));
	free(text);
}
END_TEST

START_TEST(labels_are_escaped)
{
	char text[32];

	ck_assert_str_eq(metrics_text_escape("a\\b\"c\nd", text, sizeof(text)), "a\\\\b\\\"c\\nd");
	ck_assert_str_eq(metrics_text_escape("", text, sizeof(text)), "");
	/* cut, but never behind half of an escape */
	ck_assert_str_eq(metrics_text_escape("\"\"\"", text, 6), "\\\"\\\"");
}
END_TEST

START_TEST(stats_have_every_counter)
{
	struct service *service;
	json_t *document, *totals, *listeners;
	size_t index = 0;

	count();
	document = stats_json_new(engine, &status);
	ck_assert_ptr_nonnull(document);
	totals = json_object_get(document, "totals");
	listeners = json_object_get(document, "listeners");
	ck_assert_uint_eq(json_array_size(listeners), 2);
	for (int id = 0; id < COUNTER_COUNT; id++) {
		const struct counter_info *info = counter_info((enum counter)id);
		json_t *value = json_object_get(totals, info->key);

		if (info->label != NULL)
			value = json_object_get(value, info->value);
		ck_assert(json_is_integer(value));
		ck_assert_int_eq(json_integer_value(value), 3000 + 2 * id);
	}
	TAILQ_FOREACH (service, &engine->services, next) {
		json_t *row = json_array_get(listeners, index++);

		ck_assert_str_eq(json_string_value(json_object_get(row, "name")), service->name);
		ck_assert_str_eq(json_string_value(json_object_get(row, "origin")), "bound");
		ck_assert(json_is_true(json_object_get(row, "accepting")));
		ck_assert_int_eq(json_integer_value(json_object_get(row, "connections_accepted")),
		    (int64_t)counter_value(service->name, COUNTER_CONNECTIONS_ACCEPTED));
	}
	json_decref(document);
}
END_TEST

START_TEST(stats_know_a_service_without_a_listener)
{
	json_t *document, *row;

	engine_close_listeners(engine);
	document = stats_json_new(engine, &status);
	row = json_array_get(json_object_get(document, "listeners"), 1);
	ck_assert_str_eq(json_string_value(json_object_get(row, "name")), "two");
	ck_assert(json_is_null(json_object_get(row, "address")));
	ck_assert(json_is_null(json_object_get(row, "origin")));
	ck_assert(json_is_false(json_object_get(row, "accepting")));
	ck_assert(json_is_integer(json_object_get(row, "received_bytes")));
	json_decref(document);
}
END_TEST

/* --- over the wire -------------------------------------------------------------------------- */

/* The control port's address: its socket is the one that listens and is no listener's. */
static void
find_door(void)
{
	for (int fd = 3; fd < 256; fd++) {
		int listens = 0;
		socklen_t length = sizeof(listens);
		struct listener *lis;
		bool known = false;

		if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) < 0 || !listens)
			continue;
		TAILQ_FOREACH (lis, &engine->listeners, next)
			known |= lis->socket.fd == fd;
		if (!known) {
			ck_assert_int_eq(address_of_socket(fd, &door), 0);
			return;
		}
	}
	ck_abort_msg("the control port does not listen");
}

static void
open_door(void)
{
	control = control_server_new(loop, engine, &status, &cfg->control, &errors);
	ck_assert_ptr_nonnull(control);
	find_door();
	ck_assert_int_eq(engine_start(engine), 0);
}

static int
knock(const char *request)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(connect(fd, &door.u.sa, door.length), 0);
	ck_assert_int_eq(send(fd, request, strlen(request), 0), strlen(request));
	return fd;
}

/* Turn the main loop until FD is at its end. Returns how long that took; the text is in reply. */
static int64_t
hear(int fd)
{
	int64_t begin = clock_now_ns();
	size_t used = 0;

	for (;;) {
		ssize_t n = recv(fd, reply + used, sizeof(reply) - used - 1, MSG_DONTWAIT);

		if (n > 0)
			used += (size_t)n;
		else if (n == 0 || errno != EAGAIN)
			break;
		ck_assert_int_lt(clock_now_ns() - begin, PATIENCE_NS);
		loop_run_once(loop);
		usleep(200);
	}
	reply[used] = '\0';
	close(fd);
	return clock_now_ns() - begin;
}

static int
ask(const char *request)
{
	int code = 0;

	hear(knock(request));
	(void)sscanf(reply, "HTTP/1.%*d %d", &code);
	return code;
}

static const char *
body(void)
{
	const char *end = strstr(reply, "\r\n\r\n");

	ck_assert_ptr_nonnull(end);
	return end + 4;
}

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
	{ "GET http://localhost/livez HTTP/1.1\r\n" OWN "\r\n", 400 },
	{ "GET /livez HTTP/1.1\r\n\r\n", 400 },
	{ "GET /livez HTTP/1.1\r\n" OWN OWN "\r\n", 400 },
	{ "GET /livez HTTP/1.1\r\nHost: localhost.example.org\r\n\r\n", 403 },
	{ "GET /livez HTTP/1.1\r\nHost: example.org\r\n\r\n", 403 },
	{ "GET /livez HTTP/1.1\r\nHost: localhost:80x\r\n\r\n", 403 },
	{ "GET /livez HTTP/1.1\r\nHost: [::1\r\n\r\n", 403 },
	{ "GET /livez HTTP/1.1\r\n" OWN "Origin: http://example.org\r\n\r\n", 403 },
	{ "GET /livez HTTP/1.1\r\n" OWN "Origin: null\r\n\r\n", 403 },
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
	{ "rubbish rubbish rubbish\r\n\r\n", 400 },
};

START_TEST(requests_get_their_status)
{
	open_door();
	ck_assert_msg(
	    ask(cases[_i].request) == cases[_i].code, "%s gave %s", cases[_i].request, reply);
}
END_TEST

START_TEST(every_answer_has_its_headers)
{
	static const char *const requests[] = { "GET /livez", "HEAD /metrics", "GET /nowhere",
		"POST /stats", "GET /connections" };

	open_door();
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

	open_door();
	ask("GET /connections HTTP/1.1\r\n" OWN "\r\n");
	snprintf(length, sizeof(length), "\r\nContent-Length: %zu\r\n", strlen(body()));
	ask("HEAD /connections HTTP/1.1\r\n" OWN "\r\n");
	ck_assert_ptr_nonnull(strstr(reply, length));
	ck_assert_str_eq(body(), "");
}
END_TEST

START_TEST(readiness_says_why_not)
{
	open_door();
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

	open_door();
	fd = knock("GET /connections HTTP/1.1\r\n" OWN "\r\n");
	shutdown(fd, SHUT_WR);
	hear(fd);
	ck_assert_str_eq(body(), "{\"total\":0,\"connections\":[]}\n");
}
END_TEST

START_TEST(clients_that_leave_at_once_do_no_harm)
{
	struct linger reset = { .l_onoff = 1 };

	open_door();
	for (int i = 0; i < 100; i++) {
		int fd = knock("GET /connections?limit=1000 HTTP/1.1\r\n" OWN "\r\n");

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
	for (size_t i = 0; i < engine->worker_count; i++)
		ck_assert_int_eq(loop_post(engine->workers[i]->loop, do_wait, release), 0);
}

START_TEST(closing_with_answers_under_way_is_safe)
{
	static atomic_bool release;
	int fds[5];

	open_door();
	hold_workers(&release);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = knock("GET /connections HTTP/1.1\r\n" OWN "\r\n");
	for (int i = 0; i < 20; i++) {
		loop_run_once(loop);
		usleep(1000);
	}
	control_server_free(control);
	control = NULL;
	atomic_store(&release, true);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		hear(fds[i]);
		ck_assert_str_eq(reply, "");
	}
}
END_TEST

START_TEST(answer_that_does_not_come_is_ended_by_the_deadline)
{
	static atomic_bool release;
	int64_t took;

	cfg->control.timeout = 300 * NS_PER_MS;
	open_door();
	hold_workers(&release);
	took = hear(knock("GET /connections HTTP/1.1\r\n" OWN "\r\n"));
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
	open_door();
	took = hear(knock("GET /livez HTTP/1.1\r\nHost: local"));
	ck_assert_str_eq(reply, "");
	ck_assert_int_ge(took, 500 * NS_PER_MS);
	ck_assert_int_lt(took, 5 * NS_PER_S);
}
END_TEST

START_TEST(silent_clients_make_room_for_one_that_asks)
{
	int silent[40];

	cfg->control.timeout = 60 * NS_PER_S;
	open_door();
	for (size_t i = 0; i < ARRAY_SIZE(silent); i++)
		silent[i] = knock("");
	ck_assert_int_eq(ask("GET /livez HTTP/1.1\r\n" OWN "\r\n"), 200);
	for (size_t i = 0; i < ARRAY_SIZE(silent); i++)
		close(silent[i]);
}
END_TEST

START_TEST(one_place_is_enough)
{
	cfg->control.clients = 1;
	open_door();
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

	open_door();
	snprintf(text, sizeof(text), "127.0.0.1:%u", address_port(&door));
	other.http = text;
	other.http_address = door;
	errno = 0;
	ck_assert_ptr_null(control_server_new(loop, engine, &status, &other, &errors));
	ck_assert_int_eq(errno, EADDRINUSE);
	ck_assert_ptr_nonnull(
	    strstr(error_list_first(&errors), "control.http: cannot bind 127.0.0.1:"));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("control");
	TCase *documents = tcase_create("documents"), *wire = tcase_create("wire");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(documents, setup, teardown);
	tcase_add_test(documents, metrics_have_every_counter);
	tcase_add_test(documents, metrics_come_in_families);
	tcase_add_test(documents, labels_are_escaped);
	tcase_add_test(documents, stats_have_every_counter);
	tcase_add_test(documents, stats_know_a_service_without_a_listener);
	suite_add_tcase(suite, documents);

	tcase_add_checked_fixture(wire, setup, teardown);
	tcase_set_timeout(wire, 30);
	tcase_add_loop_test(wire, requests_get_their_status, 0, ARRAY_SIZE(cases));
	tcase_add_test(wire, every_answer_has_its_headers);
	tcase_add_test(wire, head_has_the_length_and_no_body);
	tcase_add_test(wire, readiness_says_why_not);
	tcase_add_test(wire, fin_after_the_request_does_not_cost_the_answer);
	tcase_add_test(wire, clients_that_leave_at_once_do_no_harm);
	tcase_add_test(wire, closing_with_answers_under_way_is_safe);
	tcase_add_test(wire, answer_that_does_not_come_is_ended_by_the_deadline);
	tcase_add_test(wire, half_a_request_is_ended_by_the_deadline);
	tcase_add_test(wire, silent_clients_make_room_for_one_that_asks);
	tcase_add_test(wire, one_place_is_enough);
	tcase_add_test(wire, address_in_use_is_named);
	suite_add_tcase(suite, wire);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
