/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ping form: one probe after the other over one connection, which is made anew when it broke
 * or can no longer be trusted.
 */
#ifndef ECHOD_ECHOPING_PING_H
#define ECHOD_ECHOPING_PING_H

#include "base/attributes.h"
#include "base/error_list.h"
#include "echoping/options.h"
#include "echoping/payload.h"
#include "echoping/results.h"
#include "echoping/target.h"

/*
 * Send the probes to TARGET (resolved; it is narrowed to the address that answers), print a line
 * for each unless told otherwise, and fill *ret_results. SIGNAL_FD is a signalfd(2) of the signals
 * that end it. Returns 0 when there was a run, else -errno with lines added to ERRORS.
 */
ATTR_MUSTCHECK int echoping_ping_run(const struct echoping_options *options,
    struct echoping_target *target, const struct echoping_payload *payload, int signal_fd,
    struct error_list *errors, struct echoping_results *ret_results);

#endif
