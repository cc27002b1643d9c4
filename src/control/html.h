/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes HTML: text from outside always through html_text(), figures in the same form as
 * status_page/figures.js, so that nothing on the page changes its look when scripts take over.
 * Failures are collected and looked at once, at the end. It knows nothing of what it writes.
 */
#ifndef ECHOD_CONTROL_HTML_H
#define ECHOD_CONTROL_HTML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"

struct evbuffer;

struct html {
	struct evbuffer *out; /* borrowed */
	bool failed;          /* out of memory: something is missing */
};

/* Append LENGTH bytes of markup as they are. */
void html_raw(struct html *html, const void *markup, size_t length);

/* Append markup of our own; no argument may be text from outside. */
void html_print(struct html *html, const char *format, ...) ATTR_PRINTF(2, 3);

/* Append text: what has a meaning in HTML (& < > " ') is written as a character reference. */
void html_text(struct html *html, const char *text);

/* Append a count with its thousands apart: "12,345". */
void html_count(struct html *html, uint64_t count);

/* Append a size with three digits that matter: "512 B", "4.21 GiB". */
void html_bytes(struct html *html, uint64_t bytes);

/* Append a duration in its two largest units: "0.4s", "42s", "5m 12s", "3h 05m", "12d 3h". */
void html_duration(struct html *html, int64_t ns);

/* Append a moment (nanoseconds since the epoch) in UTC: "2025-01-31 23:59:59 UTC". */
void html_moment(struct html *html, int64_t wall_ns);

#endif
