/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "control/metrics_writer.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <event2/buffer.h>

#include "base/clock.h"

#define TOTAL "_total"
#define BOUND_TEXT_MAX 32

const char *
metrics_writer_type(enum metrics_format format)
{
	return format == METRICS_OPENMETRICS
		   ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
		   : "text/plain; version=0.0.4; charset=utf-8";
}

void
metrics_writer_print(struct metrics_writer *writer, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	if (evbuffer_add_vprintf(writer->out, format, ap) < 0)
		writer->failed = true;
	va_end(ap);
}

static void
metrics_writer_describe(
    struct metrics_writer *writer, const char *name, const char *type, const char *help)
{
	size_t length = strlen(name);

	/* OpenMetrics: the family is named without what its samples end with */
	if (writer->format == METRICS_OPENMETRICS && strcmp(type, "counter") == 0 &&
	    length > strlen(TOTAL) && strcmp(name + length - strlen(TOTAL), TOTAL) == 0)
		length -= strlen(TOTAL);
	metrics_writer_print(writer, "# HELP %.*s %s\n# TYPE %.*s %s\n", (int)length, name, help,
	    (int)length, name, type);
}

void
metrics_writer_family(
    struct metrics_writer *writer, const char *name, enum counter_kind kind, const char *help)
{
	metrics_writer_describe(
	    writer, name, kind == COUNTER_KIND_COUNTER ? "counter" : "gauge", help);
}

void
metrics_writer_histograms(struct metrics_writer *writer, const char *name, const char *help)
{
	metrics_writer_describe(writer, name, "histogram", help);
}

/*
 * A bound in seconds in the one form that OpenMetrics has for a number: as short as it is exact,
 * and always with a point, so that both formats give the same series.
 */
static char *
metrics_writer_bound(int64_t ns, char *buffer, size_t size)
{
	(void)snprintf(buffer, size, "%" PRId64 ".%09" PRId64, ns / NS_PER_S, ns % NS_PER_S);
	for (char *end = buffer + strlen(buffer) - 1; *end == '0' && end[-1] != '.'; end--)
		*end = '\0';
	return buffer;
}

void
metrics_writer_histogram(struct metrics_writer *writer, const char *name, const char *label,
    const struct distribution_scale *scale, const struct distribution_sum *sum)
{
	char bound[BOUND_TEXT_MAX];
	uint64_t count = 0;

	for (size_t i = 0; i < DISTRIBUTION_BUCKETS; i++) {
		count += sum->buckets[i];
		metrics_writer_print(writer, "%s_bucket{%s,le=\"%s\"} %" PRIu64 "\n", name, label,
		    metrics_writer_bound(scale->bounds_ns[i], bound, sizeof(bound)), count);
	}
	count += sum->buckets[DISTRIBUTION_BUCKETS];
	metrics_writer_print(writer, "%s_bucket{%s,le=\"+Inf\"} %" PRIu64 "\n", name, label, count);
	metrics_writer_print(writer, "%s_sum{%s} %.9f\n", name, label, clock_seconds(sum->sum_ns));
	metrics_writer_print(writer, "%s_count{%s} %" PRIu64 "\n", name, label, count);
}

void
metrics_writer_one(struct metrics_writer *writer, const char *name, enum counter_kind kind,
    int64_t value, const char *help)
{
	metrics_writer_family(writer, name, kind, help);
	metrics_writer_print(writer, "%s %" PRId64 "\n", name, value);
}

void
metrics_writer_one_seconds(struct metrics_writer *writer, const char *name, enum counter_kind kind,
    int64_t ns, const char *help)
{
	metrics_writer_family(writer, name, kind, help);
	metrics_writer_print(writer, "%s %.6f\n", name, clock_seconds(ns));
}

void
metrics_writer_known(
    struct metrics_writer *writer, const char *name, int64_t value, const char *help)
{
	if (value >= 0)
		metrics_writer_one(writer, name, COUNTER_KIND_GAUGE, value, help);
}

void
metrics_writer_end(struct metrics_writer *writer)
{
	if (writer->format == METRICS_OPENMETRICS)
		metrics_writer_print(writer, "# EOF\n");
}

char *
metrics_writer_escape(const char *value, char *buffer, size_t size)
{
	size_t used = 0;

	for (; *value != '\0' && used + 2 < size; value++) {
		if (*value == '\\' || *value == '"' || *value == '\n')
			buffer[used++] = '\\';
		buffer[used++] = *value == '\n' ? 'n' : *value;
	}
	buffer[used] = '\0';
	return buffer;
}
