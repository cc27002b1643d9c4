/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "base/log_record.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attributes.h"
#include "base/text.h"

/* A field whose text would be cut to fewer bytes than this is left out. */
#define LOG_FIELD_LEAST 16

struct log_item {
	const char *key;
	size_t text; /* where in the record's text it starts, 0 for a number */
	int64_t number;
};

struct log_record {
	int64_t wall_ns;
	enum log_level level;
	struct log_place place;
	size_t count;
	struct log_item items[LOG_RECORD_FIELDS];
	char text[]; /* the message, then the texts of the items, each with its NUL */
};

/* Why something fails for want of memory has to be told without any. */
static struct log_spare {
	atomic_flag taken;
	_Alignas(struct log_record) char space[sizeof(struct log_record) + LOG_RECORD_TEXT];
} spares[8];

/* A line that is being rendered, in parts: one that does not fit whole is not in it. */
struct log_line {
	char *data; /* SIZE bytes, and one for a NUL */
	size_t size;
	size_t used;
	size_t whole; /* of `used`: parts that have ended */
	bool cut;     /* the present part does not fit */
};

const char *
log_level_name(enum log_level level)
{
	static const char *const names[] = {
		[LOG_LEVEL_ERROR] = "error",
		[LOG_LEVEL_WARNING] = "warning",
		[LOG_LEVEL_NOTICE] = "notice",
		[LOG_LEVEL_INFO] = "info",
		[LOG_LEVEL_DEBUG] = "debug",
	};

	return names[level];
}

/* Escape TEXT to BUFFER of SIZE bytes. Returns the length of the copy, its NUL included. */
static size_t
log_record_copy(const char *text, char *buffer, size_t size)
{
	/* no byte shrinks, so more than SIZE of them cannot be needed */
	text_escape(text, strnlen(text, size), buffer, size);
	return strlen(buffer) + 1;
}

static struct log_record *
log_record_spare(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(spares); i++) {
		if (!atomic_flag_test_and_set(&spares[i].taken))
			return (void *)spares[i].space;
	}
	return NULL;
}

void
log_record_free(struct log_record *record)
{
	for (size_t i = 0; i < ARRAY_SIZE(spares); i++) {
		if ((void *)record == (void *)spares[i].space) {
			atomic_flag_clear(&spares[i].taken);
			return;
		}
	}
	free(record);
}

struct log_record *
log_record_new(enum log_level level, int64_t wall_ns, const struct log_place *place,
    const struct log_field *fields, size_t count, const char *format, va_list ap)
{
	struct log_record head = { .wall_ns = wall_ns, .level = level, .place = *place }, *record;
	char raw[LOG_RECORD_MESSAGE], text[LOG_RECORD_TEXT];
	size_t used;

	if (vsnprintf(raw, sizeof(raw), format, ap) < 0)
		raw[0] = '\0';
	used = log_record_copy(raw, text, LOG_RECORD_MESSAGE);
	for (size_t i = 0; i < count && head.count < LOG_RECORD_FIELDS; i++) {
		struct log_item item = { .key = fields[i].key, .number = fields[i].number };

		if (!fields[i].is_number) {
			if (fields[i].text == NULL || sizeof(text) - used < LOG_FIELD_LEAST)
				continue;
			item.text = used;
			used += log_record_copy(fields[i].text, text + used, sizeof(text) - used);
		}
		head.items[head.count++] = item;
	}
	record = malloc(sizeof(head) + used);
	if (record == NULL && level <= LOG_LEVEL_NOTICE)
		record = log_record_spare();
	if (record != NULL) {
		*record = head;
		memcpy(record->text, text, used);
	}
	return record;
}

enum log_level
log_record_level(const struct log_record *record)
{
	return record->level;
}

static void log_line_print(struct log_line *line, const char *format, ...) ATTR_PRINTF(2, 3);

static void
log_line_print(struct log_line *line, const char *format, ...)
{
	size_t left = line->size - line->used;
	va_list ap;
	int length;

	va_start(ap, format);
	length = vsnprintf(line->data + line->used, left + 1, format, ap);
	va_end(ap);
	if (length < 0 || (size_t)length > left)
		line->cut = true;
	else
		line->used += (size_t)length;
}

/* End a part, or take it back where it was cut. */
static void
log_line_end(struct log_line *line)
{
	if (line->cut)
		line->used = line->whole;
	line->whole = line->used;
	line->cut = false;
}

/*
 * Put TEXT in quotes. It went through text_escape(), so no control character is left: of JSON's
 * own escapes (RFC 8259, 7) only those of the quote and of the backslash remain. In a text line
 * the backslash already is the start of an escape and stays as it is.
 */
