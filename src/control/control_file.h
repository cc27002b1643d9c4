/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The listening socket of control.socket: where its file is, and making it. Main loop only.
 */
#ifndef ECHOD_CONTROL_CONTROL_FILE_H
#define ECHOD_CONTROL_CONTROL_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/error_list.h"
#include "base/socket_file.h"
#include "config/configuration.h"

/* Return whether CFG leaves the place of the socket to the daemon. */
bool control_file_is_auto(const struct control_config *cfg);

/*
 * Write the path that CFG asks for. For "auto" that is control.sock in the first folder of
 * $RUNTIME_DIRECTORY, else in /run/echod for root, else in $XDG_RUNTIME_DIR/echod. Returns 0;
 * -ENOENT where none of these is known; or -ENAMETOOLONG.
 */
ATTR_MUSTCHECK int control_file_path(const struct control_config *cfg, char *buffer, size_t size);

/*
 * Make, bind and listen as CFG says; the folder is made (mode 0755) when it is missing. A path in
 * use is tried again until PATIENCE_NS have passed. Returns a descriptor, and *ret_file is to be
 * removed with socket_file_remove(); or -errno with a line in ERRORS.
 */
ATTR_MUSTCHECK int control_file_open(const struct control_config *cfg, int64_t patience_ns,
    struct socket_file *ret_file, struct error_list *errors);

#endif
