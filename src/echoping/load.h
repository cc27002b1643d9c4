/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The load form from the main thread's side: opens the connections, starts the workers, waits
 * while they run (^C ends it early), and adds up.
 */
#ifndef ECHOD_ECHOPING_LOAD_H
#define ECHOD_ECHOPING_LOAD_H

#include "base/attributes.h"
#include "base/error_list.h"
#include "echoping/options.h"
#include "echoping/payload.h"
#include "echoping/tally.h"
#include "echoping/target.h"

/*
 * Run the load against TARGET (resolved; it is narrowed to the place that answers) and fill
 * *ret_tally. SIGNAL_FD is a signalfd(2) of the signals that end it. Returns 0 when there was a
 * run, else -errno with lines added to ERRORS.
 */
ATTR_MUSTCHECK int echoping_load_run(const struct echoping_options *options,
    struct echoping_target *target, const struct echoping_payload *payload, int signal_fd,
    struct error_list *errors, struct echoping_tally *ret_tally);

#endif
