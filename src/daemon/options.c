/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "daemon/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include <event2/event.h>
#include <jansson.h>

#include "config/config_file.h"
#include "config/config_listen.h"
#include "daemon/service_manager.h"
#include "daemon/standard_error.h"

/* Has no letter. */
#define OPTION_LISTEN 256

static int
options_parse_one(struct options *options, int c)
{
	switch (c) {
	case 'c':
		options->config_path = optarg;
		return 0;
	case OPTION_LISTEN:
		options->listen[options->listen_count++] = optarg;
		return 0;
	case 'v':
		options->verbose = true;
		return 0;
	case OPTIONS_TEST:
	case OPTIONS_DUMP:
	case OPTIONS_HELP:
	case OPTIONS_VERSION:
		options->action = (enum options_action)c;
		return 0;
	default:
		return -EINVAL;
	}
}

/* A file has listeners of its own, and a reload would bring them back: the two do not mix. */
static int
options_check_listen(const struct options *options)
{
	struct error_list errors = ERROR_LIST_EMPTY;
	struct config *cfg;
	int r;

	if (options->listen_count == 0)
		return 0;
	if (options->config_path != NULL) {
		(void)fprintf(stderr,
		    "echod: --listen is for a start without a file (remove -c, or write the "
		    "listener in the file)\n");
		return -EINVAL;
	}
	cfg = options_read_config(options, true, &errors, NULL);
	r = cfg != NULL ? 0 : errno == ENOMEM ? -ENOMEM : -EINVAL;
	standard_error_print(&errors);
	error_list_done(&errors);
	config_unref(cfg);
	return r;
}

int
options_parse(int argc, char **argv, struct options *ret_options)
{
	static const struct option long_options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "listen", required_argument, NULL, OPTION_LISTEN },
		{ "test", no_argument, NULL, OPTIONS_TEST },
		{ "dump", no_argument, NULL, OPTIONS_DUMP },
		{ "verbose", no_argument, NULL, 'v' },
		{ "version", no_argument, NULL, OPTIONS_VERSION },
		{ "help", no_argument, NULL, OPTIONS_HELP },
		{ NULL, 0, NULL, 0 },
	};
	struct options options = { .action = OPTIONS_SERVE };
	int c, r = 0;

	options.listen = calloc((size_t)argc + 1, sizeof(*options.listen));
	if (options.listen == NULL) {
		(void)fputs("echod: out of memory\n", stderr);
		return -ENOMEM;
	}
	while (r == 0 && (c = getopt_long(argc, argv, "c:tTvVh", long_options, NULL)) != -1)
		r = options_parse_one(&options, c);
	if (r == 0 && optind < argc) {
		(void)fprintf(stderr,
		    "echod: unexpected argument '%s' (a configuration file is given with -c)\n",
		    argv[optind]);
		r = -EINVAL;
	}
	if (r < 0)
		(void)fprintf(stderr, "Try 'echod --help'.\n");
	else
		r = options_check_listen(&options);
	if (r < 0)
		free(options.listen);
	else
		*ret_options = options;
	return r;
}

const char *
options_source(const struct options *options)
{
	if (options->listen_count > 0)
		return "--listen";
	return options->config_path != NULL ? options->config_path : "built-in defaults";
}

struct config *
options_read_config(const struct options *options, bool overlaps, struct error_list *errors,
    struct config **ret_rejected)
{
	if (options->listen_count == 0)
		return config_file_read(options->config_path, overlaps, errors, ret_rejected);
	if (ret_rejected != NULL)
		*ret_rejected = NULL;
	return config_listen(options->listen, options->listen_count, errors);
}

void
options_print_help(void)
{
	(void)printf(
	    "Usage: echod [-c FILE | --listen ADDRESS ...] [-t] [-T] [-v] [-V] [-h]\n"
	    "Echo every byte back to its sender (RFC 862), in the foreground.\n"
	    "\n"
	    "  -c, --config FILE  read this file; without it: TCP port 7007 on loopback\n"
	    "      --listen ADDRESS\n"
	    "                     serve this, without a file; may be given more than once:\n"
	    "                     tcp://HOST:PORT, udp://HOST:PORT, unix:/PATH\n"
	    "  -t, --test         check the configuration and exit\n"
	    "  -T, --dump         print the effective configuration and exit\n"
	    "  -v, --verbose      log at level debug\n"
	    "  -V, --version      print the version and exit\n"
	    "  -h, --help         print this text and exit\n"
	    "\n"
	    "Signals: TERM and INT drain and exit (a second one: at once), QUIT exits at\n"
	    "once, HUP reloads, USR1 opens the log again. See echod(8), echod.conf(5).\n");
}

void
options_print_version(void)
{
	(void)printf("echod %s (libevent %s, jansson %s, systemd %s)\n", PACKAGE_VERSION,
	    event_get_version(), JANSSON_VERSION, SERVICE_MANAGER_SUPPORTED ? "yes" : "no");
}
