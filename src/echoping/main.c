/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * echoping: round-trip times, load and verification of an echo service. Here one run goes from
 * the command line to the results: look the target up, ping or load it, report.
 */
#include <config.h>

#include <errno.h>
#include <locale.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
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
main_catch_signals(int *ret_end_fd, int *ret_quit_fd)
{
	static const int end[] = { SIGINT, SIGTERM }, quit[] = { SIGQUIT };

	(void)signal(SIGPIPE, SIG_IGN);
	*ret_end_fd = main_catch(end, ARRAY_SIZE(end));
	*ret_quit_fd = main_catch(quit, ARRAY_SIZE(quit));
	return *ret_end_fd < 0 ? *ret_end_fd : *ret_quit_fd < 0 ? *ret_quit_fd : 0;
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

/* One run, of the one target or in a thread of its own. */
static void *
main_run(void *argument)
{
	struct echoping_run *run = argument;
	const struct echoping_options *options = run->options;
	int r = echoping_target_resolve(
	    &run->target, options->family, options->timeout_ns, run->signal_fd, &run->errors);

	if (r == 0)
		r = options->action == ECHOPING_LOAD ? echoping_load_run(run)
						     : echoping_ping_run(run);
	echoping_results_finish(&run->results, options->connections);
	if (r == 0)
		run->code = echoping_run_exit(run);
	else
		run->code = main_is_local(r) ? ECHOPING_EXIT_SYSTEM : ECHOPING_EXIT_UNREACHABLE;
	return NULL;
}

/* Run all, each of several in a thread; returns 0 or -errno where one could not be started. */
static int
main_run_all(struct echoping_run *runs, size_t count)
{
	pthread_t threads[ECHOPING_TARGETS_MAX];
	size_t started = 0;
	int r = 0;

	if (count == 1) {
		(void)main_run(runs);
		return 0;
	}
	while (started < count && r == 0) {
		r = pthread_create(&threads[started], NULL, main_run, &runs[started]);
		started += r == 0;
	}
	for (size_t i = 0; i < started; i++)
		(void)pthread_join(threads[i], NULL);
	return -r;
}

/* Report what came of them; the worst is the exit code. */
static enum echoping_exit
main_report(struct echoping_run *runs, size_t count)
{
	static const enum echoping_exit worst_first[] = { ECHOPING_EXIT_MISMATCH,
		ECHOPING_EXIT_SYSTEM, ECHOPING_EXIT_UNREACHABLE, ECHOPING_EXIT_LOSS };
	int r = echoping_report(stdout, runs, count);

	for (size_t i = 0; i < count; i++)
		option_print_errors("echoping", &runs[i].errors);
	if (r < 0 || fflush(stdout) != 0 || ferror(stdout)) {
		(void)fprintf(
		    stderr, "echoping: standard output: %s\n", strerror(r < 0 ? -r : errno));
		return ECHOPING_EXIT_SYSTEM;
	}
	for (size_t i = 0; i < ARRAY_SIZE(worst_first); i++)
		for (size_t k = 0; k < count; k++)
			if (runs[k].code == worst_first[i])
				return worst_first[i];
	return ECHOPING_EXIT_OK;
}

static enum echoping_exit
main_act(const struct echoping_options *options)
{
	const size_t count = options->target_count;
	struct echoping_run *runs = calloc(count, sizeof(*runs));
	struct echoping_payload *payload = echoping_payload_new();
	enum echoping_exit code = ECHOPING_EXIT_SYSTEM;
	int r = runs == NULL || payload == NULL ? -errno : 0, end_fd = -1, quit_fd = -1;

	if (r == 0)
		r = main_catch_signals(&end_fd, &quit_fd);
	for (size_t i = 0; i < count && r == 0; i++)
		runs[i] = (struct echoping_run){ .options = options,
			.payload = payload,
			.errors = ERROR_LIST_EMPTY,
			.target = options->targets[i],
			.signal_fd = end_fd,
			.quit_fd = quit_fd };
	if (r == 0)
		r = main_run_all(runs, count);
	if (r == 0)
		code = main_report(runs, count);
	else
		(void)fprintf(stderr, "echoping: %s\n", strerror(-r));
	for (size_t i = 0; runs != NULL && i < count; i++)
		error_list_done(&runs[i].errors);
	free(runs);
	echoping_payload_free(payload);
	return code;
}

int
main(int argc, char **argv)
{
	struct error_list errors = ERROR_LIST_EMPTY;
	static struct echoping_options options;
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
		code = main_act(&options);
	}
	error_list_done(&errors);
	return code;
}
