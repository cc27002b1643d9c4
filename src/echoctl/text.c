/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "echoctl/text.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "base/text.h"

#define ESCAPED_MAX 4 /* a byte becomes \xNN */
#define PIECE 256
#define ELLIPSIS "\xe2\x80\xa6"
/* Where the terminal does not say. */
#define LINES_DEFAULT 24
#define COLUMNS_DEFAULT 80

char *
echoctl_text_escape(const char *source, size_t length, char *buffer, size_t size)
{
	const char *end = source + length;
	size_t used = 0;

	if (size == 0)
		return buffer;
	buffer[0] = '\0';
	while (source < end) {
		const char *backslash = memchr(source, '\\', (size_t)(end - source));
		const char *stop = backslash != NULL ? backslash : end;

		text_escape(source, (size_t)(stop - source), buffer + used, size - used);
		used += strlen(buffer + used);
		if (backslash == NULL || used + 2 > size)
			break;
		buffer[used++] = '\\';
		buffer[used] = '\0';
		source = backslash + 1;
	}
	return buffer;
}

char *
echoctl_text_dup(const char *source)
{
	size_t length = strlen(source), size = length * ESCAPED_MAX + 1;
	char *text = malloc(size);

	if (text != NULL)
		echoctl_text_escape(source, length, text, size);
	return text;
}

/* Return how many bytes of SOURCE make a piece that does not end within a character. */
static size_t
text_piece(const char *source, size_t length)
{
	size_t n = PIECE;

	if (length <= PIECE)
		return length;
	while (n > PIECE - ESCAPED_MAX && ((unsigned char)source[n] & 0xc0) == 0x80)
		n--;
	return n;
}

void
echoctl_text_write(FILE *out, const char *source, size_t length)
{
	char buffer[PIECE * ESCAPED_MAX + 1];

	while (length > 0) {
		size_t n = text_piece(source, length);

		(void)fputs(echoctl_text_escape(source, n, buffer, sizeof(buffer)), out);
		source += n;
		length -= n;
	}
}

void
echoctl_text_write_lines(FILE *out, const char *source, size_t length)
{
	const char *end = source + length, *start = source;

	for (; source < end; source++) {
		if (*source != '\n' && *source != '\t')
			continue;
		echoctl_text_write(out, start, (size_t)(source - start));
		(void)fputc(*source, out);
		start = source + 1;
	}
	echoctl_text_write(out, start, (size_t)(end - start));
}

/* Read one character of valid UTF-8; returns its length in bytes. */
static size_t
text_decode(const char *text, wchar_t *ret_code)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t length = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	uint32_t code = length == 1 ? p[0] : p[0] & (0xffu >> (length + 1));

	for (size_t i = 1; i < length; i++)
		code = code << 6 | (p[i] & 0x3f);
	*ret_code = (wchar_t)code;
	return length;
}

size_t
echoctl_text_fit(const char *text, size_t columns, size_t *ret_columns)
{
	size_t bytes = 0, used = 0;

	while (text[bytes] != '\0') {
		wchar_t code;
		size_t length = text_decode(text + bytes, &code);
		int width = wcwidth(code);

		/* below 0: unknown to the locale; the terminal shows a replacement */
		if (width < 0)
			width = 1;
		if (used + (size_t)width > columns)
			break;
		used += (size_t)width;
		bytes += length;
	}
	*ret_columns = used;
	return bytes;
}

size_t
echoctl_text_columns(const char *text)
{
	size_t columns;

	(void)echoctl_text_fit(text, SIZE_MAX, &columns);
	return columns;
}

/* Return the end of TEXT that is at most COLUMNS wide. */
static const char *
text_tail(const char *text, size_t columns)
{
	size_t all = echoctl_text_columns(text), skipped;
	const char *tail = text;

	if (all > columns)
		tail += echoctl_text_fit(text, all - columns, &skipped);
	/* skip a wide character that does not fit, and a combining mark without its letter */
	while (*tail != '\0') {
		wchar_t code;
		size_t length = text_decode(tail, &code);

		if (wcwidth(code) != 0 && echoctl_text_columns(tail) <= columns)
			break;
		tail += length;
	}
	return tail;
}

