/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define TEXT_WORD_MAX 63

/* Length of the printable UTF-8 character at P (at most LEFT bytes), 0 where there is none. */
static size_t
text_character(const unsigned char *p, size_t left)
{
	size_t length;
	uint32_t code;

	if (p[0] < 0x80)
		return p[0] >= 0x20 && p[0] != 0x7f && p[0] != '\\' ? 1 : 0;
	if (p[0] >= 0xc2 && p[0] <= 0xdf)
		length = 2;
	else if (p[0] >= 0xe0 && p[0] <= 0xef)
		length = 3;
	else if (p[0] >= 0xf0 && p[0] <= 0xf4)
		length = 4;
	else
		return 0;
	if (left < length)
		return 0;
	code = p[0] & (0xffu >> (length + 1));
	for (size_t i = 1; i < length; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (p[i] & 0x3f);
	}
	/* C1 controls, overlong forms, surrogates, beyond Unicode */
	if (code < 0xa0 || (length == 3 && code < 0x800) || (length == 4 && code < 0x10000) ||
	    (code >= 0xd800 && code <= 0xdfff) || code > 0x10ffff)
		return 0;
	/*
	 * Bidirectional overrides and line separators can rewrite what a reader sees; blanks that
	 * are no space, and what has no width, look like something else or like nothing.
	 */
	if (code == 0xa0 || code == 0xad || (code >= 0x2000 && code <= 0x200f) ||
	    (code >= 0x2028 && code <= 0x202f) || (code >= 0x205f && code <= 0x206f) ||
	    code == 0x3000 || code == 0xfeff)
		return 0;
	return length;
}

char *
text_escape(const char *source, size_t length, char *buffer, size_t size)
{
	static const char hex[] = "0123456789abcdef";
	const unsigned char *p = (const unsigned char *)source;
	size_t used = 0;

	if (size == 0)
		return buffer;
	while (length > 0) {
		char escape[] = { '\\', 'x', hex[p[0] >> 4], hex[p[0] & 15] };
		size_t n = text_character(p, length);
		size_t added = n > 0 ? n : sizeof(escape);

		if (used + added >= size)
			break;
		memcpy(buffer + used, n > 0 ? (const char *)p : escape, added);
		used += added;
		n = n > 0 ? n : 1;
		p += n;
		length -= n;
	}
	buffer[used] = '\0';
	return buffer;
}

char *
text_escape_string(const char *source, char *buffer, size_t size)
{
	return text_escape(source, strlen(source), buffer, size);
}

static size_t
text_least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Optimal string alignment: three rows of the usual table. */
size_t
text_distance(const char *a, const char *b)
{
	size_t rows[3][TEXT_WORD_MAX + 1];
	size_t la = strlen(a), lb = strlen(b);

	if (la > TEXT_WORD_MAX || lb > TEXT_WORD_MAX)
		return la > lb ? la : lb;
	for (size_t j = 0; j <= lb; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= la; i++) {
		size_t *row = rows[i % 3], *above = rows[(i - 1) % 3], *above2 = rows[(i + 1) % 3];

		row[0] = i;
		for (size_t j = 1; j <= lb; j++) {
			size_t same = a[i - 1] == b[j - 1] ? 0 : 1;

			row[j] = text_least(above[j] + 1, row[j - 1] + 1);
			row[j] = text_least(row[j], above[j - 1] + same);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[j] = text_least(row[j], above2[j - 2] + 1);
		}
	}
	return rows[la % 3][lb];
}

char *
text_time(int64_t wall_ns, char *buffer, size_t size)
{
	/* rounded down, also before 1970 */
	int64_t rest_ns = (wall_ns % NS_PER_S + NS_PER_S) % NS_PER_S;
	time_t seconds = wall_ns / NS_PER_S - (wall_ns % NS_PER_S < 0 ? 1 : 0);
	struct tm tm;
	size_t length;

	/* 64 bits of nanoseconds are the years 1677 to 2262, which struct tm can hold */
	length = strftime(buffer, size, "%Y-%m-%dT%H:%M:%S", gmtime_r(&seconds, &tm));
	(void)snprintf(buffer + length, size - length, ".%03dZ", (int)(rest_ns / NS_PER_MS));
	return buffer;
}

/* One kind of quantity: its units, and what is said of a text that is none. */
struct units {
	/* from the largest to the smallest: formatting takes the first that fits */
	struct {
		const char *name; /* NULL ends the list */
		int64_t factor;
	} list[8];
	const char *zero;
	const char *no_number, *no_unit, *bad_unit, *two_units, *fraction, *too_large;
};

