/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any bytes as a client of the control port. The first byte chooses the listener, an even one that
 * may only be read; the others are sent through a socket to the real one, evhttp included. Every
 * answer has its headers, JSON can be read, and the read-only listener changes nothing.
 */
#include <config.h>

#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/attributes.h"
#include "base/clock.h"
#include "base/log.h"
#include "control/control_listener.h"
#include "control/routes.h"
#include "engine/engine.h"

#define PATIENCE_NS (5 * NS_PER_S)
#define ANSWER_MAX (1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct served {
	struct control_listener *lis;
	struct sockaddr_un name;
	socklen_t length;
};

static struct {
	struct loop *loop;
	struct config *cfg;
	struct engine *engine;
	struct process_status status;
	struct control_actions actions;
	struct routes routes;
	struct served served[2]; /* the first may not act */
	bool acted;
	char answer[ANSWER_MAX];
} bed;

static void
must(bool good, const char *what)
{
	if (good)
		return;
	(void)fprintf(stderr, "%s\n%s\n", what, bed.answer);
	abort();
}

static const struct config *
do_config(void *context ATTR_UNUSED)
{
	return bed.cfg;
}

static void
do_reload(void *context ATTR_UNUSED, struct control_waiter *waiter)
{
	struct control_reload reload = { .errors = ERROR_LIST_EMPTY };

	bed.acted = true;
	error_list_add(&reload.errors, "FILE:1: wrong");
	waiter->done(waiter, -EINVAL, &reload);
	control_reload_done(&reload);
}

static int
do_act(void *context ATTR_UNUSED, struct error_list *errors ATTR_UNUSED)
{
	bed.acted = true;
	return 0;
}

static int
do_log_level(void *context, enum log_level level ATTR_UNUSED, struct error_list *errors)
{
	return do_act(context, errors);
}

/* Clients come by a socket without a file, whatever ADDRESS the listener takes it for. */
static void
serve(struct served *served, const struct address *address)
{
	struct listen_socket sock = { .fd = -1, .file = SOCKET_FILE_NONE };

	sock.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	sock.address = *address;
	served->name.sun_family = AF_UNIX;
	/* the kernel finds an abstract name */
	must(bind(sock.fd, (struct sockaddr *)&served->name, sizeof(sa_family_t)) == 0, "bind");
	served->length = sizeof(served->name);
	must(getsockname(sock.fd, (struct sockaddr *)&served->name, &served->length) == 0, "name");
	must(listen(sock.fd, 128) == 0, "listen");
	served->lis = control_listener_new(bed.loop, &sock, &bed.cfg->control, &bed.routes);
	must(served->lis != NULL, "listener");
}

static void
begin(void)
{
	struct error_list errors = ERROR_LIST_EMPTY;
	struct address address = { .transport = ADDRESS_UNIX };
	const char *error;

	(void)signal(SIGPIPE, SIG_IGN);
	log_set_level(LOG_LEVEL_ERROR);
	bed.cfg = config_new_default();
	bed.cfg->workers = 1;
	bed.cfg->control.clients = 1 << 20;
	bed.cfg->control.timeout = 60 * NS_PER_S;
	bed.loop = loop_new();
	bed.engine = engine_new(bed.loop, bed.cfg, &errors);
	must(bed.engine != NULL, "engine");
	bed.actions = (struct control_actions){ .config = do_config,
		.reload = do_reload,
		.drain = do_act,
		.undrain = do_act,
		.stop = do_act,
		.log_reopen = do_act,
		.log_level = do_log_level };
	bed.routes.engine = bed.engine;
	bed.routes.status = &bed.status;
	bed.routes.actions = &bed.actions;
	answers_init(&bed.routes.answers, bed.loop);
	serve(&bed.served[1], &address);
	must(address_parse_host_port("127.0.0.1:80", &address, &error) == 0, "address");
	serve(&bed.served[0], &address);
}

/* Send all, then listen until the daemon ends it. Returns how much came. */
static size_t
converse(const struct served *served, const uint8_t *data, size_t size)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int64_t begin_ns = clock_now_ns();
	size_t used = 0;
	bool done = false;

	must(connect(fd, (const struct sockaddr *)&served->name, served->length) == 0, "connect");
	while (!done) {
		ssize_t n = size > 0 ? send(fd, data, size, 0) : 0;

		if (n > 0) {
			data += n;
			size -= (size_t)n;
		} else if (n < 0 && errno != EAGAIN) {
			size = 0;
		}
		if (size == 0)
			(void)shutdown(fd, SHUT_WR);
		loop_run_once(bed.loop);
		while ((n = recv(fd, bed.answer + used, ANSWER_MAX - 1 - used, 0)) > 0)
			used += (size_t)n;
		done = n == 0 || errno != EAGAIN;
		must(clock_now_ns() - begin_ns < PATIENCE_NS, "no end");
	}
	close(fd);
	bed.answer[used] = '\0';
	return used;
}

/* An answer of ours; evhttp words its own refusals, which are HTML. */
static void
check_answer(size_t length)
{
	const char *end = strstr(bed.answer, "\r\n\r\n");
	json_t *document;

	if (length == 0)
		return;
	must(strncmp(bed.answer, "HTTP/", 5) == 0 && end != NULL, "not HTTP");
	if (strstr(bed.answer, "\r\nContent-Type: text/html\r\n") != NULL)
		return;
	must(strstr(bed.answer, "\r\nX-Content-Type-Options: nosniff\r\n") != NULL, "sniff");
	end += 4;
	/* compressed where the input asks for it */
	if (strstr(bed.answer, "\r\nContent-Encoding: ") != NULL)
		return;
	if (*end == '\0' || strstr(bed.answer, "\r\nContent-Type: application/json\r\n") == NULL)
		return;
	document = json_loadb(end, length - (size_t)(end - bed.answer), 0, NULL);
	must(document != NULL, "no JSON");
	json_decref(document);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t length;

	if (size == 0)
		return 0;
	if (bed.loop == NULL)
		begin();
	bed.acted = false;
	length = converse(&bed.served[data[0] & 1], data + 1, size - 1);
	check_answer(length);
	must(!bed.acted || (data[0] & 1) != 0, "the read-only listener acted");
	return 0;
}
