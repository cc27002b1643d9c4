/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "control/site_check.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include <event2/http.h>
#include <event2/http_struct.h>
#include <event2/keyvalq_struct.h>

#include "base/attributes.h"

#define PORT_DIGITS_MAX 5

/* Length of the host at the start of TEXT ("HOST" or "HOST:PORT"); 0 when it is neither. */
static size_t
site_check_host_length(const char *text)
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
site_check_equal(const char *host, const char *text, size_t length)
{
	return strlen(host) == length && strncasecmp(text, host, length) == 0;
}

static bool
site_check_is_ours(const struct site_check *check, const char *text)
{
	const char *const ours[] = { "localhost", "127.0.0.1", "[::1]", check->own };
	size_t length = site_check_host_length(text);

	if (length == 0)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(ours); i++) {
		if (site_check_equal(ours[i], text, length))
			return true;
	}
	for (size_t i = 0; check->hosts != NULL && i < check->hosts->count; i++) {
		if (site_check_equal(check->hosts->items[i], text, length))
			return true;
	}
	return false;
}

static bool
site_check_origin(const struct site_check *check, const char *origin)
{
	if (strncasecmp(origin, "http://", 7) == 0)
		return site_check_is_ours(check, origin + 7);
	if (strncasecmp(origin, "https://", 8) == 0)
		return site_check_is_ours(check, origin + 8);
	return false;
}

void
site_check_init(struct site_check *check, const struct address *address)
{
	*check = (struct site_check){ .any_host = address->transport == ADDRESS_UNIX };
	if (check->any_host)
		return;
	address_format_sockaddr(&address->u.sa, address->length, check->own, sizeof(check->own));
	*strrchr(check->own, ':') = '\0';
}

/* RFC 9112, section 3.2; a probe by HTTP/1.0 has none, and no browser sends such a request. */
static bool
site_check_count(const struct site_check *check, const struct evhttp_request *req, size_t hosts)
{
	if (check->any_host)
		return true;
	return hosts == 1 || (hosts == 0 && req->major == 1 && req->minor == 0);
}

int
site_check_request(
    const struct site_check *check, struct evhttp_request *req, const char **ret_error)
{
	const struct evkeyval *header;
	size_t hosts = 0;

	TAILQ_FOREACH (header, evhttp_request_get_input_headers(req), next) {
		if (strcasecmp(header->key, "Host") == 0) {
			hosts++;
			if (check->any_host || site_check_is_ours(check, header->value))
				continue;
			*ret_error = "Host must be localhost, 127.0.0.1, [::1], the address in "
				     "control.http or one of control.http_hosts";
			return 403;
		}
		if ((strcasecmp(header->key, "Origin") == 0 &&
			!site_check_origin(check, header->value)) ||
		    (strcasecmp(header->key, "Sec-Fetch-Site") == 0 &&
			strcasecmp(header->value, "cross-site") == 0)) {
			*ret_error = "requests of other sites are refused";
			return 403;
		}
	}
	if (site_check_count(check, req, hosts))
		return 0;
	*ret_error = "one Host header is needed";
	return 400;
}
