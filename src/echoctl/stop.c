/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `echoctl stop`: with --wait, the daemon is looked at until it is gone. Another process that
 * answers at the same place has taken over: the one that was asked is gone then, too.
 */
#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "echoctl/act.h"
#include "echoctl/json.h"

#define LOOK_EVERY_MS 100

struct stop_wait {
	struct echoctl_session *session;
	json_int_t pid;      /* of the daemon that was asked; -1: not known */
	int64_t until_ns;    /* patience ends */
	bool told;           /* a progress line is on the terminal */
	json_int_t progress; /* connections in it */
};

/* The process that answers now, -1 when none says so. */
static json_int_t
stop_pid(struct stop_wait *wait, json_int_t *ret_connections)
{
	const struct echoctl_answer *answer;
	json_t *stats;
	json_int_t pid;

	if (echoctl_http_ask(wait->session->http, ECHOCTL_GET, "/stats") < 0)
		return -1;
	answer = echoctl_http_answer(wait->session->http);
	if (answer->status != 200)
		return -1;
	stats = echoctl_json_parse(answer->body, answer->length);
	pid = echoctl_json_integer(stats, "process.pid");
	*ret_connections = echoctl_json_integer(stats, "totals.connections");
	json_decref(stats);
	return pid;
}

static void
stop_tell_progress(struct stop_wait *wait, json_int_t connections)
{
	if (isatty(STDERR_FILENO) != 1 || connections < 0 ||
	    (wait->told && connections == wait->progress))
		return;
	(void)fprintf(stderr, "\r%" JSON_INTEGER_FORMAT " connections left\033[K", connections);
	wait->told = true;
	wait->progress = connections;
}

/* Look once; returns whether the daemon is gone. */
static bool
stop_is_gone(struct stop_wait *wait)
{
	json_int_t connections = -1, pid = stop_pid(wait, &connections);

	if (echoctl_http_answer(wait->session->http)->gone)
		return true;
	if (pid >= 0 && wait->pid >= 0 && pid != wait->pid)
		return true;
	stop_tell_progress(wait, connections);
	return false;
}

static enum echoctl_exit
stop_wait(struct stop_wait *wait)
{
	bool gone;

	while (!(gone = stop_is_gone(wait)) && clock_now_ns() < wait->until_ns)
		(void)!usleep(LOOK_EVERY_MS * 1000);
	if (wait->told)
		(void)fputs("\r\033[K", stderr);
	if (gone) {
		if (!wait->session->options->json)
			(void)puts("stopped");
		return ECHOCTL_EXIT_OK;
	}
	(void)fputs("echoctl: the daemon is still there, and still stopping\n", stderr);
	return ECHOCTL_EXIT_FAILED;
}

enum echoctl_exit
echoctl_act_stop(struct echoctl_session *session)
{
	const struct echoctl_options *options = session->options;
	int64_t timeout_ns = options->timeout_ns > 0 ? options->timeout_ns
						     : ECHOCTL_STOP_TIMEOUT_NS;
	struct stop_wait wait = {
		.session = session,
		.pid = -1,
		.until_ns = clock_now_ns() + timeout_ns,
	};
	json_int_t connections;
	enum echoctl_exit code;
	json_t *document;

	if (options->wait)
		wait.pid = stop_pid(&wait, &connections);
	document = echoctl_session_ask(session, ECHOCTL_POST, "/stop", &code);
	if (code != ECHOCTL_EXIT_OK)
		return code;
	json_decref(document);
	if (options->wait)
		return stop_wait(&wait);
	if (!options->json)
		(void)puts("stopping");
	return ECHOCTL_EXIT_OK;
}
