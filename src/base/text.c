/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "base/text.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define TEXT_WORD_MAX 63

/* Length of the printable UTF-8 character at P (at most LEFT bytes), 0 where there is none. */
static size_t
text_character(const unsigned char *p, size_t left)
{
	size_t length;
	uint32_t code;

	if (p[0] < 0x80)
		return p[0] >= 0x20 && p[0] != 0x7f && p[0] != '\\' ? 1 : 0;
	if (p[0] >= 0xc2 && p[0] <= 0xdf)
		length = 2;
	else if (p[0] >= 0xe0 && p[0] <= 0xef)
		length = 3;
	else if (p[0] >= 0xf0 && p[0] <= 0xf4)
		length = 4;
	else
		return 0;
	if (left < length)
		return 0;
	code = p[0] & (0xffu >> (length + 1));
	for (size_t i = 1; i < length; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (p[i] & 0x3f);
	}
	/* C1 controls, overlong forms, surrogates, beyond Unicode */
	if (code < 0xa0 || (length == 3 && code < 0x800) || (length == 4 && code < 0x10000) ||
	    (code >= 0xd800 && code <= 0xdfff) || code > 0x10ffff)
		return 0;
	/* bidirectional overrides and line separators can rewrite what a reader sees */
	if ((code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069))
		return 0;
	return length;
}

char *
text_escape(const char *source, size_t length, char *buffer, size_t size)
{
	static const char hex[] = "0123456789abcdef";
	const unsigned char *p = (const unsigned char *)source;
	size_t used = 0;

	if (size == 0)
		return buffer;
	while (length > 0) {
		size_t n = text_character(p, length);

		if (n > 0) {
			if (used + n >= size)
				break;
			memcpy(buffer + used, p, n);
			used += n;
		} else {
			if (used + 4 >= size)
				break;
			buffer[used++] = '\\';
			buffer[used++] = 'x';
			buffer[used++] = hex[p[0] >> 4];
			buffer[used++] = hex[p[0] & 15];
			n = 1;
		}
		p += n;
		length -= n;
	}
	buffer[used] = '\0';
	return buffer;
}

char *
text_escape_string(const char *source, char *buffer, size_t size)
{
	return text_escape(source, strlen(source), buffer, size);
}

static size_t
min3(size_t a, size_t b, size_t c)
{
	size_t m = a < b ? a : b;

	return m < c ? m : c;
}

/* Optimal string alignment: three rows of the usual table. */
size_t
text_distance(const char *a, const char *b)
{
	size_t rows[3][TEXT_WORD_MAX + 1];
	size_t la = strlen(a), lb = strlen(b);

	if (la > TEXT_WORD_MAX || lb > TEXT_WORD_MAX)
		return la > lb ? la : lb;
	for (size_t j = 0; j <= lb; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= la; i++) {
		size_t *row = rows[i % 3], *above = rows[(i - 1) % 3], *above2 = rows[(i + 1) % 3];

		row[0] = i;
		for (size_t j = 1; j <= lb; j++) {
			size_t same = a[i - 1] == b[j - 1] ? 0 : 1;

			row[j] = min3(above[j] + 1, row[j - 1] + 1, above[j - 1] + same);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    above2[j - 2] + 1 < row[j])
				row[j] = above2[j - 2] + 1;
		}
	}
	return rows[la % 3][lb];
}
