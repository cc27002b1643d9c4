/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "base/units.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

struct unit {
	const char *name;
	int64_t factor;
};

/* Both tables run from the largest unit to the smallest: formatting takes the first that fits. */
static const struct unit duration_units[] = {
	{ "d", 86400 * NS_PER_S },
	{ "h", 3600 * NS_PER_S },
	{ "m", 60 * NS_PER_S },
	{ "s", NS_PER_S },
	{ "ms", NS_PER_MS },
	{ "us", NS_PER_US },
	{ "ns", 1 },
	{ NULL, 0 },
};

static const struct unit size_units[] = {
	{ "TiB", INT64_C(1) << 40 },
	{ "GiB", INT64_C(1) << 30 },
	{ "MiB", INT64_C(1) << 20 },
	{ "KiB", INT64_C(1) << 10 },
	{ "B", 1 },
	{ NULL, 0 },
};

struct wording {
	const char *no_number;
	const char *no_unit;
	const char *bad_unit;
	const char *too_large;
};

static const struct wording duration_wording = {
	"is not a duration (write a whole number and a unit, such as \"30s\")",
	"has no unit (write a unit: ns, us, ms, s, m, h or d, such as \"30s\")",
	"has an unknown unit (write ns, us, ms, s, m, h or d, such as \"30s\")",
	"is too large (at most 106751d)",
};

static const struct wording size_wording = {
	"is not a size (write a whole number and a unit, such as \"64KiB\")",
	"has no unit (write a unit: B, KiB, MiB, GiB or TiB, such as \"64KiB\")",
	"has an unknown unit (write B, KiB, MiB, GiB or TiB, such as \"64KiB\")",
	"is too large (at most 8388607TiB)",
};

static int
units_parse(const char *text, const struct unit *units, const struct wording *wording,
    int64_t *ret_value, const char **ret_error)
{
	const char *p = text;
	int64_t number = 0;

	if (*p < '0' || *p > '9') {
		*ret_error = wording->no_number;
		return -EINVAL;
	}
	for (; *p >= '0' && *p <= '9'; p++) {
		if (__builtin_mul_overflow(number, 10, &number) ||
		    __builtin_add_overflow(number, *p - '0', &number)) {
			*ret_error = wording->too_large;
			return -ERANGE;
		}
	}
	if (*p == '\0') {
		*ret_error = wording->no_unit;
		return -EINVAL;
	}
	for (const struct unit *u = units; u->name != NULL; u++) {
		if (strcmp(p, u->name) != 0)
			continue;
		if (__builtin_mul_overflow(number, u->factor, &number)) {
			*ret_error = wording->too_large;
			return -ERANGE;
		}
		*ret_value = number;
		return 0;
	}
	*ret_error = wording->bad_unit;
	return -EINVAL;
}

int
units_parse_duration(const char *text, int64_t *ret_ns, const char **ret_error)
{
	return units_parse(text, duration_units, &duration_wording, ret_ns, ret_error);
}

int
units_parse_size(const char *text, int64_t *ret_bytes, const char **ret_error)
{
	return units_parse(text, size_units, &size_wording, ret_bytes, ret_error);
}

static char *
units_format(int64_t value, const struct unit *units, const char *zero, char *buffer, size_t size)
{
	if (value == 0) {
		(void)snprintf(buffer, size, "%s", zero);
		return buffer;
	}
	for (const struct unit *u = units; u->name != NULL; u++) {
		if (value % u->factor != 0)
			continue;
		(void)snprintf(buffer, size, "%" PRId64 "%s", value / u->factor, u->name);
		break;
	}
	return buffer;
}

char *
units_format_duration(int64_t ns, char *buffer, size_t size)
{
	return units_format(ns, duration_units, "0s", buffer, size);
}

char *
units_format_size(int64_t bytes, char *buffer, size_t size)
{
	return units_format(bytes, size_units, "0B", buffer, size);
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
