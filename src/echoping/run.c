/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "echoping/run.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void
echoping_results_note(struct echoping_results *results, const char *format, ...)
{
	va_list arguments;

	if (results->first_error[0] != '\0')
		return;
	va_start(arguments, format);
	(void)vsnprintf(results->first_error, sizeof(results->first_error), format, arguments);
	va_end(arguments);
}

void
echoping_results_merge(struct echoping_results *into, const struct echoping_results *from)
{
#define MERGE(name, meaning) into->name += from->name;
	ECHOPING_COUNTERS(MERGE)
	into->squares += from->squares;
	into->refused |= from->refused;
	into->interrupted |= from->interrupted;
	if (into->first_error[0] == '\0')
		memcpy(into->first_error, from->first_error, sizeof(into->first_error));
	histogram_merge(&into->latency, &from->latency);
}

enum echoping_exit
echoping_results_exit(const struct echoping_results *results)
{
	if (results->mismatched > 0)
		return ECHOPING_EXIT_MISMATCH;
	if (results->refused && results->received == 0)
		return ECHOPING_EXIT_UNREACHABLE;
	if (results->lost > 0 || results->broken > 0 || results->idle_lost > 0)
		return ECHOPING_EXIT_LOSS;
	return ECHOPING_EXIT_OK;
}
