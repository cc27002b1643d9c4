/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "control/html.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <event2/buffer.h>

#include "base/clock.h"

#define MINUTE 60
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

void
html_raw(struct html *html, const void *markup, size_t length)
{
	if (evbuffer_add(html->out, markup, length) < 0)
		html->failed = true;
}

void
html_print(struct html *html, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	if (evbuffer_add_vprintf(html->out, format, ap) < 0)
		html->failed = true;
	va_end(ap);
}

static const char *
html_reference(char c)
{
	switch (c) {
	case '&':
		return "&amp;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '"':
		return "&quot;";
	case '\'':
		return "&#39;";
	default:
		return "";
	}
}

void
html_text(struct html *html, const char *text)
{
	while (*text != '\0') {
		size_t plain = strcspn(text, "&<>\"'");
		const char *reference = html_reference(text[plain]);

		html_raw(html, text, plain);
		html_raw(html, reference, strlen(reference));
		text += plain;
		text += *text != '\0';
	}
}

void
html_count(struct html *html, uint64_t count)
{
	char digits[24];
	int length = snprintf(digits, sizeof(digits), "%" PRIu64, count);

	for (int i = 0; i < length; i++) {
		if (i > 0 && (length - i) % 3 == 0)
			html_raw(html, ",", 1);
		html_raw(html, &digits[i], 1);
	}
}

void
html_bytes(struct html *html, uint64_t bytes)
{
	static const char units[][4] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double value = (double)bytes;
	size_t unit = 0;

	while (value >= 1024 && unit + 1 < ARRAY_SIZE(units)) {
		value /= 1024;
		unit++;
	}
	html_print(html, "%.*f %s",
	    unit == 0 || value >= 100 ? 0
	    : value >= 10             ? 1
				      : 2,
	    value, units[unit]);
}

void
html_duration(struct html *html, int64_t ns)
{
	int64_t seconds = ns > 0 ? ns / NS_PER_S : 0;

	if (seconds >= DAY)
		html_print(html, "%" PRId64 "d %dh", seconds / DAY, (int)(seconds % DAY / HOUR));
	else if (seconds >= HOUR)
		html_print(
		    html, "%dh %02dm", (int)(seconds / HOUR), (int)(seconds % HOUR / MINUTE));
	else if (seconds >= MINUTE)
		html_print(html, "%dm %02ds", (int)(seconds / MINUTE), (int)(seconds % MINUTE));
	else if (seconds >= 10)
		html_print(html, "%ds", (int)seconds);
	else
		html_print(html, "%d.%ds", (int)seconds,
		    (int)((ns > 0 ? ns : 0) % NS_PER_S / (NS_PER_S / 10)));
}

void
html_moment(struct html *html, int64_t wall_ns)
{
	time_t seconds = wall_ns / NS_PER_S;
	char text[64];
	struct tm tm;

	/* a clock so wrong that its year has no form is not worth an error */
	if (gmtime_r(&seconds, &tm) == NULL ||
	    strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &tm) == 0)
		(void)snprintf(text, sizeof(text), "unknown");
	html_text(html, text);
}
