/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "echoctl/session.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/attributes.h"
#include "base/clock.h"
#include "echoctl/json.h"

/* How long an answer may take, unless --timeout says otherwise. */
#define ANSWER_TIMEOUT_NS (10 * NS_PER_S)
/* Far more than any answer: /connections has at most 1000 rows. */
#define BODY_MAX (64u << 20)
#define WAIT_FDS_MAX 4
#define WAIT_MS_MAX 60000
#define SOCKET_NAME "control.sock"
/* A URL needs a host; over a UNIX socket it is neither looked up nor checked. */
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
locate_search(struct echoctl_location *location, const char *run)
{
	const char *directory = getenv("RUNTIME_DIRECTORY"), *user = getenv("XDG_RUNTIME_DIR");
	/* a daemon's own choice is the same: an ordinary user's is found before root's */
	bool root = geteuid() == 0;
	const char *const places[] = { root ? run : user, root ? user : run };
	int r = 0;

	while (directory != NULL && *directory != '\0' && r == 0) {
		size_t length = strcspn(directory, ":");

		r = locate_add(location, directory, length, "");
		directory += length + (directory[length] == ':');
	}
	for (size_t i = 0; i < ARRAY_SIZE(places) && r == 0; i++) {
		if (places[i] != NULL)
			r = locate_add(location, places[i], strlen(places[i]), "echod/");
	}
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
echoctl_locate(
    const char *path, const char *url, const char *run, struct echoctl_location *ret_location)
{
	*ret_location = (struct echoctl_location){ .socket = path };
	ret_location->url = locate_url(url != NULL ? url : SOCKET_URL);
	if (ret_location->url == NULL)
		return -ENOMEM;
	if (path != NULL || url != NULL)
		return 0;
	return locate_search(ret_location, run);
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

/* The request of a session. */
struct echoctl_transfer {
	CURLM *multi;
	CURL *easy;     /* set up anew for each request */
	bool under_way; /* easy is in multi */
	enum echoctl_method method;
	int64_t timeout_ns;
	FILE *body; /* writes the body of the answer; NULL: there was no request */
	size_t received;
	bool too_long; /* the body exceeded BODY_MAX, so the transfer was aborted */
	CURLcode result;
	int connect_error; /* errno of a connect that failed, 0 where there is none */
	char error_text[CURL_ERROR_SIZE];
};

/* Add VALUE to OUT, percent-encoded. */
static bool
url_add(FILE *out, const char *value)
{
	char *encoded = curl_easy_escape(NULL, value, 0);
	bool added = encoded != NULL && fputs(encoded, out) >= 0;

	curl_free(encoded);
	return added;
}

char *
echoctl_session_url(const char *base, const char *path, const struct echoctl_options *options)
{
	size_t size, head = strcspn(path, "*");
	char *url = NULL, separator = strchr(path, '?') != NULL ? '&' : '?';
	FILE *out = open_memstream(&url, &size);
	bool whole = true;

	if (out == NULL)
		return NULL;
	(void)fprintf(out, "%s%.*s", base, (int)head, path);
	if (path[head] == '*') {
		whole = url_add(out, options->operand);
		(void)fputs(path + head + 1, out);
	}
	for (size_t i = 0; i < ECHOCTL_FILTERS && whole; i++) {
		const struct echoctl_filter *filter = &options->filters[i];

		if (filter->value == NULL)
			continue;
		(void)fprintf(out, "%c%s=", separator, filter->name);
		separator = '&';
		whole = url_add(out, filter->value);
	}
	if (fclose(out) == 0 && whole)
		return url;
	free(url);
	return NULL;
}

static size_t
transfer_on_body(char *data, size_t one ATTR_UNUSED, size_t length, void *context)
{
	struct echoctl_transfer *transfer = context;

	transfer->too_long = length > BODY_MAX - transfer->received;
	if (transfer->too_long)
		return 0;
	transfer->received += length;
	return fwrite(data, 1, length, transfer->body);
}

static bool
transfer_set_up(struct echoctl_transfer *transfer, const char *url, const char *path)
{
	CURL *easy = transfer->easy;
	int r = 0;

	curl_easy_reset(easy);
	r |= curl_easy_setopt(easy, CURLOPT_URL, url);
#if LIBCURL_VERSION_NUM >= 0x075500
	r |= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
#else
	r |= curl_easy_setopt(easy, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
	r |= curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	/* the target is encoded already: libcurl must not touch it */
	r |= curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
	/* ignore proxies of the environment: they are not meant for a control port */
	r |= curl_easy_setopt(easy, CURLOPT_PROXY, "");
	r |= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	r |= curl_easy_setopt(
	    easy, CURLOPT_TIMEOUT_MS, (long)((transfer->timeout_ns + NS_PER_MS - 1) / NS_PER_MS));
	r |= curl_easy_setopt(easy, CURLOPT_USERAGENT, "echoctl/" PACKAGE_VERSION);
	r |= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->error_text);
	r |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, transfer_on_body);
	r |= curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
	if (path != NULL)
		r |= curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, path);
	if (transfer->method == ECHOCTL_POST) {
		r |= curl_easy_setopt(easy, CURLOPT_POST, 1L);
		r |= curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, 0L);
		r |= curl_easy_setopt(easy, CURLOPT_POSTFIELDS, "");
	}
	return r == 0;
}

