/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "echoping/tally.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void
echoping_tally_trouble(struct echoping_tally *tally, const char *format, ...)
{
	va_list arguments;

	if (tally->trouble[0] != '\0')
		return;
	va_start(arguments, format);
	(void)vsnprintf(tally->trouble, sizeof(tally->trouble), format, arguments);
	va_end(arguments);
}

void
echoping_tally_merge(struct echoping_tally *into, const struct echoping_tally *from)
{
	into->sent += from->sent;
	into->received += from->received;
	into->lost += from->lost;
	into->mismatched += from->mismatched;
	into->broken += from->broken;
	into->unsent += from->unsent;
	into->duplicates += from->duplicates;
	into->reordered += from->reordered;
	into->late += from->late;
	into->port_waits += from->port_waits;
	into->idle_lost += from->idle_lost;
	into->squares += from->squares;
	into->refused |= from->refused;
	into->interrupted |= from->interrupted;
	if (into->trouble[0] == '\0')
		memcpy(into->trouble, from->trouble, sizeof(into->trouble));
	histogram_merge(&into->latency, &from->latency);
}

double
echoping_tally_deviation(const struct echoping_tally *tally)
{
	double mean = histogram_mean(&tally->latency), variance;

	if (tally->latency.count == 0)
		return 0;
	variance = tally->squares / (double)tally->latency.count - mean * mean;
	return variance > 0 ? sqrt(variance) : 0;
}

enum echoping_exit
echoping_tally_exit(const struct echoping_tally *tally)
{
	if (tally->mismatched > 0)
		return ECHOPING_EXIT_MISMATCH;
	if (tally->refused && tally->received == 0)
		return ECHOPING_EXIT_UNREACHABLE;
	if (tally->lost > 0 || tally->broken > 0 || tally->idle_lost > 0)
		return ECHOPING_EXIT_LOSS;
	return ECHOPING_EXIT_OK;
}

const char *
echoping_tally_result(const struct echoping_tally *tally)
{
	switch (echoping_tally_exit(tally)) {
	case ECHOPING_EXIT_MISMATCH:
		return "mismatch";
	case ECHOPING_EXIT_UNREACHABLE:
		return "unreachable";
	case ECHOPING_EXIT_LOSS:
		return "loss";
	default:
		return "ok";
	}
}
