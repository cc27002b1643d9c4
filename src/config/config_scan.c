/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "config/config_scan.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "config/config_read.h"

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"
#define KEY_BYTES LETTERS DIGITS "_-*"

/* Brackets inside each other; three are in use, libconfig's parser allows some 2600. */
#define LEVELS_MAX 16
#define INCLUDE_DEPTH_MAX 8
#define INCLUDE_COUNT_MAX 64

/*
 * Keys of one group that go on to libconfig, which looks through all of them for each one more, as
 * first_of_name() does: twice as many as any section has.
 */
#define KEYS_MAX (2 * CONFIG_SECTION_MAX)

#define SHOWN_MAX 80
#define PATH_TEXT_MAX 256
#define FILE_NAME_MAX 4096

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

/* A key, and where it stands: to find the second one of its name. */
struct key {
	const char *name; /* in the text of its file, not terminated */
	size_t length;
	struct config_origin where;
};

/* An open bracket; the outermost level is the file itself. */
struct level {
	char bracket; /* '{', '(', '[', or NUL for the file */
	struct config_origin where;
	size_t first_key; /* of this level, in the scanner's keys */
	size_t index;     /* of the element being read, for '(' and '[' */
	size_t duplicates;
	bool extra; /* the key read last is given twice, or one too many: it is not kept */
};

/* The first failure is kept in RESULT, and every loop ends there. */
struct scanner {
	struct config *config;
	struct config_source *source;
	struct error_list *errors;
	FILE *out; /* writes the source's text */
	const char *p;
	const char *text; /* of the present file */
	const char *line_start;
	struct config_origin where;
	enum token last;
	struct level levels[LEVELS_MAX];
	size_t level_count;
	/*
	 * The first KEYS_MAX different ones of each level, outermost first, and the one read last.
	 */
	struct key keys[LEVELS_MAX * (KEYS_MAX + 1)];
	size_t key_count;
	size_t mute; /* level count in which a surplus key and its value are not written; 0: none */
	unsigned duplicates;
	const char *paths[INCLUDE_DEPTH_MAX + 1]; /* of the files being read, outermost first */
	size_t include_depth;
	char *texts[INCLUDE_COUNT_MAX]; /* owned; of the included files: keys point into them */
	size_t include_count;
	size_t length; /* of all files so far */
	int result;
};

#define scan_fail(S, ...) ((S)->result = config_add_error((S)->errors, &(S)->where, __VA_ARGS__))

/* Return the byte that \xHH at P stands for, -1 where these are no two digits. */
static int
escaped_byte(const char *p)
{
	const char digits[] = { p[2], p[2] != '\0' ? p[3] : '\0', '\0' };

	return strspn(digits, DIGITS "abcdefABCDEF") == 2 ? (int)strtol(digits, NULL, 16) : -1;
}

/* Return the length of the escape at P, 0 for one that is not allowed. */
static size_t
escape_length(const char *p)
{
	int byte;

	if (p[1] == '\\' || p[1] == '"')
		return 2;
	if (p[1] != 'x' && p[1] != 'X')
		return 0;
	byte = escaped_byte(p);
	return byte >= 0x20 && byte != 0x7f ? 4 : 0;
}

/* Return what is wrong with the byte or escape at P of a string, NULL: nothing. */
static const char *
fault_in_string(const char *p)
{
	if (*p == '\0' || *p == '\n' || *p == '\r')
		return "a string is not closed on its line";
	if (*p == '\\' && escape_length(p) == 0)
		return "a string has a wrong escape (write \\\\, \\\" or \\xHH; a control "
		       "character is not possible)";
	return (*p >= 0 && *p < 0x20) || *p == 0x7f ? "a string has a control character" : NULL;
}

/*
 * Return the end of the string whose opening quote is at P, past its closing quote; NULL with
 * *ret_error a static sentence when it is not closed on its line or has what no value can have:
 * control characters, escapes other than \\ \" \xHH.
 */
static const char *
end_of_string(const char *p, const char **ret_error)
{
	for (p++; *p != '"'; p += *p == '\\' ? escape_length(p) : 1) {
		*ret_error = fault_in_string(p);
		if (*ret_error != NULL)
			return NULL;
	}
	return p + 1;
}

