/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "config/config_listen.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "config/config_file.h"

#define OPTION "--listen"
#define SHOWN_MAX 160

/* Stems end before this, which leaves room for a number that tells equal ones apart. */
#define STEM_MAX (CONFIG_LISTENER_NAME_MAX - 8)

#define WORD "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_"

struct listen_name {
	char stem[STEM_MAX]; /* of its address alone */
	char name[CONFIG_LISTENER_NAME_MAX + 1];
};

static void
listen_set_stem(struct listen_name *name, const char *text)
{
	struct address address;
	const char *reason, *place;

	/* that it is a mistake is told with the rest */
	if (address_parse(text, &address, &reason) < 0) {
		(void)snprintf(name->stem, sizeof(name->stem), "listener");
		return;
	}
	if (address_is_ip(&address)) {
		(void)snprintf(name->stem, sizeof(name->stem), "%s-%u",
		    address_transport_name(address.transport), address_port(&address));
		return;
	}
	place = strrchr(text, '/');
	if (place == NULL)
		place = strchr(text, '@');
	(void)snprintf(name->stem, sizeof(name->stem), "%s-%s",
	    address_transport_name(address.transport), place + 1);
	for (char *p = name->stem; *(p += strspn(p, WORD)) != '\0';)
		*p = '_';
}

/* Give the last of COUNT names one that no other has: a number at the end tells them apart. */
static void
listen_set_name(struct listen_name *names, size_t count)
{
	struct listen_name *name = &names[count - 1];
	size_t number = 1, taken = 0;

	for (size_t i = 0; i < count - 1; i++)
		number += strcmp(names[i].stem, name->stem) == 0;
	if (number > 1)
		(void)snprintf(name->name, sizeof(name->name), "%s-%zu", name->stem, number);
	else
		(void)snprintf(name->name, sizeof(name->name), "%s", name->stem);
	while (taken < count - 1) {
		if (strcmp(names[taken++].name, name->name) != 0)
			continue;
		(void)snprintf(name->name, sizeof(name->name), "%s-%zu", name->stem, ++number);
		taken = 0;
	}
}

/* Return a file, a line for each address, which the caller frees; NULL: out of memory. */
static char *
listen_write(const char *const *addresses, size_t count)
{
	struct listen_name *names = calloc(count, sizeof(*names));
	char *text = NULL;
	size_t size;
	FILE *out = names != NULL ? open_memstream(&text, &size) : NULL;

	for (size_t i = 0; i < count && out != NULL; i++) {
		listen_set_stem(&names[i], addresses[i]);
		listen_set_name(names, i + 1);
		(void)fprintf(out, "%s{ name = \"%s\"; address = \"",
		    i > 0 ? ",\n" : "listeners = ( ", names[i].name);
		/* as numbers, so that no byte means anything to the reader of files */
		for (const char *p = addresses[i]; *p != '\0'; p++)
			(void)fprintf(out, "\\x%02x", (unsigned char)*p);
		(void)fputs("\"; }", out);
	}
	if (out != NULL)
		(void)fputs(" );\n", out);
	free(names);
	if (out != NULL && fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}

/* No value in a file has a control character. */
static void
listen_check_bytes(const char *const *addresses, size_t count, struct error_list *errors)
{
	char shown[SHOWN_MAX];

	for (size_t i = 0; i < count; i++) {
		for (const char *p = addresses[i]; *p != '\0'; p++) {
			if ((unsigned char)*p >= 0x20 && *p != 0x7f)
				continue;
			error_list_add(errors, OPTION " %s: has a control character (remove it)",
			    text_escape_string(addresses[i], shown, sizeof(shown)));
			break;
		}
	}
}

/* Tell what is wrong by the address: LINE begins with the number of the option, or names it. */
static void
listen_report(
    const char *const *addresses, size_t count, const char *line, struct error_list *errors)
{
	static const char key[] = "].address: ";
	const char *place = strstr(line, OPTION ":"), *rest = line;
	char shown[SHOWN_MAX];
	unsigned number = 0;
	int length = 0;

	if (place == NULL || sscanf(place, OPTION ":%u%n", &number, &length) != 1 || number == 0 ||
	    number > count) {
		error_list_add(errors, "%s", line);
		return;
	}
	if (place == line && strncmp(line + length, ": ", 2) == 0)
		rest = line + length + 2;
	/* "listeners[0].address: " is a place in a file that there is not */
	if (strncmp(rest, "listeners[", strlen("listeners[")) == 0 && strstr(rest, key) != NULL)
		rest = strstr(rest, key) + strlen(key);
	error_list_add(errors, OPTION " %s: %s",
	    text_escape_string(addresses[number - 1], shown, sizeof(shown)), rest);
}

struct config *
config_listen(const char *const *addresses, size_t count, struct error_list *errors)
{
	struct error_list found = ERROR_LIST_EMPTY;
	struct config *config;
	const char *line;
	char *text;
	int error;

	listen_check_bytes(addresses, count, errors);
	errno = 0;
	if (error_list_count(errors) > 0)
		return NULL;
	text = listen_write(addresses, count);
	if (text == NULL) {
		error_list_add(errors, "out of memory");
		errno = ENOMEM;
		return NULL;
	}
	config = config_file_parse(OPTION, text, &found);
	error = errno;
	for (size_t i = 0; (line = error_list_line(&found, i)) != NULL; i++)
		listen_report(addresses, count, line, errors);
	errors->lost += found.lost;
	error_list_done(&found);
	free(text);
	errno = error;
	return config;
}
