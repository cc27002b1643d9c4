/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The pass before libconfig. It puts @include files in place, drops comments, checks strings,
 * brackets and the order of keys and values, renames keys that are given twice, and turns each
 * value without quotes into a string marked with CONFIG_SOURCE_BARE: the walk then sees what was
 * written, not what libconfig makes of it (integers over 32 bits wrap, 010 is 10, a comment that
 * is never closed hides the rest of the file). It does not know any directive.
 */
#ifndef ECHOD_CONFIG_CONFIG_SCAN_H
#define ECHOD_CONFIG_CONFIG_SCAN_H

#include "base/attributes.h"
#include "base/error_list.h"
#include "config/config_source.h"

/*
 * Read PATH and what it includes into *ret_source. Returns 0 (there may be mistakes in ERRORS all
 * the same: keys given twice); -EINVAL with a line in ERRORS; or -ENOMEM. Whatever it returns,
 * *ret_source is set and wants config_source_done().
 */
ATTR_MUSTCHECK int config_scan_file(
    const char *path, struct error_list *errors, struct config_source *ret_source);

/* The same for TEXT, which stands for a file NAME; an @include in it is a mistake. */
ATTR_MUSTCHECK int config_scan_text(const char *name, const char *text, struct error_list *errors,
    struct config_source *ret_source);

#endif
