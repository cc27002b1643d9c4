/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "config/config_source.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define FILE_NAME_MAX 4096

/* A line of the text, or an error, with the keys that order them. */
struct place {
	size_t file;
	unsigned line;
	size_t order; /* of a place in the text; of an error: where it was in the list */
	size_t rank;  /* of an error: the line of the text it is about */
	char *message;
};

int
config_source_begin(struct config_source *source)
{
	source->out = open_memstream(&source->text, &source->text_length);
	return source->out != NULL ? 0 : -ENOMEM;
}

void
config_source_put_line(struct config_source *source, struct config_source_line where)
{
	struct config_source_line *lines = source->lines;
	size_t count = source->line_count;

	if (count > 0)
		(void)putc('\n', source->out);
	/* the table grows at powers of two */
	if ((count & (count - 1)) == 0) {
		lines = reallocarray(lines, count == 0 ? 1 : count * 2, sizeof(*lines));
		if (lines == NULL) {
			source->failed = true;
			return;
		}
		source->lines = lines;
	}
	lines[source->line_count++] = where;
}

void
config_source_put(struct config_source *source, const char *token, size_t length)
{
	(void)fwrite(token, 1, length, source->out);
	(void)putc(' ', source->out);
}

void
config_source_put_bare(struct config_source *source, const char *value, size_t length)
{
	(void)fprintf(source->out, "\"%c", CONFIG_SOURCE_BARE);
	for (size_t i = 0; i < length; i++) {
		if (value[i] == '\\')
			(void)putc('\\', source->out);
		(void)putc(value[i], source->out);
	}
	(void)fputs("\" ", source->out);
}

int
config_source_put_duplicate(struct config_source *source, char *key)
{
	size_t count = source->duplicate_count;
	char **keys = reallocarray(source->duplicates, count + 1, sizeof(*keys));

	if (keys == NULL)
		return -ENOMEM;
	source->duplicates = keys;
	keys[count] = key;
	source->duplicate_count++;
	(void)fprintf(source->out, CONFIG_SOURCE_DUPLICATE "%zu ", count);
	return 0;
}

int
config_source_end(struct config_source *source)
{
	bool failed = source->failed || ferror(source->out) != 0;

	(void)putc('\n', source->out);
	failed |= fclose(source->out) != 0;
	source->out = NULL;
	return failed ? -ENOMEM : 0;
}

struct config_source_line
config_source_locate(const struct config_source *source, unsigned line)
{
	if (source->line_count == 0)
		return (struct config_source_line){ 0, 1 };
	if (line == 0 || line > source->line_count)
		return source->lines[source->line_count - 1];
	return source->lines[line - 1];
}

size_t
config_source_add_file(struct config_source *source, const char *name)
{
	char escaped[FILE_NAME_MAX];
	char **names;

	text_escape_string(name, escaped, sizeof(escaped));
	for (size_t i = 0; i < source->file_count; i++) {
		if (strcmp(source->file_names[i], escaped) == 0)
			return i;
	}
	names = reallocarray(source->file_names, source->file_count + 1, sizeof(*names));
	if (names == NULL)
		return SIZE_MAX;
	source->file_names = names;
	names[source->file_count] = strdup(escaped);
	if (names[source->file_count] == NULL)
		return SIZE_MAX;
	return source->file_count++;
}

static int
compare_places(const void *left, const void *right)
{
	const struct place *a = left, *b = right;

	if (a->file != b->file)
		return a->file < b->file ? -1 : 1;
	if (a->line != b->line)
		return a->line < b->line ? -1 : 1;
	return a->order < b->order ? -1 : a->order > b->order;
}

static int
compare_errors(const void *left, const void *right)
{
	const struct place *a = left, *b = right;

	if (a->rank != b->rank)
		return a->rank < b->rank ? -1 : 1;
	return a->order < b->order ? -1 : a->order > b->order;
}

/* Parse "FILE:LINE:" at the start of a message. */
static int
parse_place(const struct config_source *source, const char *message, struct place *place)
{
	for (size_t i = 0; i < source->file_count; i++) {
		size_t length = strlen(source->file_names[i]);
		char *end;

		if (strncmp(message, source->file_names[i], length) != 0 || message[length] != ':')
			continue;
		place->line = (unsigned)strtoul(message + length + 1, &end, 10);
		place->file = i;
		if (end > message + length + 1 && *end == ':')
			return 0;
	}
	return -1;
}

/* The first line of the text that comes from PLACE: lines are sorted by file and line. */
static size_t
rank_of(const struct place *lines, size_t count, const struct place *place)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_places(&lines[middle], place) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < count ? lines[low].order : SIZE_MAX - 1;
}

void
config_source_sort(const struct config_source *source, struct error_list *errors)
{
	struct place *lines, *places;

	if (errors->count < 2)
		return;
	lines = reallocarray(NULL, source->line_count + 1, sizeof(*lines));
	places = reallocarray(NULL, errors->count, sizeof(*places));
	if (lines != NULL && places != NULL) {
		for (size_t i = 0; i < source->line_count; i++)
			lines[i] = (struct place){
				.file = source->lines[i].file,
				.line = source->lines[i].line,
				.order = i,
			};
		qsort(lines, source->line_count, sizeof(*lines), compare_places);
		for (size_t i = 0; i < errors->count; i++) {
			struct place place = { .message = errors->lines[i], .rank = SIZE_MAX };

			if (parse_place(source, place.message, &place) == 0)
				place.rank = rank_of(lines, source->line_count, &place);
			place.order = i;
			places[i] = place;
		}
		qsort(places, errors->count, sizeof(*places), compare_errors);
		for (size_t i = 0; i < errors->count; i++)
			errors->lines[i] = places[i].message;
	}
	free(lines);
	free(places);
}

void
config_source_done(struct config_source *source)
{
	for (size_t i = 0; i < source->file_count; i++)
		free(source->file_names[i]);
	for (size_t i = 0; i < source->duplicate_count; i++)
		free(source->duplicates[i]);
	free(source->text);
	free(source->lines);
	free(source->file_names);
	free(source->duplicates);
	*source = (struct config_source){ 0 };
}
