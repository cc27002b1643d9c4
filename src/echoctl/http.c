/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "echoctl/http.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

/* Ten times the size of /connections for all connections of a large daemon. */
#define BODY_MAX (64u << 20)
#define WAIT_FDS_MAX 4
#define WAIT_MS_MAX 60000

struct echoctl_http {
	const char *base;   /* borrowed; the URL that every target follows */
	const char *socket; /* borrowed; NULL: over the network */
	int64_t timeout_ns;
	CURLM *multi;
	CURL *easy;     /* set up anew for each request */
	bool under_way; /* easy is in multi */
	CURLcode result;
	bool too_long; /* the body exceeded BODY_MAX, so the transfer was aborted */
	struct echoctl_answer answer;
	size_t size; /* allocated for answer.body */
	char error_text[CURL_ERROR_SIZE];
};

struct echoctl_http *
echoctl_http_new(const char *url, const char *socket, int64_t timeout_ns)
{
	struct echoctl_http *http;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return NULL;
	http = calloc(1, sizeof(*http));
	if (http != NULL) {
		http->base = url;
		http->socket = socket;
		http->timeout_ns = timeout_ns;
		http->multi = curl_multi_init();
		http->easy = curl_easy_init();
		if (http->multi != NULL && http->easy != NULL)
			return http;
		if (http->multi != NULL)
			(void)curl_multi_cleanup(http->multi);
		curl_easy_cleanup(http->easy);
		free(http);
	}
	curl_global_cleanup();
	return NULL;
}

static void
http_end(struct echoctl_http *http)
{
	if (http->under_way)
		(void)curl_multi_remove_handle(http->multi, http->easy);
	http->under_way = false;
}

void
echoctl_http_free(struct echoctl_http *http)
{
	if (http == NULL)
		return;
	http_end(http);
	curl_easy_cleanup(http->easy);
	(void)curl_multi_cleanup(http->multi);
	free(http->answer.body);
	free(http);
	curl_global_cleanup();
}

/* Make room for MORE bytes and a NUL. */
static bool
http_reserve(struct echoctl_http *http, size_t more)
{
	size_t wanted = http->answer.length + more + 1, size = http->size;
	char *body;

	if (wanted <= size)
		return true;
	while (size < wanted)
		size = size == 0 ? 4096 : size * 2;
	body = realloc(http->answer.body, size);
	if (body == NULL)
		return false;
	http->answer.body = body;
	http->size = size;
	return true;
}

static size_t
http_on_body(char *data, size_t one, size_t length, void *context)
{
	struct echoctl_http *http = context;

	(void)one;
	if (length > BODY_MAX - http->answer.length) {
		http->too_long = true;
		return 0;
	}
	if (!http_reserve(http, length))
		return 0;
	memcpy(http->answer.body + http->answer.length, data, length);
	http->answer.length += length;
	http->answer.body[http->answer.length] = '\0';
	return length;
}

static bool
http_set_up(struct echoctl_http *http, enum echoctl_method method, const char *url)
{
	CURL *easy = http->easy;
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
	    easy, CURLOPT_TIMEOUT_MS, (long)((http->timeout_ns + NS_PER_MS - 1) / NS_PER_MS));
	r |= curl_easy_setopt(easy, CURLOPT_USERAGENT, "echoctl/" PACKAGE_VERSION);
	r |= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, http->error_text);
	r |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, http_on_body);
	r |= curl_easy_setopt(easy, CURLOPT_WRITEDATA, http);
	if (http->socket != NULL)
		r |= curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, http->socket);
	if (method == ECHOCTL_POST) {
		r |= curl_easy_setopt(easy, CURLOPT_POST, 1L);
		r |= curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, 0L);
		r |= curl_easy_setopt(easy, CURLOPT_POSTFIELDS, "");
	}
	return r == 0;
}

int
echoctl_http_start(struct echoctl_http *http, enum echoctl_method method, const char *target)
{
	char *url;
	bool ready;

	http_end(http);
	http->answer = (struct echoctl_answer){ .body = http->answer.body };
	http->too_long = false;
	http->error_text[0] = '\0';
	http->result = CURLE_OK;
	if (!http_reserve(http, 0))
		return -ENOMEM;
	http->answer.body[0] = '\0';
	if (asprintf(&url, "%s%s", http->base, target) < 0)
		return -ENOMEM;
	ready = http_set_up(http, method, url);
	free(url);
	if (!ready || curl_multi_add_handle(http->multi, http->easy) != CURLM_OK)
		return -ENOMEM;
	http->under_way = true;
	return 0;
}

