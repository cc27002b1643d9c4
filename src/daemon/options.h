/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The command line of echod.
 */
#ifndef ECHOD_DAEMON_OPTIONS_H
#define ECHOD_DAEMON_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attributes.h"
#include "base/error_list.h"
#include "config/configuration.h"

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
	const char *config_path; /* borrowed from argv; NULL: no file */
	const char **listen;     /* owned; addresses to serve without a file, borrowed from argv */
	size_t listen_count;     /* 0: the file's, or the built-in defaults */
	bool verbose;            /* -v: log.level is debug whatever the file says */
};

/*
 * Parse the command line; what it says is for the life of the process. Returns 0; -EINVAL or
 * -ENOMEM after it said on stderr what is wrong.
 */
ATTR_MUSTCHECK int options_parse(int argc, char **argv, struct options *ret_options);

/* Return what the configuration is called: the file, the option, or the built-in defaults. */
const char *options_source(const struct options *options);

/* Read the configuration that OPTIONS name; as config_file_read(). */
struct config *options_read_config(const struct options *options, bool overlaps,
    struct error_list *errors, struct config **ret_rejected);

/* Print the help text. */
void options_print_help(void);

/* Print program, version and the libraries it runs with. */
void options_print_version(void);

#endif
