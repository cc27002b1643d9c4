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

#include "base/attributes.h"
#include "client/option_value.h"
#include "echoping/options.h"
#include "echoping/run.h"

/* Make one of SIGNALS readable; from here on they do nothing else. Returns it or -errno. */
static int
main_catch(const int *signals, size_t count)
{
	sigset_t set;
	int fd;

	(void)sigemptyset(&set);
	for (size_t i = 0; i < count; i++)
		(void)sigaddset(&set, signals[i]);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

static int
main_catch_signals(struct echoping_run *run)
{
	static const int end[] = { SIGINT, SIGTERM }, quit[] = { SIGQUIT };

	(void)signal(SIGPIPE, SIG_IGN);
	run->signal_fd = main_catch(end, ARRAY_SIZE(end));
	run->quit_fd = main_catch(quit, ARRAY_SIZE(quit));
	return run->signal_fd < 0 ? run->signal_fd : run->quit_fd < 0 ? run->quit_fd : 0;
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
	return run->code;
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
		r = main_catch_signals(&run);
	if (r < 0)
		error_list_add(errors, "%s", strerror(-r));
	else
		r = echoping_target_resolve(
		    &run.target, options->family, options->timeout_ns, run.signal_fd, errors);
	if (r == 0)
		r = options->action == ECHOPING_LOAD ? echoping_load_run(&run)
						     : echoping_ping_run(&run);
	echoping_payload_free(payload);
	echoping_results_finish(&run.results);
	if (r == 0)
		run.code = echoping_run_exit(&run);
	else
		run.code = main_is_local(r) ? ECHOPING_EXIT_SYSTEM : ECHOPING_EXIT_UNREACHABLE;
	/* people are told by the errors alone */
	return r < 0 && options->output == ECHOPING_HUMAN ? run.code : main_report(&run);
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
