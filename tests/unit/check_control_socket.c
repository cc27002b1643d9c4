/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "control/control_server.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "control_bed.h"
#include "suite.h"

static const struct {
	const char *request;
	int result; /* of the action */
	int code;
	const char *verb; /* NULL: none is to be done */
	const char *body;
} local_cases[] = {
	{ "POST /reload HTTP/1.1\r\n" OWN "\r\n", 0, 200, "reload",
	    "{\"changed\":[{\"key\":\"limits.connections\",\"from\":\"1\",\"to\":\"2\"}],"
	    "\"needs_restart\":[]}\n" },
	{ "POST /reload HTTP/1.1\r\n" OWN "\r\n", -EINVAL, 422, "reload",
	    "{\"errors\":[\"reload: not now\"]}\n" },
	{ "POST /reload HTTP/1.1\r\n" OWN "\r\n", -EBUSY, 409, "reload",
	    "{\"error\":\"reload: not now\"}\n" },
	{ "POST /drain HTTP/1.1\r\n" OWN "\r\n", 0, 200, "drain", "{\"ok\":true}\n" },
	{ "POST /drain HTTP/1.0\r\n\r\n", -EALREADY, 409, "drain",
	    "{\"error\":\"drain: not now\"}\n" },
	{ "POST /undrain HTTP/1.1\r\nHost: anything.example\r\n\r\n", 0, 200, "undrain",
	    "{\"ok\":true}\n" },
	{ "POST /stop HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", 0, 200, "stop",
	    "{\"ok\":true}\n" },
	{ "POST /log/reopen HTTP/1.1\r\n\r\n", 0, 200, "log_reopen", "{\"ok\":true}\n" },
	{ "POST /log/level?level=debug HTTP/1.1\r\n\r\n", 0, 200, "log_level", "{\"ok\":true}\n" },
	{ "POST /log/level?level=loud HTTP/1.1\r\n\r\n", 0, 400, NULL, NULL },
	{ "POST /log/level?level=info&level=debug HTTP/1.1\r\n\r\n", 0, 400, NULL, NULL },
	{ "POST /log/level HTTP/1.1\r\n\r\n", 0, 400, NULL, NULL },
	{ "POST /connections/77/close HTTP/1.1\r\n\r\n", 0, 404, NULL,
	    "{\"error\":\"no connection 77 is open\"}\n" },
	{ "POST /stop HTTP/1.1\r\nOrigin: http://example.org\r\n\r\n", 0, 403, NULL, NULL },
	{ "POST /stop HTTP/1.1\r\nSec-Fetch-Site: cross-site\r\n\r\n", 0, 403, NULL, NULL },
	{ "POST /stop%00 HTTP/1.1\r\n\r\n", 0, 400, NULL, NULL },
	{ "POST /stop HTTP/1.1\r\nContent-Length: 5000\r\n\r\n", 0, 413, NULL, NULL },
	{ "POST /livez HTTP/1.1\r\n\r\n", 0, 405, NULL, NULL },
	{ "GET /stop HTTP/1.1\r\n\r\n", 0, 405, NULL, "{\"error\":\"/stop takes POST\"}\n" },
	{ "HEAD /stop HTTP/1.1\r\n\r\n", 0, 405, NULL, NULL },
	{ "GET /livez HTTP/1.1\r\n\r\n", 0, 200, NULL, "ok\n" },
};

START_TEST(the_socket_does_what_it_is_told)
{
	open_control();
	asked.result = local_cases[_i].result;
	ck_assert_msg(ask_at(&local, local_cases[_i].request) == local_cases[_i].code, "%s gave %s",
	    local_cases[_i].request, reply);
	if (local_cases[_i].verb != NULL)
		ck_assert_pstr_eq(asked.verb, local_cases[_i].verb);
	else
		ck_assert_ptr_null(asked.verb);
	if (local_cases[_i].body != NULL)
		ck_assert_str_eq(body(), local_cases[_i].body);
	if (strstr(local_cases[_i].request, "level=debug") != NULL && asked.verb != NULL)
		ck_assert_int_eq(asked.level, LOG_LEVEL_DEBUG);
}
END_TEST

