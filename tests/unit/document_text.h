/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The whole text of a document that is written in pieces.
 */
#ifndef ECHOD_TESTS_DOCUMENT_TEXT_H
#define ECHOD_TESTS_DOCUMENT_TEXT_H

#include <check.h>
#include <event2/buffer.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "control/document.h"

/* Write DOCUMENT (taken) to its end. The caller frees the text. */
static inline char *
text_of(struct document *document)
{
	struct evbuffer *out = evbuffer_new();
	char *text;
	int r;

	ck_assert_ptr_nonnull(document);
	while ((r = document_write(document, out)) > 0)
		continue;
	ck_assert_int_eq(r, 0);
	document_free(document);
	ck_assert_int_eq(evbuffer_add(out, "", 1), 0);
	text = strdup((const char *)evbuffer_pullup(out, -1));
	evbuffer_free(out);
	return text;
}

/* The same, read as JSON. The caller owns it. */
static inline json_t *
json_of(struct document *document)
{
	char *text = text_of(document);
	json_t *json = json_loads(text, 0, NULL);

	ck_assert_msg(json != NULL, "%s", text);
	free(text);
	return json;
}

#endif
