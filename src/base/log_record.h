/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One line of the log on its way from the caller to the log thread: packed and escaped by the
 * caller, rendered as text, JSON or journal fields by the log thread. It knows nothing of queues
 * and targets. Whatever came from outside is escaped here, once, for all three forms.
 */
#ifndef ECHOD_BASE_LOG_RECORD_H
#define ECHOD_BASE_LOG_RECORD_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/attributes.h"
#include "base/log.h"

#define LOG_RECORD_FIELDS 16    /* fields of a line; further ones are left out */
#define LOG_RECORD_MESSAGE 1024 /* bytes of an escaped message */
#define LOG_RECORD_TEXT 1536    /* bytes of message and field texts together */
#define LOG_RECORD_LINE 4096    /* a rendered line: PIPE_BUF, so a pipe takes it whole */
#define LOG_RECORD_IOVECS (3 + LOG_RECORD_FIELDS)

/* What stands before the message in a text line. */
enum log_prefix {
	LOG_PREFIX_TIME,     /* time and level */
	LOG_PREFIX_PRIORITY, /* <N>, see sd-daemon(3) */
	LOG_PREFIX_NONE,     /* the target adds its own */
};

struct log_record;

/*
 * Pack one line with WALL_NS as its time. FIELDS are copied, but their keys must live for ever.
 * Any thread. The caller owns the result; NULL when memory is short.
 */
struct log_record *log_record_new(enum log_level level, int64_t wall_ns,
    const struct log_field *fields, size_t count, const char *format, va_list ap) ATTR_PRINTF(5, 0);

/* Free RECORD; NULL is fine. */
void log_record_free(struct log_record *record);

/* Return the level that the record was made with. */
enum log_level log_record_level(const struct log_record *record);

/*
 * Render as text into LOG_RECORD_LINE bytes at BUFFER: prefix, message, key=value for each field,
 * with quotes where the value needs them. No newline, NUL-terminated. Returns the length, which
 * leaves room for two more bytes and the NUL.
 */
size_t log_record_text(const struct log_record *record, enum log_prefix prefix, char *buffer);

/*
 * Render as one JSON object, as log_record_text(). Strings hold the same escaped text as the text
 * format. LOG_PREFIX_PRIORITY puts <N> before the object; the time is always in it.
 */
size_t log_record_json(const struct log_record *record, enum log_prefix prefix, char *buffer);

/*
 * Render as journal fields: MESSAGE, PRIORITY, SYSLOG_IDENTIFIER and ECHOD_KEY for each field.
 * BUFFER has LOG_RECORD_LINE bytes, VECTORS has LOG_RECORD_IOVECS and points into it. Returns
 * how many vectors are in use.
 */
int log_record_journal(const struct log_record *record, char *buffer, struct iovec *vectors);

#endif