START_TEST(the_socket_is_enough)
{
	struct stat st;

	cfg->control.http[0] = '\0';
	open_control();
	ck_assert_uint_eq(http.length, 0);
	ck_assert_int_eq(ask_at(&local, "GET /livez HTTP/1.1\r\n\r\n"), 200);
	ck_assert_int_eq(stat(cfg->control.socket, &st), 0);
	ck_assert(S_ISSOCK(st.st_mode));
	ck_assert_int_eq(st.st_mode & 07777, 0660);
	*strrchr(cfg->control.socket, '/') = '\0';
	ck_assert_int_eq(stat(cfg->control.socket, &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0755);
	cfg->control.socket[strlen(cfg->control.socket)] = '/';
	control_server_free(control);
	control = NULL;
	ck_assert_int_lt(stat(cfg->control.socket, &st), 0);
}
END_TEST

START_TEST(no_address_at_all_is_fine)
{
	cfg->control.http[0] = '\0';
	open_http();
	ck_assert_uint_eq(http.length + local.length, 0);
	control_server_change(control, &cfg->control);
}
END_TEST

START_TEST(a_place_that_was_asked_for_must_work)
{
	strcpy(cfg->control.socket, "/proc/control.sock");
	ck_assert_ptr_null(
	    control_server_new(loop, engine, &status, &actions, &cfg->control, &errors));
	ck_assert_int_ne(errno, 0);
	ck_assert_ptr_nonnull(strstr(error_list_first(&errors), "control.socket: cannot"));
	ck_assert_ptr_nonnull(strstr(error_list_first(&errors), "/proc/control.sock"));
}
END_TEST

START_TEST(auto_takes_the_folder_of_the_service_manager)
{
	char list[64], path[64];
	struct stat st;

	snprintf(list, sizeof(list), "%s:/nowhere", folder);
	snprintf(path, sizeof(path), "%s/control.sock", folder);
	setenv("RUNTIME_DIRECTORY", list, 1);
	strcpy(cfg->control.socket, "auto");
	open_control();
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(ask_at(&local, "GET /livez HTTP/1.1\r\n\r\n"), 200);
	control_server_free(control);
	control = NULL;
	unsetenv("RUNTIME_DIRECTORY");
}
END_TEST

START_TEST(auto_without_a_place_serves_all_the_same)
{
	setenv("RUNTIME_DIRECTORY", "/nowhere/at/all", 1);
	strcpy(cfg->control.socket, "auto");
	open_control();
	ck_assert_uint_eq(local.length, 0);
	ck_assert_uint_eq(error_list_count(&errors), 0);
	ck_assert_int_eq(ask("GET /livez HTTP/1.1\r\n" OWN "\r\n"), 200);
	unsetenv("RUNTIME_DIRECTORY");
}
END_TEST

/* A client whose own socket has a name longer than most: libevent once gave up here. */
START_TEST(clients_may_have_long_names)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), code = 0;
	static const char request[] = "GET /livez HTTP/1.1\r\n\r\n";

	open_control();
	memset(name.sun_path, 'n', 100);
	memcpy(name.sun_path, folder, strlen(folder));
	name.sun_path[strlen(folder)] = '/';
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&name, sizeof(name)), 0);
	ck_assert_int_eq(connect(fd, &local.u.sa, local.length), 0);
	ck_assert_int_eq(send(fd, request, strlen(request), 0), strlen(request));
	hear(fd);
	(void)sscanf(reply, "HTTP/1.%*d %d", &code);
	ck_assert_int_eq(code, 200);
	ck_assert_int_eq(unlink(name.sun_path), 0);
}
END_TEST

/* With every other descriptor used up, both still answer, again and again. */
START_TEST(descriptors_are_held_in_reserve)
{
	const struct rlimit limit = { 256, 256 };
	int eaten[256], probe;
	size_t count = 0;

	open_control();
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	for (int round = 0; round < 10; round++) {
		const struct address *address = round % 2 == 0 ? &local : &http;
		int fd = socket(address->u.sa.sa_family, SOCK_STREAM, 0), code = 0;
		static const char request[] = "GET /livez HTTP/1.1\r\n" OWN "\r\n";

		while (count < ARRAY_SIZE(eaten) && (probe = dup(fd)) >= 0)
			eaten[count++] = probe;
		ck_assert_int_eq(errno, EMFILE);
		ck_assert_int_eq(connect(fd, &address->u.sa, address->length), 0);
		ck_assert_int_eq(send(fd, request, strlen(request), 0), strlen(request));
		hear(fd);
		(void)sscanf(reply, "HTTP/1.%*d %d", &code);
		ck_assert_msg(code == 200, "round %d: %s", round, reply);
	}
	while (count > 0)
		close(eaten[--count]);
}
END_TEST

Suite *
test_suite(void)
{
	Suite *suite = suite_create("control_socket");
	TCase *wire = tcase_create("wire");

	tcase_add_checked_fixture(wire, setup, teardown);
	tcase_set_timeout(wire, 30);
	tcase_add_loop_test(wire, the_socket_does_what_it_is_told, 0, ARRAY_SIZE(local_cases));
	tcase_add_test(wire, the_socket_is_enough);
	tcase_add_test(wire, no_address_at_all_is_fine);
	tcase_add_test(wire, a_place_that_was_asked_for_must_work);
	tcase_add_test(wire, auto_takes_the_folder_of_the_service_manager);
	tcase_add_test(wire, auto_without_a_place_serves_all_the_same);
	tcase_add_test(wire, clients_may_have_long_names);
	tcase_add_test(wire, descriptors_are_held_in_reserve);
	suite_add_tcase(suite, wire);
	return suite;
}
