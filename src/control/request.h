/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is read of a request: the query in its target, and the headers that say which format it
 * wants and where it comes from. Nothing is kept.
 */
#ifndef ECHOD_CONTROL_REQUEST_H
#define ECHOD_CONTROL_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "base/attributes.h"
#include "config/configuration.h"

struct evhttp_request;

/* Large enough for each message that is written about a query. */
#define QUERY_ERROR_MAX 512

/* Room for a name or a value of a query, decoded. */
#define QUERY_TEXT_MAX 128

/* One NAME=VALUE of a query, which joins them by "&". */
struct query_field {
	char name[QUERY_TEXT_MAX];
	char value[QUERY_TEXT_MAX];
	bool has_value; /* there was a "=" */
};

/*
 * Take the next field off *CURSOR, with its %XX decoded (RFC 3986, section 2.1). Returns 1; 0 at
 * the end; -EINVAL where a text is too long, has a "%" that is no %XX, or a byte 0. An empty field
 * ("a&&b") is a field too.
 */
ATTR_MUSTCHECK int query_next(const char **cursor, struct query_field *ret_field);

/* Take LENGTH bytes of TEXT as a whole number up to MAXIMUM, and nothing else: 0 or -EINVAL. */
ATTR_MUSTCHECK int query_number(
    const char *text, size_t length, uint64_t maximum, uint64_t *ret_number);

/*
 * Return whether ACCEPT, the header of that name (RFC 9110, section 12.5.1; NULL: there was none),
 * asks for OpenMetrics: names it, in a version that is written here, and does not like plain text
 * better.
 */
bool request_wants_openmetrics(const char *accept);

/*
 * Return whether Accept-Encoding of REQ (RFC 9110, section 12.5.3), in one header or in several,
 * asks for gzip, and does not like it less than what is not compressed.
 */
bool request_wants_gzip(struct evhttp_request *req);

/*
 * Return the path and query of REQ's target, also where that is in absolute form (RFC 9112, section
 * 3.2.2: "http://HOST/PATH"). What starts otherwise than with "/" is no target of ours.
 */
const char *request_target(const struct evhttp_request *req);

/*
 * Look whether Host, Origin and Sec-Fetch-Site of REQ, which came to ADDRESS, are ours: a web page
 * that a browser on this machine shows must not read the port by a name that points here (DNS
 * rebinding), nor make the browser use it (cross-site requests). A link of another site that
 * somebody clicks may lead here: the browser shows the answer and keeps it from that site. HOSTS
 * are names that the port may be called by too; NULL: any name will do, as at a UNIX socket, which
 * no name resolves to. Returns 0; else the HTTP status (400 or 403), and *ret_error is a static
 * text that says what would be right.
 */
int request_check_site(struct evhttp_request *req, const struct address *address,
    const struct config_list *hosts, const char **ret_error);

#endif