static void
log_line_quote(struct log_line *line, const char *text, bool json)
{
	log_line_print(line, "\"");
	while (*text != '\0') {
		size_t plain = strcspn(text, json ? "\"\\" : "\"");

		log_line_print(line, "%.*s", (int)plain, text);
		text += plain;
		if (*text != '\0')
			log_line_print(line, "\\%c", *text++);
	}
	log_line_print(line, "\"");
}

static void
log_line_value(
    struct log_line *line, const struct log_record *record, const struct log_item *item, bool json)
{
	const char *text = record->text + item->text;

	if (item->text == 0)
		log_line_print(line, "%" PRId64, item->number);
	else if (json || text[0] == '\0' || strpbrk(text, " \"=") != NULL)
		log_line_quote(line, text, json);
	else
		log_line_print(line, "%s", text);
}

/* The message and the fields. */
static void
log_line_body(struct log_line *line, const struct log_record *record, bool json)
{
	if (json) {
		log_line_print(line, "\"message\":");
		log_line_quote(line, record->text, true);
	} else {
		log_line_print(line, "%s", record->text);
	}
	log_line_end(line);
	for (size_t i = 0; i < record->count; i++) {
		const struct log_item *item = &record->items[i];

		log_line_print(line, json ? ",\"%s\":" : " %s=", item->key);
		log_line_value(line, record, item, json);
		log_line_end(line);
	}
}

size_t
log_record_line(
    const struct log_record *record, enum log_format format, enum log_prefix prefix, char *buffer)
{
	const char *level = log_level_name(record->level);
	bool json = format == LOG_FORMAT_JSON;
	/* besides the two bytes and the NUL: a closing brace always fits */
	struct log_line line = { .data = buffer, .size = LOG_RECORD_LINE - (json ? 4 : 3) };
	char time[TEXT_TIME_MAX];

	text_time(record->wall_ns, time, sizeof(time));
	if (prefix == LOG_PREFIX_PRIORITY)
		log_line_print(&line, "<%d>", (int)record->level);
	if (json)
		log_line_print(&line, "{\"time\":\"%s\",\"level\":\"%s\",", time, level);
	else if (prefix == LOG_PREFIX_TIME)
		log_line_print(&line, "%s %s ", time, level);
	log_line_body(&line, record, json);
	if (json)
		line.data[line.used++] = '}';
	line.data[line.used] = '\0';
	return line.used;
}

/* Return FILE as it is called within the source tree, wherever the build was made. */
static const char *
log_place_file(const struct log_place *place)
{
	const char *file = place->file;

	for (const char *at = file; (at = strstr(at, "/src/")) != NULL;)
		file = ++at;
	return file;
}

/* End the journal field that began at START. Returns how many that makes: 0: it did not fit. */
static int
log_journal_end(struct log_line *line, size_t start, struct iovec *vector)
{
	log_line_end(line);
	vector->iov_base = line->data + start;
	vector->iov_len = line->whole - start;
	return vector->iov_len > 0 ? 1 : 0;
}

int
log_record_journal(const struct log_record *record, char *buffer, struct iovec *vectors)
{
	struct log_line line = { .data = buffer, .size = LOG_RECORD_LINE - 1 };
	const struct log_place *place = &record->place;
	int count = 0;

	log_line_print(&line, "MESSAGE=");
	log_line_body(&line, record, false);
	count += log_journal_end(&line, 0, &vectors[count]);
	log_line_print(&line, "PRIORITY=%d", (int)record->level);
	count += log_journal_end(&line, line.whole, &vectors[count]);
	log_line_print(&line, "SYSLOG_IDENTIFIER=echod");
	count += log_journal_end(&line, line.whole, &vectors[count]);
	log_line_print(&line, "CODE_FILE=%s", log_place_file(place));
	count += log_journal_end(&line, line.whole, &vectors[count]);
	log_line_print(&line, "CODE_LINE=%d", place->line);
	count += log_journal_end(&line, line.whole, &vectors[count]);
	log_line_print(&line, "CODE_FUNC=%s", place->function);
	count += log_journal_end(&line, line.whole, &vectors[count]);
	for (size_t i = 0; i < record->count; i++) {
		const struct log_item *item = &record->items[i];

		log_line_print(&line, "ECHOD_%s=", item->key);
		for (size_t k = line.whole; k < line.used; k++)
			line.data[k] = (char)toupper((unsigned char)line.data[k]);
		if (item->text != 0)
			log_line_print(&line, "%s", record->text + item->text);
		else
			log_line_print(&line, "%" PRId64, item->number);
		count += log_journal_end(&line, line.whole, &vectors[count]);
	}
	return count;
}
