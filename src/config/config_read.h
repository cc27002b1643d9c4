/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading one file of the configuration whole, once, and only if it held still meanwhile.
 */
#ifndef ECHOD_CONFIG_CONFIG_READ_H
#define ECHOD_CONFIG_CONFIG_READ_H

#include <stddef.h>

#include "base/attributes.h"

/* Largest file, in bytes. */
#define CONFIG_READ_MAX (1024 * 1024)

/* Large enough for every reason. */
#define CONFIG_READ_REASON_MAX 128

/*
 * Read PATH, a regular file or a pipe that ends within 5 seconds, into a NUL-terminated buffer that
 * the caller frees. Returns 0, or -errno with a few words in REASON ("cannot open: ...").
 * May block the caller for those 5 seconds, or for as long as the file system does.
 */
ATTR_MUSTCHECK int config_read_whole(const char *path, char *reason, size_t size, char **ret_text);

#endif
