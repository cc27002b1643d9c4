/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "base/error_list.h"

#include <stdarg.h>
#include <stdlib.h>

void
error_list_add(struct error_list *list, const char *format, ...)
{
	va_list ap;
	char *line = NULL;
	char **lines;

	va_start(ap, format);
	if (vasprintf(&line, format, ap) < 0)
		line = NULL;
	va_end(ap);
	lines = reallocarray(list->lines, list->count + 1, sizeof(*lines));
	if (lines != NULL)
		list->lines = lines;
	if (line == NULL || lines == NULL) {
		free(line);
		list->lost++;
		return;
	}
	lines[list->count++] = line;
}

size_t
error_list_count(const struct error_list *list)
{
	return list->count + list->lost;
}

const char *
error_list_first(const struct error_list *list)
{
	if (list->count > 0)
		return list->lines[0];
	return list->lost > 0 ? "out of memory" : "no error";
}

void
error_list_print(const struct error_list *list, FILE *out)
{
	/* after one that cannot be written the rest would only take time */
	for (size_t i = 0; i < list->count && !ferror(out); i++)
		(void)fprintf(out, "%s\n", list->lines[i]);
	if (list->lost > 0)
		(void)fprintf(out, "%zu more errors did not fit in memory\n", list->lost);
}

void
error_list_done(struct error_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->lines[i]);
	free(list->lines);
	*list = (struct error_list)ERROR_LIST_EMPTY;
}
