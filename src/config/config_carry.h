/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a reload leaves as it is: directives that only a restart changes. The configuration in force
 * always says what runs; what the file says instead waits, and is noted beside.
 */
#ifndef ECHOD_CONFIG_CONFIG_CARRY_H
#define ECHOD_CONFIG_CONFIG_CARRY_H

#include "base/attributes.h"
#include "base/error_list.h"
#include "config/configuration.h"

/*
 * Give NEXT, just read, the values of RUNNING, with their origins, that need a restart to change;
 * NEXT's own are noted in its list of what waits. Of listeners these are the options of a socket
 * that is kept, which has the address of one that runs. Returns 0; or -errno with a line in ERRORS,
 * and NEXT is of no use any more.
 */
ATTR_MUSTCHECK int config_carry_over(
    struct config *next, const struct config *running, struct error_list *errors);

/*
 * Return what waits for a restart for ROW of BASE, a listener of CONFIG or what directive_base()
 * returns: the value in the file as text, which CONFIG owns; or NULL.
 */
const char *config_find_waiting(
    const struct config *config, const void *base, const struct directive *row);

#endif
