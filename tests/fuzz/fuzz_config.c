/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any bytes as a configuration: either messages and no configuration, or a configuration whose dump
 * reads back as the same. @include is refused by config_file_parse(), so no file is touched.
 */
#include <config.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attributes.h"
#include "config/config_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
on_change(void *context ATTR_UNUSED, const char *key, const char *from, const char *to)
{
	(void)fprintf(stderr, "%s: \"%s\" became \"%s\"\n", key, from, to);
	abort();
}

static void
check_dump(const struct config *config)
{
	struct error_list errors = ERROR_LIST_EMPTY;
	struct config *again;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	config_file_dump(config, out);
	(void)fclose(out);
	again = config_file_parse("dump", text, &errors);
	if (again == NULL) {
		(void)fprintf(stderr, "%s\n%s", error_list_first(&errors), text);
		abort();
	}
	config_diff(config, again, on_change, NULL);
	error_list_done(&errors);
	config_unref(again);
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct error_list errors = ERROR_LIST_EMPTY;
	char *text = strndup((const char *)data, size);
	struct config *config;

	if (text == NULL)
		return 0;
	config = config_file_parse("fuzz.conf", text, &errors);
	if ((config == NULL) == (error_list_count(&errors) == 0))
		abort();
	if (config != NULL)
		check_dump(config);
	error_list_done(&errors);
	config_unref(config);
	free(text);
	return 0;
}
