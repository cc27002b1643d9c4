/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The listening socket of control.http. Main loop only.
 */
#ifndef ECHOD_CONTROL_CONTROL_SOCKET_H
#define ECHOD_CONTROL_CONTROL_SOCKET_H

#include <stdint.h>

#include "base/attributes.h"
#include "base/error_list.h"
#include "config/configuration.h"

/*
 * Make, bind and listen on cfg->http. An address in use is tried again until PATIENCE_NS have
 * passed. Returns a descriptor; or -errno with a line in ERRORS that names step and address.
 */
ATTR_MUSTCHECK int control_socket_open(
    const struct control_config *cfg, int64_t patience_ns, struct error_list *errors);

#endif
