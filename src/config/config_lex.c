/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "config/config_lex.h"

#include <stdlib.h>
#include <string.h>

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Return the length of the escape at P, 0 for one that is not allowed. */
static size_t
escape_length(const char *p)
{
	int high, low;

	if (p[1] == '\\' || p[1] == '"')
		return 2;
	if (p[1] != 'x' && p[1] != 'X')
		return 0;
	high = hex_digit(p[2]);
	low = high >= 0 ? hex_digit(p[3]) : -1;
	return low < 0 || high < 2 || (high == 7 && low == 15) ? 0 : 4;
}

const char *
config_lex_string(const char *p, const char **ret_error)
{
	for (p++; *p != '"';) {
		size_t n = *p == '\\' ? escape_length(p) : 1;

		if (*p == '\0' || *p == '\n' || *p == '\r') {
			*ret_error = "a string is not closed on its line";
			return NULL;
		}
		if (n == 0) {
			*ret_error =
			    "a string has a wrong escape (write \\\\, \\\" or \\xHH; a control "
			    "character is not possible)";
			return NULL;
		}
		if ((*p >= 0 && *p < 0x20) || *p == 0x7f) {
			*ret_error = "a string has a control character";
			return NULL;
		}
		p += n;
	}
	return p + 1;
}

char *
config_lex_unquote(const char *p, const char *end)
{
	char *copy = malloc((size_t)(end - p)), *to = copy;

	if (copy == NULL)
		return NULL;
	for (p++; p < end - 1;) {
		size_t n = *p == '\\' ? escape_length(p) : 1;

		if (n == 4)
			*to++ = (char)(hex_digit(p[2]) << 4 | hex_digit(p[3]));
		else
			*to++ = p[n - 1];
		p += n;
	}
	*to = '\0';
	return copy;
}

size_t
config_lex_bare(const char *p)
{
	size_t n = strspn(p, CONFIG_LEX_LETTERS CONFIG_LEX_DIGITS "_.+-*%");

	if (p[n] == ':' || *p == '/')
		n = strcspn(p, " \t\f\r\n;,(){}\"#");
	return n;
}
