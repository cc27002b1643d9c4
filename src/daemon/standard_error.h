/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Standard error for the person at the terminal, before there is a log and after it: a pipe that
 * nobody reads, or a terminal that stands still, holds up no start and no end. Main thread only.
 */
#ifndef ECHOD_DAEMON_STANDARD_ERROR_H
#define ECHOD_DAEMON_STANDARD_ERROR_H

#include <stdbool.h>

#include "base/error_list.h"

/*
 * While LIMITED, a write that waits is given up, all of them together after about a second. It
 * takes SIGALRM and ITIMER_REAL of the process.
 */
void standard_error_limit(bool limited);

/* Print all lines of ERRORS that standard error takes within about a second. */
void standard_error_print(const struct error_list *errors);

#endif
