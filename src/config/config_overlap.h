/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names and sockets that two listeners, or a listener and the control port, cannot both have. The
 * rules are those of bind(2) on Linux; nothing is opened or bound. It takes n log n steps.
 */
#ifndef ECHOD_CONFIG_CONFIG_OVERLAP_H
#define ECHOD_CONFIG_CONFIG_OVERLAP_H

#include <stdbool.h>

#include "base/attributes.h"
#include "base/error_list.h"
#include "config/configuration.h"

/*
 * Add a line to ERRORS for each name, address and file that an earlier listener of CONFIG has too,
 * and, with OVERLAPS, for each address that one cannot bind beside an earlier one, such as
 * 127.0.0.1:7 beside 0.0.0.0:7. Each is told once, with the first of the earlier ones. Ports 0 and
 * listeners that are not enabled have no address here. Returns 0 or -ENOMEM.
 */
ATTR_MUSTCHECK int config_overlap_check(
    const struct config *config, bool overlaps, struct error_list *errors);

#endif
