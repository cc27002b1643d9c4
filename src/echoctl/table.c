/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libsmartcols keeps the cells and aligns them. It can cut a text at the width of the terminal, but
 * cannot mark the cut or choose columns. So both are done here, and the library is told that there
 * is no terminal.
 */
#include <config.h>

#include "echoctl/table.h"

#include <errno.h>
#include <libsmartcols.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define GAP "  " /* between columns */
#define PROSE_LEAST 24

struct echoctl_table {
	const struct echoctl_column *columns;
	size_t count;
	struct libscols_table *cells; /* owned */
	struct libscols_line *line;   /* the last one; NULL: there is none */
	size_t used;                  /* cells of it */
	bool failed;                  /* something is missing */
};

/* How wide a column is to be. */
struct fit {
	size_t natural;
	size_t width; /* 0: it is left out */
};

static struct libscols_column *
table_new_column(struct echoctl_table *table, const struct echoctl_column *column)
{
	int flags = column->right ? SCOLS_FL_RIGHT : column->prose ? SCOLS_FL_WRAP : 0;
	const char *text = column->title != NULL ? column->title : "";
	struct libscols_column *cl;
	char title[64];

	/* blanks beside the title keep the column at least so wide */
	(void)snprintf(
	    title, sizeof(title), column->right ? "%*s" : "%-*s", (int)column->least, text);
	cl = scols_table_new_column(table->cells, title, 0, flags);
	if (cl != NULL && column->prose)
		(void)scols_column_set_wrapfunc(
		    cl, scols_wrapnl_chunksize, scols_wrapnl_nextchunk, NULL);
	return cl;
}

struct echoctl_table *
echoctl_table_new(const struct echoctl_column *columns, size_t count)
{
	struct echoctl_table *table = calloc(1, sizeof(*table));

	if (table == NULL)
		return NULL;
	table->columns = columns;
	table->count = count;
	table->cells = scols_new_table();
	table->failed = table->cells == NULL;
	for (size_t i = 0; i < count && !table->failed; i++)
		table->failed = table_new_column(table, &columns[i]) == NULL;
	if (table->failed)
		return table;
	(void)scols_table_set_termforce(table->cells, SCOLS_TERMFORCE_NEVER);
	/* cells are escaped before they are added */
	(void)scols_table_enable_noencoding(table->cells, 1);
	(void)scols_table_enable_noheadings(table->cells, columns[0].title == NULL);
	table->failed = scols_table_set_column_separator(table->cells, GAP) < 0;
	return table;
}

void
echoctl_table_free(struct echoctl_table *table)
{
	if (table == NULL)
		return;
	scols_unref_table(table->cells);
	free(table);
}

