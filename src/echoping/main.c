/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * echoping: round-trip times, load and verification of an echo service. Here one run goes from
 * the command line to the results: look the target up, ping or load it, report.
 */
#include <config.h>

#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "client/option_value.h"
#include "echoping/load.h"
#include "echoping/options.h"
#include "echoping/payload.h"
#include "echoping/ping.h"
#include "echoping/report.h"
#include "echoping/target.h"

/* Make the signals that end a run readable; from here on they do nothing else. */
static int
main_catch_signals(int *ret_fd)
{
	sigset_t signals;
	int fd;

	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGINT);
	(void)sigaddset(&signals, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &signals, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

/* Whether ERROR is of this machine, not of the network or the server. */
static bool
main_is_local(int error)
{
	switch (-error) {
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case ENOBUFS:
	case EADDRNOTAVAIL:
	case EAGAIN:
		return true;
	default:
		return false;
	}
}

static enum echoping_exit
main_report(const struct echoping_options *options, const struct echoping_target *target,
    const struct echoping_results *results, struct error_list *errors)
{
	int r = 0;

	if (options->output == ECHOPING_JSON)
		r = echoping_report_json(stdout, options, target, results);
	else if (options->output == ECHOPING_CSV)
		r = echoping_report_csv(stdout, options, target, results);
	else
		echoping_report_human(stdout, options, target, results);
	if (r < 0 || fflush(stdout) != 0 || ferror(stdout)) {
		error_list_add(errors, "standard output: %s", strerror(r < 0 ? -r : errno));
		return ECHOPING_EXIT_SYSTEM;
	}
	return echoping_results_exit(results);
}

static enum echoping_exit
main_run(const struct echoping_options *options, struct error_list *errors)
{
	struct echoping_target target = options->target;
	struct echoping_results *results = calloc(1, sizeof(*results));
	struct echoping_payload *payload = echoping_payload_new();
	enum echoping_exit code = ECHOPING_EXIT_UNREACHABLE;
	int signal_fd = -1;
	int r = results == NULL || payload == NULL ? -errno : 0;

	if (r == 0)
		r = main_catch_signals(&signal_fd);
	if (r < 0)
		error_list_add(errors, "%s", strerror(-r));
	else
		r = echoping_target_resolve(&target, options->family, errors);
	if (r == 0 && options->action == ECHOPING_LOAD)
		r = echoping_load_run(options, &target, payload, signal_fd, errors, results);
	else if (r == 0)
		r = echoping_ping_run(options, &target, payload, signal_fd, errors, results);
	if (r == 0)
		code = main_report(options, &target, results, errors);
	else if (main_is_local(r))
		code = ECHOPING_EXIT_SYSTEM;
	if (signal_fd >= 0)
		(void)close(signal_fd);
	echoping_payload_free(payload);
	free(results);
	return code;
}

int
main(int argc, char **argv)
{
	struct error_list errors = ERROR_LIST_EMPTY;
	struct echoping_options options;
	enum echoping_exit code = ECHOPING_EXIT_OK;

	(void)setlocale(LC_CTYPE, "");
	if (echoping_options_parse(argc, argv, &errors, &options) < 0) {
		option_print_errors("echoping", &errors);
		(void)fprintf(stderr, "Try 'echoping --help'.\n");
		code = ECHOPING_EXIT_USAGE;
	} else if (options.action == ECHOPING_HELP) {
		echoping_options_print_help(stdout);
	} else if (options.action == ECHOPING_VERSION) {
		(void)printf("echoping %s\n", PACKAGE_VERSION);
	} else {
		code = main_run(&options, &errors);
		option_print_errors("echoping", &errors);
	}
	error_list_done(&errors);
	return code;
}