/* End the request, with or without its answer. */
static void
transfer_end(struct echoctl_transfer *transfer)
{
	if (transfer->under_way)
		(void)curl_multi_remove_handle(transfer->multi, transfer->easy);
	transfer->under_way = false;
}

/* Drop the last answer and make room for the next one. Returns whether there was memory for it. */
static bool
session_begin_answer(struct echoctl_session *session)
{
	struct echoctl_transfer *transfer = session->transfer;

	if (transfer->body != NULL)
		(void)fclose(transfer->body);
	free(session->answer.body);
	session->answer = (struct echoctl_answer){ .status = 0 };
	transfer->received = 0;
	transfer->too_long = false;
	transfer->error_text[0] = '\0';
	transfer->connect_error = 0;
	transfer->result = CURLE_OK;
	transfer->body = open_memstream(&session->answer.body, &session->answer.length);
	return transfer->body != NULL;
}

int
echoctl_session_start(struct echoctl_session *session, enum echoctl_method method, const char *path)
{
	struct echoctl_transfer *transfer = session->transfer;
	bool ready;
	char *url;

	transfer_end(transfer);
	transfer->method = method;
	url = echoctl_session_url(session->location.url, path, session->options);
	ready = url != NULL && session_begin_answer(session) &&
		transfer_set_up(transfer, url, session->location.socket);
	free(url);
	if (!ready || curl_multi_add_handle(transfer->multi, transfer->easy) != CURLM_OK)
		return -ENOMEM;
	transfer->under_way = true;
	return 0;
}

/* Record the end of the request, with RESULT. */
static int
session_finish(struct echoctl_session *session, CURLcode result)
{
	struct echoctl_transfer *transfer = session->transfer;
	struct echoctl_answer *answer = &session->answer;
	long error = 0;

	transfer->result = result;
	if (result == CURLE_OK) {
		(void)curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &answer->status);
	} else {
		(void)curl_easy_getinfo(transfer->easy, CURLINFO_OS_ERRNO, &error);
		transfer->connect_error = result == CURLE_COULDNT_CONNECT ? (int)error : 0;
		answer->gone = transfer->connect_error == ECONNREFUSED ||
			       transfer->connect_error == ENOENT;
	}
	transfer_end(transfer);
	return fflush(transfer->body) == 0 ? 1 : -ENOMEM;
}

static int
session_error(CURLMcode code)
{
	return code == CURLM_OK ? 0 : code == CURLM_OUT_OF_MEMORY ? -ENOMEM : -EIO;
}

/* Let libcurl work. Returns 1 when the request is over, else as echoctl_session_poll(). */
static int
session_perform(struct echoctl_session *session)
{
	int running, left;
	CURLMcode code = curl_multi_perform(session->transfer->multi, &running);
	CURLMsg *message;

	if (code != CURLM_OK)
		return session_error(code);
	while ((message = curl_multi_info_read(session->transfer->multi, &left)) != NULL)
		if (message->msg == CURLMSG_DONE)
			return session_finish(session, message->data.result);
	return 0;
}

int
echoctl_session_poll(
    struct echoctl_session *session, const int *fds, unsigned count, int timeout_ms)
{
	struct echoctl_transfer *transfer = session->transfer;
	struct curl_waitfd waits[WAIT_FDS_MAX];
	CURLMcode code;
	int r;

	if (count > WAIT_FDS_MAX)
		return -EINVAL;
	for (unsigned i = 0; i < count; i++)
		waits[i] = (struct curl_waitfd){ .fd = fds[i], .events = CURL_WAIT_POLLIN };
	if (transfer->under_way && (r = session_perform(session)) != 0)
		return r;
	if (timeout_ms < 0 || timeout_ms > WAIT_MS_MAX)
		timeout_ms = WAIT_MS_MAX;
	code = curl_multi_poll(transfer->multi, waits, count, timeout_ms, NULL);
	if (code != CURLM_OK)
		return session_error(code);
	return transfer->under_way ? session_perform(session) : 0;
}

int
echoctl_session_exchange(
    struct echoctl_session *session, enum echoctl_method method, const char *path)
{
	int r = echoctl_session_start(session, method, path);

	while (r == 0)
		r = echoctl_session_poll(session, NULL, 0, -1);
	return r < 0 ? r : 0;
}

/* Return a text that says why no answer came. */
static const char *
session_reason(const struct echoctl_transfer *transfer)
{
	if (transfer->too_long)
		return "the answer is too long";
	if (transfer->result == CURLE_OPERATION_TIMEDOUT)
		return "no answer in time";
	if (transfer->result == CURLE_GOT_NOTHING || transfer->result == CURLE_RECV_ERROR ||
	    transfer->result == CURLE_PARTIAL_FILE)
		return "the connection was closed without an answer";
	if (transfer->connect_error != 0)
		return strerror(transfer->connect_error);
	if (transfer->error_text[0] != '\0')
		return transfer->error_text;
	return curl_easy_strerror(transfer->result);
}

