/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * echod: an echo service (RFC 862). Only the command line is decided here.
 */
#include <config.h>

#include <stdio.h>
#include <sys/stat.h>

#include "config/config_file.h"
#include "daemon/options.h"
#include "daemon/process.h"
#include "daemon/server.h"

/* -t and -T: read, check, perhaps print; nothing is opened or bound. */
static enum server_exit
main_check(const struct options *options)
{
	struct error_list errors = ERROR_LIST_EMPTY;
	struct config *cfg = server_read_config(options, &errors);

	if (cfg == NULL) {
		error_list_print(&errors, stderr);
		error_list_done(&errors);
		return SERVER_EXIT_CONFIGURATION;
	}
	if (options->action == OPTIONS_DUMP)
		config_file_dump(cfg, stdout);
	else
		(void)printf("%s: the configuration is good\n",
		    options->config_path != NULL ? options->config_path : "built-in defaults");
	config_unref(cfg);
	return SERVER_EXIT_OK;
}

static enum server_exit
main_serve(const struct options *options)
{
	enum server_exit code;
	struct server *server;

	/* from the first moment: a signal while starting waits for the loop that serves it */
	process_block_signals();
	server = server_new(options, &code);
	if (server == NULL)
		return code;
	code = server_run(server);
	server_free(server);
	return code;
}

/* The exit code after something was printed: it counts only if it arrived. */
static enum server_exit
main_printed(enum server_exit code)
{
	return process_flush_output() < 0 ? SERVER_EXIT_OS : code;
}

int
main(int argc, char **argv)
{
	struct options options;

	process_open_streams();
	(void)umask(077);
	if (options_parse(argc, argv, &options) < 0)
		return SERVER_EXIT_USAGE;
	switch (options.action) {
	case OPTIONS_HELP:
		options_print_help(stdout);
		return main_printed(SERVER_EXIT_OK);
	case OPTIONS_VERSION:
		options_print_version(stdout);
		return main_printed(SERVER_EXIT_OK);
	case OPTIONS_TEST:
	case OPTIONS_DUMP:
		return main_printed(main_check(&options));
	case OPTIONS_SERVE:
		break;
	}
	return main_serve(&options);
}
