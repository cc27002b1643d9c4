/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The limit on open descriptors (RLIMIT_NOFILE, see getrlimit(2)) against what a configuration
 * may need: better refused at start than found out under load.
 */
#ifndef ECHOD_DAEMON_DESCRIPTOR_LIMIT_H
#define ECHOD_DAEMON_DESCRIPTOR_LIMIT_H

#include "base/attributes.h"
#include "base/error_list.h"
#include "config/config.h"

/*
 * Raise the soft limit to what CFG may need; nothing is called when it suffices. Returns 0, or
 * -EMFILE with a line in ERRORS that gives both numbers.
 */
ATTR_MUSTCHECK int descriptor_limit_meet(const struct config *cfg, struct error_list *errors);

#endif
