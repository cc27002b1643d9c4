/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "echoping/run.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
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

bool
echoping_quote_answer(const unsigned char *data, size_t length, char *buffer, size_t size)
{
	char line[32];
	size_t count = 0;

	/* up to the end of the first line; one wrong byte of ours may be a letter, four hardly are
	 */
	while (count < length && count < sizeof(line) - 1 && data[count] >= ' ' &&
	       data[count] < 0x7f) {
		line[count] = (char)data[count];
		count++;
	}
	if (count < 4 || (count < length && count < sizeof(line) - 1 && data[count] != '\r' &&
			     data[count] != '\n'))
		return false;
	line[count] = '\0';
	(void)snprintf(
	    buffer, size, "%s%s", line, count < length && data[count] >= ' ' ? ".." : "");
	return true;
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
	for (uint64_t i = 0, at = into->latency.count;
	     i < from->latency.count && i < ECHOPING_TIMES_MAX && at < ECHOPING_TIMES_MAX; i++)
		into->times_ns[at++] = from->times_ns[i];
	echoping_outages_merge(&into->outages, &from->outages);
	histogram_merge(&into->latency, &from->latency);
}

static int
results_compare_times(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

void
echoping_results_finish(struct echoping_results *results, uint64_t connections)
{
	if (results->latency.count <= ECHOPING_TIMES_MAX)
		qsort(results->times_ns, results->latency.count, sizeof(results->times_ns[0]),
		    results_compare_times);
	echoping_outages_join(&results->outages, connections);
}

int64_t
echoping_results_percentile(const struct echoping_results *results, double percent)
{
	const uint64_t count = results->latency.count;
	uint64_t rank;

	if (count == 0 || count > ECHOPING_TIMES_MAX)
		return histogram_percentile(&results->latency, percent);
	/* the nearest rank: the smallest one that so many do not exceed */
	rank = (uint64_t)ceil((double)count * percent / 100);
	return results->times_ns[rank > 0 ? rank - 1 : 0];
}

enum echoping_exit
echoping_run_exit(const struct echoping_run *run)
{
	const struct echoping_results *results = &run->results;

	if (results->mismatched > 0)
		return ECHOPING_EXIT_MISMATCH;
	if (run->options->until_up)
		return results->received > 0 ? ECHOPING_EXIT_OK : ECHOPING_EXIT_UNREACHABLE;
	if (results->refused && results->received == 0)
		return ECHOPING_EXIT_UNREACHABLE;
	/* a run that was interrupted before the first echo has shown nothing */
	if (results->lost > 0 || results->broken > 0 || results->idle_lost > 0 ||
	    results->received == 0)
		return ECHOPING_EXIT_LOSS;
	return ECHOPING_EXIT_OK;
}