const char *
echoctl_session_curl_version(void)
{
	return curl_version_info(CURLVERSION_NOW)->version;
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
echoctl_session_fail(int error)
{
	complain("%s", strerror(-error));
	return ECHOCTL_EXIT_FAILED;
}

/* Return where the daemon is asked: a path or a URL, not escaped. */
static const char *
session_place(const struct echoctl_session *session)
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
	struct echoctl_session *session = ret_session;
	struct echoctl_transfer *transfer;
	int r;

	*session = (struct echoctl_session){
		.options = options,
		.style = echoctl_style_of(STDOUT_FILENO),
	};
	if (options->wide)
		session->style.width = 0;
	r = echoctl_locate(options->socket, options->url, "/run", &session->location);
	if (r == -ENOENT) {
		complain("found no control socket of echod");
		session_tell_search(session);
		complain("say where it is: -s PATH, or -u http://127.0.0.1:9862 (read only)");
		return ECHOCTL_EXIT_UNREACHABLE;
	}
	if (r < 0)
		return echoctl_session_fail(r);
	session->transfer = transfer = calloc(1, sizeof(*transfer));
	if (transfer == NULL)
		return echoctl_session_fail(-ENOMEM);
	transfer->timeout_ns = ANSWER_TIMEOUT_NS;
	/* with --wait the timeout is for the whole stop, not for each answer */
	if (options->timeout_ns > 0 && !(options->wait && options->timeout_ns > ANSWER_TIMEOUT_NS))
		transfer->timeout_ns = options->timeout_ns;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK) {
		transfer->multi = curl_multi_init();
		transfer->easy = curl_easy_init();
	}
	if (transfer->multi == NULL || transfer->easy == NULL)
		return echoctl_session_fail(-ENOMEM);
	return ECHOCTL_EXIT_OK;
}

void
echoctl_session_close(struct echoctl_session *session)
{
	struct echoctl_transfer *transfer = session->transfer;

	if (transfer != NULL) {
		transfer_end(transfer);
		curl_easy_cleanup(transfer->easy);
		(void)curl_multi_cleanup(transfer->multi);
		if (transfer->body != NULL)
			(void)fclose(transfer->body);
		free(session->answer.body);
		free(transfer);
		curl_global_cleanup();
	}
	echoctl_location_done(&session->location);
}

enum echoctl_exit
echoctl_session_unreachable(const struct echoctl_session *session)
{
	complain("%s: %s", session_place(session), session_reason(session->transfer));
	session_tell_search(session);
	return ECHOCTL_EXIT_UNREACHABLE;
}

enum echoctl_exit
echoctl_session_fetch(struct echoctl_session *session, enum echoctl_method method, const char *path)
{
	int r = echoctl_session_exchange(session, method, path);

	if (r < 0)
		return echoctl_session_fail(r);
	return session->answer.status != 0 ? ECHOCTL_EXIT_OK : echoctl_session_unreachable(session);
}

void
echoctl_session_print_body(const struct echoctl_session *session)
{
	const struct echoctl_answer *answer = &session->answer;

	if (session->style.terminal)
		echoctl_text_write_lines(stdout, answer->body, answer->length);
	else
		(void)fwrite(answer->body, 1, answer->length, stdout);
}

enum echoctl_exit
echoctl_session_refused(const struct echoctl_session *session)
{
	const struct echoctl_answer *answer = &session->answer;
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
		complain("%s: the answer is not one of echod's", session_place(session));
	} else {
		complain(
		    "%s: refused with HTTP status %ld", session_place(session), answer->status);
	}
	if (session->transfer->method == ECHOCTL_POST && session->location.socket == NULL &&
	    (answer->status == 403 || answer->status == 405))
		complain("a URL is for looking only: this verb needs the control socket");
	json_decref(document);
	return success ? ECHOCTL_EXIT_UNREACHABLE : ECHOCTL_EXIT_FAILED;
}

json_t *
echoctl_session_look(struct echoctl_session *session, const char *path)
{
	const struct echoctl_answer *answer = &session->answer;

	if (echoctl_session_exchange(session, ECHOCTL_GET, path) < 0 || answer->status != 200)
		return NULL;
	return echoctl_json_parse(answer->body, answer->length);
}

json_t *
echoctl_session_ask(struct echoctl_session *session, enum echoctl_method method, const char *path,
    enum echoctl_exit *ret_exit)
{
	const struct echoctl_answer *answer = &session->answer;
	enum echoctl_exit code = echoctl_session_fetch(session, method, path);
	json_t *document = NULL;

	if (code == ECHOCTL_EXIT_OK && session->options->json) {
		echoctl_session_print_body(session);
		if (answer->status < 200 || answer->status > 299)
			code = ECHOCTL_EXIT_FAILED;
	} else if (code == ECHOCTL_EXIT_OK) {
		if (answer->status >= 200 && answer->status <= 299)
			document = echoctl_json_parse(answer->body, answer->length);
		if (document == NULL)
			code = echoctl_session_refused(session);
	}
	*ret_exit = code;
	return document;
}
