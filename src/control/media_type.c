/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "control/media_type.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "base/attributes.h"

#define BLANKS " \t"
#define QUALITY_ONE 1000

/* A stretch of the header, without the blanks around it. */
struct span {
	const char *text;
	size_t length;
};

static struct span
span_trim(const char *text, size_t length)
{
	while (length > 0 && strchr(BLANKS, *text) != NULL)
		text++, length--;
	while (length > 0 && strchr(BLANKS, text[length - 1]) != NULL)
		length--;
	return (struct span){ text, length };
}

/* Take what stands before the next SEPARATOR off REST. False: nothing is left. */
static bool
span_cut(struct span *rest, char separator, struct span *ret_part)
{
	const char *end;
	size_t length;

	if (rest->text == NULL)
		return false;
	end = memchr(rest->text, separator, rest->length);
	length = end != NULL ? (size_t)(end - rest->text) : rest->length;
	*ret_part = span_trim(rest->text, length);
	rest->text = end != NULL ? end + 1 : NULL;
	rest->length -= end != NULL ? length + 1 : length;
	return true;
}

static bool
span_is(struct span span, const char *word)
{
	return strlen(word) == span.length && strncasecmp(span.text, word, span.length) == 0;
}

/* Read "0.25" as thousandths: at most three decimals count; what is no number is 0. */
static int
media_type_quality(struct span span)
{
	int quality = 0, unit = QUALITY_ONE;

	for (size_t i = 0; i < span.length && unit > 0; i++) {
		if (i == 1 && span.text[i] == '.')
			continue;
		if (span.text[i] < '0' || span.text[i] > '9')
			return 0;
		quality += (span.text[i] - '0') * unit;
		unit /= 10;
	}
	return quality < QUALITY_ONE ? quality : QUALITY_ONE;
}

/* Strip quotes that stand around a parameter's value. */
static struct span
media_type_unquote(struct span span)
{
	if (span.length >= 2 && span.text[0] == '"' && span.text[span.length - 1] == '"')
		return (struct span){ span.text + 1, span.length - 2 };
	return span;
}

/* Raise the quality of what RANGE (TYPE;NAME=VALUE;...) stands for. */
static void
media_type_weigh(struct span range, int *openmetrics, int *plain)
{
	static const char *const texts[] = { "text/plain", "text/*", "*/*" };
	bool known_version = true;
	int quality = QUALITY_ONE;
	struct span type, parameter;

	if (!span_cut(&range, ';', &type))
		return;
	while (span_cut(&range, ';', &parameter)) {
		struct span name;

		(void)span_cut(&parameter, '=', &name);
		if (parameter.text == NULL)
			continue;
		parameter = media_type_unquote(span_trim(parameter.text, parameter.length));
		if (span_is(name, "q"))
			quality = media_type_quality(parameter);
		else if (span_is(name, "version"))
			known_version = span_is(parameter, "1.0.0") || span_is(parameter, "0.0.1");
	}
	if (span_is(type, "application/openmetrics-text")) {
		if (known_version && quality > *openmetrics)
			*openmetrics = quality;
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		if (span_is(type, texts[i]) && quality > *plain)
			*plain = quality;
	}
}

bool
media_type_is_openmetrics(const char *accept)
{
	int openmetrics = 0, plain = 0;
	struct span rest, range;

	if (accept == NULL)
		return false;
	rest = (struct span){ accept, strlen(accept) };
	while (span_cut(&rest, ',', &range))
		media_type_weigh(range, &openmetrics, &plain);
	return openmetrics > 0 && openmetrics >= plain;
}
