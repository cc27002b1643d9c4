/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "echoctl/session.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "echoctl/json.h"
#include "echoctl/text.h"

#define SOCKET_NAME "control.sock"
/* Over a UNIX socket the host is not looked up, but the daemon checks that it knows the name. */
#define SOCKET_URL "http://localhost"

static int
locate_check(const char *path)
{
	struct sockaddr_un address;
	struct stat st;

	if (strlen(path) >= sizeof(address.sun_path))
		return ENAMETOOLONG;
	return stat(path, &st) < 0 ? errno : 0;
}

/* Take DIRECTORY (LENGTH bytes) FOLDER SOCKET_NAME as the next place. Returns 0 or -ENOMEM. */
static int
locate_add(
    struct echoctl_location *location, const char *directory, size_t length, const char *folder)
{
	struct echoctl_place *places;
	char *path;

	if (length == 0)
		return 0;
	if (asprintf(&path, "%.*s/%s" SOCKET_NAME, (int)length, directory, folder) < 0)
		return -ENOMEM;
	places = reallocarray(location->places, location->count + 1, sizeof(*places));
	if (places == NULL) {
		free(path);
		return -ENOMEM;
	}
	places[location->count] = (struct echoctl_place){ path, locate_check(path) };
	location->places = places;
	location->count++;
	return 0;
}

static int
locate_search(struct echoctl_location *location, const struct echoctl_surroundings *around)
{
	const char *directory = around->runtime_directory;
	int r = 0;

	while (directory != NULL && *directory != '\0' && r == 0) {
		size_t length = strcspn(directory, ":");

		r = locate_add(location, directory, length, "");
		directory += length + (directory[length] == ':');
	}
	if (r == 0 && around->run != NULL)
		r = locate_add(location, around->run, strlen(around->run), "echod/");
	if (r == 0 && around->xdg_runtime_dir != NULL)
		r = locate_add(
		    location, around->xdg_runtime_dir, strlen(around->xdg_runtime_dir), "echod/");
	if (r < 0)
		return r;
	for (size_t i = 0; i < location->count; i++) {
		if (location->places[i].error == 0) {
			location->socket = location->places[i].path;
			return 0;
		}
	}
	return -ENOENT;
}

/* Add "http://" where URL has no scheme, and remove slashes at its end. */
static char *
locate_url(const char *url)
{
	size_t length = strlen(url);
	char *text;

	while (length > 0 && url[length - 1] == '/')
		length--;
	if (asprintf(
		&text, "%s%.*s", strstr(url, "://") != NULL ? "" : "http://", (int)length, url) < 0)
		return NULL;
	return text;
}

int
echoctl_locate(const char *socket, const char *url, const struct echoctl_surroundings *around,
    struct echoctl_location *ret_location)
{
	*ret_location = (struct echoctl_location){ .socket = socket };
	ret_location->url = locate_url(url != NULL ? url : SOCKET_URL);
	if (ret_location->url == NULL)
		return -ENOMEM;
	if (socket != NULL || url != NULL)
		return 0;
	return locate_search(ret_location, around);
}

void
echoctl_location_done(struct echoctl_location *location)
{
	for (size_t i = 0; i < location->count; i++)
		free(location->places[i].path);
	free(location->places);
	free(location->url);
	*location = (struct echoctl_location){ .count = 0 };
}

#define COMPLAINT_MAX 1024
/* The longest error text of the daemon that is printed. */
#define TEXT_MAX 512

/* Print one line to stderr, escaped. */
static void complain(const char *format, ...) ATTR_PRINTF(1, 2);

static void
complain(const char *format, ...)
{
	char text[COMPLAINT_MAX];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	(void)fputs("echoctl: ", stderr);
	echoctl_text_write(stderr, text, strlen(text));
	(void)fputc('\n', stderr);
}

enum echoctl_exit
echoctl_session_no_memory(void)
{
	complain("%s", strerror(ENOMEM));
	return ECHOCTL_EXIT_FAILED;
}

const char *
echoctl_session_place(const struct echoctl_session *session)
{
	return session->location.socket != NULL ? session->location.socket : session->location.url;
}

/* Print the other places of the search, if there was one. */
static void
session_tell_search(const struct echoctl_session *session)
{
	const struct echoctl_location *location = &session->location;

	for (size_t i = 0; i < location->count; i++) {
		const struct echoctl_place *place = &location->places[i];

		if (place->path != location->socket)
			complain("  tried %s: %s", place->path,
			    place->error != 0 ? strerror(place->error) : "not asked");
	}
}

