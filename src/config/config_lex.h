/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The smallest parts of the configuration's text: strings and values without quotes.
 * Plain functions on text, used by config_scan.c.
 */
#ifndef ECHOD_CONFIG_CONFIG_LEX_H
#define ECHOD_CONFIG_CONFIG_LEX_H

#include <stddef.h>

#include "base/attributes.h"

#define CONFIG_LEX_LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define CONFIG_LEX_DIGITS "0123456789"

/*
 * Return the end of the string whose opening quote is at P, past its closing quote; NULL with
 * *ret_error a static sentence when it is not closed on its line or has what no value can have:
 * control characters, escapes other than \\ \" \xHH.
 */
ATTR_MUSTCHECK const char *config_lex_string(const char *p, const char **ret_error);

/* Return what the string from P to END means, for the caller to free; NULL: out of memory. */
char *config_lex_unquote(const char *p, const char *end);

/* Return the length of the value without quotes at P, 0: there is none. A URL or path is one. */
size_t config_lex_bare(const char *p);

#endif
