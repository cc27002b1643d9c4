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
#include <string.h>
#include <sys/signalfd.h>

#include "client/option_value.h"
#include "echoping/options.h"
#include "echoping/run.h"

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
main_report(const struct echoping_run *run)
{
	int r = echoping_report(stdout, run);

	if (r < 0 || fflush(stdout) != 0 || ferror(stdout)) {
		error_list_add(run->errors, "standard output: %s", strerror(r < 0 ? -r : errno));
		return ECHOPING_EXIT_SYSTEM;
	}
	return echoping_results_exit(&run->results);
}

static enum echoping_exit
main_run(const struct echoping_options *options, struct error_list *errors)
{
	static struct echoping_run run;
	struct echoping_payload *payload = echoping_payload_new();
	int r = payload == NULL ? -errno : 0;

	run.options = options;
	run.payload = payload;
	run.errors = errors;
	run.target = options->target;
	if (r == 0)
		r = main_catch_signals(&run.signal_fd);
	if (r < 0)
		error_list_add(errors, "%s", strerror(-r));
	else
		r = echoping_target_resolve(&run.target, options->family, errors);
	if (r == 0)
		r = options->action == ECHOPING_LOAD ? echoping_load_run(&run)
						     : echoping_ping_run(&run);
	echoping_payload_free(payload);
	if (r < 0)
		return main_is_local(r) ? ECHOPING_EXIT_SYSTEM : ECHOPING_EXIT_UNREACHABLE;
	return main_report(&run);
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
