/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "echoctl/query.h"

#include <stdlib.h>
#include <string.h>

/* As they are in the value of a query: unreserved, and what has no meaning of its own there. */
static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
			    "-._~/:@!$'()*,;";

static void
query_write_value(FILE *out, const char *value)
{
	for (const char *p = value; *p != '\0'; p++) {
		if (strchr(plain, *p) != NULL)
			(void)fputc(*p, out);
		else
			(void)fprintf(out, "%%%02X", (unsigned)(unsigned char)*p);
	}
}

static void
query_write(FILE *out, char *separator, const char *key, const char *value)
{
	if (value == NULL)
		return;
	(void)fprintf(out, "%c%s=", *separator, key);
	query_write_value(out, value);
	*separator = '&';
}

/* Close OUT and return its TEXT, or free that when something is missing. */
static char *
query_finish(FILE *out, char **text)
{
	bool failed = ferror(out) != 0;

	if (fclose(out) != 0 || failed) {
		free(*text);
		return NULL;
	}
	return *text;
}

/* PATH with what FILTER has; TCP is "1" or NULL. */
static char *
query_filter(const char *path, const char *tcp, const struct echoctl_filter *filter)
{
	char *text = NULL, separator = '?';
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (out == NULL)
		return NULL;
	(void)fputs(path, out);
	query_write(out, &separator, "tcp", tcp);
	query_write(out, &separator, "listener", filter->listener);
	query_write(out, &separator, "peer", filter->peer);
	query_write(out, &separator, "state", filter->state);
	query_write(out, &separator, "sort", filter->sort);
	query_write(out, &separator, "order", filter->order);
	query_write(out, &separator, "limit", filter->limit);
	query_write(out, &separator, "offset", filter->offset);
	return query_finish(out, &text);
}

char *
echoctl_query_connections(const struct echoctl_filter *filter)
{
	/* what the kernel knows costs the daemon a system call each, so one has to ask for it */
	return query_filter("/connections", "1", filter);
}

char *
echoctl_query_sources(const struct echoctl_filter *filter)
{
	/* the command line has let nothing pass that does not belong to it */
	return query_filter("/sources", NULL, filter);
}

char *
echoctl_query_one(const char *path, const char *key, const char *value)
{
	char *text = NULL, separator = '?';
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (out == NULL)
		return NULL;
	(void)fputs(path, out);
	query_write(out, &separator, key, value);
	return query_finish(out, &text);
}
