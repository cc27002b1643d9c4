/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "control/json_value.h"

#include <event2/buffer.h>

#include "base/clock.h"
#include "base/text.h"

#define TEXT_MAX 4096

/* Milliseconds in a float: more digits would only show how it is stored. */
#define FORMAT (JSON_COMPACT | JSON_REAL_PRECISION(15) | JSON_ENCODE_ANY)

json_t *
json_value_seconds(int64_t ns)
{
	return json_real(ns > 0 ? (double)(ns / NS_PER_MS) / 1e3 : 0.0);
}

json_t *
json_value_fine_seconds(int64_t ns)
{
	return json_real(ns > 0 ? (double)(ns / NS_PER_US) / 1e6 : 0.0);
}

json_t *
json_value_moment(int64_t wall_ns)
{
	char text[TEXT_TIME_MAX];

	return json_string(text_time(wall_ns, text, sizeof(text)));
}

json_t *
json_value_figure(int64_t figure)
{
	return figure < 0 ? json_null() : json_integer(figure);
}

json_t *
json_value_count(uint64_t count)
{
	return json_integer((json_int_t)count);
}

json_t *
json_value_text(const char *text)
{
	json_t *value = json_string(text);
	char escaped[TEXT_MAX];

	/* it is either no UTF-8, or memory is short; the second try tells */
	if (value == NULL)
		value = json_string(text_escape_string(text, escaped, sizeof(escaped)));
	return value;
}

static int
json_value_on_text(const char *text, size_t length, void *out)
{
	return evbuffer_add(out, text, length);
}

int
json_value_write(struct evbuffer *out, json_t *value)
{
	int r = json_dump_callback(value, json_value_on_text, out, FORMAT);

	json_decref(value);
	return r < 0 ? -ENOMEM : 0;
}

json_t *
json_value_checked(json_t *document, int r)
{
	if (r == 0)
		return document;
	json_decref(document);
	return NULL;
}
