/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "config/config_scan.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attributes.h"
#include "base/text.h"
#include "config/config_read.h"
#include "config/config_source.h"

#define CONFIG_LEX_LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define CONFIG_LEX_DIGITS "0123456789"

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

/*
 * Return the end of the string whose opening quote is at P, past its closing quote; NULL with
 * *ret_error a static sentence when it is not closed on its line or has what no value can have:
 * control characters, escapes other than \\ \" \xHH.
 */
static const char *
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

/* Return what the string from P to END means, for the caller to free; NULL: out of memory. */
static char *
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

/* Return the length of the value without quotes at P, 0: there is none. A URL or path is one. */
static size_t
config_lex_bare(const char *p)
{
	size_t n = strspn(p, CONFIG_LEX_LETTERS CONFIG_LEX_DIGITS "_.+-*%");

	if (p[n] == ':' || *p == '/')
		n = strcspn(p, " \t\f\r\n;,(){}\"#");
	return n;
}

/* Brackets inside each other; three are in use, libconfig's parser allows some 2600. */
#define CONFIG_SCOPE_MAX 16

/* A key that stands in an open group, and where: to find the second one of its name. */
struct config_scope_key {
	char *name; /* owned */
	struct config_source_line where;
};

/* One open bracket; the outermost is the file itself. */
struct config_scope_level {
	char bracket;     /* '{', '(', '[', or NUL for the file */
	const char *name; /* of the key it is the value of, NULL for an element */
	struct config_source_line where;
	struct config_scope_key *keys; /* owned; only in '{' and the file */
	size_t key_count;
	size_t index; /* of the element being read, for '(' and '[' */
};

/* All brackets that are open at the place that is being read. */
struct config_scope {
	struct config_scope_level levels[CONFIG_SCOPE_MAX];
	size_t count;
};

/* Start with the file alone. */
static void
config_scope_init(struct config_scope *scope)
{
	*scope = (struct config_scope){ .count = 1 };
}

/* Return the innermost level. */
static struct config_scope_level *
config_scope_top(struct config_scope *scope)
{
	return &scope->levels[scope->count - 1];
}

/* Return whether the innermost level holds elements without keys. */
static bool
config_scope_is_list(const struct config_scope *scope)
{
	char bracket = scope->levels[scope->count - 1].bracket;

	return bracket == '(' || bracket == '[';
}

/*
 * Open BRACKET at WHERE as the value of the key NAME (must outlive the level). Returns 0, or
 * -E2BIG at CONFIG_SCOPE_MAX.
 */
static int
config_scope_push(
    struct config_scope *scope, char bracket, const char *name, struct config_source_line where)
{
	if (scope->count == CONFIG_SCOPE_MAX)
		return -E2BIG;
	scope->levels[scope->count++] = (struct config_scope_level){
		.bracket = bracket,
		.name = name,
		.where = where,
	};
	return 0;
}

/* Close the innermost level. */
static void
config_scope_pop(struct config_scope *scope)
{
	struct config_scope_level *level = &scope->levels[--scope->count];

	for (size_t i = 0; i < level->key_count; i++)
		free(level->keys[i].name);
	free(level->keys);
}

/* Free what is open. */
static void
config_scope_done(struct config_scope *scope)
{
	while (scope->count > 0)
		config_scope_pop(scope);
}

/* Return the key NAME of the innermost level, NULL when it was not seen yet. */
static const struct config_scope_key *
config_scope_find(const struct config_scope *scope, const char *name)
{
	const struct config_scope_level *level = &scope->levels[scope->count - 1];

	for (size_t i = 0; i < level->key_count; i++) {
		if (strcmp(level->keys[i].name, name) == 0)
			return &level->keys[i];
	}
	return NULL;
}

