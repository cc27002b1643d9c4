/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "echoctl/act.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "echoctl/json.h"
#include "echoctl/text.h"

static void
act_write(const char *text)
{
	if (text == NULL || *text == '\0')
		text = "(none)";
	echoctl_text_write(stdout, text, strlen(text));
}

/* Print the changes in LIST, each after PREFIX; returns how many. */
static size_t
act_print_changes(const json_t *list, const char *prefix)
{
	const json_t *row;
	size_t i;

	json_array_foreach(list, i, row)
	{
		(void)fputs(prefix, stdout);
		act_write(echoctl_json_text(row, "key"));
		(void)fputs(": ", stdout);
		act_write(echoctl_json_text(row, "from"));
		(void)fputs(" -> ", stdout);
		act_write(echoctl_json_text(row, "to"));
		(void)fputc('\n', stdout);
	}
	return json_array_size(list);
}

enum echoctl_exit
echoctl_act_reload(struct echoctl_session *session)
{
	enum echoctl_exit code;
	json_t *document = echoctl_session_ask(session, ECHOCTL_POST, "/reload", &code);
	size_t count;

	if (document == NULL)
		return code;
	count = act_print_changes(echoctl_json_get(document, "changed"), "");
	count += act_print_changes(
	    echoctl_json_get(document, "needs_restart"), "needs a restart: ");
	if (count == 0)
		(void)puts("nothing has changed");
	json_decref(document);
	return ECHOCTL_EXIT_OK;
}

/* POST to TARGET, which is freed, and print SAYING and OPERAND; the answer itself has no news. */
static enum echoctl_exit
act_simply(struct echoctl_session *session, char *target, const char *saying, const char *operand)
{
	enum echoctl_exit code;
	json_t *document;

	if (target == NULL)
		return echoctl_session_no_memory();
	document = echoctl_session_ask(session, ECHOCTL_POST, target, &code);
	free(target);
	if (document == NULL)
		return code;
	json_decref(document);
	(void)fputs(saying, stdout);
	if (operand != NULL)
		act_write(operand);
	(void)fputc('\n', stdout);
	return ECHOCTL_EXIT_OK;
}

enum echoctl_exit
echoctl_act_drain(struct echoctl_session *session)
{
	return act_simply(session, strdup("/drain"), "draining", NULL);
}

enum echoctl_exit
echoctl_act_undrain(struct echoctl_session *session)
{
	return act_simply(session, strdup("/undrain"), "taking clients again", NULL);
}

enum echoctl_exit
echoctl_act_close(struct echoctl_session *session)
{
	char *target;

	if (asprintf(&target, "/connections/%s/close", session->options->operand) < 0)
		target = NULL;
	return act_simply(session, target, "closed: connection ", session->options->operand);
}

enum echoctl_exit
echoctl_act_log_level(struct echoctl_session *session)
{
	const struct echoctl_parameter level = { "level", session->options->operand };

	return act_simply(session, echoctl_http_target("/log/level", &level, 1),
	    "log level until the next reload: ", level.value);
}

enum echoctl_exit
echoctl_act_log_reopen(struct echoctl_session *session)
{
	return act_simply(session, strdup("/log/reopen"), "log opened again", NULL);
}

/*
 * `echoctl stop`: with --wait, poll until the daemon is gone. When another process answers at the
 * same place, it has taken over, and the daemon that was asked is gone, too.
 */

#define LOOK_EVERY_MS 100

struct stop_wait {
	struct echoctl_session *session;
	json_int_t pid;      /* of the daemon that was asked; -1: not known */
	int64_t until_ns;    /* patience ends */
	bool drawn;          /* a progress line is on the terminal */
	json_int_t progress; /* connections in it */
};

/* Return the process ID of the daemon that answers now; -1 when there is none. */
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
	    (wait->drawn && connections == wait->progress))
		return;
	(void)fprintf(stderr, "\r%" JSON_INTEGER_FORMAT " connections left\033[K", connections);
	wait->drawn = true;
	wait->progress = connections;
}

/* Ask once; returns whether the daemon is gone. */
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
	if (wait->drawn)
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
