/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One HTTP request at a time to one server, through libcurl. The caller can wait for it together
 * with other descriptors, so that `top` reads its keyboard while a daemon hangs. The only file of
 * echoctl that knows libcurl.
 */
#ifndef ECHOD_ECHOCTL_HTTP_H
#define ECHOD_ECHOCTL_HTTP_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"

enum echoctl_method {
	ECHOCTL_GET,
	ECHOCTL_POST, /* without a body */
};

struct echoctl_answer {
	long status; /* HTTP; 0: no answer came */
	char *body;  /* NUL-terminated; owned by the http; never NULL after an answer */
	size_t length;
	int error; /* errno of a connect that failed, 0 where there is none */
	bool gone; /* nobody listens there: refused, or no such socket */
};

/* One key of a query. */
struct echoctl_parameter {
	const char *key;
	const char *value; /* NULL: not given */
};

struct echoctl_http;

/*
 * Make one that asks below URL, through the UNIX socket at SOCKET unless that is NULL; both must
 * outlive it. Waits TIMEOUT_NS for an answer at most. NULL when memory is short.
 */
struct echoctl_http *echoctl_http_new(const char *url, const char *socket, int64_t timeout_ns);

/* Free HTTP and its answer, breaking off what is under way; NULL is fine. */
void echoctl_http_free(struct echoctl_http *http);

/*
 * Begin a request; TARGET is path and query, ready for the wire. Drops the last answer.
 * Returns 0 or -ENOMEM.
 */
ATTR_MUSTCHECK int echoctl_http_start(
    struct echoctl_http *http, enum echoctl_method method, const char *target);

/*
 * Go on with the request and wait until it has something, or one of the COUNT descriptors of
 * FDS has (its revents tell), for TIMEOUT_MS at most (below 0: as long as it takes). Returns 1
 * when the request is over, 0 when it is not, -errno for a failure that is not the daemon's.
 * Without a request it waits for FDS alone and returns 0.
 */
ATTR_MUSTCHECK int echoctl_http_poll(
    struct echoctl_http *http, struct pollfd *fds, unsigned count, int timeout_ms);

/* Return the answer of the request that is over; valid until the next start. */
const struct echoctl_answer *echoctl_http_answer(const struct echoctl_http *http);

/* Ask and wait: start, poll to the end. Returns 0 with the answer, or -errno as above. */
ATTR_MUSTCHECK int echoctl_http_ask(
    struct echoctl_http *http, enum echoctl_method method, const char *target);

/* Return a text that says why no answer came. */
const char *echoctl_http_reason(const struct echoctl_http *http);

/*
 * Return a request target: PATH and a query (RFC 3986) of those of COUNT PARAMETERS that have a
 * value, percent-encoded. The caller frees it. NULL when memory is short.
 */
char *echoctl_http_target(
    const char *path, const struct echoctl_parameter *parameters, size_t count);

/* Return libcurl's version for --version. */
const char *echoctl_http_version(void);

#endif
