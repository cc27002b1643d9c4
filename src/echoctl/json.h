/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads the daemon's JSON without trusting it: a value of the wrong type counts as missing. PATH is
 * a list of keys with dots between, such as "process.uptime_seconds".
 */
#ifndef ECHOD_ECHOCTL_JSON_H
#define ECHOD_ECHOCTL_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* Parse LENGTH bytes that must be an object; the caller owns it. NULL when it is none. */
json_t *echoctl_json_parse(const char *text, size_t length);

/* Return the value at PATH, borrowed, or NULL. */
json_t *echoctl_json_get(const json_t *object, const char *path);

/* Return the number at PATH, or -1: no figure of the daemon is negative. */
double echoctl_json_number(const json_t *object, const char *path);

/* Return the whole number at PATH, or -1. */
json_int_t echoctl_json_integer(const json_t *object, const char *path);

/* Return the text at PATH, borrowed, or NULL. */
const char *echoctl_json_text(const json_t *object, const char *path);

/* Return whether the value at PATH is true. */
bool echoctl_json_is_true(const json_t *object, const char *path);

/* Return the sum of the numbers in the object at PATH, or -1 when there is none. */
json_int_t echoctl_json_sum(const json_t *object, const char *path);

#endif
