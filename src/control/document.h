/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A document of the control port that is written piece by piece, because it may be large: each
 * piece takes microseconds, and others have their turn in between. What writes one embeds a struct
 * document as its first member.
 *
 * And the values of JSON documents in the one form that all of them have: times are seconds with
 * the digits that mean something, moments are RFC 3339 in UTC, what is not known is null. A value
 * that could not be made is NULL, which jansson refuses: so it makes the whole fail. Main loop
 * only.
 */
#ifndef ECHOD_CONTROL_DOCUMENT_H
#define ECHOD_CONTROL_DOCUMENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"

struct document;
struct evbuffer;

/* The Content-Type of JSON. */
#define DOCUMENT_JSON "application/json"

/* Write the next piece of one part of a document. Returns whether this part has another piece. */
typedef bool document_step(struct document *document);

struct document {
	const char *type;             /* its Content-Type */
	document_step *const *steps;  /* its parts, one after the other; NULL at the end */
	void *owned;                  /* what it is made of; freed with it */
	void (*release)(void *owned); /* frees owned; NULL: nothing is owned */
	/* while it is written */
	size_t step;
	size_t piece;         /* how many this step has written before */
	struct evbuffer *out; /* borrowed; holds the earlier pieces and nothing else */
	bool failed;          /* out of memory: something was lost */
};

/* Allocate SIZE bytes, cleared, that begin with a document of TYPE. NULL: out of memory. */
void *document_new(size_t size, const char *type, document_step *const *steps);

/* Free DOCUMENT and what it owns. */
void document_free(struct document *document);

/*
 * Append the next piece to OUT. Returns 1 while there is more, 0 at the end; or -ENOMEM, and OUT
 * is not to be used.
 */
ATTR_MUSTCHECK int document_write(struct document *document, struct evbuffer *out);

/* For steps: append text. */
void document_print(struct document *document, const char *format, ...) ATTR_PRINTF(2, 3);

/* For steps: append VALUE (taken; NULL: out of memory). */
void document_add(struct document *document, json_t *value);

/* For steps: the same for an element of an array, with what parts it from the one before. */
void document_add_row(struct document *document, bool first, json_t *value);

/* Append VALUE (taken; NULL: out of memory) to OUT as text. Returns 0 or -ENOMEM. */
ATTR_MUSTCHECK int document_write_json(struct evbuffer *out, json_t *value);

/* One member of an object. */
struct document_member {
	const char *key;
	json_t *value; /* NULL: out of memory */
};

/* Make an object of COUNT members, whose values it takes. NULL: out of memory, here and below. */
json_t *document_object(const struct document_member *members, size_t count);

/* Seconds in milliseconds' steps; never below 0. */
json_t *document_seconds(int64_t ns);

/* Seconds in microseconds' steps, for what takes less than a millisecond; never below 0. */
json_t *document_fine_seconds(int64_t ns);

/* A moment since the epoch. */
json_t *document_moment(int64_t wall_ns);

/* A figure; null when it is negative: it could not be read. */
json_t *document_figure(int64_t figure);

/* A count. */
json_t *document_count(uint64_t count);

/* Text from outside; bytes that JSON cannot hold are escaped as in the log. */
json_t *document_text(const char *text);

#endif
