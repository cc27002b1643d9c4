/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * echoctl: see and steer a running echod through its control port. Only the command line is
 * decided here.
 */
#include <config.h>

#include <errno.h>
#include <jansson.h>
#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "client/option_value.h"
#include "echoctl/act.h"
#include "echoctl/show.h"
#include "echoctl/top.h"

static enum echoctl_exit (*const verbs[ECHOCTL_VERBS])(struct echoctl_session *) = {
	[ECHOCTL_STATUS] = echoctl_show_status,
	[ECHOCTL_STATS] = echoctl_show_stats,
	[ECHOCTL_CONNECTIONS] = echoctl_show_connections,
	[ECHOCTL_CONNECTION] = echoctl_show_connection,
	[ECHOCTL_SOURCES] = echoctl_show_sources,
	[ECHOCTL_TOP] = echoctl_top,
	[ECHOCTL_METRICS] = echoctl_show_metrics,
	[ECHOCTL_CONFIG] = echoctl_show_config,
	[ECHOCTL_HEALTH] = echoctl_show_health,
	[ECHOCTL_RELOAD] = echoctl_act_reload,
	[ECHOCTL_DRAIN] = echoctl_act_drain,
	[ECHOCTL_UNDRAIN] = echoctl_act_undrain,
	[ECHOCTL_STOP] = echoctl_act_stop,
	[ECHOCTL_CLOSE] = echoctl_act_close,
	[ECHOCTL_LOG_LEVEL] = echoctl_act_log_level,
	[ECHOCTL_LOG_REOPEN] = echoctl_act_log_reopen,
};

static enum echoctl_exit
echoctl_refuse(struct error_list *errors)
{
	option_print_errors("echoctl", errors);
	(void)fputs("Try 'echoctl --help'.\n", stderr);
	error_list_done(errors);
	return ECHOCTL_EXIT_USAGE;
}

static enum echoctl_exit
echoctl_run(const struct echoctl_options *options)
{
	struct echoctl_session session;
	enum echoctl_exit code = echoctl_session_open(options, &session);

	if (code == ECHOCTL_EXIT_OK)
		code = verbs[options->verb](&session);
	echoctl_session_close(&session);
	return code;
}

int
main(int argc, char **argv)
{
	struct error_list errors = ERROR_LIST_EMPTY;
	enum echoctl_exit code = ECHOCTL_EXIT_OK;
	struct echoctl_options options;

	(void)setlocale(LC_CTYPE, "");
	/* the daemon's texts are UTF-8 in every locale, and so is their width measured */
	if (strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
		(void)setlocale(LC_CTYPE, "C.UTF-8");
	if (echoctl_options_parse(argc, argv, &errors, &options) < 0)
		return echoctl_refuse(&errors);
	if (options.action == ECHOCTL_HELP)
		echoctl_options_print_help(stdout);
	else if (options.action == ECHOCTL_VERSION)
		(void)printf("echoctl %s (libcurl %s, jansson %s)\n", PACKAGE_VERSION,
		    echoctl_http_version(), JANSSON_VERSION);
	else
		code = echoctl_run(&options);
	if (fflush(stdout) != 0 || ferror(stdout) != 0) {
		(void)fprintf(stderr, "echoctl: standard output: %s\n", strerror(errno));
		return ECHOCTL_EXIT_FAILED;
	}
	return code;
}
