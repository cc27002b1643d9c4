/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The groups that a configuration names, found in the system's group database. That may be a
 * directory somewhere on the network, which takes its time: never on the main loop while it serves.
 */
#ifndef ECHOD_CONFIG_CONFIG_GROUPS_H
#define ECHOD_CONFIG_CONFIG_GROUPS_H

#include "base/attributes.h"
#include "base/error_list.h"
#include "config/configuration.h"

/*
 * Set the gid of control and of each enabled listener of CONFIG that names a group. A number is
 * taken as it stands, and what BEFORE (NULL: nothing) has found for the same name stays, so that
 * only a group that is new is looked up. Returns 0; -EINVAL with a line in ERRORS, FILE:LINE
 * included, for each group that nobody knows; or another -errno when the database cannot be asked.
 * May block; any thread that owns CONFIG.
 */
ATTR_MUSTCHECK int config_find_groups(
    struct config *config, const struct config *before, struct error_list *errors);

#endif