/* Return what the string from P to END means, for the caller to free; NULL: out of memory. */
static char *
unquote(const char *p, const char *end)
{
	char *copy = malloc((size_t)(end - p)), *to = copy;

	if (copy == NULL)
		return NULL;
	for (p++; p < end - 1;) {
		size_t n = *p == '\\' ? escape_length(p) : 1;

		*to++ = n == 4 ? (char)escaped_byte(p) : p[n - 1];
		p += n;
	}
	*to = '\0';
	return copy;
}

/*
 * Return the length of the value without quotes at P, 0: there is none. A URL, path or network is
 * one.
 */
static size_t
bare_length(const char *p)
{
	size_t n = strspn(p, LETTERS DIGITS "_.+-*%");

	if (p[n] == ':' || *p == '/' || (n > 0 && p[n] == '/' && strchr(DIGITS, p[n + 1]) != NULL))
		n = strcspn(p, " \t\f\r\n;,(){}\"#");
	return n;
}

/* Begin a new line of the text, which comes from the present place. */
static void
begin_line(struct scanner *s)
{
	struct config_origin *lines = s->source->lines;
	size_t count = s->source->line_count;

	if (count > 0)
		(void)putc('\n', s->out);
	/* the table grows at powers of two */
	if ((count & (count - 1)) == 0) {
		lines = reallocarray(lines, count == 0 ? 1 : count * 2, sizeof(*lines));
		if (lines == NULL) {
			s->result = -ENOMEM;
			return;
		}
		s->source->lines = lines;
	}
	lines[s->source->line_count++] = s->where;
}

/* Write LENGTH bytes of the file as they are, and go on behind them. */
static void
take(struct scanner *s, size_t length, enum token token)
{
	if (s->mute == 0)
		(void)fprintf(s->out, "%.*s ", (int)length, s->p);
	s->p += length;
	s->last = token;
}

static struct level *
top_level(struct scanner *s)
{
	return &s->levels[s->level_count - 1];
}

/* Return whether LEVEL holds elements without keys. */
static bool
is_list(const struct level *level)
{
	return level->bracket == '(' || level->bracket == '[';
}

/* Write the path of the last key ("listeners[1].name"); returns BUFFER. */
static char *
format_path(const struct scanner *s, char *buffer, size_t size)
{
	size_t used = 0;

	for (size_t i = 0; i < s->level_count && used < size; i++) {
		bool innermost = i + 1 == s->level_count;
		const struct key *key =
		    &s->keys[innermost ? s->key_count - 1 : s->levels[i + 1].first_key - 1];
		int n;

		if (is_list(&s->levels[i]))
			n = snprintf(buffer + used, size - used, "[%zu]", s->levels[i].index);
		else
			n = snprintf(buffer + used, size - used, "%s%.*s", used > 0 ? "." : "",
			    (int)key->length, key->name);
		used += n > 0 ? (size_t)n : 0;
	}
	return buffer;
}

/* What editors and web pages put where an ordinary character belongs, and what it is called. */
static const struct {
	const char *bytes, *text;
} disguises[] = {
	{ "\xef\xbb\xbf", "there is a byte order mark here (remove it)" },
	{ "\xc2\xa0", "there is a no-break space here (write an ordinary one)" },
	{ "\xe2\x80\x98", "there is a typographic quote here (write \")" },
	{ "\xe2\x80\x99", "there is a typographic quote here (write \")" },
	{ "\xe2\x80\x9c", "there is a typographic quote here (write \")" },
	{ "\xe2\x80\x9d", "there is a typographic quote here (write \")" },
	{ "\xe2\x80\x9e", "there is a typographic quote here (write \")" },
	{ "'", "a string stands in double quotes (write \")" },
	{ "`", "a string stands in double quotes (write \")" },
	{ "\xc2\xab", "a string stands in double quotes (write \")" },
	{ "\xc2\xbb", "a string stands in double quotes (write \")" },
};

/* Say what is wrong with what stands where a key, or something behind a key, was expected. */
static const char *
hint_for(struct scanner *s)
{
	bool list = is_list(top_level(s));
	char c = *s->p;

	if ((c & 0x80) != 0)
		return "outside quotes and comments only ASCII characters stand";
	if (c == '@')
		return "write @include \"FILE\", alone on its line";
	if (c == '=' && list)
		return "a list has no keys: write { } around them";
	if (s->last == TOKEN_EQUALS)
		return "a value is missing before it";
	if (c == '[' && !list)
		return "a section is a group: write NAME = { ... };";
	if (c == '{' && s->last == TOKEN_START)
		return "no bracket stands around the whole file";
	if (strchr("})]", c) != NULL && s->level_count == 1)
		return "nothing is open that it could close";
	if (s->last == TOKEN_COMMA && !list && strchr(DIGITS, c) != NULL)
		return "a number is written without commas";
	return "is a comma, \"=\", quote or bracket missing before?";
}

