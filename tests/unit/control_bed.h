/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A control port in the test's own process: an engine with two listeners, the port on its main
 * loop, and clients that turn this loop while they wait.
 */
#ifndef ECHOD_TESTS_CONTROL_BED_H
#define ECHOD_TESTS_CONTROL_BED_H

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/attributes.h"
#include "base/clock.h"
#include "control/control_server.h"
#include "engine_bed.h"

#define PATIENCE_NS (10 * NS_PER_S)
#define OWN "Host: localhost\r\n"

static struct control_server *control;
static struct process_status status;
static struct control_actions actions;
static struct address http;
static struct address local;
static char folder[] = "/tmp/check_control.XXXXXX";
static char reply[1 << 20];

/* The last verb that was asked for, and how it is to go. */
static struct {
	const char *verb;
	enum log_level level;
	int result;
} asked;

static inline int
record(const char *verb, struct error_list *list)
{
	asked.verb = verb;
	if (asked.result < 0)
		error_list_add(list, "%s: not now", verb);
	return asked.result;
}

static inline const struct config *
do_config(void *context ATTR_UNUSED)
{
	return cfg;
}

static inline void
do_reload(void *context ATTR_UNUSED, struct control_waiter *waiter)
{
	struct control_reload reload = { .errors = ERROR_LIST_EMPTY };
	int r = record("reload", &reload.errors);

	if (asked.result == 0) {
		reload.changes = calloc(1, sizeof(*reload.changes));
		reload.changes[0] = (struct control_change){ strdup("limits.connections"),
			strdup("1"), strdup("2"), false };
		reload.count = 1;
	}
	waiter->done(waiter, r, &reload);
	control_reload_done(&reload);
}

static inline int
do_drain(void *context ATTR_UNUSED, struct error_list *list)
{
	return record("drain", list);
}

static inline int
do_undrain(void *context ATTR_UNUSED, struct error_list *list)
{
	return record("undrain", list);
}

static inline int
do_stop(void *context ATTR_UNUSED, struct error_list *list)
{
	return record("stop", list);
}

static inline int
do_log_reopen(void *context ATTR_UNUSED, struct error_list *list)
{
	return record("log_reopen", list);
}

static inline int
do_log_level(void *context ATTR_UNUSED, enum log_level level, struct error_list *list)
{
	asked.level = level;
	return record("log_level", list);
}

static inline void
setup(void)
{
	const char *error;

	bed_configure();
	cfg->limits.connections = 77;
	cfg->control.clients = 8;
	cfg->control.timeout = 5 * NS_PER_S;
	free(cfg->control.http);
	cfg->control.http = strdup("127.0.0.1:0");
	ck_assert_int_eq(
	    address_parse_host_port(cfg->control.http, &cfg->control.http_address, &error), 0);
	ck_assert_ptr_nonnull(mkdtemp(folder));
	free(cfg->control.socket);
	ck_assert_int_gt(asprintf(&cfg->control.socket, "%s/made/control.sock", folder), 0);
	memset(&asked, 0, sizeof(asked));
	actions = (struct control_actions){ .config = do_config,
		.reload = do_reload,
		.drain = do_drain,
		.undrain = do_undrain,
		.stop = do_stop,
		.log_reopen = do_log_reopen,
		.log_level = do_log_level };
	status = (struct process_status){ .started_ns = clock_now_ns(),
		.started_boot_ns = clock_boot_ns(),
		.wall_offset_ns = clock_wall_ns() - clock_boot_ns(),
		.last_reload_succeeded = true,
		.reloads_succeeded = 3,
		.reloads_failed = 4 };
	control = NULL;
	bed_open();
}

static inline void
teardown(void)
{
	char made[64];

	bed_stop();
	control_server_free(control);
	bed_close();
	snprintf(made, sizeof(made), "%s/made", folder);
	(void)rmdir(made);
	ck_assert_int_eq(rmdir(folder), 0);
	strcpy(folder + strlen(folder) - 6, "XXXXXX");
}

/* The addresses of the control port: its sockets are those that listen and are no listener's. */
static inline void
find_addresses(void)
{
	memset(&http, 0, sizeof(http));
	memset(&local, 0, sizeof(local));
	for (int fd = 3; fd < 256; fd++) {
		int listens = 0;
		socklen_t length = sizeof(listens);
		struct address address;
		struct listener *lis;
		bool known = false;

		if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) < 0 || !listens)
			continue;
		TAILQ_FOREACH (lis, &engine->acceptor.listeners, next)
			known |= lis->socket.fd == fd;
		if (known)
			continue;
		ck_assert_int_eq(address_of_socket(fd, &address), 0);
		*(address.transport == ADDRESS_UNIX ? &local : &http) = address;
	}
}

static inline void
open_control(void)
{
	control = control_server_new(loop, engine, &status, &actions, &cfg->control, &errors);
	ck_assert_ptr_nonnull(control);
	find_addresses();
	ck_assert_int_eq(engine_start(engine, &errors), 0);
}

/* The TCP port alone. */
static inline void
open_http(void)
{
	cfg->control.socket[0] = '\0';
	open_control();
}

static inline int
send_at(const struct address *address, const char *request)
{
	int fd = socket(address->u.sa.sa_family, SOCK_STREAM, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(connect(fd, &address->u.sa, address->length), 0);
	ck_assert_int_eq(send(fd, request, strlen(request), 0), strlen(request));
	return fd;
}

static inline int
send_request(const char *request)
{
	return send_at(&http, request);
}

/* Turn the main loop until FD is at its end. Returns how long that took; the text is in reply. */
static inline int64_t
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

static inline int
ask_at(const struct address *address, const char *request)
{
	int code = 0;

	hear(send_at(address, request));
	(void)sscanf(reply, "HTTP/1.%*d %d", &code);
	return code;
}

static inline int
ask(const char *request)
{
	return ask_at(&http, request);
}

static inline const char *
body(void)
{
	const char *end = strstr(reply, "\r\n\r\n");

	ck_assert_ptr_nonnull(end);
	return end + 4;
}

#endif
