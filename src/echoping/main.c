/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * echoping: round-trip times, load and verification of an echo service. Only the command line is
 * decided here.
 */
#include <config.h>

#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "echoping/options.h"
#include "echoping/run.h"

static void
echoping_complain(const struct error_list *errors)
{
	for (size_t i = 0; i < errors->count; i++)
		(void)fprintf(stderr, "echoping: %s\n", errors->lines[i]);
	if (errors->lost > 0)
		(void)fprintf(stderr, "echoping: %s\n", strerror(ENOMEM));
}

int
main(int argc, char **argv)
{
	struct error_list errors = ERROR_LIST_EMPTY;
	struct echoping_options options;
	enum echoping_exit code = ECHOPING_EXIT_OK;

	(void)setlocale(LC_CTYPE, "");
	if (echoping_options_parse(argc, argv, &errors, &options) < 0) {
		echoping_complain(&errors);
		(void)fprintf(stderr, "Try 'echoping --help'.\n");
		code = ECHOPING_EXIT_USAGE;
	} else if (options.action == ECHOPING_HELP) {
		echoping_options_print_help(stdout);
	} else if (options.action == ECHOPING_VERSION) {
		(void)printf("echoping %s\n", PACKAGE_VERSION);
	} else {
		code = echoping_run(&options, &errors);
		echoping_complain(&errors);
	}
	error_list_done(&errors);
	return code;
}