/* Add a key to the innermost level, which then owns NAME. Returns 0 or -ENOMEM. */
static int
config_scope_add(struct config_scope *scope, char *name, struct config_source_line where)
{
	struct config_scope_level *level = config_scope_top(scope);
	struct config_scope_key *keys;

	keys = reallocarray(level->keys, level->key_count + 1, sizeof(*keys));
	if (keys == NULL)
		return -ENOMEM;
	level->keys = keys;
	keys[level->key_count++] = (struct config_scope_key){ name, where };
	return 0;
}

/* Write the path of the key NAME in the innermost level ("listeners[1].name"); returns BUFFER. */
static char *
config_scope_format(const struct config_scope *scope, const char *name, char *buffer, size_t size)
{
	size_t used = 0;

	for (size_t i = 1; i <= scope->count && used < size; i++) {
		const struct config_scope_level *outer = &scope->levels[i - 1];
		const char *key = i < scope->count ? scope->levels[i].name : name;
		int n;

		if (outer->bracket == '(' || outer->bracket == '[')
			n = snprintf(buffer + used, size - used, "[%zu]", outer->index);
		else
			n = snprintf(buffer + used, size - used, "%s%s", used > 0 ? "." : "", key);
		used += n > 0 ? (size_t)n : 0;
	}
	return buffer;
}

#define INCLUDE_DEPTH_MAX 8
#define INCLUDE_COUNT_MAX 64
#define SHOWN_MAX 80
#define PATH_TEXT_MAX 256

#define KEY_BYTES CONFIG_LEX_LETTERS CONFIG_LEX_DIGITS "_-*"

enum token {
	TOKEN_START, /* of the file */
	TOKEN_KEY,
	TOKEN_EQUALS,
	TOKEN_STRING,
	TOKEN_BARE, /* a value without quotes */
	TOKEN_OPEN,
	TOKEN_CLOSE,
	TOKEN_COMMA,
	TOKEN_SEMICOLON,
};

/* The first failure is kept in RESULT, and every loop ends there. */
struct scanner {
	struct config_source *source;
	struct error_list *errors;
	const char *p;
	const char *line_start;
	const char *paths[INCLUDE_DEPTH_MAX + 1]; /* of the files being read, outermost first */
	struct config_source_line where;
	enum token last;
	const char *key; /* the last one; the scope or source->duplicates own it */
	struct config_scope scope;
	size_t include_depth;
	size_t include_count;
	int result;
};

static const char *
file_name(const struct scanner *s, const struct config_source_line *where)
{
	return s->source->file_names[where->file];
}

static void scan_fail(struct scanner *s, const struct config_source_line *where, const char *format,
    ...) ATTR_PRINTF(3, 4);

/* What comes after a broken bracket or string cannot be judged: one such mistake ends the scan. */
static void
scan_fail(struct scanner *s, const struct config_source_line *where, const char *format, ...)
{
	char *message = NULL;
	va_list ap;

	va_start(ap, format);
	if (vasprintf(&message, format, ap) < 0)
		message = NULL;
	va_end(ap);
	error_list_add(s->errors, "%s:%u: %s", file_name(s, where), where->line,
	    message != NULL ? message : "out of memory");
	free(message);
	s->result = -EINVAL;
}

static void
scan_unexpected(struct scanner *s, const char *token, size_t length)
{
	char shown[SHOWN_MAX];

	text_escape(token, length, shown, sizeof(shown));
	if (s->last == TOKEN_KEY)
		scan_fail(s, &s->where, "expected \"=\" before '%s'", shown);
	else
		scan_fail(s, &s->where,
		    "did not expect '%s' here (is a comma, \"=\", quote or bracket missing "
		    "before?)",
		    shown);
}

static void
scan_newline(struct scanner *s)
{
	s->line_start = ++s->p;
	s->where.line++;
	config_source_put_line(s->source, s->where);
}