enum echoctl_exit
echoctl_session_open(const struct echoctl_options *options, struct echoctl_session *ret_session)
{
	const struct echoctl_surroundings around = {
		.runtime_directory = getenv("RUNTIME_DIRECTORY"),
		.run = "/run",
		.xdg_runtime_dir = getenv("XDG_RUNTIME_DIR"),
	};
	int64_t timeout_ns = ECHOCTL_ANSWER_TIMEOUT_NS;
	struct echoctl_session *session = ret_session;
	int r;

	*session = (struct echoctl_session){
		.options = options,
		.style = echoctl_style_of(STDOUT_FILENO),
	};
	if (options->wide)
		session->style.width = 0;
	r = echoctl_locate(options->socket, options->url, &around, &session->location);
	if (r == -ENOENT) {
		complain("found no control socket of echod");
		session_tell_search(session);
		complain("say where it is: -s PATH, or -u http://127.0.0.1:9862 (read only)");
		return ECHOCTL_EXIT_UNREACHABLE;
	}
	if (r < 0)
		return echoctl_session_no_memory();
	/* with --wait the timeout is for the whole stop, not for each answer */
	if (options->timeout_ns > 0 && !(options->wait && options->timeout_ns > timeout_ns))
		timeout_ns = options->timeout_ns;
	session->http = echoctl_http_new(
	    session->location.url, session->location.socket, timeout_ns);
	return session->http != NULL ? ECHOCTL_EXIT_OK : echoctl_session_no_memory();
}

void
echoctl_session_close(struct echoctl_session *session)
{
	echoctl_http_free(session->http);
	echoctl_location_done(&session->location);
	session->http = NULL;
}

void
echoctl_session_unreachable(const struct echoctl_session *session)
{
	complain("%s: %s", echoctl_session_place(session), echoctl_http_reason(session->http));
	session_tell_search(session);
}

enum echoctl_exit
echoctl_session_fetch(
    struct echoctl_session *session, enum echoctl_method method, const char *target)
{
	int r = echoctl_http_ask(session->http, method, target);

	if (r == -ENOMEM)
		return echoctl_session_no_memory();
	if (r < 0) {
		complain("%s", strerror(-r));
		return ECHOCTL_EXIT_FAILED;
	}
	if (echoctl_http_answer(session->http)->status != 0)
		return ECHOCTL_EXIT_OK;
	echoctl_session_unreachable(session);
	return ECHOCTL_EXIT_UNREACHABLE;
}

void
echoctl_session_print_body(const struct echoctl_session *session)
{
	const struct echoctl_answer *answer = echoctl_http_answer(session->http);

	if (session->style.terminal)
		echoctl_text_write_lines(stdout, answer->body, answer->length);
	else
		(void)fwrite(answer->body, 1, answer->length, stdout);
}

enum echoctl_exit
echoctl_session_refused(const struct echoctl_session *session, enum echoctl_method method)
{
	const struct echoctl_answer *answer = echoctl_http_answer(session->http);
	json_t *document = echoctl_json_parse(answer->body, answer->length), *row;
	json_t *errors = echoctl_json_get(document, "errors");
	const char *error = echoctl_json_text(document, "error");
	bool success = answer->status >= 200 && answer->status <= 299;
	size_t i;

	if (json_array_size(errors) > 0) {
		/* whole sentences, with the file and the line in front */
		json_array_foreach(errors, i, row)
		{
			const char *text = json_string_value(row);

			if (text == NULL)
				continue;
			echoctl_text_write(stderr, text, strlen(text));
			(void)fputc('\n', stderr);
		}
	} else if (error != NULL) {
		complain("%.*s", TEXT_MAX, error);
	} else if (success) {
		complain("%s: the answer is not one of echod's", echoctl_session_place(session));
	} else {
		complain("%s: refused with HTTP status %ld", echoctl_session_place(session),
		    answer->status);
	}
	if (method == ECHOCTL_POST && session->location.socket == NULL &&
	    (answer->status == 403 || answer->status == 405))
		complain("a URL is for looking only: this verb needs the control socket");
	json_decref(document);
	return success ? ECHOCTL_EXIT_UNREACHABLE : ECHOCTL_EXIT_FAILED;
}

json_t *
echoctl_session_ask(struct echoctl_session *session, enum echoctl_method method, const char *target,
    enum echoctl_exit *ret_exit)
{
	const struct echoctl_answer *answer;
	enum echoctl_exit code = echoctl_session_fetch(session, method, target);
	json_t *document;

	*ret_exit = code;
	if (code != ECHOCTL_EXIT_OK)
		return NULL;
	answer = echoctl_http_answer(session->http);
	if (session->options->json)
		echoctl_session_print_body(session);
	if (answer->status < 200 || answer->status > 299) {
		*ret_exit = session->options->json ? ECHOCTL_EXIT_FAILED
						   : echoctl_session_refused(session, method);
		return NULL;
	}
	if (session->options->json)
		return NULL;
	document = echoctl_json_parse(answer->body, answer->length);
	if (document == NULL)
		*ret_exit = echoctl_session_refused(session, method);
	return document;
}