static const struct units durations = {
	.list = {
		{ "d", 86400 * NS_PER_S },
		{ "h", 3600 * NS_PER_S },
		{ "m", 60 * NS_PER_S },
		{ "s", NS_PER_S },
		{ "ms", NS_PER_MS },
		{ "us", NS_PER_US },
		{ "ns", 1 },
	},
	.zero = "0s",
	.no_number = "is not a duration (write a whole number and a unit, such as \"30s\")",
	.no_unit = "has no unit (write a unit: ns, us, ms, s, m, h or d, such as \"30s\")",
	.bad_unit = "has an unknown unit (write ns, us, ms, s, m, h or d, such as \"30s\")",
	.two_units = "is more than a number and a unit (write one of each: \"90m\" for 1h30m)",
	.fraction = "has a fraction (write a whole number of a smaller unit: \"1500ms\" for 1.5s)",
	.too_large = "is too large (at most 106751d)",
};

static const struct units sizes = {
	.list = {
		{ "TiB", INT64_C(1) << 40 },
		{ "GiB", INT64_C(1) << 30 },
		{ "MiB", INT64_C(1) << 20 },
		{ "KiB", INT64_C(1) << 10 },
		{ "B", 1 },
	},
	.zero = "0B",
	.no_number = "is not a size (write a whole number and a unit, such as \"64KiB\")",
	.no_unit = "has no unit (write a unit: B, KiB, MiB, GiB or TiB, such as \"64KiB\")",
	.bad_unit = "has an unknown unit (write B, KiB, MiB, GiB or TiB, such as \"64KiB\" for 64K)",
	.two_units = "is more than a number and a unit (write one of each, such as \"64KiB\")",
	.fraction = "has a fraction (write a whole number of a smaller unit: \"1536KiB\" for 1.5MiB)",
	.too_large = "is too large (at most 8388607TiB)",
};

static int
units_parse(const char *text, const struct units *units, int64_t *ret_value, const char **ret_error)
{
	int64_t number;
	bool too_large;
	char *unit;
	size_t i = 0;

	if (*text < '0' || *text > '9') {
		*ret_error = units->no_number;
		return -EINVAL;
	}
	errno = 0;
	number = strtoll(text, &unit, 10);
	too_large = errno == ERANGE;
	while (units->list[i].name != NULL && strcmp(unit, units->list[i].name) != 0)
		i++;
	if (too_large || __builtin_mul_overflow(number, units->list[i].factor, &number)) {
		*ret_error = units->too_large;
		return -ERANGE;
	}
	if (units->list[i].name == NULL) {
		*ret_error = *unit == '\0'                         ? units->no_unit
			     : *unit == '.' || *unit == ','        ? units->fraction
			     : strpbrk(unit, "0123456789") != NULL ? units->two_units
			     : *unit == ' '
				 ? "has a space in it (write the unit right after the number)"
				 : units->bad_unit;
		return -EINVAL;
	}
	*ret_value = number;
	return 0;
}

int
units_parse_duration(const char *text, int64_t *ret_ns, const char **ret_error)
{
	return units_parse(text, &durations, ret_ns, ret_error);
}

int
units_parse_size(const char *text, int64_t *ret_bytes, const char **ret_error)
{
	return units_parse(text, &sizes, ret_bytes, ret_error);
}

static char *
units_format(int64_t value, const struct units *units, char *buffer, size_t size)
{
	size_t i = 0;

	while (value % units->list[i].factor != 0)
		i++;
	if (value == 0)
		(void)snprintf(buffer, size, "%s", units->zero);
	else
		(void)snprintf(buffer, size, "%" PRId64 "%s", value / units->list[i].factor,
		    units->list[i].name);
	return buffer;
}

/* What others call the units; lower case. */
static const struct {
	const struct units *units;
	const char *alias, *name;
} units_aliases[] = {
	{ &durations, "sec", "s" },
	{ &durations, "secs", "s" },
	{ &durations, "second", "s" },
	{ &durations, "seconds", "s" },
	{ &durations, "min", "m" },
	{ &durations, "mins", "m" },
	{ &durations, "minute", "m" },
	{ &durations, "minutes", "m" },
	{ &durations, "hr", "h" },
	{ &durations, "hour", "h" },
	{ &durations, "hours", "h" },
	{ &durations, "day", "d" },
	{ &durations, "days", "d" },
	{ &durations, "msec", "ms" },
	{ &durations, "usec", "us" },
	{ &sizes, "byte", "B" },
	{ &sizes, "bytes", "B" },
	{ &sizes, "k", "KiB" },
	{ &sizes, "kb", "KiB" },
	{ &sizes, "m", "MiB" },
	{ &sizes, "mb", "MiB" },
	{ &sizes, "g", "GiB" },
	{ &sizes, "gb", "GiB" },
	{ &sizes, "t", "TiB" },
	{ &sizes, "tb", "TiB" },
};

