/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "control/document.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <event2/buffer.h>

#include "base/clock.h"
#include "base/text.h"

#define TEXT_MAX 4096

/* Milliseconds in a float: more digits would only show how it is stored. */
#define FORMAT (JSON_COMPACT | JSON_REAL_PRECISION(15) | JSON_ENCODE_ANY)

void *
document_new(size_t size, const char *type, document_step *const *steps)
{
	struct document *document = calloc(1, size);

	if (document == NULL)
		return NULL;
	document->type = type;
	document->steps = steps;
	return document;
}

void
document_free(struct document *document)
{
	if (document->release != NULL)
		document->release(document->owned);
	free(document);
}

int
document_write(struct document *document, struct evbuffer *out)
{
	document->out = out;
	if (document->steps[document->step](document)) {
		document->piece++;
	} else {
		document->step++;
		document->piece = 0;
	}
	if (document->failed)
		return -ENOMEM;
	return document->steps[document->step] != NULL;
}

void
document_print(struct document *document, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	if (evbuffer_add_vprintf(document->out, format, ap) < 0)
		document->failed = true;
	va_end(ap);
}

void
document_add(struct document *document, json_t *value)
{
	if (document_write_json(document->out, value) < 0)
		document->failed = true;
}

void
document_add_row(struct document *document, bool first, json_t *value)
{
	if (!first)
		document_print(document, ",");
	document_add(document, value);
}

static int
document_on_text(const char *text, size_t length, void *out)
{
	return evbuffer_add(out, text, length);
}

int
document_write_json(struct evbuffer *out, json_t *value)
{
	int r = json_dump_callback(value, document_on_text, out, FORMAT);

	json_decref(value);
	return r < 0 ? -ENOMEM : 0;
}

json_t *
document_object(const struct document_member *members, size_t count)
{
	json_t *object = json_object();
	int r = 0;

	for (size_t i = 0; i < count; i++)
		r |= json_object_set_new(object, members[i].key, members[i].value);
	if (r == 0)
		return object;
	json_decref(object);
	return NULL;
}

json_t *
document_seconds(int64_t ns)
{
	return json_real(ns > 0 ? (double)(ns / NS_PER_MS) / 1e3 : 0.0);
}

json_t *
document_fine_seconds(int64_t ns)
{
	return json_real(ns > 0 ? (double)(ns / NS_PER_US) / 1e6 : 0.0);
}

json_t *
document_moment(int64_t wall_ns)
{
	char text[TEXT_TIME_MAX];

	return json_string(text_time(wall_ns, text, sizeof(text)));
}

json_t *
document_figure(int64_t figure)
{
	return figure < 0 ? json_null() : json_integer(figure);
}

json_t *
document_count(uint64_t count)
{
	return json_integer((json_int_t)count);
}

json_t *
document_text(const char *text)
{
	json_t *value = json_string(text);
	char escaped[TEXT_MAX];

	/* it is either no UTF-8, or memory is short; the second try tells */
	if (value == NULL)
		value = json_string(text_escape_string(text, escaped, sizeof(escaped)));
	return value;
}
