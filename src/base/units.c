/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "base/units.h"

#include <errno.h>
#include <inttypes.h>
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
