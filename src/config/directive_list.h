/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The directives that take several values: setting, writing and comparing a struct config_list.
 * directive_value.c hands on what concerns a list, config_file_value.c the items of the file.
 */
#ifndef ECHOD_CONFIG_DIRECTIVE_LIST_H
#define ECHOD_CONFIG_DIRECTIVE_LIST_H

#include "config/directives.h"

/*
 * Set the list of ROW in BASE from the COUNT texts of ITEMS; results as directive_set(), with a
 * line in ERRORS for each item that is wrong.
 */
ATTR_MUSTCHECK int directive_list_set(const struct directive *row, void *base,
    const char *const *items, size_t count, const char *prefix, struct error_list *errors);

/* Write LIST as a user would ('( "a", "b" )'), cut where it does not fit; returns BUFFER. */
char *directive_list_format(const struct config_list *list, char *buffer, size_t size);

/* Return whether A and B hold the same texts in the same order. */
bool directive_list_equal(const struct config_list *a, const struct config_list *b);

/* Free the texts of LIST and leave it empty. */
void directive_list_free(struct config_list *list);

#endif
