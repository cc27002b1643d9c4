/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "echoctl/events.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "echoctl/json.h"
#include "echoctl/table.h"
#include "echoctl/text.h"

#define FOLLOW_EVERY_MS 1000
#define FOLLOW_BEGIN "10" /* events of before, unless --limit says how many */
#define FOLLOW_MAX 1000   /* as many as the daemon returns at once */
#define BUSY 503
/* On so many columns peers have room for IPv6, so that they need not be shortened later. */
#define ROOMY 140
#define ROOMY_PEER 47

/*
 * Wide enough for usual values: rows that come later stand below the first ones. On 80 columns the
 * last three are left out.
 */
static const struct echoctl_view view = {
	.list = "events",
	.columns = {
		{ .key = "when", .title = "TIME", .least = 15, .shorten = 15 },
		{ .key = "kind", .title = "EVENT", .least = 7, .shorten = 7, .drop = 2, .warn = "refused" },
		{ .key = "listener", .title = "LISTENER", .least = 8, .shorten = 8, .drop = 3 },
		{ .key = "peer", .title = "PEER", .least = 21, .shorten = 21 },
		{ .key = "reason", .title = "REASON", .least = 12, .shorten = 12, .drop = 1 },
		{ .key = "duration_seconds", .title = "LASTED", .right = true, .least = 6, .drop = 4 },
		{ .key = "bytes_in", .title = "IN", .right = true, .least = 8, .drop = 5 },
		{ .key = "bytes_out", .title = "OUT", .right = true, .least = 8, .drop = 6 },
		{ .key = "connection", .title = "CONNECTION", .right = true, .drop = 7 },
	},
};

/* Add what is shown of EVENT beside its own figures. */
static void
events_prepare(json_t *event, bool human)
{
	const char *moment = echoctl_json_text(event, "time");
	const char *kind = echoctl_json_text(event, "kind");
	size_t length = moment != NULL ? strlen(moment) : 0;

	/* people know the year, and need no milliseconds */
	if (human && length >= strlen("2025-01-31T23:59:59Z") && moment[10] == 'T' &&
	    moment[length - 1] == 'Z')
		(void)json_object_set_new(
		    event, "when", json_sprintf("%.5s %.8sZ", moment + 5, moment + 11));
	else
		(void)json_object_set(event, "when", echoctl_json_get(event, "time"));
	if (kind != NULL && strcmp(kind, "refused") == 0)
		(void)json_object_set_new(event, "refused", json_integer(1));
}

/* Add the events of DOCUMENT, which come newest first, to TABLE. */
static void
events_add(struct echoctl_table *table, const json_t *document, bool human)
{
	const json_t *events = echoctl_json_get(document, view.list);

	for (size_t i = json_array_size(events); i-- > 0;) {
		json_t *event = json_array_get(events, i);

		events_prepare(event, human);
		echoctl_json_add_row(table, &view, event, human);
	}
}

static enum echoctl_exit
events_show(struct echoctl_session *session)
{
	enum echoctl_exit code;
	json_t *document = echoctl_session_ask(session, ECHOCTL_GET, "/events", &code);
	struct echoctl_table *table;
	int r;

	if (document == NULL)
		return code;
	table = echoctl_json_table(&view);
	events_add(table, document, session->style.human);
	r = echoctl_table_print(table, &session->style, ECHOCTL_TITLE, "\n", stdout);
	echoctl_table_free(table);
	json_decref(document);
	return r < 0 ? echoctl_session_fail(r) : ECHOCTL_EXIT_OK;
}

struct follow {
	struct echoctl_session *session;
	struct echoctl_options options; /* of the session; --limit is for the beginning alone */
	const char *begin;              /* that limit; borrowed */
	struct echoctl_table *table;    /* owned; NULL: to be made, as at the beginning */
	struct echoctl_view view;       /* of that table */
	size_t width;                   /* that both were made for */
	json_int_t since; /* the last event that is known; -1: nothing was answered yet */
	bool away;        /* no answer came the last time */
};

/* Print the events of DOCUMENT as lines of JSON. */
static void
follow_print_json(const struct follow *follow, const json_t *document)
{
	const json_t *events = echoctl_json_get(document, view.list);

	for (size_t i = json_array_size(events); i-- > 0;) {
		char *line = json_dumps(json_array_get(events, i),
		    JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));

		if (line == NULL)
			continue;
		if (follow->session->style.terminal)
			echoctl_text_write(stdout, line, strlen(line));
		else
			(void)fputs(line, stdout);
		(void)fputc('\n', stdout);
		free(line);
	}
}

/* For lines of any width, which show times and reasons in full: so many columns at least. */
#define FULL_TIME 24
#define FULL_REASON 14

