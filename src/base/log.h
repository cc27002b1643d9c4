/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The log: any thread writes a line, one log thread carries it to the target. A target that is
 * slow, stopped or full costs its own lines (dropped and counted), never the caller's time. While a
 * journal or syslog cannot be had, its lines go to stderr, which is told once.
 * This room holds the daemon's only globals: the level, the queue and the next target.
 */
#ifndef ECHOD_BASE_LOG_H
#define ECHOD_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/error_list.h"
#include "base/log_record.h"
#include "base/log_sink.h"

/* What /metrics shows of the log. */
struct log_totals {
	uint64_t written;    /* lines that the target took */
	uint64_t dropped;    /* lines lost because the target was slow, full or gone */
	uint64_t suppressed; /* lines over the rate limit */
};

/*
 * Start the log thread with SETTINGS (copied). Before this, and after log_close(), lines go
 * straight to stderr. Main thread only. Returns 0, or -errno with a line in ERRORS.
 */
ATTR_MUSTCHECK int log_open(const struct log_settings *settings, struct error_list *errors);

/*
 * Change to SETTINGS at run time. A file that cannot be opened leaves the old target in place:
 * -errno and a line in ERRORS. Main thread only. Never waits for a slow target.
 */
ATTR_MUSTCHECK int log_change(const struct log_settings *settings, struct error_list *errors);

/*
 * Open the log file again, after rotation. As log_change(); -EOPNOTSUPP, with a line in ERRORS that
 * says so, where the target is no file.
 */
ATTR_MUSTCHECK int log_reopen(struct error_list *errors);

/*
 * Write what is queued, waiting at most TIMEOUT_NS (ten times more while the thread is ready to run
 * and gets no processor, and a quarter of a second for it to leave), stop the thread, free
 * everything. A thread that is stuck in its target is left behind: log_open() may follow all the
 * same. Main thread only.
 */
void log_close(int64_t timeout_ns);

/* Return whether there is a log thread to write to the target. Main thread only. */
bool log_is_open(void);

/*
 * Return whether all lines since log_open() went where stderr goes, or may have: because that is
 * the target, or stood in for it; false where one was lost. Main thread only; for certain after
 * log_close() alone.
 */
bool log_reached_stderr(void);

/* Change the level alone, and tell it. Any thread. */
void log_set_level(enum log_level level);
enum log_level log_get_level(void);

/* Return whether a line of LEVEL would be written: ask before work that only the line needs. */
bool log_enabled(enum log_level level);

/* Read the totals. Any thread. */
void log_totals_read(struct log_totals *ret_totals);

/*
 * Write one line; any thread, never blocks on the target, keeps errno. FIELDS may be NULL with
 * COUNT 0. The level is checked before anything is formatted. The message is escaped and cut at
 * 1 KiB; fields after the sixteenth, and those that do not fit in the line, are left out.
 */
#define log_fields(LEVEL, FIELDS, COUNT, ...) \
	log_fields_at(LOG_HERE, (LEVEL), (FIELDS), (COUNT), __VA_ARGS__)

/* The same, for a line that is written at PLACE. */
void log_fields_at(const struct log_place *place, enum log_level level,
    const struct log_field *fields, size_t count, const char *format, ...) ATTR_PRINTF(5, 6);

/*
 * Write the last words straight to stderr, whatever the target, and end with abort(3). For what
 * must not happen. Any thread.
 */
void log_abort(const char *format, ...) ATTR_PRINTF(1, 2) ATTR_NORETURN;

#define log_write(LEVEL, ...) \
	do { \
		if (log_enabled(LEVEL)) \
			log_fields(LEVEL, NULL, 0, __VA_ARGS__); \
	} while (0)
#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...) log_write(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
