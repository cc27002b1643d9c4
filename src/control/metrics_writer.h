/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes metrics in the text format 0.0.4 of Prometheus or in OpenMetrics 1.0.0, which differ in
 * the name of a counter's family and in the end. It knows nothing of what is measured.
 */
#ifndef ECHOD_CONTROL_METRICS_WRITER_H
#define ECHOD_CONTROL_METRICS_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/distribution.h"
#include "engine/counters.h"

struct evbuffer;

enum metrics_format {
	METRICS_PROMETHEUS,  /* the text format, version 0.0.4 */
	METRICS_OPENMETRICS, /* version 1.0.0 */
};

/* Failures are collected, and looked at once, at the end. */
struct metrics_writer {
	struct evbuffer *out; /* borrowed */
	enum metrics_format format;
	bool failed; /* out of memory: a line was lost */
};

/* Return the Content-Type of FORMAT. */
const char *metrics_writer_type(enum metrics_format format);

/* Write one sample or a part of it. */
void metrics_writer_print(struct metrics_writer *writer, const char *format, ...) ATTR_PRINTF(2, 3);

/* Begin a family: its samples have to follow, all of them, before the next. */
void metrics_writer_family(
    struct metrics_writer *writer, const char *name, enum counter_kind kind, const char *help);

/* Begin a family of histograms. */
void metrics_writer_histograms(struct metrics_writer *writer, const char *name, const char *help);

/* Write one histogram of the family NAME; LABEL is 'name="value"', its value escaped. */
void metrics_writer_histogram(struct metrics_writer *writer, const char *name, const char *label,
    const struct distribution_scale *scale, const struct distribution_sum *sum);

/* Write a family of one sample without a label. */
void metrics_writer_one(struct metrics_writer *writer, const char *name, enum counter_kind kind,
    int64_t value, const char *help);

/* The same, for a time. */
void metrics_writer_one_seconds(struct metrics_writer *writer, const char *name,
    enum counter_kind kind, int64_t ns, const char *help);

/* The same, for a gauge that is left out when its figure is not known (negative). */
void metrics_writer_known(
    struct metrics_writer *writer, const char *name, int64_t value, const char *help);

/* Write what FORMAT wants at the end. */
void metrics_writer_end(struct metrics_writer *writer);

/*
 * Write VALUE between the quotes of a label: backslash, quote and newline escaped, cut where it
 * does not fit. Returns BUFFER.
 */
char *metrics_writer_escape(const char *value, char *buffer, size_t size);

#endif
