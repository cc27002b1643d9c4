/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One run of echoctl: the daemon that is asked, and what every verb does alike: find it, tell
 * when nobody answers or the answer is no, pass an answer through. Complaints go to stderr here.
 */
#ifndef ECHOD_ECHOCTL_SESSION_H
#define ECHOD_ECHOCTL_SESSION_H

#include <jansson.h>
#include <stdint.h>

#include "base/attributes.h"
#include "echoctl/http.h"
#include "echoctl/locate.h"
#include "echoctl/options.h"
#include "echoctl/style.h"

/* Exit codes; those above 1 as in sysexits(3). */
enum echoctl_exit {
	ECHOCTL_EXIT_OK = 0,
	ECHOCTL_EXIT_FAILED = 1, /* refused, a failed check, or the output could not be written */
	ECHOCTL_EXIT_USAGE = 64,
	ECHOCTL_EXIT_UNREACHABLE = 69, /* no daemon, or what answers is none */
};

struct echoctl_session {
	const struct echoctl_options *options; /* borrowed */
	struct echoctl_style style;            /* of standard output */
	struct echoctl_location location;
	struct echoctl_http *http; /* owned */
};

/*
 * Find the daemon that OPTIONS mean; nothing is asked yet. Returns ECHOCTL_EXIT_OK or the code to
 * leave with, its reason told. Call echoctl_session_close() in each case.
 */
ATTR_MUSTCHECK enum echoctl_exit echoctl_session_open(
    const struct echoctl_options *options, struct echoctl_session *ret_session);

/* Free what the session owns. */
void echoctl_session_close(struct echoctl_session *session);

/* Ask, and tell when no answer comes: ECHOCTL_EXIT_UNREACHABLE. Any status is an answer. */
ATTR_MUSTCHECK enum echoctl_exit echoctl_session_fetch(
    struct echoctl_session *session, enum echoctl_method method, const char *target);

/*
 * Ask for a JSON object, which the caller owns. NULL when there is nothing left to do: *ret_exit
 * is then the code to leave with. With --json the answer is printed as it is, and NULL returned.
 */
json_t *echoctl_session_ask(struct echoctl_session *session, enum echoctl_method method,
    const char *target, enum echoctl_exit *ret_exit);

/* Print the body of the answer: byte for byte, but harmless on a terminal. */
void echoctl_session_print_body(const struct echoctl_session *session);

/*
 * Tell on stderr why the answer is not what was asked for with METHOD; returns the code to leave
 * with. With a status of 2xx it is no answer of echod's.
 */
enum echoctl_exit echoctl_session_refused(
    const struct echoctl_session *session, enum echoctl_method method);

/* Tell on stderr that no answer came and where was looked for one. */
void echoctl_session_unreachable(const struct echoctl_session *session);

/* Tell on stderr that memory is short; returns ECHOCTL_EXIT_FAILED. */
enum echoctl_exit echoctl_session_no_memory(void);

/* Return where the daemon is asked: a path or a URL, not escaped. */
const char *echoctl_session_place(const struct echoctl_session *session);

#endif
