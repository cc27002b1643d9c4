/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The pass before libconfig. It puts @include files in place, drops comments, checks strings,
 * brackets and the order of keys and values, renames keys that are given twice, and turns each
 * value without quotes into a string marked with CONFIG_SCAN_BARE: config_file.c then sees what was
 * written, not what libconfig makes of it (integers over 32 bits wrap, 010 is 10, a comment that
 * is never closed hides the rest of the file). It does not know any directive.
 */
#ifndef ECHOD_CONFIG_CONFIG_SCAN_H
#define ECHOD_CONFIG_CONFIG_SCAN_H

#include <stddef.h>

#include "base/attributes.h"
#include "config/configuration.h"

/* First byte of a value that stood without quotes; no string of a user can have it. */
#define CONFIG_SCAN_BARE '\001'

/* The text for libconfig, and where each of its lines comes from. */
struct config_source {
	char *text; /* owned */
	size_t text_length;
	struct config_origin *lines; /* owned; where line N + 1 of text comes from */
	size_t line_count;
};

/*
 * Scan TEXT, or the file NAME and what it includes when TEXT is NULL; an @include in a TEXT is a
 * mistake. CONFIG takes the names of the files. Returns 0 (there may be mistakes in ERRORS all the
 * same: keys given twice); -EINVAL with a line in ERRORS; or -ENOMEM. Whatever it returns,
 * *ret_source is set and wants config_source_done().
 */
ATTR_MUSTCHECK int config_scan(const char *name, const char *text, struct config *config,
    struct error_list *errors, struct config_source *ret_source);

/* Return the key that was written as NAME in the text: one given twice has another name there. */
const char *config_source_key(const char *name);

/* Return where a line of the text comes from; lines beyond the end count as the last one. */
struct config_origin config_source_locate(const struct config_source *source, unsigned line);

/*
 * Put the lines of ERRORS that start with FILE:LINE, of a file of CONFIG, in the order of the text,
 * the others last.
 */
void config_source_sort(
    const struct config_source *source, const struct config *config, struct error_list *errors);

/* Free what the source owns. */
void config_source_done(struct config_source *source);

#endif
