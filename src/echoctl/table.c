/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "echoctl/table.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "echoctl/text.h"

#define GAP 2 /* blanks between columns */

struct cell {
	char *text; /* owned, escaped */
	enum echoctl_tone tone;
};

struct echoctl_table {
	const struct echoctl_column *columns;
	size_t column_count;
	struct cell *cells; /* owned */
	size_t cell_count, cell_room;
	bool failed; /* a cell is missing */
};

struct echoctl_table *
echoctl_table_new(const struct echoctl_column *columns, size_t count)
{
	struct echoctl_table *table = calloc(1, sizeof(*table));

	if (table != NULL) {
		table->columns = columns;
		table->column_count = count;
	}
	return table;
}

void
echoctl_table_free(struct echoctl_table *table)
{
	if (table == NULL)
		return;
	for (size_t i = 0; i < table->cell_count; i++)
		free(table->cells[i].text);
	free(table->cells);
	free(table);
}

void
echoctl_table_add_tone(struct echoctl_table *table, const char *text, enum echoctl_tone tone)
{
	struct cell cell = { .tone = tone };

	if (table == NULL || table->failed)
		return;
	if (table->cell_count == table->cell_room) {
		size_t room = table->cell_room * 2 + 64;
		struct cell *cells = reallocarray(table->cells, room, sizeof(*cells));

		if (cells == NULL) {
			table->failed = true;
			return;
		}
		table->cells = cells;
		table->cell_room = room;
	}
	cell.text = echoctl_text_dup(text != NULL && *text != '\0' ? text : "-");
	if (cell.text == NULL)
		table->failed = true;
	else
		table->cells[table->cell_count++] = cell;
}

void
echoctl_table_add(struct echoctl_table *table, const char *text)
{
	echoctl_table_add_tone(table, text, ECHOCTL_PLAIN);
}

void
echoctl_table_addf(struct echoctl_table *table, const char *format, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	echoctl_table_add(table, text);
}

static void
table_measure(const struct echoctl_table *table, size_t *widths)
{
	for (size_t i = 0; i < table->column_count; i++) {
		const struct echoctl_column *column = &table->columns[i];

		widths[i] = column->title != NULL ? echoctl_text_columns(column->title) : 0;
		if (column->least > widths[i])
			widths[i] = column->least;
	}
	for (size_t i = 0; i < table->cell_count; i++) {
		size_t width = echoctl_text_columns(table->cells[i].text);
		size_t *widest = &widths[i % table->column_count];

		if (width > *widest)
			*widest = width;
	}
}

/* A line under way. Blanks wait until something follows them. */
struct line {
	const struct echoctl_style *style;
	size_t used, width; /* columns; width: all there are */
	size_t blanks;
	FILE *out;
};

static void
line_flush_blanks(struct line *line)
{
	size_t left = line->width - line->used;

	for (size_t n = line->blanks < left ? line->blanks : left; n > 0; n--, line->used++)
		(void)fputc(' ', line->out);
	line->blanks = 0;
}

static void
line_add(struct line *line, const char *text, enum echoctl_tone tone)
{
	size_t left = line->width - line->used, columns, bytes = 0;

	if (left > line->blanks)
		bytes = echoctl_text_fit(text, left - line->blanks, &columns);
	/* nothing of it fits: nothing after it may, and its blanks need not be */
	if (bytes == 0) {
		line->width = line->used;
		return;
	}
	line_flush_blanks(line);
	echoctl_style_begin(line->style, tone, line->out);
	(void)fwrite(text, 1, bytes, line->out);
	echoctl_style_end(line->style, tone, line->out);
	line->used += columns;
	/* what did not fit ends the line: nothing after it may */
	if (text[bytes] != '\0')
		line->width = line->used;
}

static void
line_add_cell(struct line *line, const char *text, enum echoctl_tone tone,
    const struct echoctl_column *column, size_t width)
{
	size_t columns = echoctl_text_columns(text), filling = width - columns;

	if (column->right) {
		line->blanks += filling;
		/* half a figure is a wrong one: rather none, and nothing after it */
		if (line->used + line->blanks + columns > line->width)
			line->width = line->used;
	}
	line_add(line, text, tone);
	line->blanks += GAP + (column->right ? 0 : filling);
}

static void
table_print_titles(const struct echoctl_table *table, struct line line, const size_t *widths,
    enum echoctl_tone tone, const char *end)
{
	struct echoctl_style plain = { .colour = false };
	size_t width = line.width;

	echoctl_style_begin(line.style, tone, line.out);
	for (size_t i = 0; i < table->column_count; i++) {
		struct line titles = line;

		titles.style = &plain;
		line_add_cell(
		    &titles, table->columns[i].title, ECHOCTL_PLAIN, &table->columns[i], widths[i]);
		titles.style = line.style;
		line = titles;
	}
	if (tone == ECHOCTL_BAR && width != SIZE_MAX) {
		line.width = width;
		line.blanks = width - line.used;
		line_flush_blanks(&line);
	}
	echoctl_style_end(line.style, tone, line.out);
	(void)fputs(end, line.out);
}

int
echoctl_table_print(const struct echoctl_table *table, const struct echoctl_style *style,
    enum echoctl_tone title, size_t width, const char *end, FILE *out)
{
	struct line empty = { .style = style, .width = width > 0 ? width : SIZE_MAX, .out = out };
	struct line line = empty;
	size_t *widths;

	if (table == NULL || table->failed)
		return -ENOMEM;
	widths = calloc(table->column_count, sizeof(*widths));
	if (widths == NULL)
		return -ENOMEM;
	table_measure(table, widths);
	if (table->columns[0].title != NULL)
		table_print_titles(table, empty, widths, title, end);
	for (size_t i = 0; i < table->cell_count; i++) {
		size_t column = i % table->column_count;

		line_add_cell(&line, table->cells[i].text, table->cells[i].tone,
		    &table->columns[column], widths[column]);
		if (column + 1 == table->column_count) {
			(void)fputs(end, out);
			line = empty;
		}
	}
	free(widths);
	return 0;
}
