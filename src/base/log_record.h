/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One line of the log on its way from the caller to the log thread: packed and escaped by the
 * caller, rendered as text, JSON or journal fields by the log thread. It knows nothing of queues
 * and targets. Whatever came from outside is escaped here, once, for all three forms.
 */
#ifndef ECHOD_BASE_LOG_RECORD_H
#define ECHOD_BASE_LOG_RECORD_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/attributes.h"

/* The values are those of syslog(3). */
enum log_level {
	LOG_LEVEL_ERROR = 3,   /* something that was asked for cannot be done */
	LOG_LEVEL_WARNING = 4, /* served on, but an operator should look */
	LOG_LEVEL_NOTICE = 5,  /* a change of state: start, reload, drain, stop */
	LOG_LEVEL_INFO = 6,    /* what happens in normal work */
	LOG_LEVEL_DEBUG = 7,   /* for those who read the source */
};

enum log_format {
	LOG_FORMAT_TEXT, /* TIME LEVEL MESSAGE key=value ... */
	LOG_FORMAT_JSON, /* one object a line: time, level, message, then the fields */
};

/* One structured field of a line. The log copies and escapes the text; NULL leaves it out. */
struct log_field {
	const char *key;  /* static, lower case with underscores; journal: ECHOD_KEY */
	const char *text; /* not for a number */
	int64_t number;
	bool is_number;
};

#define LOG_TEXT(KEY, TEXT) ((struct log_field){ .key = (KEY), .text = (TEXT) })
#define LOG_NUMBER(KEY, NUMBER) \
	((struct log_field){ .key = (KEY), .number = (int64_t)(NUMBER), .is_number = true })

/* Where in the source a line is written; static texts. */
struct log_place {
	const char *file;
	const char *function;
	int line;
};

#define LOG_HERE (&(const struct log_place){ __FILE__, __func__, __LINE__ })

#define LOG_RECORD_FIELDS 16    /* fields of a line; further ones are left out */
#define LOG_RECORD_MESSAGE 1024 /* bytes of an escaped message */
#define LOG_RECORD_TEXT 1536    /* bytes of message and field texts together */
#define LOG_RECORD_LINE 4096    /* a rendered line: PIPE_BUF, so a pipe takes it whole */
#define LOG_RECORD_IOVECS (6 + LOG_RECORD_FIELDS)

/* What stands before the message in a line. */
enum log_prefix {
	LOG_PREFIX_TIME,     /* time and level */
	LOG_PREFIX_PRIORITY, /* <N>, see sd-daemon(3) */
	LOG_PREFIX_NONE,     /* the target adds its own */
};

struct log_record;

/* Return "error", "warning", "notice", "info" or "debug". */
const char *log_level_name(enum log_level level);

/*
 * Pack one line with WALL_NS as its time, written at PLACE. FIELDS are copied, but their keys must
 * live for ever. Any thread. The caller owns the result and gives it to log_record_free(). Where
 * memory is short, a few records in reserve serve what is a notice or worse; else NULL.
 */
struct log_record *log_record_new(enum log_level level, int64_t wall_ns,
    const struct log_place *place, const struct log_field *fields, size_t count, const char *format,
    va_list ap) ATTR_PRINTF(6, 0);

/* Free RECORD; NULL is fine. Any thread. */
void log_record_free(struct log_record *record);

/* Return the level that the record was made with. */
enum log_level log_record_level(const struct log_record *record);

/*
 * Render as one line into LOG_RECORD_LINE bytes at BUFFER. As text: prefix, message, key=value for
 * each field, with quotes where the value needs them. As JSON: one object, whose strings hold the
 * same escaped text; the time is always in it, and of the prefixes only <N> stands before it. No
 * newline, NUL-terminated. Returns the length, which leaves room for two more bytes and the NUL.
 */
size_t log_record_line(
    const struct log_record *record, enum log_format format, enum log_prefix prefix, char *buffer);

/*
 * Render as journal fields: MESSAGE, which is the line as text without a prefix, PRIORITY,
 * SYSLOG_IDENTIFIER, the place in the source as CODE_FILE, CODE_LINE and CODE_FUNC, and ECHOD_KEY
 * for each field. BUFFER has LOG_RECORD_LINE bytes, VECTORS has LOG_RECORD_IOVECS and points into
 * it. Returns how many vectors are in use.
 */
int log_record_journal(const struct log_record *record, char *buffer, struct iovec *vectors);

#endif
