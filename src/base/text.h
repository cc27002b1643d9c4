/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Text that came from outside (peers, configuration, paths) made safe for a log, a terminal,
 * JSON or HTML: one escaping for all of them.
 */
#ifndef ECHOD_BASE_TEXT_H
#define ECHOD_BASE_TEXT_H

#include <stddef.h>

/*
 * Copy LENGTH bytes of SOURCE to BUFFER as valid, printable UTF-8. Control characters (C0, DEL,
 * C1), the backslash and bytes that are not valid UTF-8 (RFC 3629) become \xNN. The result is
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

#endif
