/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The brackets that are open while a configuration is scanned, and the keys seen in each: tells
 * a key that is given twice and the path of what is being read. Only config_scan.c uses it.
 */
#ifndef ECHOD_CONFIG_CONFIG_SCOPE_H
#define ECHOD_CONFIG_CONFIG_SCOPE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attributes.h"
#include "config/config_source.h"

/* Brackets inside each other; three are in use, libconfig's parser allows some 2600. */
#define CONFIG_SCOPE_MAX 16

/* A key that stands in an open group, and where: to find the second one of its name. */
struct config_scope_key {
	char *name; /* owned */
	struct config_source_line where;
};

/* One open bracket; the outermost is the file itself. */
struct config_scope_level {
	char bracket;     /* '{', '(', '[', or NUL for the file */
	const char *name; /* of the key it is the value of, NULL for an element */
	struct config_source_line where;
	struct config_scope_key *keys; /* owned; only in '{' and the file */
	size_t key_count;
	size_t index; /* of the element being read, for '(' and '[' */
};

/* All brackets that are open at the place that is being read. */
struct config_scope {
	struct config_scope_level levels[CONFIG_SCOPE_MAX];
	size_t count;
};

/* Start with the file alone. */
void config_scope_init(struct config_scope *scope);

/* Free what is open. */
void config_scope_done(struct config_scope *scope);

/* Return the innermost level. */
struct config_scope_level *config_scope_top(struct config_scope *scope);

/* Return whether the innermost level holds elements without keys. */
bool config_scope_is_list(const struct config_scope *scope);

/*
 * Open BRACKET at WHERE as the value of the key NAME (must outlive the level). Returns 0, or
 * -E2BIG at CONFIG_SCOPE_MAX.
 */
ATTR_MUSTCHECK int config_scope_push(
    struct config_scope *scope, char bracket, const char *name, struct config_source_line where);

/* Close the innermost level. */
void config_scope_pop(struct config_scope *scope);

/* Return the key NAME of the innermost level, NULL when it was not seen yet. */
const struct config_scope_key *config_scope_find(
    const struct config_scope *scope, const char *name);

/* Add a key to the innermost level, which then owns NAME. Returns 0 or -ENOMEM. */
ATTR_MUSTCHECK int config_scope_add(
    struct config_scope *scope, char *name, struct config_source_line where);

/* Write the path of the key NAME in the innermost level ("listeners[1].name"); returns BUFFER. */
char *config_scope_format(
    const struct config_scope *scope, const char *name, char *buffer, size_t size);

#endif
