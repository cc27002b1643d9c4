/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * echod: an echo service (RFC 862). Only the command line is decided here.
 */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/config_file.h"
#include "config/config_groups.h"
#include "daemon/options.h"
#include "daemon/server.h"
#include "daemon/standard_error.h"

/*
 * Make sure that descriptors 0 to 2 are open: what is opened later must not be taken for the
 * standard streams, which libraries and the log write to.
 */
static void
main_open_streams(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
		/* in a chroot without one: that can be neither read nor written, as if closed */
		if (fd < 0)
			fd = open("/", O_PATH);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

/* -t and -T: read, check, perhaps print; nothing is opened or bound. */
static enum server_exit
main_check(const struct options *options)
{
	struct error_list errors = ERROR_LIST_EMPTY;
	bool test = options->action == OPTIONS_TEST;
	struct config *cfg = options_read_config(options, true, &errors, NULL);

	/* a dump only shows what is written */
	if (cfg == NULL || (test && config_find_groups(cfg, NULL, &errors) < 0)) {
		standard_error_print(&errors);
		error_list_done(&errors);
		config_unref(cfg);
		return SERVER_EXIT_CONFIGURATION;
	}
	if (options->action == OPTIONS_DUMP)
		config_file_dump(cfg, stdout);
	else
		(void)printf("%s: the configuration is good\n", options_source(options));
	config_unref(cfg);
	return SERVER_EXIT_OK;
}

int
main(int argc, char **argv)
{
	/* never freed: a thread that a reload left behind may still look at them */
	static struct options options;
	enum server_exit code = SERVER_EXIT_OK;
	int r;

	main_open_streams();
	(void)umask(077);
	standard_error_limit(true);
	r = options_parse(argc, argv, &options);
	standard_error_limit(false);
	if (r < 0)
		return r == -ENOMEM ? SERVER_EXIT_OS : SERVER_EXIT_USAGE;
	switch (options.action) {
	case OPTIONS_SERVE:
		code = server_serve(&options);
		break;
	case OPTIONS_HELP:
		options_print_help();
		break;
	case OPTIONS_VERSION:
		options_print_version();
		break;
	case OPTIONS_TEST:
	case OPTIONS_DUMP:
		code = main_check(&options);
		break;
	}
	/* what could not be printed is a failure */
	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	(void)fprintf(stderr, "echod: cannot write to the standard output: %s\n", strerror(errno));
	return SERVER_EXIT_OS;
}
