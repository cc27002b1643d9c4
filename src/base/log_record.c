/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "base/log_record.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/text.h"

/* A field whose text would be cut to fewer bytes than this is left out. */
#define LOG_FIELD_LEAST 16

struct log_item {
	const char *key;
	const char *text; /* into the record, NULL for a number */
	int64_t number;
};

struct log_record {
	int64_t wall_ns;
	enum log_level level;
	const char *message; /* after the items, as are their texts */
	size_t count;
	struct log_item items[];
};

/* A bounded buffer: what does not fit whole is not written at all. */
struct log_line {
	char *data;
	size_t used;
	size_t size;
};

/* Escape TEXT to *TO, move *TO behind its NUL. Returns where the copy starts. */
static char *
log_record_copy(const char *text, size_t room, char **to)
{
	char *start = *to;

	/* no byte shrinks, so more than `room` of them cannot be needed */
	text_escape(text, strnlen(text, room), start, room);
	*to += strlen(start) + 1;
	return start;
}

struct log_record *
log_record_new(enum log_level level, int64_t wall_ns, const struct log_field *fields, size_t count,
    const char *format, va_list ap)
{
	char raw[LOG_RECORD_MESSAGE], text[LOG_RECORD_TEXT];
	char *end = text;
	struct log_item items[LOG_RECORD_FIELDS];
	struct log_record *record;
	size_t used = 0;

	if (vsnprintf(raw, sizeof(raw), format, ap) < 0)
		raw[0] = '\0';
	log_record_copy(raw, LOG_RECORD_MESSAGE, &end);
	for (size_t i = 0; i < count && used < LOG_RECORD_FIELDS; i++) {
		size_t room = sizeof(text) - (size_t)(end - text);
		struct log_item item = { .key = fields[i].key, .number = fields[i].number };

		if (!fields[i].is_number) {
			if (fields[i].text == NULL || room < LOG_FIELD_LEAST)
				continue;
			item.text = log_record_copy(fields[i].text, room, &end);
		}
		items[used++] = item;
	}
	record = malloc(sizeof(*record) + used * sizeof(items[0]) + (size_t)(end - text));
	if (record == NULL)
		return NULL;
	*record = (struct log_record){ .wall_ns = wall_ns, .level = level, .count = used };
	record->message = memcpy(&record->items[used], text, (size_t)(end - text));
	for (size_t i = 0; i < used; i++) {
		if (items[i].text != NULL)
			items[i].text = record->message + (items[i].text - text);
		record->items[i] = items[i];
	}
	return record;
}

void
log_record_free(struct log_record *record)
{
	free(record);
}

enum log_level
log_record_level(const struct log_record *record)
{
	return record->level;
}

static bool
log_line_add(struct log_line *line, const char *text, size_t length)
{
	if (length > line->size - line->used)
		return false;
	memcpy(line->data + line->used, text, length);
	line->used += length;
	return true;
}

static bool
log_line_puts(struct log_line *line, const char *text)
{
	return log_line_add(line, text, strlen(text));
}

static bool
log_line_number(struct log_line *line, int64_t number)
{
	char digits[24];

	return log_line_add(
	    line, digits, (size_t)snprintf(digits, sizeof(digits), "%" PRId64, number));
}

/*
 * Put TEXT in quotes. It went through text_escape(), so no control character is left: of JSON's
 * own escapes (RFC 8259, 7) only those of the quote and of the backslash remain. In a text line
 * the backslash already is the start of an escape and stays as it is.
 */
static bool
log_line_quote(struct log_line *line, const char *text, bool json)
{
	bool fits = log_line_puts(line, "\"");

	for (; *text != '\0'; text++) {
		if (*text == '"' || (json && *text == '\\'))
			fits = fits && log_line_puts(line, "\\");
		fits = fits && log_line_add(line, text, 1);
	}
	return fits && log_line_puts(line, "\"");
}

static bool
log_line_time(struct log_line *line, int64_t wall_ns)
{
	time_t seconds = (time_t)(wall_ns / NS_PER_S);
	char text[48];
	struct tm tm;
	size_t length;

	if (gmtime_r(&seconds, &tm) == NULL)
		return false;
	length = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	length += (size_t)snprintf(
	    text + length, sizeof(text) - length, ".%03dZ", (int)(wall_ns % NS_PER_S / NS_PER_MS));
	return log_line_add(line, text, length);
}

