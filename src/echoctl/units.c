/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "echoctl/units.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/attributes.h"

#define MINUTE 60
#define HOUR 3600
#define DAY 86400

/* Three digits, as far as that makes sense: 9.87, 98.7, 987. The borders are where they round. */
static int
units_decimals(double number)
{
	return number < 9.995 ? 2 : number < 99.95 ? 1 : 0;
}

char *
echoctl_units_bytes(double bytes, bool human, char *buffer, size_t size)
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	size_t unit = 0;

	if (!human || bytes < 1023.5) {
		(void)snprintf(buffer, size, "%.0f%s", bytes, human ? " B" : "");
		return buffer;
	}
	bytes /= 1024;
	while (bytes >= 1023.5 && unit + 1 < ARRAY_SIZE(units)) {
		bytes /= 1024;
		unit++;
	}
	(void)snprintf(buffer, size, "%.*f %s", bytes < 99.95 ? 1 : 0, bytes, units[unit]);
	return buffer;
}

/* A minute or more: the two largest units that say something. */
static void
units_long_time(uint64_t seconds, char *buffer, size_t size)
{
	uint64_t days = seconds / DAY;
	unsigned hours = (unsigned)(seconds % DAY / HOUR);
	unsigned minutes = (unsigned)(seconds % HOUR / MINUTE);

	if (days > 0)
		(void)snprintf(buffer, size, "%" PRIu64 "d%02uh", days, hours);
	else if (hours > 0)
		(void)snprintf(buffer, size, "%uh%02um", hours, minutes);
	else
		(void)snprintf(buffer, size, "%um%02us", minutes, (unsigned)(seconds % MINUTE));
}

char *
echoctl_units_seconds(double seconds, bool human, char *buffer, size_t size)
{
	double ms = seconds * 1e3, us = seconds * 1e6;

	if (!human)
		(void)snprintf(buffer, size, "%.*f",
		    seconds > 1e9 || (int64_t)(us + 0.5) % 1000 == 0 ? 3 : 6, seconds);
	else if (seconds <= 0)
		(void)snprintf(buffer, size, "0s");
	else if (us < 999.5)
		(void)snprintf(buffer, size, "%.0fus", us);
	else if (ms < 999.5)
		(void)snprintf(buffer, size, "%.*fms", ms < 99.95 ? 1 : 0, ms);
	else if (seconds < 59.95)
		(void)snprintf(buffer, size, "%.1fs", seconds);
	else
		/* a minute that only rounding makes is one */
		units_long_time((uint64_t)(seconds < 60     ? 60
					   : seconds < 1e15 ? seconds
							    : 1e15),
		    buffer, size);
	return buffer;
}

char *
echoctl_units_number(double number, char *buffer, size_t size)
{
	int decimals = number > 1e15 || number == (double)(int64_t)number ? 0
									  : units_decimals(number);

	(void)snprintf(buffer, size, "%.*f", decimals, number);
	return buffer;
}
