/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Draws a distribution as lines of text: one bar for each range of times, 80 columns at most.
 */
#ifndef ECHOD_ECHOPING_DRAW_H
#define ECHOD_ECHOPING_DRAW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/histogram.h"

/* Large enough for every text that echoping_draw_time() writes. */
#define ECHOPING_TIME_TEXT_MAX 24

/* Write NS with three significant digits ("412 us", "1.25 ms"); returns BUFFER. */
char *echoping_draw_time(double ns, char *buffer, size_t size);

/*
 * Draw the histogram to OUT. The ranges are of equal width on a logarithmic scale, as narrow as
 * 20 lines allow. UNICODE bars are smooth to an eighth of a column, the others are made of #.
 * Draws nothing when nothing was recorded.
 */
void echoping_draw_histogram(FILE *out, const struct histogram *histogram, bool unicode);

#endif