/* Make a table for WIDTH; on a screen of another size all begins anew, titles included. */
static void
follow_make_table(struct follow *follow, size_t width)
{
	echoctl_table_free(follow->table);
	follow->view = view;
	follow->width = width;
	for (struct echoctl_column *c = follow->view.columns; c->key != NULL; c++) {
		if (width >= ROOMY && strcmp(c->key, "peer") == 0)
			c->least = ROOMY_PEER;
		if (!follow->session->style.human && strcmp(c->key, "when") == 0)
			c->least = FULL_TIME;
		if (width == 0 && strcmp(c->key, "reason") == 0)
			c->least = FULL_REASON;
	}
	follow->table = echoctl_json_table(&follow->view);
}

/* Print the events of DOCUMENT below those before. Returns 0 or -ENOMEM. */
static int
follow_print_rows(struct follow *follow, const json_t *document)
{
	struct echoctl_style style = follow->session->style;
	size_t lines;
	int r;

	if (style.width > 0)
		echoctl_style_size(STDOUT_FILENO, &lines, &style.width);
	if (follow->table == NULL || style.width != follow->width)
		follow_make_table(follow, style.width);
	events_add(follow->table, document, style.human);
	r = echoctl_table_print(follow->table, &style, ECHOCTL_TITLE, "\n", stdout);
	if (r == 0)
		echoctl_table_continue(follow->table);
	return r;
}

/* Take the answer with the events after the last one. */
static enum echoctl_exit
follow_take(struct follow *follow, const json_t *document)
{
	json_int_t next = echoctl_json_integer(document, "next");
	size_t count = json_array_size(echoctl_json_get(document, view.list));
	int r = 0;

	if (next < 0)
		return echoctl_session_refused(follow->session);
	if (follow->since >= 0 && count >= FOLLOW_MAX) {
		(void)fflush(stdout);
		(void)fprintf(stderr,
		    "echoctl: these are the last %zu events: there may have "
		    "been more since those above\n",
		    count);
	}
	if (follow->session->options->json)
		follow_print_json(follow, document);
	else
		r = follow_print_rows(follow, document);
	/* another daemon counts from the beginning: ask it for all that it has */
	follow->since = next < follow->since ? 0 : next;
	return r < 0 ? echoctl_session_fail(r) : ECHOCTL_EXIT_OK;
}

/* No answer came: tell so once. A daemon that is not there at the beginning is not waited for. */
static enum echoctl_exit
follow_miss(struct follow *follow)
{
	/* who listens there next is another process */
	if (follow->session->answer.gone && follow->since > 0)
		follow->since = 0;
	if (follow->away)
		return ECHOCTL_EXIT_OK;
	follow->away = true;
	(void)echoctl_session_unreachable(follow->session);
	if (follow->since < 0)
		return ECHOCTL_EXIT_UNREACHABLE;
	(void)fputs("echoctl: waiting for the daemon to come back\n", stderr);
	return ECHOCTL_EXIT_OK;
}

/* Ask once, and print what is new. */
static enum echoctl_exit
follow_look(struct follow *follow)
{
	const struct echoctl_answer *answer = &follow->session->answer;
	enum echoctl_exit code;
	json_t *document;
	char path[96];
	int r;

	if (follow->since < 0)
		(void)snprintf(path, sizeof(path), "/events?limit=%s", follow->begin);
	else
		(void)snprintf(path, sizeof(path), "/events?limit=%d&since=%" JSON_INTEGER_FORMAT,
		    FOLLOW_MAX, follow->since);
	r = echoctl_session_exchange(follow->session, ECHOCTL_GET, path);
	if (r < 0)
		return echoctl_session_fail(r);
	if (answer->status == 0)
		return follow_miss(follow);
	follow->away = false;
	if (answer->status == BUSY && follow->since >= 0)
		return ECHOCTL_EXIT_OK;
	document = answer->status == 200 ? echoctl_json_parse(answer->body, answer->length) : NULL;
	code = document != NULL ? follow_take(follow, document)
				: echoctl_session_refused(follow->session);
	json_decref(document);
	return code;
}

static enum echoctl_exit
events_follow(struct echoctl_session *session)
{
	struct follow follow = {
		.session = session,
		.options = *session->options,
		.begin = FOLLOW_BEGIN,
		.since = -1,
	};
	const struct echoctl_options *before = session->options;
	struct echoctl_filter *limit = echoctl_options_filter(&follow.options, "limit");
	enum echoctl_exit code;

	if (limit != NULL) {
		follow.begin = limit->value;
		limit->value = NULL;
	}
	session->options = &follow.options;
	do {
		code = follow_look(&follow);
		/* what cannot be written is told at the end, by main() */
		if (code != ECHOCTL_EXIT_OK || fflush(stdout) != 0)
			break;
	} while (echoctl_session_poll(session, NULL, 0, FOLLOW_EVERY_MS) == 0);
	session->options = before;
	echoctl_table_free(follow.table);
	return code;
}

enum echoctl_exit
echoctl_events(struct echoctl_session *session)
{
	return session->options->follow ? events_follow(session) : events_show(session);
}
