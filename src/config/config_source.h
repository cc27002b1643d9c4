/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The text of a configuration with its @include files put in place, in a form that libconfig
 * reads without surprises, and where each of its lines comes from. config_scan.c makes it,
 * config_file.c uses it up.
 */
#ifndef ECHOD_CONFIG_CONFIG_SOURCE_H
#define ECHOD_CONFIG_CONFIG_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/attributes.h"
#include "base/error_list.h"

/* First byte of a value that stood without quotes; no string of a user can have it. */
#define CONFIG_SOURCE_BARE '\001'

/* A key given again is renamed to this and its index in duplicates; libconfig refuses two alike. */
#define CONFIG_SOURCE_DUPLICATE "**"

struct config_source_line {
	size_t file; /* index in file_names */
	unsigned line;
};

struct config_source {
	char *text; /* owned; what to give to libconfig; valid after config_source_end() */
	size_t text_length;
	FILE *out;                        /* writes text; NULL before the begin and after the end */
	bool failed;                      /* out of memory while writing */
	struct config_source_line *lines; /* owned; where line N + 1 of text comes from */
	size_t line_count;
	char **file_names; /* owned; escaped for printing; the main file is the first */
	size_t file_count;
	char **duplicates; /* owned; the keys as they were written */
	size_t duplicate_count;
};

/* Start to write the text. Returns 0 or -ENOMEM. */
ATTR_MUSTCHECK int config_source_begin(struct config_source *source);

/* Begin a new line of the text, which comes from WHERE. */
void config_source_put_line(struct config_source *source, struct config_source_line where);

/* Write one token as it is. */
void config_source_put(struct config_source *source, const char *token, size_t length);

/* Write a value that stood without quotes as a marked string. */
void config_source_put_bare(struct config_source *source, const char *value, size_t length);

/* Write a reserved name for a key given again. Returns 0 and owns KEY then, or -ENOMEM. */
ATTR_MUSTCHECK int config_source_put_duplicate(struct config_source *source, char *key);

/* Finish the text. Returns 0, or -ENOMEM when anything written did not fit in memory. */
ATTR_MUSTCHECK int config_source_end(struct config_source *source);

/* Return where a line of text comes from; lines beyond the end count as the last one. */
struct config_source_line config_source_locate(const struct config_source *source, unsigned line);

/* Put the lines of ERRORS that start with FILE:LINE in the order of the text, the others last. */
void config_source_sort(const struct config_source *source, struct error_list *errors);

/*
 * Return the index of the file NAME (escaped), added when it is new; the source copies it.
 * SIZE_MAX: out of memory.
 */
size_t config_source_add_file(struct config_source *source, const char *name);

/* Free what the source owns. */
void config_source_done(struct config_source *source);

#endif
