/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "control/request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <event2/http.h>
#include <event2/http_struct.h>
#include <event2/keyvalq_struct.h>

#include "base/attributes.h"

#define BLANKS " \t"
#define PORT_DIGITS_MAX 5
#define ABSOLUTE "http://"
#define HOST_MAX 512 /* longer than any name that is ours */

static const char foreign_host[] = "Host must be localhost, 127.0.0.1, [::1], the address that the "
				   "request came to or one of control.http_hosts";

static int
query_decode(const char *text, size_t length, char *ret_text)
{
	size_t count = 0;

	for (size_t i = 0; i < length; i++) {
		char byte = text[i];

		if (byte == '%') {
			const char digits[] = { text[i + 1],
				text[i + 1] != '\0' ? text[i + 2] : '\0', '\0' };

			if (strspn(digits, "0123456789abcdefABCDEF") != 2)
				return -EINVAL;
			byte = (char)strtoul(digits, NULL, 16);
			i += 2;
		}
		if (byte == '\0' || count == QUERY_TEXT_MAX - 1)
			return -EINVAL;
		ret_text[count++] = byte;
	}
	ret_text[count] = '\0';
	return 0;
}

int
query_next(const char **cursor, struct query_field *ret_field)
{
	const char *text = *cursor;
	size_t length = strcspn(text, "&"), name = strcspn(text, "=&");

	if (*text == '\0')
		return 0;
	*ret_field = (struct query_field){ .has_value = name < length };
	if (query_decode(text, name, ret_field->name) < 0)
		return -EINVAL;
	if (ret_field->has_value &&
	    query_decode(text + name + 1, length - name - 1, ret_field->value) < 0)
		return -EINVAL;
	*cursor = text + length + (text[length] == '&');
	return 1;
}

int
query_number(const char *text, size_t length, uint64_t maximum, uint64_t *ret_number)
{
	uint64_t number = 0;

	if (length == 0)
		return -EINVAL;
	for (size_t i = 0; i < length; i++) {
		unsigned digit = (unsigned)(text[i] - '0');

		if (digit > 9 || digit > maximum || number > (maximum - digit) / 10)
			return -EINVAL;
		number = number * 10 + digit;
	}
	*ret_number = number;
	return 0;
}

/* Return TEXT without the blanks around it, and without quotes around what is left; cuts TEXT. */
static char *
request_trim(char *text)
{
	size_t length;

	text += strspn(text, BLANKS);
	length = strlen(text);
	while (length > 0 && strchr(BLANKS, text[length - 1]) != NULL)
		length--;
	if (length >= 2 && text[0] == '"' && text[length - 1] == '"') {
		text++;
		length -= 2;
	}
	text[length] = '\0';
	return text;
}

/* Read a weight, 0 to 1; what is no number is 0. */
static double
request_weight(const char *text)
{
	double weight = text[strspn(text, "0123456789.")] == '\0' ? strtod(text, NULL) : 0;

	return weight < 1 ? weight : 1;
}

/* Raise the weight of what RANGE (TYPE;NAME=VALUE;...; is cut up) stands for. */
static void
request_weigh(char *range, double *openmetrics, double *plain)
{
	const char *type = request_trim(strsep(&range, ";"));
	bool known_version = true;
	double weight = 1, *best;
	char *value;

	while ((value = strsep(&range, ";")) != NULL) {
		const char *name = request_trim(strsep(&value, "="));

		if (value == NULL)
			continue;
		value = request_trim(value);
		if (strcasecmp(name, "q") == 0)
			weight = request_weight(value);
		else if (strcasecmp(name, "version") == 0)
			known_version = strcmp(value, "1.0.0") == 0 || strcmp(value, "0.0.1") == 0;
	}
	if (strcasecmp(type, "application/openmetrics-text") == 0 && known_version)
		best = openmetrics;
	else if (strcasecmp(type, "text/plain") == 0 || strcasecmp(type, "text/*") == 0 ||
		 strcmp(type, "*/*") == 0)
		best = plain;
	else
		return;
	if (weight > *best)
		*best = weight;
}

bool
request_wants_openmetrics(const char *accept)
{
	char *copy = accept != NULL ? strdup(accept) : NULL, *rest = copy, *range;
	double openmetrics = 0, plain = 0;

	while ((range = strsep(&rest, ",")) != NULL)
		request_weigh(range, &openmetrics, &plain);
	free(copy);
	return openmetrics > 0 && openmetrics >= plain;
}

/* The weights of what there is to choose from; negative: it was not named. */
struct encodings {
	double gzip;
	double identity; /* not compressed */
	double any;      /* "*": what is not named */
};

/* Note the weight of RANGE (CODING;q=WEIGHT; is cut up). */
static void
request_weigh_encoding(char *range, struct encodings *encodings)
{
	const char *coding = request_trim(strsep(&range, ";"));
	double weight = 1;
	char *value;

	while ((value = strsep(&range, ";")) != NULL) {
		const char *name = request_trim(strsep(&value, "="));

		if (value != NULL && strcasecmp(name, "q") == 0)
			weight = request_weight(request_trim(value));
	}
	if (strcasecmp(coding, "gzip") == 0 || strcasecmp(coding, "x-gzip") == 0)
		encodings->gzip = weight;
	else if (strcasecmp(coding, "identity") == 0)
		encodings->identity = weight;
	else if (strcmp(coding, "*") == 0)
		encodings->any = weight;
}

