/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "echoctl/act.h"

#include <stdlib.h>
#include <string.h>

#include "echoctl/json.h"
#include "echoctl/query.h"
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

/* POST to TARGET, which is freed; the answer holds nothing that SAYING does not say. */
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
	const char *level = session->options->operand;

	return act_simply(session, echoctl_query_one("/log/level", "level", level),
	    "log level until the next reload: ", level);
}

enum echoctl_exit
echoctl_act_log_reopen(struct echoctl_session *session)
{
	return act_simply(session, strdup("/log/reopen"), "log opened again", NULL);
}