char *
echoctl_text_shorten(const char *text, size_t columns)
{
	size_t head, used;
	char *shorter;

	if (columns == 0)
		return strdup("");
	head = echoctl_text_fit(text, columns / 2, &used);
	if (asprintf(&shorter, "%.*s" ELLIPSIS "%s", (int)head, text,
		text_tail(text, (columns - 1) / 2)) < 0)
		return NULL;
	return shorter;
}

/* Return how many bytes of TEXT make a line of COLUMNS; TEXT is wider than that. */
static size_t
text_line(const char *text, size_t columns)
{
	size_t used, fitting = echoctl_text_fit(text, columns, &used), line = fitting;
	wchar_t code;

	while (line > 0 && text[line] != ' ')
		line--;
	if (line > 0)
		return line;
	/* the word is wider than a line; not even one character may fit */
	return fitting > 0 ? fitting : text_decode(text, &code);
}

char *
echoctl_text_break(const char *text, size_t columns)
{
	/* at most each byte is followed by a line end */
	char *lines = malloc(2 * strlen(text) + 1), *end = lines;

	if (lines == NULL)
		return NULL;
	while (echoctl_text_columns(text) > columns) {
		size_t length = text_line(text, columns);

		end = mempcpy(end, text, length);
		text += length + (text[length] == ' ');
		if (*text != '\0')
			*end++ = '\n';
	}
	(void)strcpy(end, text);
	return lines;
}

void
echoctl_style_size(int fd, size_t *ret_lines, size_t *ret_columns)
{
	struct winsize size = { .ws_row = 0 };

	(void)ioctl(fd, TIOCGWINSZ, &size);
	*ret_lines = size.ws_row > 0 ? size.ws_row : LINES_DEFAULT;
	*ret_columns = size.ws_col > 0 ? size.ws_col : COLUMNS_DEFAULT;
}

struct echoctl_style
echoctl_style_of(int fd)
{
	const char *term = getenv("TERM"), *refused = getenv("NO_COLOR");
	bool terminal = isatty(fd) == 1;
	bool able = terminal && term != NULL && *term != '\0' && strcmp(term, "dumb") != 0;
	size_t lines, columns = 0;

	if (terminal)
		echoctl_style_size(fd, &lines, &columns);
	return (struct echoctl_style){
		.width = columns,
		.terminal = terminal,
		.able = able,
		.human = terminal,
		.colour = able && (refused == NULL || *refused == '\0'),
	};
}

const char *
echoctl_style_code(enum echoctl_tone tone)
{
	static const char *const codes[] = {
		[ECHOCTL_TITLE] = "\033[1m",
		[ECHOCTL_GOOD] = "\033[32m",
		[ECHOCTL_WARN] = "\033[33m",
		[ECHOCTL_BAD] = "\033[31m",
		[ECHOCTL_BAR] = "\033[7m",
	};

	return codes[tone];
}

enum echoctl_tone
echoctl_style_tone(const char *state)
{
	static const struct {
		const char *state;
		enum echoctl_tone tone;
	} tones[] = {
		{ "ready", ECHOCTL_GOOD },
		{ "accepting", ECHOCTL_GOOD },
		{ "draining", ECHOCTL_WARN },
		{ "flushing", ECHOCTL_WARN },
		{ "lingering", ECHOCTL_WARN },
		{ "not ready", ECHOCTL_BAD },
		{ "not accepting", ECHOCTL_WARN },
	};

	for (size_t i = 0; state != NULL && i < ARRAY_SIZE(tones); i++)
		if (strcmp(tones[i].state, state) == 0)
			return tones[i].tone;
	return ECHOCTL_PLAIN;
}

void
echoctl_style_printf(
    const struct echoctl_style *style, enum echoctl_tone tone, FILE *out, const char *format, ...)
{
	bool shown = style->colour && tone != ECHOCTL_PLAIN;
	va_list ap;

	if (shown)
		(void)fputs(echoctl_style_code(tone), out);
	va_start(ap, format);
	(void)vfprintf(out, format, ap);
	va_end(ap);
	if (shown)
		(void)fputs("\033[0m", out);
}
