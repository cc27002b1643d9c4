/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One probe of the ping form: a message out and its echo back over one socket, and what may come
 * between probes. Waits with poll(2); a signal descriptor ends every wait.
 */
#ifndef ECHOD_ECHOPING_PROBE_H
#define ECHOD_ECHOPING_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "echoping/payload.h"
#include "echoping/window.h"

enum echoping_outcome {
	ECHOPING_ECHOED,      /* all of it came back, and equal */
	ECHOPING_TIMEOUT,     /* not all of it in time */
	ECHOPING_BROKEN,      /* the connection ended or the socket failed */
	ECHOPING_DIFFERENT,   /* something else came back, or more than was sent */
	ECHOPING_INTERRUPTED, /* by a signal */
	ECHOPING_QUIET,       /* nothing came in between */
};

struct echoping_probe {
	const struct echoping_payload *payload;
	unsigned char *buffer; /* owned by the caller; one piece of the payload */
	size_t size;           /* of a message */
	bool datagrams;
	int fd; /* borrowed; non-blocking; may change from probe to probe */
	int signal_fd;
	uint64_t position;             /* stream: where the next message begins */
	struct echoping_window window; /* datagrams; the caller's to init and free */
	/* What echoping_probe_exchange() and echoping_probe_rest() leave behind. */
	int64_t latency_ns; /* ECHOPING_ECHOED */
	int error;          /* ECHOPING_BROKEN: errno, 0 for an end of the stream */
	uint64_t offset; /* ECHOPING_DIFFERENT: the first byte of the message that is not equal */
};

/* Send the next message and wait for its echo, TIMEOUT_NS at most. */
enum echoping_outcome echoping_probe_exchange(struct echoping_probe *probe, int64_t timeout_ns);

/*
 * Let time pass until UNTIL_NS while nothing is in flight. Returns ECHOPING_QUIET then, or at
 * once what is not as it should be. Without a socket (-1) it only waits.
 */
enum echoping_outcome echoping_probe_rest(struct echoping_probe *probe, int64_t until_ns);

#endif
