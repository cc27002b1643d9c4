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
#include <stdlib.h>
#include <string.h>

#define GAP "  " /* between columns */
#define PROSE_LEAST 24

/* How wide a column is to be. */
struct fit {
	size_t title;
	size_t natural;
	size_t width; /* 0: it is left out */
	bool filled;  /* a row has a value */
};

struct echoctl_table {
	const struct echoctl_column *columns;
	size_t count;
	struct libscols_table *cells; /* owned */
	struct libscols_line *line;   /* the last one; NULL: there is none */
	size_t used;                  /* cells of it */
	bool failed;                  /* something is missing */
	bool continued;               /* columns are chosen, and titles printed */
	struct fit fits[];            /* one for each column */
};

/* Add a column with that title. */
static bool
table_add_column(struct echoctl_table *table, size_t number, const char *title)
{
	const struct echoctl_column *column = &table->columns[number];
	int flags = column->right ? SCOLS_FL_RIGHT : column->prose ? SCOLS_FL_WRAP : 0;
	struct libscols_column *cl = scols_table_new_column(table->cells, title, 0, flags);

	if (cl != NULL && column->prose)
		(void)scols_column_set_wrapfunc(
		    cl, scols_wrapnl_chunksize, scols_wrapnl_nextchunk, NULL);
	return cl != NULL;
}

static bool
table_add_titled_column(struct echoctl_table *table, size_t number)
{
	const struct echoctl_column *column = &table->columns[number];
	const char *text = column->title != NULL ? column->title : "";
	char title[64];

	/* blanks beside the title keep the column at least so wide */
	(void)snprintf(
	    title, sizeof(title), column->right ? "%*s" : "%-*s", (int)column->least, text);
	table->fits[number].title = table->fits[number].natural = echoctl_text_columns(title);
	return table_add_column(table, number, title);
}

/* Add a column that is as wide as it was chosen to be. */
static bool
table_add_fitted_column(struct echoctl_table *table, size_t number)
{
	size_t width = table->fits[number].width;
	char *title = calloc(1, width + 1);
	bool added = false;

	if (title != NULL)
		added = table_add_column(table, number, memset(title, 'x', width));
	free(title);
	return added;
}

/* Begin with columns that ADD_COLUMN adds, and without rows. */
static void
table_begin(struct echoctl_table *table, bool (*add_column)(struct echoctl_table *, size_t))
{
	scols_unref_table(table->cells);
	table->line = NULL;
	table->used = 0;
	table->cells = scols_new_table();
	table->failed = table->cells == NULL;
	for (size_t i = 0; i < table->count && !table->failed; i++)
		table->failed = !add_column(table, i);
	if (table->failed)
		return;
	(void)scols_table_set_termforce(table->cells, SCOLS_TERMFORCE_NEVER);
	/* cells are escaped before they are added */
	(void)scols_table_enable_noencoding(table->cells, 1);
	(void)scols_table_enable_noheadings(table->cells, table->columns[0].title == NULL);
	table->failed = scols_table_set_column_separator(table->cells, GAP) < 0;
}

struct echoctl_table *
echoctl_table_new(const struct echoctl_column *columns, size_t count)
{
	struct echoctl_table *table = calloc(1, sizeof(*table) + count * sizeof(table->fits[0]));

	if (table == NULL)
		return NULL;
	table->columns = columns;
	table->count = count;
	table_begin(table, table_add_titled_column);
	return table;
}

void
echoctl_table_continue(struct echoctl_table *table)
{
	table->continued = true;
	/* the library takes the width of a title into account only once */
	table_begin(table, table_add_fitted_column);
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
	struct fit *fit;
	char *escaped;
	size_t width;

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
	fit = &table->fits[table->used];
	fit->filled = fit->filled || (text != NULL && *text != '\0');
	width = echoctl_text_columns(escaped);
	if (width > fit->natural)
		fit->natural = width;
	table->failed = scols_cell_set_color(scols_line_get_cell(table->line, table->used++),
			    echoctl_style_code(tone)) < 0;
}

void
echoctl_table_add(struct echoctl_table *table, const char *text)
{
	echoctl_table_add_tone(table, text, ECHOCTL_PLAIN);
}

static bool
table_is_needless(const struct echoctl_column *column, const struct fit *fit)
{
	return column->optional && !fit->filled;
}

