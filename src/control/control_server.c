/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "control/control_server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "control/control_socket.h"
#include "control/door.h"
#include "control/reply.h"
#include "control/routes.h"
#include "control/site_check.h"

/* How long an address in use may take to come free: a predecessor may just have been killed. */
#define PATIENCE_NS NS_PER_S

struct control_server {
	struct routes routes;
	struct door *http; /* owned; NULL until it is open */
	struct site_check site;
};

/* The TCP door: anybody on the machine may knock, and any web page in a browser on it. */
static void
control_server_on_http(void *context, struct evhttp_request *req)
{
	struct control_server *control = context;
	const char *error;
	int code = site_check_request(&control->site, req, &error);

	if (code != 0)
		reply_error(req, code, "%s", error);
	else
		routes_answer(&control->routes, req);
}

static struct door_settings
control_server_settings(const struct control_config *cfg)
{
	return (
	    struct door_settings){ .clients = (size_t)cfg->clients, .timeout_ns = cfg->timeout };
}

static void
control_server_announce(const struct address *address)
{
	char text[ADDRESS_TEXT_MAX];
	struct log_field fields[] = { LOG_TEXT("address", text) };

	address_format_sockaddr(&address->u.sa, address->length, text, sizeof(text));
	log_fields(LOG_LEVEL_NOTICE, fields, ARRAY_SIZE(fields), "control port listening");
}

/* Open the TCP door. Returns 0 or -errno with a line in ERRORS. */
static int
control_server_open_http(struct control_server *control, struct loop *loop,
    const struct control_config *cfg, struct error_list *errors)
{
	struct door_hooks hooks = { .asked = control_server_on_http, .context = control };
	struct door_settings settings = control_server_settings(cfg);
	int fd = control_socket_open(cfg, PATIENCE_NS, errors);
	struct address address;
	int r;

	if (fd < 0)
		return fd;
	r = address_of_socket(fd, &address);
	if (r == 0) {
		site_check_init(&control->site, &address);
		control->http = door_new(loop, fd, &settings, &hooks);
		r = control->http != NULL ? 0 : -ENOMEM;
	}
	if (r < 0) {
		error_list_add(
		    errors, "control.http: cannot serve %s: %s", cfg->http, strerror(-r));
		close(fd);
		return r;
	}
	control_server_announce(&address);
	return 0;
}

struct control_server *
control_server_new(struct loop *loop, struct engine *engine, const struct process_status *status,
    const struct control_config *cfg, struct error_list *errors)
{
	struct control_server *control = calloc(1, sizeof(*control));
	int r;

	if (control == NULL) {
		error_list_add(errors, "control: out of memory");
		errno = ENOMEM;
		return NULL;
	}
	routes_init(&control->routes, engine, status);
	r = control_server_open_http(control, loop, cfg, errors);
	if (r < 0) {
		control_server_free(control);
		errno = -r;
		return NULL;
	}
	return control;
}

void
control_server_change(struct control_server *control, const struct control_config *cfg)
{
	struct door_settings settings = control_server_settings(cfg);

	door_change(control->http, &settings);
}

void
control_server_free(struct control_server *control)
{
	if (control == NULL)
		return;
	routes_done(&control->routes);
	door_free(control->http);
	free(control);
}
