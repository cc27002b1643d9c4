/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the daemon is: the socket or URL that was given, or the first default socket that
 * exists. Remembers what was tried, for the message when nobody answers.
 */
#ifndef ECHOD_ECHOCTL_LOCATE_H
#define ECHOD_ECHOCTL_LOCATE_H

#include <stddef.h>

#include "base/attributes.h"

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

/* The environment that the search looks at; NULL: not set. */
struct echoctl_surroundings {
	const char *runtime_directory; /* RUNTIME_DIRECTORY: one or more, with colons between */
	const char *run;               /* where the packaged service has its socket */
	const char *xdg_runtime_dir;   /* XDG_RUNTIME_DIR */
};

/*
 * Find the daemon at SOCKET or URL, or search when both are NULL. SOCKET must live as long as the
 * location. Returns 0; -ENOENT when no default socket exists (places then tell); -ENOMEM.
 * Call echoctl_location_done() in each case.
 */
ATTR_MUSTCHECK int echoctl_locate(const char *socket, const char *url,
    const struct echoctl_surroundings *around, struct echoctl_location *ret_location);

/* Free what the location owns. */
void echoctl_location_done(struct echoctl_location *location);

#endif