static void
scan_comment(struct scanner *s)
{
	const struct config_source_line start = s->where;

	for (s->p += 2; strncmp(s->p, "*/", 2) != 0 && s->result == 0;) {
		if (*s->p == '\0')
			scan_fail(s, &start, "the comment that starts here is never closed");
		else if (*s->p == '\n')
			scan_newline(s);
		else
			s->p++;
	}
	if (s->result == 0)
		s->p += 2;
}

/* Whether a value may stand here: after "=", or as an element. */
static bool
value_fits(const struct scanner *s)
{
	if (s->last == TOKEN_EQUALS)
		return true;
	return config_scope_is_list(&s->scope) && (s->last == TOKEN_OPEN || s->last == TOKEN_COMMA);
}

static void
scan_string(struct scanner *s)
{
	const char *reason, *end = config_lex_string(s->p, &reason);

	if (end == NULL) {
		scan_fail(s, &s->where, "%s", reason);
		return;
	}
	/* neighbours are one string: "a" "b" is "ab" */
	if (!value_fits(s) && s->last != TOKEN_STRING) {
		scan_unexpected(s, s->p, (size_t)(end - s->p));
		return;
	}
	config_source_put(s->source, s->p, (size_t)(end - s->p));
	s->p = end;
	s->last = TOKEN_STRING;
}

static void
scan_bare(struct scanner *s)
{
	size_t length = config_lex_bare(s->p);
	bool boolean = (length == 4 && strncasecmp(s->p, "true", 4) == 0) ||
		       (length == 5 && strncasecmp(s->p, "false", 5) == 0);

	if (boolean)
		config_source_put(s->source, s->p, length);
	else
		config_source_put_bare(s->source, s->p, length);
	s->p += length;
	s->last = TOKEN_BARE;
}

/* libconfig stops at a key that it has seen: the second one goes on under another name. */
static int
rename_duplicate(struct scanner *s, char *name, const struct config_scope_key *first)
{
	char path[PATH_TEXT_MAX];

	error_list_add(s->errors, "%s:%u: %s: is given twice (first at %s:%u)",
	    file_name(s, &s->where), s->where.line,
	    config_scope_format(&s->scope, name, path, sizeof(path)), file_name(s, &first->where),
	    first->where.line);
	return config_source_put_duplicate(s->source, name);
}

static void
scan_key(struct scanner *s)
{
	size_t length = strspn(s->p, KEY_BYTES);
	const struct config_scope_key *first;
	char *name;
	int r;

	if (s->last == TOKEN_KEY || config_scope_is_list(&s->scope) ||
	    strchr(CONFIG_LEX_LETTERS, *s->p) == NULL) {
		scan_unexpected(s, s->p, length > 0 ? length : config_lex_bare(s->p));
		return;
	}
	name = strndup(s->p, length);
	if (name == NULL) {
		s->result = -ENOMEM;
		return;
	}
	first = config_scope_find(&s->scope, name);
	if (first != NULL) {
		r = rename_duplicate(s, name, first);
	} else {
		config_source_put(s->source, name, length);
		r = config_scope_add(&s->scope, name, s->where);
	}
	if (r < 0) {
		free(name);
		s->result = r;
		return;
	}
	s->key = name;
	s->p += length;
	s->last = TOKEN_KEY;
}

static void
scan_open(struct scanner *s)
{
	const char *key = s->last == TOKEN_EQUALS ? s->key : NULL;

	if (!value_fits(s)) {
		scan_unexpected(s, s->p, 1);
		return;
	}
	if (config_scope_push(&s->scope, *s->p, key, s->where) < 0) {
		scan_fail(s, &s->where, "brackets are nested too deeply");
		return;
	}
	config_source_put(s->source, s->p++, 1);
	s->last = TOKEN_OPEN;
}

