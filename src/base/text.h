/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Text that people write and read. What came from outside (peers, configuration, paths) is made
 * safe for a log, a terminal, JSON or HTML: one escaping for all of them. Durations, sizes, rates
 * and moments have one form each, the same in files, options, tables and logs.
 */
#ifndef ECHOD_BASE_TEXT_H
#define ECHOD_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"

/*
 * Copy LENGTH bytes of SOURCE to BUFFER as valid, printable UTF-8. Control characters (C0, DEL,
 * C1), blanks and marks that cannot be seen, the backslash and bytes that are not valid UTF-8 (RFC
 * 3629) become \xNN. The result is
 * always NUL-terminated and is cut at a whole character where it does not fit. Returns BUFFER.
 */
char *text_escape(const char *source, size_t length, char *buffer, size_t size);

/* text_escape() of a NUL-terminated string. */
char *text_escape_string(const char *source, char *buffer, size_t size);

/*
 * Return how many single-character edits (insert, delete, replace, swap of neighbours) turn A
 * into B: the "did you mean" of every message. Words over 63 bytes count as far apart.
 */
size_t text_distance(const char *a, const char *b);

/* Room for what text_time() writes, NUL included, and for a clock that is wrong. */
#define TEXT_TIME_MAX 40

/* Write WALL_NS as RFC 3339 in UTC, "2025-01-31T23:59:59.123Z", to BUFFER. Returns BUFFER. */
char *text_time(int64_t wall_ns, char *buffer, size_t size);

/*
 * Durations ("250ms", "10m") and sizes ("64KiB") as users write them: a whole number and one
 * unit, nothing else. Strict on purpose: no sign, no space, no fraction, no missing unit.
 */

/* Room for every text that units_format_* and units_human_* write, NUL included. */
#define UNITS_TEXT_MAX 48

/*
 * Parse a duration with unit ns, us, ms, s, m, h or d into nanoseconds. Returns 0; -EINVAL for bad
 * form; -ERANGE above INT64_MAX ns. *ret_error is then a static text that says what is wrong and
 * what would be right.
 */
ATTR_MUSTCHECK int units_parse_duration(const char *text, int64_t *ret_ns, const char **ret_error);

/* Parse a size with unit B, KiB, MiB, GiB or TiB into bytes; errors as units_parse_duration(). */
ATTR_MUSTCHECK int units_parse_size(const char *text, int64_t *ret_bytes, const char **ret_error);

/*
 * Write to BUFFER what TEXT, which units_parse_duration() refused, may mean: with a unit as others
 * call it ("30 sec"), written as it should be ("30s"). Returns whether there is such a guess.
 */
bool units_suggest_duration(const char *text, char *buffer, size_t size);

/* The same for sizes: "64KiB" for "64k". */
bool units_suggest_size(const char *text, char *buffer, size_t size);

/* Write NS with the largest unit that keeps it whole ("10m", "1500ms"); returns BUFFER. */
char *units_format_duration(int64_t ns, char *buffer, size_t size);

/* Write BYTES with the largest unit that keeps it whole ("64KiB", "1000B"); returns BUFFER. */
char *units_format_size(int64_t bytes, char *buffer, size_t size);

/* Figures for people, rounded to what can be read at a glance; each returns BUFFER. */

/* Write a number of bytes: "512 B", "12.3 MiB". */
char *units_human_bytes(double bytes, char *buffer, size_t size);

/* Write BYTES a second: "12.3 MiB/s". */
char *units_human_rate(double bytes, char *buffer, size_t size);

/* Write SECONDS in three digits, or in two units: "412us", "12.3ms", "4.25s", "4m10s", "1d02h". */
char *units_human_seconds(double seconds, char *buffer, size_t size);

/* Write a number without a unit: three digits below 100, whole above. */
char *units_human_number(double number, char *buffer, size_t size);

#endif
