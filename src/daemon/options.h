/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The command line of echod.
 */
#ifndef ECHOD_DAEMON_OPTIONS_H
#define ECHOD_DAEMON_OPTIONS_H

#include <stdbool.h>

#include "base/attributes.h"

/* The values are the letters of the options. */
enum options_action {
	OPTIONS_SERVE = 0,
	OPTIONS_TEST = 't', /* check the configuration */
	OPTIONS_DUMP = 'T', /* print the effective configuration */
	OPTIONS_HELP = 'h',
	OPTIONS_VERSION = 'V',
};

struct options {
	enum options_action action;
	const char *config_path; /* borrowed from argv; NULL: built-in defaults */
	bool verbose;            /* -v: log.level is debug whatever the file says */
};

/* Parse the command line. Returns 0, or -EINVAL after it said on stderr what is wrong. */
ATTR_MUSTCHECK int options_parse(int argc, char **argv, struct options *ret_options);

/* Print the help text. */
void options_print_help(void);

/* Print program, version and the libraries it runs with. */
void options_print_version(void);

#endif