static void
log_line_priority(struct log_line *line, enum log_level level)
{
	log_line_puts(line, "<");
	log_line_number(line, level);
	log_line_puts(line, ">");
}

static bool
log_line_value(struct log_line *line, const struct log_item *item, bool json)
{
	if (item->text == NULL)
		return log_line_number(line, item->number);
	if (json || item->text[0] == '\0' || strpbrk(item->text, " \"=") != NULL)
		return log_line_quote(line, item->text, json);
	return log_line_puts(line, item->text);
}

size_t
log_record_text(const struct log_record *record, enum log_prefix prefix, char *buffer)
{
	struct log_line line = { .data = buffer, .size = LOG_RECORD_LINE - 3 };

	if (prefix == LOG_PREFIX_TIME) {
		log_line_time(&line, record->wall_ns);
		log_line_puts(&line, " ");
		log_line_puts(&line, log_level_name(record->level));
		log_line_puts(&line, " ");
	} else if (prefix == LOG_PREFIX_PRIORITY) {
		log_line_priority(&line, record->level);
	}
	log_line_puts(&line, record->message);
	for (size_t i = 0; i < record->count; i++) {
		size_t before = line.used;

		if (!log_line_puts(&line, " ") || !log_line_puts(&line, record->items[i].key) ||
		    !log_line_puts(&line, "=") || !log_line_value(&line, &record->items[i], false))
			line.used = before;
	}
	line.data[line.used] = '\0';
	return line.used;
}

size_t
log_record_json(const struct log_record *record, enum log_prefix prefix, char *buffer)
{
	/* one byte less than text: the closing brace always fits */
	struct log_line line = { .data = buffer, .size = LOG_RECORD_LINE - 4 };

	if (prefix == LOG_PREFIX_PRIORITY)
		log_line_priority(&line, record->level);
	log_line_puts(&line, "{\"time\":\"");
	log_line_time(&line, record->wall_ns);
	log_line_puts(&line, "\",\"level\":\"");
	log_line_puts(&line, log_level_name(record->level));
	log_line_puts(&line, "\",\"message\":");
	log_line_quote(&line, record->message, true);
	for (size_t i = 0; i < record->count; i++) {
		size_t before = line.used;

		if (!log_line_puts(&line, ",\"") || !log_line_puts(&line, record->items[i].key) ||
		    !log_line_puts(&line, "\":") || !log_line_value(&line, &record->items[i], true))
			line.used = before;
	}
	line.data[line.used++] = '}';
	line.data[line.used] = '\0';
	return line.used;
}

/* End the journal field that started at BEFORE, or take it back where it did not FIT. */
static int
log_journal_end(struct log_line *line, size_t before, bool fit, struct iovec *vector)
{
	if (!fit) {
		line->used = before;
		return 0;
	}
	*vector = (struct iovec){ line->data + before, line->used - before };
	return 1;
}

static bool
log_journal_key(struct log_line *line, const char *key)
{
	bool fits = log_line_puts(line, "ECHOD_");

	for (; *key != '\0'; key++) {
		char upper = *key >= 'a' && *key <= 'z' ? (char)(*key - 'a' + 'A') : *key;

		fits = fits && log_line_add(line, &upper, 1);
	}
	return fits && log_line_puts(line, "=");
}

int
log_record_journal(const struct log_record *record, char *buffer, struct iovec *vectors)
{
	struct log_line line = { .data = buffer, .size = LOG_RECORD_LINE };
	size_t before = 0;
	int count = 0;
	bool fit;

	fit = log_line_puts(&line, "MESSAGE=") && log_line_puts(&line, record->message);
	count += log_journal_end(&line, before, fit, &vectors[count]);
	before = line.used;
	fit = log_line_puts(&line, "PRIORITY=") && log_line_number(&line, record->level);
	count += log_journal_end(&line, before, fit, &vectors[count]);
	before = line.used;
	fit = log_line_puts(&line, "SYSLOG_IDENTIFIER=echod");
	count += log_journal_end(&line, before, fit, &vectors[count]);
	for (size_t i = 0; i < record->count; i++) {
		const struct log_item *item = &record->items[i];

		before = line.used;
		fit = log_journal_key(&line, item->key) &&
		      (item->text != NULL ? log_line_puts(&line, item->text)
					  : log_line_number(&line, item->number));
		count += log_journal_end(&line, before, fit, &vectors[count]);
	}
	return count;
}
