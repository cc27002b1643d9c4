/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Values of the JSON documents in the one form that all of them have: times are seconds with the
 * digits that mean something, moments are RFC 3339 in UTC, what is not known is null.
 *
 * jansson takes a value in any case and fails for one that is NULL, so a member that could not be
 * made shows at the end: results of json_object_set_new() are collected with |= and looked at
 * once, by json_value_checked(). Each function here returns NULL when it is out of memory.
 */
#ifndef ECHOD_CONTROL_JSON_VALUE_H
#define ECHOD_CONTROL_JSON_VALUE_H

#include <jansson.h>
#include <stdint.h>

#include "base/attributes.h"

struct evbuffer;

/* The Content-Type of a document. */
#define JSON_VALUE_TYPE "application/json"

/* Seconds in milliseconds' steps; never below 0. */
json_t *json_value_seconds(int64_t ns);

/* Seconds in microseconds' steps, for what takes less than a millisecond; never below 0. */
json_t *json_value_fine_seconds(int64_t ns);

/* A moment since the epoch. */
json_t *json_value_moment(int64_t wall_ns);

/* A figure; null when it is negative: it could not be read. */
json_t *json_value_figure(int64_t figure);

/* A count. */
json_t *json_value_count(uint64_t count);

/* Text from outside; bytes that JSON cannot hold are escaped as in the log. */
json_t *json_value_text(const char *text);

/* Append VALUE (taken; NULL: out of memory) to OUT as text. Returns 0 or -ENOMEM. */
ATTR_MUSTCHECK int json_value_write(struct evbuffer *out, json_t *value);

/* Return DOCUMENT, or free it and return NULL when R tells that something of it is missing. */
json_t *json_value_checked(json_t *document, int r);

#endif
