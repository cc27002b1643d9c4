/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The figures of a run on standard output, in the form that the options ask for.
 */
#ifndef ECHOD_ECHOPING_REPORT_H
#define ECHOD_ECHOPING_REPORT_H

#include <stdio.h>

#include "base/attributes.h"
#include "echoping/options.h"
#include "echoping/tally.h"
#include "echoping/target.h"

/* Write sentences and tables for people to OUT; a load also gets its histogram drawn. */
void echoping_report_human(FILE *out, const struct echoping_options *options,
    const struct echoping_target *target, const struct echoping_tally *tally);

/* Write one JSON object, as echoping(1) documents it, to OUT. Returns 0 or -ENOMEM. */
ATTR_MUSTCHECK int echoping_report_json(FILE *out, const struct echoping_options *options,
    const struct echoping_target *target, const struct echoping_tally *tally);

/* Write a header and one row of CSV (RFC 4180, with plain newlines) to OUT. */
void echoping_report_csv(FILE *out, const struct echoping_options *options,
    const struct echoping_target *target, const struct echoping_tally *tally);

#endif
