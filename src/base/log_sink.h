/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where log lines go: stderr, a file, syslog or the journal. This room opens a target and puts
 * one record into it; it knows nothing of queues and threads. Opening is for the main thread,
 * writing and closing for the log thread: they may block.
 */
#ifndef ECHOD_BASE_LOG_SINK_H
#define ECHOD_BASE_LOG_SINK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/attributes.h"
#include "base/error_list.h"
#include "base/log_record.h"

enum log_target {
	LOG_TARGET_STDERR,
	LOG_TARGET_JOURNAL, /* through log_settings.journal_send */
	LOG_TARGET_SYSLOG,
	LOG_TARGET_FILE,
};

/* Return what TARGET is called in a sentence: "the journal". */
const char *log_target_name(enum log_target target);

/* What a user sets of the log: level and rate limit are for its queue, the rest is for a sink. */
struct log_settings {
	enum log_level level;
	enum log_target target;
	enum log_format format; /* stderr, syslog and file; the journal has its own */
	bool stderr_priority;   /* stderr lines get <N> prefixes, see sd-daemon(3) */
	const char *file;       /* absolute path, for LOG_TARGET_FILE */
	mode_t mode;            /* of a file that is made; one that is there keeps its own */
	int64_t rate_limit;     /* info and debug lines per second over all threads, 0: none */
	/* Hands one entry to the journal: 0 or -errno. Called on the log thread; may block it. */
	int (*journal_send)(const struct iovec *fields, int count);
	const char *journal_socket; /* where the journal receives, static; NULL: not looked at */
};

struct log_sink {
	enum log_target target;
	enum log_format format;
	bool priority;      /* stderr is the journal's: <N> there instead of time and level */
	bool torn;          /* the last line ends in its middle: begin with a newline */
	bool attached;      /* syslog: openlog(3) was called */
	int fd;             /* stderr: 2; file: ours; else -1 */
	const char *socket; /* syslog, journal: where somebody must listen; NULL: nowhere */
	int (*journal_send)(const struct iovec *fields, int count);
};

/* A sink for stderr, as it is before anything is known. */
#define LOG_SINK_STDERR \
	{ \
		.target = LOG_TARGET_STDERR, .fd = STDERR_FILENO \
	}

/*
 * Open the target of SETTINGS; keeps no pointer into them. A file must be regular, with one name,
 * and belong to us or to root: never through a symbolic link. -errno with a line in ERRORS.
 */
ATTR_MUSTCHECK int log_sink_open(
    const struct log_settings *settings, struct error_list *errors, struct log_sink *ret_sink);

/*
 * Return 0 where lines would get to the target of SINK, -errno where nobody is there to take them.
 * Journal and syslog alone are others' to serve: a sink for one of them opens all the same.
 */
ATTR_MUSTCHECK int log_sink_check(const struct log_sink *sink);

/* Return whether what SINK takes appears where our stderr goes. */
bool log_sink_is_stderr(const struct log_sink *sink);

/* Return the sink for stderr that stands in for SINK, in its form. */
struct log_sink log_sink_spare(const struct log_sink *sink);

/* Close what log_sink_open() opened. */
void log_sink_close(struct log_sink *sink);

/* Let NEXT know that OLD, which it replaces, left a torn line where NEXT goes on. */
void log_sink_follow(struct log_sink *next, const struct log_sink *old);

/*
 * Write RECORD as one line. Waits for a slow stderr until *INTERRUPT is true: then
 * -ECANCELED, and the same record may be tried again. Any other -errno: the line is lost.
 */
ATTR_MUSTCHECK int log_sink_write(
    struct log_sink *sink, const struct log_record *record, atomic_bool *interrupt);

#endif
