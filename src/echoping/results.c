/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "echoping/results.h"

#include <math.h>
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
	if (into->first_error[0] == '\0')
		memcpy(into->first_error, from->first_error, sizeof(into->first_error));
	histogram_merge(&into->latency, &from->latency);
}

double
echoping_results_deviation(const struct echoping_results *results)
{
	double mean = histogram_mean(&results->latency), variance;

	if (results->latency.count == 0)
		return 0;
	variance = results->squares / (double)results->latency.count - mean * mean;
	return variance > 0 ? sqrt(variance) : 0;
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

const char *
echoping_results_verdict(const struct echoping_results *results)
{
	switch (echoping_results_exit(results)) {
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