static bool
units_suggest(const struct units *units, const char *text, char *buffer, size_t size)
{
	size_t blank = strspn(text, " "), digits = strspn(text + blank, "0123456789");
	const char *number = text + blank, *unit = number + digits, *name = NULL;
	size_t length;

	unit += strspn(unit, " ");
	length = strcspn(unit, " ");
	if (digits == 0 || length == 0 || unit[length + strspn(unit + length, " ")] != '\0')
		return false;
	for (size_t i = 0; units->list[i].name != NULL; i++) {
		if (strlen(units->list[i].name) == length &&
		    strncasecmp(unit, units->list[i].name, length) == 0)
			name = units->list[i].name;
	}
	for (size_t i = 0; i < ARRAY_SIZE(units_aliases); i++) {
		if (units_aliases[i].units == units && strlen(units_aliases[i].alias) == length &&
		    strncasecmp(unit, units_aliases[i].alias, length) == 0)
			name = units_aliases[i].name;
	}
	if (name == NULL)
		return false;
	(void)snprintf(buffer, size, "%.*s%s", (int)(digits < 20 ? digits : 20), number, name);
	return true;
}

bool
units_suggest_duration(const char *text, char *buffer, size_t size)
{
	return units_suggest(&durations, text, buffer, size);
}

bool
units_suggest_size(const char *text, char *buffer, size_t size)
{
	return units_suggest(&sizes, text, buffer, size);
}

char *
units_format_duration(int64_t ns, char *buffer, size_t size)
{
	return units_format(ns, &durations, buffer, size);
}

char *
units_format_size(int64_t bytes, char *buffer, size_t size)
{
	return units_format(bytes, &sizes, buffer, size);
}

/* Three digits, as far as that makes sense: 9.87, 98.7, 987. The borders are where they round. */
static int
units_decimals(double number)
{
	return number < 9.995 ? 2 : number < 99.95 ? 1 : 0;
}

char *
units_human_bytes(double bytes, char *buffer, size_t size)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	size_t unit = 0;

	for (; bytes >= 1023.5 && unit + 1 < ARRAY_SIZE(units); unit++)
		bytes /= 1024;
	(void)snprintf(
	    buffer, size, "%.*f %s", unit > 0 && bytes < 99.95 ? 1 : 0, bytes, units[unit]);
	return buffer;
}

char *
units_human_rate(double bytes, char *buffer, size_t size)
{
	units_human_bytes(bytes, buffer, size);
	(void)strncat(buffer, "/s", size - strlen(buffer) - 1);
	return buffer;
}

/* A minute or more: the two largest units that say something. */
static void
units_human_minutes(uint64_t seconds, char *buffer, size_t size)
{
	uint64_t minutes = seconds / 60, hours = minutes / 60;

	if (hours >= 24)
		(void)snprintf(
		    buffer, size, "%" PRIu64 "d%02uh", hours / 24, (unsigned)(hours % 24));
	else if (hours > 0)
		(void)snprintf(buffer, size, "%uh%02um", (unsigned)hours, (unsigned)(minutes % 60));
	else
		(void)snprintf(
		    buffer, size, "%um%02us", (unsigned)minutes, (unsigned)(seconds % 60));
}

char *
units_human_seconds(double seconds, char *buffer, size_t size)
{
	static const char *const units[] = { "ns", "us", "ms", "s" };
	double value = seconds * 1e9;
	size_t unit = 0;

	if (seconds <= 0) {
		(void)snprintf(buffer, size, "0s");
	} else if (seconds >= 59.95) {
		/* a minute that only rounding makes is one */
		units_human_minutes((uint64_t)(seconds < 60     ? 60
					       : seconds < 1e15 ? seconds
								: 1e15),
		    buffer, size);
	} else {
		for (; value >= 999.5 && unit + 1 < ARRAY_SIZE(units); unit++)
			value /= 1000;
		(void)snprintf(buffer, size, "%.*f%s", unit > 0 ? units_decimals(value) : 0, value,
		    units[unit]);
	}
	return buffer;
}

char *
units_human_number(double number, char *buffer, size_t size)
{
	bool whole = number > 1e15 || number == (double)(int64_t)number;

	(void)snprintf(buffer, size, "%.*f", whole ? 0 : units_decimals(number), number);
	return buffer;
}
