/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Values of command-line options, as both clients read them: what is wrong becomes a line of an
 * error list that begins with --NAME.
 */
#ifndef ECHOD_CLIENT_OPTION_VALUE_H
#define ECHOD_CLIENT_OPTION_VALUE_H

#include <getopt.h>
#include <stdint.h>

#include "base/error_list.h"

/* Return the long name of OPTION in TABLE, which ends as getopt_long(3) wants it; "?" if none. */
const char *option_name(const struct option *table, int option);

/* Add: --NAME: "TEXT" WHAT. TEXT is escaped, and cut when it is long. */
void option_value_refuse(
    struct error_list *errors, const char *name, const char *text, const char *what);

/*
 * Parse a duration from LEAST_NS to MOST_NS: with a unit, as the configuration has them, or seconds
 * without one, also with a fraction ("0.2"). Returns 0 with an error added when it is not.
 */
int64_t option_value_duration(struct error_list *errors, const char *name, const char *text,
    int64_t least_ns, int64_t most_ns);

/* Print each line of ERRORS to standard error, after PROGRAM and a colon. */
void option_print_errors(const char *program, const struct error_list *errors);

#endif
