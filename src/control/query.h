/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The part of a request's target behind the "?": NAME=VALUE, joined by "&". Nothing is decoded:
 * what would need it is refused before. Plain functions on text.
 */
#ifndef ECHOD_CONTROL_QUERY_H
#define ECHOD_CONTROL_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"

/* Large enough for each message that is written about a query. */
#define QUERY_ERROR_MAX 512

/* One NAME=VALUE; neither is NUL-terminated. */
struct query_field {
	const char *name;
	size_t name_length;
	const char *value; /* NULL: there was no "=" */
	size_t value_length;
};

/* Take the next field off *CURSOR. False: there is none. An empty one ("a&&b") is a field too. */
bool query_next(const char **cursor, struct query_field *ret_field);

/* Return whether LENGTH bytes of TEXT are WORD. */
bool query_text_is(const char *text, size_t length, const char *word);

/* Take LENGTH bytes of TEXT as a whole number up to MAXIMUM, and nothing else: 0 or -EINVAL. */
ATTR_MUSTCHECK int query_number(
    const char *text, size_t length, uint64_t maximum, uint64_t *ret_number);

#endif
