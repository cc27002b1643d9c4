/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "daemon/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>

#include <event2/event.h>
#include <jansson.h>

#include "daemon/service_manager.h"

int
options_parse(int argc, char **argv, struct options *ret_options)
{
	static const struct option long_options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "test", no_argument, NULL, OPTIONS_TEST },
		{ "dump", no_argument, NULL, OPTIONS_DUMP },
		{ "verbose", no_argument, NULL, 'v' },
		{ "version", no_argument, NULL, OPTIONS_VERSION },
		{ "help", no_argument, NULL, OPTIONS_HELP },
		{ NULL, 0, NULL, 0 },
	};
	struct options options = { .action = OPTIONS_SERVE };
	int c;

	while ((c = getopt_long(argc, argv, "c:tTvVh", long_options, NULL)) != -1) {
		switch (c) {
		case 'c':
			options.config_path = optarg;
			break;
		case 'v':
			options.verbose = true;
			break;
		case OPTIONS_TEST:
		case OPTIONS_DUMP:
		case OPTIONS_HELP:
		case OPTIONS_VERSION:
			options.action = (enum options_action)c;
			break;
		default:
			(void)fprintf(stderr, "Try 'echod --help'.\n");
			return -EINVAL;
		}
	}
	if (optind < argc) {
		(void)fprintf(stderr,
		    "echod: unexpected argument '%s' (a configuration file is given with -c)\n"
		    "Try 'echod --help'.\n",
		    argv[optind]);
		return -EINVAL;
	}
	*ret_options = options;
	return 0;
}

void
options_print_help(void)
{
	(void)printf("Usage: echod [-c FILE] [-t] [-T] [-v] [-V] [-h]\n"
		     "Echo every byte back to its sender (RFC 862), in the foreground.\n"
		     "\n"
		     "  -c, --config FILE  read this file; without it: TCP port 7007 on loopback\n"
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