/* The least that a column can do with. */
static size_t
table_least(const struct echoctl_column *column, const struct fit *fit)
{
	size_t least = column->prose ? PROSE_LEAST : column->shorten;

	if (table_is_needless(column, fit))
		return 0;
	if (least == 0)
		return fit->natural;
	if (least < fit->title)
		least = fit->title;
	return least < fit->natural ? least : fit->natural;
}

static size_t
table_width(const struct echoctl_table *table)
{
	size_t width = 0;

	for (size_t i = 0; i < table->count; i++)
		if (table->fits[i].width > 0)
			width += table->fits[i].width + (width > 0 ? strlen(GAP) : 0);
	return width;
}

/*
 * Leave out the column with the greatest drop, the last one of equals. Returns false when only one
 * is left.
 */
static bool
table_drop(struct echoctl_table *table)
{
	struct fit *fits = table->fits;
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

/* Show all as wide as it is. */
static void
table_spread(struct echoctl_table *table)
{
	for (size_t i = 0; i < table->count; i++)
		table->fits[i].width = table_is_needless(&table->columns[i], &table->fits[i])
					   ? 0
					   : table->fits[i].natural;
}

/* Choose what is shown within WIDTH columns. */
static void
table_fit(struct echoctl_table *table, size_t width)
{
	struct fit *fits = table->fits;
	size_t left, before;

	for (size_t i = 0; i < table->count; i++)
		fits[i].width = table_least(&table->columns[i], &fits[i]);
	while (table_width(table) > width && table_drop(table))
		;
	/* the only one that is left may still be too wide */
	for (size_t i = 0; i < table->count; i++)
		if (fits[i].width > width)
			fits[i].width = width;
	/* spread the rest over the shortened columns, one terminal column at a time */
	left = width - table_width(table);
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

/* Leave out, and where SHORTEN is set shorten, as was chosen. Returns 0 or -ENOMEM. */
static int
table_apply(struct echoctl_table *table, bool shorten)
{
	struct libscols_iter *iter = scols_new_iter(SCOLS_ITER_FORWARD);
	struct libscols_line *line;
	int r = iter != NULL ? 0 : -ENOMEM;

	for (size_t i = 0; i < table->count && r == 0; i++) {
		struct libscols_column *cl = scols_table_get_column(table->cells, i);

		if (table->fits[i].width == 0)
			(void)scols_column_set_flags(
			    cl, scols_column_get_flags(cl) | SCOLS_FL_HIDDEN);
		r = table_fit_cell(
		    &table->columns[i], scols_column_get_header(cl), table->fits[i].width);
	}
	while (shorten && r == 0 && scols_table_next_line(table->cells, iter, &line) == 0)
		for (size_t i = 0; i < table->count && r == 0; i++)
			r = table_fit_cell(
			    &table->columns[i], scols_line_get_cell(line, i), table->fits[i].width);
	scols_free_iter(iter);
	return r;
}

int
echoctl_table_print(struct echoctl_table *table, const struct echoctl_style *style,
    enum echoctl_tone title, const char *end, FILE *out)
{
	char *text = NULL, *rest;
	bool titles, rows;

	if (table == NULL || table->failed)
		return -ENOMEM;
	/* the library has no titles for a table without rows */
	rows = table->line != NULL;
	if (!rows && table->continued)
		return 0;
	if (!rows && scols_table_new_line(table->cells, NULL) == NULL)
		return -ENOMEM;
	if (!table->continued && style->width > 0)
		table_fit(table, style->width);
	else if (!table->continued)
		table_spread(table);
	if (table_apply(table, style->width > 0) < 0)
		return -ENOMEM;
	(void)scols_table_enable_colors(table->cells, style->colour);
	titles = !scols_table_is_noheadings(table->cells);
	if (scols_print_table_to_string(table->cells, &text) < 0)
		return -ENOMEM;
	for (rest = text; rest != NULL && *rest != '\0' && (rows || titles); titles = false) {
		char *line = strsep(&rest, "\n");
		size_t length = strlen(line), blanks = 0;

		if (titles && table->continued)
			continue;
		while (length > 0 && line[length - 1] == ' ')
			line[--length] = '\0';
		if (titles && title == ECHOCTL_BAR && echoctl_text_columns(line) < style->width)
			blanks = style->width - echoctl_text_columns(line);
		echoctl_style_printf(
		    style, titles ? title : ECHOCTL_PLAIN, out, "%s%*s", line, (int)blanks, "");
		(void)fputs(end, out);
	}
	free(text);
	return 0;
}