bool
request_wants_gzip(struct evhttp_request *req)
{
	struct encodings encodings = { -1, -1, -1 };
	const struct evkeyval *header;

	TAILQ_FOREACH (header, evhttp_request_get_input_headers(req), next) {
		char *copy, *rest, *range;

		if (strcasecmp(header->key, "Accept-Encoding") != 0)
			continue;
		copy = rest = strdup(header->value);
		while ((range = strsep(&rest, ",")) != NULL)
			request_weigh_encoding(range, &encodings);
		free(copy);
	}
	if (encodings.gzip < 0)
		encodings.gzip = encodings.any;
	return encodings.gzip > 0 && encodings.gzip >= encodings.identity;
}

/* Length of the host at the start of TEXT ("HOST" or "HOST:PORT"); 0 when it is neither. */
static size_t
request_host_length(const char *text)
{
	size_t length = text[0] == '[' ? strcspn(text, "]") + 1 : strcspn(text, ":");
	size_t digits;

	/* a bracket that is never closed counts one beyond the end */
	if (length > strlen(text))
		return 0;
	if (text[length] == '\0')
		return length;
	digits = strspn(text + length + 1, "0123456789");
	if (text[length] != ':' || digits == 0 || digits > PORT_DIGITS_MAX ||
	    text[length + 1 + digits] != '\0')
		return 0;
	return length;
}

static bool
request_host_is(const char *text, size_t length, const char *host)
{
	return strlen(host) == length && strncasecmp(text, host, length) == 0;
}

/* Return whether TEXT ("HOST" or "HOST:PORT") is what the port at ADDRESS may be called. */
static bool
request_host_is_ours(
    const char *text, const struct address *address, const struct config_list *hosts)
{
	char own[ADDRESS_TEXT_MAX] = "";
	const char *const ours[] = { "localhost", "127.0.0.1", "[::1]", own };
	size_t length = request_host_length(text);

	if (length == 0)
		return false;
	if (address_is_ip(address)) {
		address_format_sockaddr(&address->u.sa, address->length, own, sizeof(own));
		*strrchr(own, ':') = '\0';
	}
	for (size_t i = 0; i < ARRAY_SIZE(ours); i++) {
		if (request_host_is(text, length, ours[i]))
			return true;
	}
	for (size_t i = 0; hosts != NULL && i < hosts->count; i++) {
		if (request_host_is(text, length, hosts->items[i]))
			return true;
	}
	return false;
}

static bool
request_origin_is_ours(
    const char *origin, const struct address *address, const struct config_list *hosts)
{
	if (strncasecmp(origin, "http://", 7) == 0)
		return request_host_is_ours(origin + 7, address, hosts);
	if (strncasecmp(origin, "https://", 8) == 0)
		return request_host_is_ours(origin + 8, address, hosts);
	return false;
}

/* Length of the authority at the start of TEXT. */
static size_t
request_authority(const char *text)
{
	return strcspn(text, "/?#");
}

const char *
request_target(const struct evhttp_request *req)
{
	const char *target = evhttp_request_get_uri(req);

	if (strncasecmp(target, ABSOLUTE, strlen(ABSOLUTE)) != 0)
		return target;
	target += strlen(ABSOLUTE);
	target += request_authority(target);
	return *target == '\0' ? "/" : target;
}

/* A target in absolute form names a host too. */
static bool
request_target_is_ours(const struct evhttp_request *req, const struct address *address,
    const struct config_list *hosts)
{
	const char *target = evhttp_request_get_uri(req);
	char host[HOST_MAX];

	if (strncasecmp(target, ABSOLUTE, strlen(ABSOLUTE)) != 0)
		return true;
	target += strlen(ABSOLUTE);
	(void)snprintf(host, sizeof(host), "%.*s", (int)request_authority(target), target);
	return request_host_is_ours(host, address, hosts);
}

static bool
request_header_is(struct evhttp_request *req, const char *name, const char *value)
{
	const char *text = evhttp_find_header(evhttp_request_get_input_headers(req), name);

	return text != NULL && strcasecmp(text, value) == 0;
}

/*
 * A link that somebody clicked: the answer is shown to that person, in a window of its own, and the
 * other site sees nothing of it. A frame, a picture or a script has another destination.
 */
static bool
request_is_clicked(struct evhttp_request *req)
{
	const unsigned reading = EVHTTP_REQ_GET | EVHTTP_REQ_HEAD;

	return (evhttp_request_get_command(req) & reading) != 0 &&
	       request_header_is(req, "Sec-Fetch-Mode", "navigate") &&
	       request_header_is(req, "Sec-Fetch-Dest", "document");
}

int
request_check_site(struct evhttp_request *req, const struct address *address,
    const struct config_list *hosts, const char **ret_error)
{
	bool named = address_is_ip(address);
	const struct evkeyval *header;
	size_t count = 0;

	if (named && hosts != NULL && !request_target_is_ours(req, address, hosts)) {
		*ret_error = foreign_host;
		return 403;
	}
	TAILQ_FOREACH (header, evhttp_request_get_input_headers(req), next) {
		const char *value = header->value;

		if (strcasecmp(header->key, "Host") == 0) {
			count++;
			if (!named || hosts == NULL || request_host_is_ours(value, address, hosts))
				continue;
			*ret_error = foreign_host;
			return 403;
		}
		if ((strcasecmp(header->key, "Origin") == 0 &&
			!request_origin_is_ours(value, address, hosts)) ||
		    (strcasecmp(header->key, "Sec-Fetch-Site") == 0 &&
			strcasecmp(value, "cross-site") == 0 && !request_is_clicked(req))) {
			*ret_error = "requests of other sites are refused";
			return 403;
		}
	}
	/* RFC 9112, section 3.2; a probe by HTTP/1.0 has none, and browsers do not speak that */
	if (!named || count == 1 || (count == 0 && req->major == 1 && req->minor == 0))
		return 0;
	*ret_error = "one Host header is needed";
	return 400;
}
