/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "control/control_server.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "control/control_listener.h"
#include "control/routes.h"
#include "engine/loop.h"

/* At the end, how long the last answers may take to be made, and to leave. */
#define CLOSE_MAKE_NS (50 * NS_PER_MS)
#define CLOSE_SEND_NS (150 * NS_PER_MS)
#define CLOSE_TURNS 4
#define CLOSE_PAUSE_US 500

#define HTTP_BACKLOG 128

/* Full, it refuses at once those who cannot wait, as curl does: it is to be hard to fill. */
#define SOCKET_BACKLOG 1024

#define SOCKET_KEY "control.socket"
#define SOCKET_AUTO "auto" /* a value that leaves the path to the daemon */
#define SOCKET_NAME "/control.sock"
#define FOLDER_MODE 0755

/* How long an address in use may take to come free: a predecessor may just have been killed. */
#define BIND_TIMEOUT_NS NS_PER_S

struct control_server {
	struct loop *loop; /* borrowed: the main loop */
	struct routes routes;
	struct control_listener *http;  /* owned; NULL: there is none */
	struct control_listener *local; /* owned; of control.socket; NULL as well */
};

/* Listen at the address of SPEC and serve it. Returns 0, or -errno with a line in ERRORS. */
static int
control_server_open(struct control_server *control, const struct listener_config *spec,
    const struct listen_options *options, const struct control_config *cfg,
    struct control_listener **ret_listener, struct error_list *errors)
{
	char text[ADDRESS_TEXT_MAX];
	struct log_field fields[] = { LOG_TEXT("address", text) };
	struct listen_socket sock;
	int r = listen_socket_open(spec, options, BIND_TIMEOUT_NS, NULL, &sock, errors);

	if (r < 0)
		return r;
	*ret_listener = control_listener_new(control->loop, &sock, cfg, &control->routes);
	if (*ret_listener == NULL) {
		error_list_add(errors, "%s: cannot serve %s: %s", options->key, spec->address_text,
		    strerror(ENOMEM));
		listen_socket_close(&sock);
		return -ENOMEM;
	}
	address_format_sockaddr(&sock.address.u.sa, sock.address.length, text, sizeof(text));
	log_fields(LOG_LEVEL_NOTICE, fields, ARRAY_SIZE(fields), "control %s listening",
	    sock.address.transport == ADDRESS_UNIX ? "socket" : "port");
	return 0;
}

/* Anybody on the machine may connect here, and any web page in a browser on it. */
static int
control_server_open_http(
    struct control_server *control, const struct control_config *cfg, struct error_list *errors)
{
	const struct listener_config spec = { .address_text = cfg->http,
		.address = cfg->http_address };
	const struct listen_options options = { .key = "control.http", .backlog = HTTP_BACKLOG };

	return control_server_open(control, &spec, &options, cfg, &control->http, errors);
}

/*
 * Write the path that CFG asks for. For SOCKET_AUTO that is control.sock in the first folder of
 * $RUNTIME_DIRECTORY, else in /run/echod for root, else in $XDG_RUNTIME_DIR/echod. Returns 0, or
 * -errno with a line in ERRORS.
 */
static int
control_server_find_path(
    const struct control_config *cfg, char *buffer, size_t size, struct error_list *errors)
{
	const char *runtime = secure_getenv("RUNTIME_DIRECTORY");
	const char *home = secure_getenv("XDG_RUNTIME_DIR");
	int n;

	if (strcmp(cfg->socket, SOCKET_AUTO) != 0) {
		n = snprintf(buffer, size, "%s", cfg->socket);
	} else if (runtime != NULL && runtime[0] == '/') {
		n = snprintf(buffer, size, "%.*s" SOCKET_NAME, (int)strcspn(runtime, ":"), runtime);
	} else if (geteuid() == 0) {
		n = snprintf(buffer, size, "/run/echod" SOCKET_NAME);
	} else if (home != NULL && home[0] == '/') {
		n = snprintf(buffer, size, "%s/echod" SOCKET_NAME, home);
	} else {
		error_list_add(errors, SOCKET_KEY ": no place for it: neither RUNTIME_DIRECTORY "
						  "nor XDG_RUNTIME_DIR is set");
		return -ENOENT;
	}
	if ((size_t)n < size)
		return 0;
	error_list_add(errors, SOCKET_KEY ": the path is too long");
	return -ENAMETOOLONG;
}

/* Return whether the nearest folder above PATH that there is cannot be written by anybody. */
static bool
control_server_is_read_only(const char *path)
{
	char above[sizeof(((struct socket_file *)NULL)->path)];
	struct statvfs fs;
	char *slash;

	(void)snprintf(above, sizeof(above), "%s", path);
	while ((slash = strrchr(above, '/')) != NULL && slash != above) {
		*slash = '\0';
		if (statvfs(above, &fs) == 0)
			return (fs.f_flag & ST_RDONLY) != 0;
	}
	return statvfs("/", &fs) == 0 && (fs.f_flag & ST_RDONLY) != 0;
}

/*
 * Make the folder that PATH is in. Returns 0, or -errno with a line in ERRORS; -EROFS also where
 * more than the last folder is missing on a file system that is read-only.
 */
