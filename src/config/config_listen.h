/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A configuration without a file, made of addresses on the command line: all else is a default.
 */
#ifndef ECHOD_CONFIG_CONFIG_LISTEN_H
#define ECHOD_CONFIG_CONFIG_LISTEN_H

#include <stddef.h>

#include "config/configuration.h"

/*
 * Make a configuration of the COUNT ADDRESSES, each a listener, named by transport and port or path
 * ("tcp-7", "unix-echo.sock"). Values have the origin "--listen", and as line the number of the
 * option. Returns NULL with all mistakes in ERRORS, as "--listen ADDRESS: ...", and errno ENOMEM or
 * 0.
 */
struct config *config_listen(const char *const *addresses, size_t count, struct error_list *errors);

#endif
