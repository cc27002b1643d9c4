/* SPDX-License-Identifier: BSD-2-Clause */
/* The effective configuration in the syntax of the file; keys that do not apply are left out. */
#include <config.h>

#include "config/config_file.h"

#include <stdio.h>
#include <string.h>

#include "config/directives.h"

/* Column of the comments. */
#define VALUE_WIDTH 40

/* Write TEXT in quotes; bytes that are not plain ASCII as escapes, so that a terminal is safe. */
static int
put_quoted(FILE *out, const char *text)
{
	int width = 2;

	(void)putc('"', out);
	for (const char *p = text; *p != '\0'; p++) {
		unsigned char c = (unsigned char)*p;

		if (c == '"' || c == '\\')
			width += fprintf(out, "\\%c", c);
		else if (c < 0x20 || c > 0x7e)
			width += fprintf(out, "\\x%02x", c);
		else
			width += fprintf(out, "%c", c);
	}
	(void)putc('"', out);
	return width;
}

static int
put_list(FILE *out, const struct config_list *list)
{
	int width = fprintf(out, "(");

	for (size_t i = 0; i < list->count; i++) {
		width += fprintf(out, i > 0 ? ", " : " ");
		width += put_quoted(out, list->items[i]);
	}
	return width + fprintf(out, " )");
}

static void
put_origin(FILE *out, const struct config_origin *origin)
{
	if (origin->file != NULL)
		(void)fprintf(out, "# %s:%u\n", origin->file, origin->line);
	else
		(void)fputs("# default\n", out);
}

static void
put_row(FILE *out, const char *indent, const struct directive *row, const void *base,
    const struct config_origin *origin)
{
	char text[DIRECTIVE_TEXT_MAX];
	int width;

	width = fprintf(out, "%s%s = ", indent, row->key);
	if (directive_is_list(row->type))
		width += put_list(out, (const void *)((const char *)base + row->offset));
	else if (directive_is_quoted(row->type))
		width += put_quoted(out, directive_format(row, base, text, sizeof(text)));
	else
		width += fprintf(out, "%s", directive_format(row, base, text, sizeof(text)));
	(void)fprintf(out, ";%*s", width < VALUE_WIDTH ? VALUE_WIDTH - width : 1, "");
	put_origin(out, origin);
}

static void
put_table(FILE *out, const char *indent, const struct directive_table *table, const void *base,
    const struct config_origin *origins)
{
	for (size_t i = 0; i < table->count; i++)
		put_row(out, indent, &table->rows[i], base, &origins[i]);
}

static void
put_listener(FILE *out, const struct listener_config *lis)
{
	const struct directive_table *table = directive_table(CONFIG_LISTENERS);

	(void)fputs("\t{\n", out);
	for (size_t i = 0; i < table->count; i++) {
		if (directive_suits_address(&table->rows[i], &lis->address))
			put_row(out, "\t\t", &table->rows[i], lis, &lis->origins[i]);
	}
	(void)fputs("\t}", out);
}

void
config_file_dump(const struct config *config, FILE *out)
{
	(void)fputs("listeners = (\n", out);
	for (size_t i = 0; i < config->listener_count; i++) {
		put_listener(out, &config->listeners[i]);
		(void)fputs(i + 1 < config->listener_count ? ",\n" : "\n", out);
	}
	(void)fputs(");\n", out);
	for (enum config_section s = CONFIG_TOP; s < CONFIG_SECTIONS; s++) {
		const struct directive_table *table = directive_table(s);
		const void *base = directive_base(config, s);

		if (s == CONFIG_LISTENERS)
			continue;
		if (*table->section == '\0') {
			put_table(out, "", table, base, config->origins[s]);
			continue;
		}
		(void)fprintf(out, "%s = {\n", table->section);
		put_table(out, "\t", table, base, config->origins[s]);
		(void)fputs("};\n", out);
	}
}