/* What follows the last key is no "=". */
static void
fail_after_key(struct scanner *s, const char *shown)
{
	const struct key *key = &s->keys[s->key_count - 1];

	if (*s->p == '.')
		scan_fail(s,
		    "expected \"=\" before '%s' (write %.*s = { ... }; with the key inside)", shown,
		    (int)key->length, key->name);
	else if (key->length == strlen("include") &&
		 strncmp(key->name, "include", key->length) == 0)
		scan_fail(
		    s, "expected \"=\" before '%s' (write @include \"FILE\" for a file)", shown);
	else
		scan_fail(s, "expected \"=\" before '%s'", shown);
}

/* What comes after a broken bracket or string cannot be judged: one such mistake ends the scan. */
static void
fail_unexpected(struct scanner *s, size_t length)
{
	char shown[SHOWN_MAX];

	if (s->p == s->text && strncmp(s->p, "\xef\xbb\xbf", 3) == 0) {
		scan_fail(s, "the file begins with a byte order mark (save it without one)");
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(disguises); i++) {
		if (strncmp(s->p, disguises[i].bytes, strlen(disguises[i].bytes)) == 0) {
			scan_fail(s, "%s", disguises[i].text);
			return;
		}
	}
	/* a whole character */
	while ((*s->p & 0x80) != 0 && (s->p[length] & 0xc0) == 0x80)
		length++;
	text_escape(s->p, length, shown, sizeof(shown));
	if (s->last == TOKEN_KEY)
		fail_after_key(s, shown);
	else
		scan_fail(s, "did not expect '%s' here (%s)", shown, hint_for(s));
}

static void
scan_newline(struct scanner *s)
{
	s->line_start = ++s->p;
	s->where.line++;
	begin_line(s);
}