/* FLOOR levels belong to the including files and are not for this one to close. */
static void
scan_close(struct scanner *s, size_t floor)
{
	const struct config_scope_level *level = config_scope_top(&s->scope);
	char opener = *s->p == '}' ? '{' : *s->p == ')' ? '(' : '[';

	if (s->last == TOKEN_KEY || s->last == TOKEN_EQUALS || s->scope.count <= floor) {
		scan_unexpected(s, s->p, 1);
	} else if (level->bracket != opener) {
		scan_fail(s, &s->where, "'%c' cannot close the '%c' of line %u", *s->p,
		    level->bracket, level->where.line);
	} else {
		config_scope_pop(&s->scope);
		config_source_put(s->source, s->p++, 1);
		s->last = TOKEN_CLOSE;
	}
}

static void
scan_separator(struct scanner *s)
{
	bool after_value = s->last == TOKEN_STRING || s->last == TOKEN_BARE ||
			   s->last == TOKEN_CLOSE;
	bool equals = *s->p == '=' || *s->p == ':';

	if (equals ? s->last != TOKEN_KEY : !after_value) {
		scan_unexpected(s, s->p, 1);
		return;
	}
	if (*s->p == ',')
		config_scope_top(&s->scope)->index++;
	s->last = equals ? TOKEN_EQUALS : *s->p == ',' ? TOKEN_COMMA : TOKEN_SEMICOLON;
	config_source_put(s->source, s->p++, 1);
}

static void scan_include(struct scanner *s);

static void
scan_token(struct scanner *s, size_t floor)
{
	char c = *s->p;

	if (c == '\n')
		scan_newline(s);
	else if (c == ' ' || c == '\t' || c == '\r' || c == '\f')
		s->p++;
	else if (c == '#' || strncmp(s->p, "//", 2) == 0)
		s->p += strcspn(s->p, "\n");
	else if (strncmp(s->p, "/*", 2) == 0)
		scan_comment(s);
	else if (c == '"')
		scan_string(s);
	else if (c == '@')
		scan_include(s);
	else if (strchr("{([", c) != NULL)
		scan_open(s);
	else if (strchr("})]", c) != NULL)
		scan_close(s, floor);
	else if (strchr("=:,;", c) != NULL)
		scan_separator(s);
	else if (value_fits(s) && config_lex_bare(s->p) > 0)
		scan_bare(s);
	else if (config_lex_bare(s->p) > 0)
		scan_key(s);
	else
		scan_unexpected(s, s->p, 1);
}

/* Scan one file, from a fresh line of the flat text on. */
static void
scan_text(struct scanner *s, const char *text)
{
	size_t floor = s->scope.count;
	const struct config_scope_level *level;

	s->p = s->line_start = text;
	config_source_put_line(s->source, s->where);
	while (s->result == 0 && *s->p != '\0')
		scan_token(s, floor);
	if (s->result < 0)
		return;
	level = config_scope_top(&s->scope);
	if (s->scope.count > floor)
		scan_fail(s, &level->where, "the '%c' here is never closed", level->bracket);
	else if (s->last == TOKEN_KEY || s->last == TOKEN_EQUALS)
		scan_fail(s, &s->where, "the file ends before the value of %s", s->key);
}

/* Return NAME as seen from the folder of the file PATH. */
static char *
resolve_path(const char *path, const char *name)
{
	const char *slash = strrchr(path, '/');
	char *full;

	if (name[0] == '/' || slash == NULL)
		return strdup(name);
	if (asprintf(&full, "%.*s%s", (int)(slash + 1 - path), path, name) < 0)
		return NULL;
	return full;
}

