/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One run of echoctl against one daemon: finds its control socket, asks by HTTP (one request at a
 * time), and prints on stderr why no answer came or why the answer is a refusal. The caller can
 * wait for an answer together with other descriptors, so that `top` reads its keyboard while a
 * daemon hangs. The only room of echoctl that knows libcurl.
 */
#ifndef ECHOD_ECHOCTL_SESSION_H
#define ECHOD_ECHOCTL_SESSION_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/attributes.h"
#include "echoctl/options.h"
#include "echoctl/text.h"

/* One place of the search. */
struct echoctl_place {
	char *path; /* owned */
	int error;  /* why it cannot be used: ENOENT, EACCES, ENAMETOOLONG ...; 0: it is there */
};

struct echoctl_location {
	char *url;                    /* owned; what every path of a request follows */
	const char *socket;           /* path to connect to; borrowed; NULL: the URL's host */
	struct echoctl_place *places; /* owned; in order of the search; empty: a place was given */
	size_t count;
};

/*
 * Find the daemon at PATH or URL. When both are NULL, search the folders of RUNTIME_DIRECTORY
 * (which has colons between them), the folder "echod" in RUN, unless that is empty, and the one in
 * XDG_RUNTIME_DIR. PATH must live as long as the location. Returns 0; -ENOENT when no default
 * socket exists (places say why); -ENOMEM. Call echoctl_location_done() in each case.
 */
ATTR_MUSTCHECK int echoctl_locate(
    const char *path, const char *url, const char *run, struct echoctl_location *ret_location);

/* Free what the location owns. */
void echoctl_location_done(struct echoctl_location *location);

/* Exit codes; those above 1 as in sysexits(3). */
enum echoctl_exit {
	ECHOCTL_EXIT_OK = 0,
	ECHOCTL_EXIT_FAILED = 1, /* refused, a failed check, or the output could not be written */
	ECHOCTL_EXIT_USAGE = 64,
	ECHOCTL_EXIT_UNREACHABLE = 69, /* no daemon, or what answers is none */
};

enum echoctl_method {
	ECHOCTL_GET,
	ECHOCTL_POST, /* without a body */
};

struct echoctl_answer {
	long status; /* HTTP; 0: no answer came */
	char *body;  /* NUL-terminated; owned by the session; not NULL once the request is over */
	size_t length;
	bool gone; /* nobody listens there: refused, or no such socket */
};

struct echoctl_session {
	const struct echoctl_options *options; /* borrowed */
	struct echoctl_style style;            /* of standard output */
	struct echoctl_location location;
	struct echoctl_answer answer;      /* of the last request; valid until the next one */
	struct echoctl_transfer *transfer; /* owned; libcurl's side of the request */
};

/*
 * Find the daemon that OPTIONS mean; nothing is asked yet. Returns ECHOCTL_EXIT_OK, or the exit
 * code after printing why. Call echoctl_session_close() in each case.
 */
ATTR_MUSTCHECK enum echoctl_exit echoctl_session_open(
    const struct echoctl_options *options, struct echoctl_session *ret_session);

/* Free what the session owns, breaking off a request that is under way. */
void echoctl_session_close(struct echoctl_session *session);

/*
 * Return the URL of a request: BASE, then PATH with the operand of OPTIONS in the place of an
 * asterisk, then those of their filters that were given as a query (RFC 3986). The values are
 * percent-encoded, the rest is not. The caller frees it. NULL when memory is short.
 */
char *echoctl_session_url(
    const char *base, const char *path, const struct echoctl_options *options);

/* Begin a request for PATH, as in echoctl_session_url(). Returns 0 or -ENOMEM. */
ATTR_MUSTCHECK int echoctl_session_start(
    struct echoctl_session *session, enum echoctl_method method, const char *path);

/*
 * Go on with the request and wait until it has something, or one of the COUNT descriptors FDS
 * has something to read, for TIMEOUT_MS at most (below 0: as long as it takes). Returns 1 when the
 * request is over, 0 when it is not, -errno for a failure that is not the daemon's. Without a
 * request it waits for FDS alone and returns 0.
 */
ATTR_MUSTCHECK int echoctl_session_poll(
    struct echoctl_session *session, const int *fds, unsigned count, int timeout_ms);

/* Start a request and poll to its end, which may be without an answer. Returns 0 or -errno. */
ATTR_MUSTCHECK int echoctl_session_exchange(
    struct echoctl_session *session, enum echoctl_method method, const char *path);

/*
 * As echoctl_session_exchange(), and print an error when no answer comes. Any status is an answer.
 */
ATTR_MUSTCHECK enum echoctl_exit echoctl_session_fetch(
    struct echoctl_session *session, enum echoctl_method method, const char *path);

/*
 * Ask for a JSON object, which the caller owns, and print nothing. NULL where none came: the
 * answer says why.
 */
json_t *echoctl_session_look(struct echoctl_session *session, const char *path);

/*
 * Ask for a JSON object, which the caller owns. NULL when there is nothing left to do: *ret_exit is
 * then the exit code. With --json the answer is printed unchanged, and NULL returned.
 */
json_t *echoctl_session_ask(struct echoctl_session *session, enum echoctl_method method,
    const char *path, enum echoctl_exit *ret_exit);

/* Print the body of the answer: byte for byte, but escaped on a terminal. */
void echoctl_session_print_body(const struct echoctl_session *session);

/*
 * Print to stderr why the answer is not what was asked for; returns the exit code. With a status
 * of 2xx the answer is not echod's.
 */
enum echoctl_exit echoctl_session_refused(const struct echoctl_session *session);

/* Print to stderr that no answer came, and which places were tried; returns the exit code. */
enum echoctl_exit echoctl_session_unreachable(const struct echoctl_session *session);

/* Print the -errno ERROR to stderr; returns ECHOCTL_EXIT_FAILED. */
enum echoctl_exit echoctl_session_fail(int error);

/* Return libcurl's version for --version. */
const char *echoctl_session_curl_version(void);

#endif
