/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One run from the options to the figures: look the target up, ping or load it, report.
 */
#ifndef ECHOD_ECHOPING_RUN_H
#define ECHOD_ECHOPING_RUN_H

#include "base/error_list.h"
#include "echoping/options.h"
#include "echoping/tally.h"

/*
 * Run OPTIONS (a ping or a load) to the end and write the figures to standard output. Blocks
 * SIGINT and SIGTERM, which end the run early. Adds a line to ERRORS where there was no run.
 */
enum echoping_exit echoping_run(const struct echoping_options *options, struct error_list *errors);

#endif
