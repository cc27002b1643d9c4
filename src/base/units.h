/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Durations ("250ms", "10m") and sizes ("64KiB") as users write them: a whole number and one
 * unit, nothing else. Strict on purpose: no sign, no space, no fraction, no missing unit.
 */
#ifndef ECHOD_BASE_UNITS_H
#define ECHOD_BASE_UNITS_H

#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"

/* Large enough for every text that units_format_* and units_human_* write, NUL included. */
#define UNITS_TEXT_MAX 48

/*
 * Parse a duration with unit ns, us, ms, s, m, h or d into nanoseconds.
 * Returns 0; -EINVAL for bad form; -ERANGE above INT64_MAX ns. *ret_error then names what
 * is wrong and what would be right; it points to static text or to a static-storage hint.
 */
ATTR_MUSTCHECK int units_parse_duration(const char *text, int64_t *ret_ns, const char **ret_error);

/* Parse a size with unit B, KiB, MiB, GiB or TiB into bytes; errors as units_parse_duration(). */
ATTR_MUSTCHECK int units_parse_size(const char *text, int64_t *ret_bytes, const char **ret_error);

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
