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

	if (error_list_is_full(list)) {
		list->surplus++;
		return;
	}
	va_start(ap, format);
	if (vasprintf(&line, format, ap) < 0)
		line = NULL;
	va_end(ap);
	lines = reallocarray(list->lines, list->count + 1, sizeof(*lines));
	if (lines != NULL)
		list->lines = lines;
	if (line != NULL && lines != NULL) {
		lines[list->count++] = line;
		return;
	}
	free(line);
	if (list->kept[0] != '\0') {
		list->lost++;
		return;
	}
	va_start(ap, format);
	(void)vsnprintf(list->kept, sizeof(list->kept), format, ap);
	va_end(ap);
}

void
error_list_move(struct error_list *list, struct error_list *more)
{
	const char *line;

	for (size_t i = 0; (line = error_list_line(more, i)) != NULL; i++)
		error_list_add(list, "%s", line);
	list->lost += more->lost;
	error_list_done(more);
}

bool
error_list_is_full(const struct error_list *list)
{
	return list->most > 0 && list->count >= list->most;
}

size_t
error_list_count(const struct error_list *list)
{
	return list->count + (list->kept[0] != '\0') + list->lost + list->surplus;
}

const char *
error_list_line(const struct error_list *list, size_t i)
{
	if (i < list->count)
		return list->lines[i];
	return i == list->count && list->kept[0] != '\0' ? list->kept : NULL;
}

const char *
error_list_first(const struct error_list *list)
{
	const char *line = error_list_line(list, 0);

	return line != NULL ? line : "no error";
}

void
error_list_cut(struct error_list *list, size_t most, const char *what)
{
	size_t all = error_list_count(list);

	while (list->count > most) {
		free(list->lines[--list->count]);
		list->surplus++;
	}
	list->most = 0;
	if (list->surplus == 0)
		return;
	list->surplus = 0;
	error_list_add(list, "%zu %s in all, the first %zu are above", all, what, list->count);
}

void
error_list_print(const struct error_list *list, FILE *out)
{
	const char *line;

	/* after one that cannot be written the rest would only take time */
	for (size_t i = 0; (line = error_list_line(list, i)) != NULL && !ferror(out); i++)
		(void)fprintf(out, "%s\n", line);
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