static void
scan_included(struct scanner *s, const char *path)
{
	const struct config_source_line where = s->where;
	const char *outer_start = s->line_start;
	char reason[CONFIG_READ_REASON_MAX], shown[PATH_TEXT_MAX];
	char *text;
	int r;

	text_escape_string(path, shown, sizeof(shown));
	for (size_t i = 0; i <= s->include_depth; i++) {
		if (strcmp(s->paths[i], path) == 0) {
			scan_fail(
			    s, &s->where, "@include of \"%s\": the file includes itself", shown);
			return;
		}
	}
	if (s->include_depth == INCLUDE_DEPTH_MAX || s->include_count == INCLUDE_COUNT_MAX) {
		scan_fail(s, &s->where, "@include of \"%s\": too many (at most %d deep, %d in all)",
		    shown, INCLUDE_DEPTH_MAX, INCLUDE_COUNT_MAX);
		return;
	}
	r = config_read_whole(path, reason, sizeof(reason), &text);
	if (r < 0) {
		scan_fail(s, &s->where, "@include of \"%s\": %s", shown, reason);
		return;
	}
	s->where = (struct config_source_line){ config_source_add_file(s->source, path), 1 };
	if (s->where.file == SIZE_MAX) {
		s->result = -ENOMEM;
		s->where = where;
		free(text);
		return;
	}
	s->paths[++s->include_depth] = path;
	s->include_count++;
	scan_text(s, text);
	free(text);
	s->include_depth--;
	s->line_start = outer_start;
	s->where = where;
	config_source_put_line(s->source, where);
}

/* @include "FILE", alone on its line. */
static void
scan_include(struct scanner *s)
{
	static const char word[] = "@include";
	const char *p = s->p + strlen(word), *end, *reason;
	char *name, *path;

	if (strspn(s->line_start, " \t\f\r") != (size_t)(s->p - s->line_start) ||
	    strncmp(s->p, word, strlen(word)) != 0 || p[strspn(p, " \t")] != '"') {
		scan_unexpected(s, s->p, strcspn(s->p, " \t\r\n"));
		return;
	}
	if (s->paths[0] == NULL) {
		scan_fail(s, &s->where, "@include is not possible here");
		return;
	}
	p += strspn(p, " \t");
	end = config_lex_string(p, &reason);
	if (end == NULL) {
		scan_fail(s, &s->where, "%s", reason);
		return;
	}
	s->p = end + strspn(end, " \t\r");
	if (*s->p != '\0' && *s->p != '\n' && *s->p != '#' && strncmp(s->p, "//", 2) != 0) {
		scan_fail(s, &s->where, "something follows @include on its line");
		return;
	}
	name = config_lex_unquote(p, end);
	path = name != NULL ? resolve_path(s->paths[s->include_depth], name) : NULL;
	if (path == NULL)
		s->result = -ENOMEM;
	else
		scan_included(s, path);
	free(path);
	free(name);
	s->p = end;
}

static int
scan_all(const char *name, const char *path, const char *text, struct error_list *errors,
    struct config_source *source)
{
	struct scanner s = {
		.source = source,
		.errors = errors,
		.paths = { path },
		.where = { 0, 1 },
	};
	int r;

	if (config_source_add_file(source, name) == SIZE_MAX)
		return -ENOMEM;
	r = config_source_begin(source);
	if (r < 0)
		return r;
	config_scope_init(&s.scope);
	scan_text(&s, text);
	config_scope_done(&s.scope);
	r = config_source_end(source);
	return s.result < 0 ? s.result : r;
}

int
config_scan_text(
    const char *name, const char *text, struct error_list *errors, struct config_source *ret_source)
{
	*ret_source = (struct config_source){ 0 };
	return scan_all(name, NULL, text, errors, ret_source);
}

int
config_scan_file(const char *path, struct error_list *errors, struct config_source *ret_source)
{
	char reason[CONFIG_READ_REASON_MAX], shown[PATH_TEXT_MAX];
	char *text;
	int r;

	*ret_source = (struct config_source){ 0 };
	r = config_read_whole(path, reason, sizeof(reason), &text);
	if (r < 0) {
		error_list_add(
		    errors, "%s: %s", text_escape_string(path, shown, sizeof(shown)), reason);
		return r == -ENOMEM ? r : -EINVAL;
	}
	r = scan_all(path, path, text, errors, ret_source);
	free(text);
	return r;
}
