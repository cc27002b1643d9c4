/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From one setting of libconfig's tree to the field of its directive, or to a message that says
 * what was found and what belongs there. Used by config_file.c.
 */
#ifndef ECHOD_CONFIG_CONFIG_FILE_VALUE_H
#define ECHOD_CONFIG_CONFIG_FILE_VALUE_H

#include <libconfig.h>

#include "config/directives.h"

/*
 * Set the field of ROW in BASE from SETTING, one value or a list; PREFIX starts the lines in
 * ERRORS. Results as directive_set().
 */
ATTR_MUSTCHECK int config_file_set(const struct directive *row, void *base,
    const config_setting_t *setting, const char *prefix, struct error_list *errors);

/* Say what SETTING holds, for "... does not belong here"; may use BUFFER. */
const char *config_file_describe(const config_setting_t *setting, char *buffer, size_t size);

#endif
