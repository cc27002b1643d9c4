/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading /etc/echod.conf and writing the effective configuration. The only room that knows
 * libconfig. It visits each setting of libconfig's tree and is strict about its type, so that a
 * wrong type, an unknown key, a number that libconfig would wrap, or a bad unit is an error with
 * file, line, key and remedy.
 */
#ifndef ECHOD_CONFIG_CONFIG_FILE_H
#define ECHOD_CONFIG_CONFIG_FILE_H

#include <stdbool.h>
#include <stdio.h>

#include "config/configuration.h"

/*
 * Read and check PATH, with its @include files (relative to the including file's folder).
 * Returns a complete configuration, or NULL with the mistakes in ERRORS as "FILE:LINE: ...", in the
 * order of the file: the first 100, then a line with their number. ERRORS must be empty before.
 * Each file is read once; one that changes meanwhile is an error. A pipe is fine too when it ends
 * within 5 seconds. Out of memory, errno is ENOMEM, and else not; libconfig may end the process
 * then. PATH NULL stands for the built-in defaults.
 *
 * With OVERLAPS, addresses that cannot be bound beside each other are mistakes; without, sockets
 * may have been passed in for them. Where it returns NULL because of mistakes that are none of the
 * log's, and the whole file could be parsed, *RET_REJECTED (RET_REJECTED may be NULL) is what was
 * read, of which the log's settings alone may be used: the mistakes can be told there. The caller
 * gives it to config_unref(). Otherwise NULL.
 */
struct config *config_file_read(
    const char *path, bool overlaps, struct error_list *errors, struct config **ret_rejected);

/* As config_file_read(), with OVERLAPS, for TEXT called NAME in messages; @include is refused. */
struct config *config_file_parse(const char *name, const char *text, struct error_list *errors);

/*
 * Write the effective configuration to OUT in the syntax of the file, each value followed by a
 * comment with its origin: "# default" or "# FILE:LINE". Reading the output back gives the
 * same configuration.
 */
void config_file_dump(const struct config *config, FILE *out);

#endif