static int
control_server_make_folder(const char *path, struct error_list *errors)
{
	char folder[sizeof(((struct socket_file *)NULL)->path)];
	const char *slash = strrchr(path, '/');

	if (slash == path)
		return 0;
	(void)snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path), path);
	/* the umask must not keep the group out; one that was there already stays as it is */
	if (mkdir(folder, FOLDER_MODE) == 0) {
		(void)chmod(folder, FOLDER_MODE);
	} else if (errno != EEXIST) {
		int r = errno == ENOENT && control_server_is_read_only(folder) ? -EROFS : -errno;

		error_list_add(errors, SOCKET_KEY ": cannot make %s: %s", folder, strerror(-r));
		return r;
	}
	return 0;
}

/* The mode of the socket's file decides who may connect here. */
static int
control_server_open_local(
    struct control_server *control, const struct control_config *cfg, struct error_list *errors)
{
	struct listener_config spec = { .address = { .transport = ADDRESS_UNIX } };
	struct listen_options options = { .key = SOCKET_KEY,
		.backlog = SOCKET_BACKLOG,
		.mode = (mode_t)cfg->mode,
		.group = *cfg->group == '\0' ? getegid() : cfg->gid };
	struct sockaddr_un *name = &spec.address.u.un;
	int r = control_server_find_path(cfg, name->sun_path, sizeof(name->sun_path), errors);

	if (r < 0)
		return r;
	name->sun_family = AF_UNIX;
	spec.address.length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
					  strlen(name->sun_path) + 1);
	spec.address_text = name->sun_path;
	r = control_server_make_folder(name->sun_path, errors);
	if (r < 0)
		return r;
	return control_server_open(control, &spec, &options, cfg, &control->local, errors);
}

/*
 * A socket whose path is left to the daemon, and cannot be had, is no reason not to start. Nor is
 * one that would be on a read-only file system, as in a container without a volume for it: whoever
 * wrote that cannot have meant that nobody is served there. Else a path that is given has to work.
 */
static int
control_server_try_local(
    struct control_server *control, const struct control_config *cfg, struct error_list *errors)
{
	struct error_list own = ERROR_LIST_EMPTY;
	int r = control_server_open_local(control, cfg, &own);

	if (r == -EROFS || (r < 0 && strcmp(cfg->socket, SOCKET_AUTO) == 0)) {
		log_warning("%s: serving without a control socket", error_list_first(&own));
		r = 0;
	}
	if (r < 0)
		error_list_move(errors, &own);
	error_list_done(&own);
	return r;
}

static size_t
control_server_unsent(void *context)
{
	const struct control_server *control = context;

	return control_listener_unsent(control->http) + control_listener_unsent(control->local);
}

struct control_server *
control_server_new(struct loop *loop, struct engine *engine, const struct process_status *status,
    const struct control_actions *actions, const struct control_config *cfg,
    struct error_list *errors)
{
	struct control_server *control = calloc(1, sizeof(*control));
	int r = 0;

	if (control == NULL) {
		error_list_add(errors, "control: out of memory");
		errno = ENOMEM;
		return NULL;
	}
	control->loop = loop;
	control->routes.engine = engine;
	control->routes.status = status;
	control->routes.actions = actions;
	answers_init(&control->routes.answers, loop);
	control->routes.answers.unsent = control_server_unsent;
	control->routes.answers.context = control;
	if (*cfg->http != '\0')
		r = control_server_open_http(control, cfg, errors);
	if (r == 0 && *cfg->socket != '\0')
		r = control_server_try_local(control, cfg, errors);
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
	control_listener_change(control->http, cfg);
	control_listener_change(control->local, cfg);
}

/* Let the loop have a turn; without a way forward others have the processor. */
static void
control_server_turn(struct control_server *control)
{
	size_t unsent = control_server_unsent(control);

	loop_run_once(control->loop);
	if (control_server_unsent(control) == unsent)
		usleep(CLOSE_PAUSE_US);
}

/*
 * Answer what has been asked, as far as that takes a moment, refuse the rest, and have the answers
 * leave. A client that is still in the backlog needs some turns to come so far.
 */
static void
control_server_finish(struct control_server *control)
{
	int64_t now_ns = clock_now_ns(), made_ns = now_ns + CLOSE_MAKE_NS;
	int64_t sent_ns = made_ns + CLOSE_SEND_NS;

	for (int turn = 0; clock_now_ns() < made_ns; turn++) {
		if (turn >= CLOSE_TURNS && TAILQ_EMPTY(&control->routes.answers.deferred))
			break;
		control_server_turn(control);
	}
	control_listener_stop(control->http);
	control_listener_stop(control->local);
	do {
		/* those that come now are too late as well */
		deferred_refuse_all(&control->routes.answers.deferred);
		control_server_turn(control);
	} while (control_server_unsent(control) > 0 && clock_now_ns() < sent_ns);
}

void
control_server_free(struct control_server *control)
{
	if (control == NULL)
		return;
	control_server_finish(control);
	answers_done(&control->routes.answers);
	control_listener_free(control->http);
	control_listener_free(control->local);
	free(control);
}