static void
scan_comment(struct scanner *s)
{
	const struct config_origin start = s->where;

	for (s->p += 2; strncmp(s->p, "*/", 2) != 0 && s->result == 0;) {
		if (*s->p == '\0')
			s->result = config_add_error(
			    s->errors, &start, "the comment that starts here is never closed");
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
value_fits(struct scanner *s)
{
	if (s->last == TOKEN_EQUALS)
		return true;
	return is_list(top_level(s)) && (s->last == TOKEN_OPEN || s->last == TOKEN_COMMA);
}

static void
scan_string(struct scanner *s)
{
	const char *reason, *end = end_of_string(s->p, &reason);

	if (end == NULL)
		scan_fail(s, "%s", reason);
	else if (value_fits(s) || s->last == TOKEN_STRING) /* "a" "b" is "ab" */
		take(s, (size_t)(end - s->p), TOKEN_STRING);
	else if (strchr("=:", end[strspn(end, " \t")]) != NULL && end[strspn(end, " \t")] != '\0')
		scan_fail(s, "a key has no quotes (write %.*s)", (int)(end - s->p - 2), s->p + 1);
	else
		fail_unexpected(s, (size_t)(end - s->p));
}

/* All but true and false become a marked string. */
static void
scan_bare(struct scanner *s)
{
	size_t length = bare_length(s->p);

	if ((length == 4 && strncasecmp(s->p, "true", 4) == 0) ||
	    (length == 5 && strncasecmp(s->p, "false", 5) == 0)) {
		take(s, length, TOKEN_BARE);
		return;
	}
	s->last = TOKEN_BARE;
	if (s->mute > 0) {
		s->p += length;
		return;
	}
	(void)fprintf(s->out, "\"%c", CONFIG_SCAN_BARE);
	for (; length > 0; length--, s->p++)
		(void)fprintf(s->out, *s->p == '\\' ? "\\%c" : "%c", *s->p);
	(void)fputs("\" ", s->out);
}

/* Return the key of the innermost level that has the name of the last one: itself, or the first. */
static const struct key *
first_of_name(struct scanner *s)
{
	const struct key *last = &s->keys[s->key_count - 1],
			 *key = &s->keys[top_level(s)->first_key];

	while (key->length != last->length || memcmp(key->name, last->name, last->length) != 0)
		key++;
	return key;
}

/*
 * Complain about the last key, if it is one too many in its group. libconfig stops at a key that it
 * has seen: the second one goes on under another name.
 */
static void
check_key(struct scanner *s)
{
	struct level *level = top_level(s);
	const struct key *first = first_of_name(s);
	bool twice = first != &s->keys[s->key_count - 1];
	bool surplus = twice ? level->duplicates++ >= KEYS_MAX
			     : s->key_count - level->first_key > KEYS_MAX;
	char path[PATH_TEXT_MAX];

	level->extra = twice || surplus;
	if (surplus && s->mute == 0)
		s->mute = s->level_count;

	if (twice)
		config_add_error(s->errors, &s->where, "%s: is given twice (first at %s:%u)",
		    format_path(s, path, sizeof(path)), first->where.file, first->where.line);
	else if (surplus)
		config_add_error(s->errors, &s->where,
		    "%s: comes after %d other keys of its group (no group has so many)",
		    format_path(s, path, sizeof(path)), KEYS_MAX);
	if (twice && s->mute == 0)
		(void)fprintf(s->out, "*%u*", s->duplicates++);
}

static void
scan_key(struct scanner *s)
{
	size_t length = strspn(s->p, KEY_BYTES);

	if (s->last == TOKEN_KEY || is_list(top_level(s)) || strchr(LETTERS, *s->p) == NULL) {
		fail_unexpected(s, length > 0 ? length : bare_length(s->p));
		return;
	}
	if (s->mute == s->level_count)
		s->mute = 0;
	if (top_level(s)->extra)
		s->key_count--;
	s->keys[s->key_count++] = (struct key){ s->p, length, s->where };
	check_key(s);
	take(s, length, TOKEN_KEY);
}

static void
scan_open(struct scanner *s)
{
	if (!value_fits(s)) {
		fail_unexpected(s, 1);
	} else if (*s->p == '[' && s->p[1 + strspn(s->p + 1, " \t\r\n")] == '{') {
		scan_fail(s, "a list of groups stands in ( ), not in [ ]");
	} else if (s->level_count == LEVELS_MAX) {
		scan_fail(s, "brackets are nested too deeply");
	} else {
		s->levels[s->level_count++] = (struct level){
			.bracket = *s->p, .where = s->where, .first_key = s->key_count
		};
		take(s, 1, TOKEN_OPEN);
	}
}

/* FLOOR levels belong to the including files and are not for this one to close. */
static void
scan_close(struct scanner *s, size_t floor)
{
	const struct level *level = top_level(s);
	char opener = *s->p == '}' ? '{' : *s->p == ')' ? '(' : '[';

	if (s->last == TOKEN_KEY || s->last == TOKEN_EQUALS || s->level_count <= floor) {
		fail_unexpected(s, 1);
	} else if (s->last == TOKEN_COMMA && is_list(level)) {
		scan_fail(s, "did not expect '%c' here (remove the comma before it)", *s->p);
	} else if (level->bracket != opener) {
		scan_fail(s, "'%c' cannot close the '%c' of line %u", *s->p, level->bracket,
		    level->where.line);
	} else {
		if (s->mute == s->level_count)
			s->mute = 0;
		s->key_count = level->first_key;
		s->level_count--;
		take(s, 1, TOKEN_CLOSE);
	}
}

static void
scan_separator(struct scanner *s)
{
	bool after_value = s->last == TOKEN_STRING || s->last == TOKEN_BARE ||
			   s->last == TOKEN_CLOSE;
	bool equals = *s->p == '=' || *s->p == ':', comma = *s->p == ',';

	if (equals ? s->last != TOKEN_KEY : !after_value) {
		fail_unexpected(s, 1);
		return;
	}
	if (comma)
		top_level(s)->index++;
	take(s, 1, equals ? TOKEN_EQUALS : comma ? TOKEN_COMMA : TOKEN_SEMICOLON);
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
	else if (bare_length(s->p) == 0)
		fail_unexpected(s, 1);
	else if (value_fits(s))
		scan_bare(s);
	else
		scan_key(s);
}

/* Scan the TEXT of the file NAME, from a fresh line of the flat text on. */
static void
scan_text(struct scanner *s, const char *name, const char *text)
{
	size_t floor = s->level_count;
	char escaped[FILE_NAME_MAX];
	const struct key *key;

	text_escape_string(name, escaped, sizeof(escaped));
	s->where = (struct config_origin){ .file = config_keep_file_name(s->config, escaped),
		.line = 1 };
	if (s->where.file == NULL) {
		s->result = -ENOMEM;
		return;
	}
	s->p = s->line_start = s->text = text;
	begin_line(s);
	while (s->result == 0 && *s->p != '\0')
		scan_token(s, floor);
	if (s->result < 0)
		return;
	if (s->level_count > floor) {
		s->result = config_add_error(s->errors, &top_level(s)->where,
		    "the '%c' here is never closed (or a quote, in or behind its line)",
		    top_level(s)->bracket);
	} else if (s->last == TOKEN_KEY || s->last == TOKEN_EQUALS) {
		key = &s->keys[s->key_count - 1];
		scan_fail(s, "the file ends before the value of %.*s", (int)key->length, key->name);
	}
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
	const struct config_origin where = s->where;
	const char *outer_start = s->line_start, *outer_text = s->text;
	char reason[CONFIG_READ_REASON_MAX], shown[PATH_TEXT_MAX];
	char **text = &s->texts[s->include_count];

	text_escape_string(path, shown, sizeof(shown));
	for (size_t i = 0; i <= s->include_depth; i++) {
		if (strcmp(s->paths[i], path) == 0) {
			scan_fail(s, "@include of \"%s\": the file includes itself", shown);
			return;
		}
	}
	if (s->include_depth == INCLUDE_DEPTH_MAX || s->include_count == INCLUDE_COUNT_MAX) {
		scan_fail(s, "@include of \"%s\": too many (at most %d deep, %d in all)", shown,
		    INCLUDE_DEPTH_MAX, INCLUDE_COUNT_MAX);
		return;
	}
	if (config_read_whole(path, reason, sizeof(reason), text) < 0) {
		scan_fail(s, "@include of \"%s\": %s", shown, reason);
		return;
	}
	s->paths[++s->include_depth] = path;
	s->include_count++;
	s->length += strlen(*text);
	if (s->length > CONFIG_READ_MAX) {
		scan_fail(s, "@include of \"%s\": all files together are larger than 1 MiB", shown);
		return;
	}
	scan_text(s, path, *text);
	s->include_depth--;
	s->line_start = outer_start;
	s->text = outer_text;
	s->where = where;
	begin_line(s);
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
		fail_unexpected(s, strcspn(s->p, " \t\r\n"));
		return;
	}
	if (s->paths[0] == NULL) {
		scan_fail(s, "@include is not possible here");
		return;
	}
	p += strspn(p, " \t");
	end = end_of_string(p, &reason);
	if (end == NULL) {
		scan_fail(s, "%s", reason);
		return;
	}
	s->p = end + strspn(end, " \t\r");
	if (*s->p != '\0' && *s->p != '\n' && *s->p != '#' && strncmp(s->p, "//", 2) != 0) {
		scan_fail(s, "something follows @include on its line");
		return;
	}
	name = unquote(p, end);
	path = name != NULL ? resolve_path(s->paths[s->include_depth], name) : NULL;
	if (path == NULL)
		s->result = -ENOMEM;
	else
		scan_included(s, path);
	free(path);
	free(name);
	s->p = end;
}

/* PATH: what includes are relative to, NULL where none is possible. */
static int
scan_all(const char *name, const char *path, const char *text, struct config *config,
    struct error_list *errors, struct config_source *source)
{
	struct scanner s = {
		.config = config,
		.source = source,
		.errors = errors,
		.out = open_memstream(&source->text, &source->text_length),
		.level_count = 1,
		.paths = { path },
		.length = strlen(text),
	};
	bool failed;

	if (s.out == NULL)
		return -ENOMEM;
	scan_text(&s, name, text);
	for (size_t i = 0; i < s.include_count; i++)
		free(s.texts[i]);
	(void)putc('\n', s.out);
	failed = ferror(s.out) != 0;
	failed |= fclose(s.out) != 0;
	return s.result == 0 && failed ? -ENOMEM : s.result;
}

int
config_scan(const char *name, const char *text, struct config *config, struct error_list *errors,
    struct config_source *ret_source)
{
	char reason[CONFIG_READ_REASON_MAX], shown[PATH_TEXT_MAX], *read;
	int r;

	*ret_source = (struct config_source){ 0 };
	if (text != NULL)
		return scan_all(name, NULL, text, config, errors, ret_source);
	r = config_read_whole(name, reason, sizeof(reason), &read);
	if (r < 0) {
		error_list_add(
		    errors, "%s: %s", text_escape_string(name, shown, sizeof(shown)), reason);
		return r;
	}
	r = scan_all(name, name, read, config, errors, ret_source);
	free(read);
	return r;
}

const char *
config_source_key(const char *name)
{
	/* no key begins with an asterisk as it is written */
	return *name == '*' ? strchr(name + 1, '*') + 1 : name;
}

struct config_origin
config_source_locate(const struct config_source *source, unsigned line)
{
	if (line == 0 || line > source->line_count)
		return source->lines[source->line_count - 1];
	return source->lines[line - 1];
}

/* A message, and the keys that order it: the line of the text it is about, and its place before. */
struct ranked {
	size_t rank;
	size_t order;
	char *message;
};

static int
compare_ranked(const void *left, const void *right)
{
	const struct ranked *a = left, *b = right;

	if (a->rank != b->rank)
		return a->rank < b->rank ? -1 : 1;
	return a->order < b->order ? -1 : a->order > b->order;
}

/* Lines of the text that come from one file, one after the other. */
struct stretch {
	const char *file;
	unsigned line;       /* the first one's in the file */
	size_t first, count; /* in the text */
};

/* Before and after each included file, and the files. */
#define STRETCHES_MAX (2 * INCLUDE_COUNT_MAX + 1)

struct stretches {
	struct stretch list[STRETCHES_MAX];
	size_t count;
};

static void
find_stretches(const struct config_source *source, struct stretches *stretches)
{
	struct stretch *last = NULL;

	for (size_t i = 0; i < source->line_count; i++) {
		const struct config_origin *line = &source->lines[i];

		if (last != NULL && last->file == line->file &&
		    last->line + last->count == line->line) {
			last->count++;
		} else if (stretches->count < STRETCHES_MAX) {
			last = &stretches->list[stretches->count++];
			*last = (struct stretch){ line->file, line->line, i, 1 };
		}
	}
}

/* Return the index of the first line of the text that comes from LINE of FILE. */
static size_t
first_line_from(const struct stretches *stretches, const char *file, unsigned line)
{
	for (size_t i = 0; i < stretches->count; i++) {
		const struct stretch *stretch = &stretches->list[i];

		if (stretch->file == file && line >= stretch->line &&
		    line - stretch->line < stretch->count)
			return stretch->first + (line - stretch->line);
	}
	return SIZE_MAX - 1;
}

/* Return what line of the text a MESSAGE with "FILE:LINE:" at its start is about. */
static size_t
rank_of(const struct stretches *stretches, const struct config *config, const char *message)
{
	for (size_t i = 0; i < config->file_name_count; i++) {
		const char *file = config->file_names[i];
		size_t length = strlen(file);
		unsigned long line;
		char *end;

		if (strncmp(message, file, length) != 0 || message[length] != ':')
			continue;
		line = strtoul(message + length + 1, &end, 10);
		if (end > message + length + 1 && *end == ':')
			return first_line_from(stretches, file, (unsigned)line);
	}
	return SIZE_MAX;
}

void
config_source_sort(
    const struct config_source *source, const struct config *config, struct error_list *errors)
{
	struct ranked *ranked = reallocarray(NULL, errors->count, sizeof(*ranked));
	struct stretches stretches = { .count = 0 };

	if (ranked == NULL)
		return;
	find_stretches(source, &stretches);
	for (size_t i = 0; i < errors->count; i++) {
		char *message = errors->lines[i];

		ranked[i] = (struct ranked){ rank_of(&stretches, config, message), i, message };
	}
	qsort(ranked, errors->count, sizeof(*ranked), compare_ranked);
	for (size_t i = 0; i < errors->count; i++)
		errors->lines[i] = ranked[i].message;
	free(ranked);
}

void
config_source_done(struct config_source *source)
{
	free(source->text);
	free(source->lines);
	*source = (struct config_source){ 0 };
}