void
echoctl_table_add_tone(struct echoctl_table *table, const char *text, enum echoctl_tone tone)
{
	char *escaped;
	int r;

	if (table == NULL || table->failed)
		return;
	if (table->line == NULL || table->used == table->count) {
		table->line = scols_table_new_line(table->cells, NULL);
		table->used = 0;
	}
	escaped = echoctl_text_dup(text != NULL && *text != '\0' ? text : "-");
	if (table->line == NULL || escaped == NULL ||
	    scols_line_refer_data(table->line, table->used, escaped) < 0) {
		free(escaped);
		table->failed = true;
		return;
	}
	r = scols_cell_set_color(
	    scols_line_get_cell(table->line, table->used++), echoctl_style_code(tone));
	table->failed = r < 0;
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

/* The next line of TABLE after LINE, NULL for the first; NULL when there is none. */
static struct libscols_line *
table_next(const struct echoctl_table *table, struct libscols_iter *iter)
{
	struct libscols_line *line;

	return scols_table_next_line(table->cells, iter, &line) == 0 ? line : NULL;
}

static const char *
table_title(const struct echoctl_table *table, size_t column)
{
	return scols_cell_get_data(
	    scols_column_get_header(scols_table_get_column(table->cells, column)));
}

static void
table_measure(const struct echoctl_table *table, struct libscols_iter *iter, struct fit *fits)
{
	struct libscols_line *line;

	for (size_t i = 0; i < table->count; i++)
		fits[i].natural = echoctl_text_columns(table_title(table, i));
	scols_reset_iter(iter, SCOLS_ITER_FORWARD);
	while ((line = table_next(table, iter)) != NULL) {
		for (size_t i = 0; i < table->count; i++) {
			const char *text = scols_cell_get_data(scols_line_get_cell(line, i));
			size_t width = text != NULL ? echoctl_text_columns(text) : 0;

			if (width > fits[i].natural)
				fits[i].natural = width;
		}
	}
}

/* The least that a column can do with. */
static size_t
table_least(const struct echoctl_table *table, size_t column, const struct fit *fit)
{
	size_t least = table->columns[column].prose ? PROSE_LEAST : table->columns[column].shorten;
	size_t title = echoctl_text_columns(table_title(table, column));

	if (least == 0)
		return fit->natural;
	if (least < title)
		least = title;
	return least < fit->natural ? least : fit->natural;
}

static size_t
table_width(const struct echoctl_table *table, const struct fit *fits)
{
	size_t width = 0;

	for (size_t i = 0; i < table->count; i++)
		if (fits[i].width > 0)
			width += fits[i].width + (width > 0 ? strlen(GAP) : 0);
	return width;
}

/*
 * Leave out the column with the greatest drop, the last one of equals. Returns false when only one
 * is left.
 */
static bool
table_drop(const struct echoctl_table *table, struct fit *fits)
{
	size_t drop = 0, shown = 0;

	for (size_t i = 0; i < table->count; i++) {
		if (fits[i].width == 0)
			continue;
		if (shown == 0 || table->columns[i].drop >= table->columns[drop].drop)
			drop = i;
		shown++;
	}
	if (shown > 1)
		fits[drop].width = 0;
	return shown > 1;
}

/* Choose what is shown within WIDTH columns. */
static void
table_fit(const struct echoctl_table *table, struct fit *fits, size_t width)
{
	size_t left, before;

	for (size_t i = 0; i < table->count; i++)
		fits[i].width = table_least(table, i, &fits[i]);
	while (table_width(table, fits) > width && table_drop(table, fits))
		;
	if (table_width(table, fits) > width) {
		/* only one column is left, and it is too wide */
		for (size_t i = 0; i < table->count; i++)
			if (fits[i].width > 0)
				fits[i].width = width;
		return;
	}
	/* spread the rest over the shortened columns, one terminal column at a time */
	left = width - table_width(table, fits);
	do {
		before = left;
		for (size_t i = 0; i < table->count && left > 0; i++) {
			if (fits[i].width == 0 || fits[i].width == fits[i].natural)
				continue;
			fits[i].width++;
			left--;
		}
	} while (left < before);
}

/* Make what is too wide for its column fit. Returns 0 or -ENOMEM. */
static int
table_fit_cell(const struct echoctl_column *column, struct libscols_cell *cell, size_t width)
{
	const char *text = scols_cell_get_data(cell);
	char *fitting;

	if (text == NULL || width == 0 || echoctl_text_columns(text) <= width)
		return 0;
	fitting = column->prose ? echoctl_text_break(text, width)
				: echoctl_text_shorten(text, width);
	if (fitting == NULL || scols_cell_refer_data(cell, fitting) < 0) {
		free(fitting);
		return -ENOMEM;
	}
	return 0;
}

static int
table_apply(const struct echoctl_table *table, struct libscols_iter *iter, const struct fit *fits)
{
	struct libscols_line *line;
	int r = 0;

	for (size_t i = 0; i < table->count && r == 0; i++) {
		struct libscols_column *cl = scols_table_get_column(table->cells, i);

		if (fits[i].width == 0)
			(void)scols_column_set_flags(
			    cl, scols_column_get_flags(cl) | SCOLS_FL_HIDDEN);
		r = table_fit_cell(&table->columns[i], scols_column_get_header(cl), fits[i].width);
	}
	scols_reset_iter(iter, SCOLS_ITER_FORWARD);
	while (r == 0 && (line = table_next(table, iter)) != NULL)
		for (size_t i = 0; i < table->count && r == 0; i++)
			r = table_fit_cell(
			    &table->columns[i], scols_line_get_cell(line, i), fits[i].width);
	return r;
}

static int
table_fit_to(const struct echoctl_table *table, size_t width)
{
	struct libscols_iter *iter = scols_new_iter(SCOLS_ITER_FORWARD);
	struct fit *fits = calloc(table->count, sizeof(*fits));
	int r = -ENOMEM;

	if (iter != NULL && fits != NULL) {
		table_measure(table, iter, fits);
		table_fit(table, fits, width);
		r = table_apply(table, iter, fits);
	}
	scols_free_iter(iter);
	free(fits);
	return r;
}

/* The titles in the tone TITLE; a bar goes on to the end of the screen. */
static void
table_print_titles(const struct echoctl_style *style, enum echoctl_tone title, const char *text,
    size_t length, FILE *out)
{
	echoctl_style_begin(style, title, out);
	(void)fwrite(text, 1, length, out);
	if (title == ECHOCTL_BAR) {
		char *titles = strndup(text, length);
		size_t used = titles != NULL ? echoctl_text_columns(titles) : style->width;

		for (; used < style->width; used++)
			(void)fputc(' ', out);
		free(titles);
	}
	echoctl_style_end(style, title, out);
}

int
echoctl_table_print(struct echoctl_table *table, const struct echoctl_style *style,
    enum echoctl_tone title, const char *end, FILE *out)
{
	char *text = NULL, *line;
	bool titles, rows;

	if (table == NULL || table->failed)
		return -ENOMEM;
	/* the library has no titles for a table without rows */
	rows = table->line != NULL;
	if (!rows && scols_table_new_line(table->cells, NULL) == NULL)
		return -ENOMEM;
	if (style->width > 0 && table_fit_to(table, style->width) < 0)
		return -ENOMEM;
	(void)scols_table_enable_colors(table->cells, style->colour);
	titles = !scols_table_is_noheadings(table->cells);
	if (scols_print_table_to_string(table->cells, &text) < 0)
		return -ENOMEM;
	for (line = text; line != NULL && *line != '\0' && (rows || titles); titles = false) {
		size_t length = strcspn(line, "\n"), next = length + (line[length] == '\n');

		while (length > 0 && line[length - 1] == ' ')
			length--;
		if (titles)
			table_print_titles(style, title, line, length, out);
		else
			(void)fwrite(line, 1, length, out);
		(void)fputs(end, out);
		line += next;
	}
	free(text);
	return 0;
}