/* Record the end of the request, with RESULT. */
static void
http_finish(struct echoctl_http *http, CURLcode result)
{
	struct echoctl_answer *answer = &http->answer;
	long error = 0;

	http->result = result;
	if (result == CURLE_OK) {
		(void)curl_easy_getinfo(http->easy, CURLINFO_RESPONSE_CODE, &answer->status);
	} else {
		(void)curl_easy_getinfo(http->easy, CURLINFO_OS_ERRNO, &error);
		answer->error = result == CURLE_COULDNT_CONNECT ? (int)error : 0;
		answer->gone = answer->error == ECONNREFUSED || answer->error == ENOENT;
	}
	http_end(http);
}

static int
http_error(CURLMcode code)
{
	return code == CURLM_OK ? 0 : code == CURLM_OUT_OF_MEMORY ? -ENOMEM : -EIO;
}

/* Let libcurl work. Returns 1 when the request is over, else as echoctl_http_poll(). */
static int
http_perform(struct echoctl_http *http)
{
	int running, left;
	CURLMcode code = curl_multi_perform(http->multi, &running);
	CURLMsg *message;

	if (code != CURLM_OK)
		return http_error(code);
	while ((message = curl_multi_info_read(http->multi, &left)) != NULL) {
		if (message->msg == CURLMSG_DONE) {
			http_finish(http, message->data.result);
			return 1;
		}
	}
	return 0;
}

int
echoctl_http_poll(struct echoctl_http *http, struct pollfd *fds, unsigned count, int timeout_ms)
{
	struct curl_waitfd waits[WAIT_FDS_MAX];
	CURLMcode code;
	int r;

	if (count > WAIT_FDS_MAX)
		return -EINVAL;
	for (unsigned i = 0; i < count; i++) {
		waits[i] = (struct curl_waitfd){ .fd = fds[i].fd, .events = CURL_WAIT_POLLIN };
		fds[i].revents = 0;
	}
	if (http->under_way && (r = http_perform(http)) != 0)
		return r;
	if (timeout_ms < 0 || timeout_ms > WAIT_MS_MAX)
		timeout_ms = WAIT_MS_MAX;
	code = curl_multi_poll(http->multi, waits, count, timeout_ms, NULL);
	if (code != CURLM_OK)
		return http_error(code);
	for (unsigned i = 0; i < count; i++)
		fds[i].revents = waits[i].revents;
	return http->under_way ? http_perform(http) : 0;
}

const struct echoctl_answer *
echoctl_http_answer(const struct echoctl_http *http)
{
	return &http->answer;
}

int
echoctl_http_ask(struct echoctl_http *http, enum echoctl_method method, const char *target)
{
	int r = echoctl_http_start(http, method, target);

	while (r == 0)
		r = echoctl_http_poll(http, NULL, 0, -1);
	return r < 0 ? r : 0;
}

const char *
echoctl_http_reason(const struct echoctl_http *http)
{
	if (http->too_long)
		return "the answer is too long";
	if (http->result == CURLE_OPERATION_TIMEDOUT)
		return "no answer in time";
	if (http->result == CURLE_GOT_NOTHING || http->result == CURLE_RECV_ERROR ||
	    http->result == CURLE_PARTIAL_FILE)
		return "the connection was closed without an answer";
	if (http->answer.error != 0)
		return strerror(http->answer.error);
	if (http->error_text[0] != '\0')
		return http->error_text;
	return curl_easy_strerror(http->result);
}

char *
echoctl_http_target(const char *path, const struct echoctl_parameter *parameters, size_t count)
{
	char *target = strdup(path), separator = '?';

	for (size_t i = 0; i < count && target != NULL; i++) {
		char *value, *longer = NULL;

		if (parameters[i].value == NULL)
			continue;
		value = curl_easy_escape(NULL, parameters[i].value, 0);
		if (value == NULL ||
		    asprintf(&longer, "%s%c%s=%s", target, separator, parameters[i].key, value) < 0)
			longer = NULL;
		curl_free(value);
		free(target);
		target = longer;
		separator = '&';
	}
	return target;
}

const char *
echoctl_http_version(void)
{
	return curl_version_info(CURLVERSION_NOW)->version;
}
