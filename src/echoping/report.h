/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The results of a run on standard output: sentences and a histogram for people, JSON or CSV for
 * programs.
 */
#ifndef ECHOD_ECHOPING_REPORT_H
#define ECHOD_ECHOPING_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/attributes.h"
#include "base/distribution.h"
#include "echoping/options.h"
#include "echoping/results.h"
#include "echoping/target.h"

/*
 * Draw the histogram to OUT. The ranges are of equal width on a logarithmic scale, as narrow as
 * 20 lines allow. UNICODE bars are smooth to an eighth of a column, the others are made of #.
 * Draws nothing when nothing was recorded.
 */
void echoping_draw_histogram(FILE *out, const struct histogram *histogram, bool unicode);

/* Write sentences and tables for people to OUT; a load also gets its histogram drawn. */
void echoping_report_human(FILE *out, const struct echoping_options *options,
    const struct echoping_target *target, const struct echoping_results *results);

/* Write one JSON object, as echoping(1) documents it, to OUT. Returns 0 or -ENOMEM. */
ATTR_MUSTCHECK int echoping_report_json(FILE *out, const struct echoping_options *options,
    const struct echoping_target *target, const struct echoping_results *results);

/* Write a header and one row of CSV (RFC 4180, with plain newlines) to OUT. Returns 0 or -ENOMEM.
 */
ATTR_MUSTCHECK int echoping_report_csv(FILE *out, const struct echoping_options *options,
    const struct echoping_target *target, const struct echoping_results *results);

#endif
