/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "echoctl/show.h"

#include <stdlib.h>
#include <string.h>

#include "echoctl/figures.h"
#include "echoctl/json.h"
#include "echoctl/query.h"
#include "echoctl/table.h"
#include "echoctl/text.h"
#include "echoctl/units.h"

/* Print TABLE, free it and the document it was made from. */
static enum echoctl_exit
show_table(struct echoctl_session *session, struct echoctl_table *table, json_t *document)
{
	int r = echoctl_table_print(table, &session->style, ECHOCTL_TITLE, 0, "\n", stdout);

	echoctl_table_free(table);
	json_decref(document);
	return r < 0 ? echoctl_session_no_memory() : ECHOCTL_EXIT_OK;
}

/* Ask at TARGET, which is freed; NULL is a lack of memory. The answer is NULL with *ret_code set.
 */
static json_t *
show_ask(struct echoctl_session *session, char *target, enum echoctl_exit *ret_code)
{
	json_t *document = NULL;

	if (target == NULL)
		*ret_code = echoctl_session_no_memory();
	else
		document = echoctl_session_ask(session, ECHOCTL_GET, target, ret_code);
	free(target);
	return document;
}

/* Print all of what is answered at TARGET. */
static enum echoctl_exit
show_figures(struct echoctl_session *session, const char *target)
{
	enum echoctl_exit code;
	json_t *document = echoctl_session_ask(session, ECHOCTL_GET, target, &code);

	if (document == NULL)
		return code;
	if (echoctl_figures_print(document, &session->style, stdout) < 0)
		code = echoctl_session_no_memory();
	json_decref(document);
	return code;
}

enum echoctl_exit
echoctl_show_stats(struct echoctl_session *session)
{
	return show_figures(session, "/stats");
}

enum echoctl_exit
echoctl_show_connection(struct echoctl_session *session)
{
	enum echoctl_exit code;
	char *target;

	if (asprintf(&target, "/connections/%s", session->options->operand) < 0)
		return echoctl_session_no_memory();
	code = show_figures(session, target);
	free(target);
	return code;
}

/* Add the number at KEY of ROW, with its unit. */
static void
show_figure(struct echoctl_table *table, const json_t *row, const char *key, bool human)
{
	double value = echoctl_json_number(row, key);
	char text[ECHOCTL_UNITS_TEXT_MAX];

	if (value < 0)
		echoctl_table_add(table, NULL);
	else
		echoctl_table_add(
		    table, echoctl_figures_format(key, value, human, text, sizeof(text)));
}

static void
show_connection_row(struct echoctl_table *table, const json_t *row, bool human)
{
	const char *state = echoctl_json_text(row, "state");
	const json_t *rtt = echoctl_json_get(row, "tcp.rtt_seconds");
	char text[ECHOCTL_UNITS_TEXT_MAX];

	echoctl_table_addf(table, "%" JSON_INTEGER_FORMAT, echoctl_json_integer(row, "id"));
	echoctl_table_add(table, echoctl_json_text(row, "listener"));
	echoctl_table_add(table, echoctl_json_text(row, "peer"));
	echoctl_table_add_tone(table, state, echoctl_show_tone(state));
	show_figure(table, row, "age_seconds", human);
	show_figure(table, row, "idle_seconds", human);
	show_figure(table, row, "bytes_in", human);
	show_figure(table, row, "bytes_out", human);
	show_figure(table, row, "pending_bytes", human);
	echoctl_table_add(table, echoctl_json_is_true(row, "read_paused") ? "yes" : "no");
	echoctl_table_add(table, json_is_number(rtt) ? echoctl_units_seconds(json_number_value(rtt),
							   human, text, sizeof(text))
						     : NULL);
}

/* Tell when DOCUMENT has only SHOWN of the connections that were asked for. */
static void
show_note_more(const json_t *document, size_t shown)
{
	json_int_t all = echoctl_json_integer(document, "matched");

	if (all < 0)
		all = echoctl_json_integer(document, "total");
	if (all <= (json_int_t)shown)
		return;
	(void)fflush(stdout);
	(void)fprintf(stderr,
	    "echoctl: these are %zu of %" JSON_INTEGER_FORMAT
	    " connections, see --limit and --offset\n",
	    shown, all);
}

enum echoctl_exit
echoctl_show_connections(struct echoctl_session *session)
{
	static const struct echoctl_column columns[] = {
		{ .title = "ID", .right = true },
		{ .title = "LISTENER" },
		{ .title = "PEER" },
		{ .title = "STATE" },
		{ .title = "AGE", .right = true },
		{ .title = "IDLE", .right = true },
		{ .title = "IN", .right = true },
		{ .title = "OUT", .right = true },
		{ .title = "PENDING", .right = true },
		{ .title = "PAUSED" },
		{ .title = "RTT", .right = true },
	};
	enum echoctl_exit code;
	json_t *document = show_ask(
	    session, echoctl_query_connections(&session->options->filter), &code);
	json_t *rows, *row;
	struct echoctl_table *table;
	size_t i;

	if (document == NULL)
		return code;
	table = echoctl_table_new(columns, ARRAY_SIZE(columns));
	rows = echoctl_json_get(document, "connections");
	json_array_foreach(rows, i, row) show_connection_row(table, row, session->style.human);
	/* the rows live in the document: it goes after the note */
	code = show_table(session, table, json_incref(document));
	show_note_more(document, json_array_size(rows));
	json_decref(document);
	return code;
}

enum echoctl_exit
echoctl_show_sources(struct echoctl_session *session)
{
	static const struct echoctl_column columns[] = {
		{ .title = "LISTENER" },
		{ .title = "SOURCE" },
		{ .title = "ECHOED", .right = true },
		{ .title = "DROPPED", .right = true },
		{ .title = "IDLE", .right = true },
	};
	enum echoctl_exit code;
	json_t *document = show_ask(
	    session, echoctl_query_sources(&session->options->filter), &code);
	struct echoctl_table *table;
	json_t *row;
	size_t i;

	if (document == NULL)
		return code;
	table = echoctl_table_new(columns, ARRAY_SIZE(columns));
	json_array_foreach(echoctl_json_get(document, "sources"), i, row)
	{
		echoctl_table_add(table, echoctl_json_text(row, "listener"));
		echoctl_table_add(table, echoctl_json_text(row, "source"));
		show_figure(table, row, "echoed", session->style.human);
		show_figure(table, row, "dropped", session->style.human);
		show_figure(table, row, "idle_seconds", session->style.human);
	}
	return show_table(session, table, document);
}

enum echoctl_exit
echoctl_show_config(struct echoctl_session *session)
{
	static const struct echoctl_column columns[] = {
		{ .title = "KEY" },
		{ .title = "VALUE" },
		{ .title = "ORIGIN" },
		{ .title = "EFFECT" },
	};
	enum echoctl_exit code;
	json_t *document = echoctl_session_ask(session, ECHOCTL_GET, "/config", &code), *row;
	struct echoctl_table *table;
	size_t i;

	if (document == NULL)
		return code;
	table = echoctl_table_new(columns, ARRAY_SIZE(columns));
	json_array_foreach(echoctl_json_get(document, "directives"), i, row)
	{
		const char *value = echoctl_json_text(row, "value");

		echoctl_table_add(table, echoctl_json_text(row, "key"));
		echoctl_table_add(table, value != NULL && *value == '\0' ? "\"\"" : value);
		echoctl_table_add(table, echoctl_json_text(row, "origin"));
		echoctl_table_add(table, echoctl_json_text(row, "effect"));
	}
	return show_table(session, table, document);
}

enum echoctl_exit
echoctl_show_metrics(struct echoctl_session *session)
{
	enum echoctl_exit code = echoctl_session_fetch(session, ECHOCTL_GET, "/metrics");

	if (code != ECHOCTL_EXIT_OK)
		return code;
	if (echoctl_http_answer(session->http)->status != 200)
		return echoctl_session_refused(session, ECHOCTL_GET);
	echoctl_session_print_body(session);
	return ECHOCTL_EXIT_OK;
}

enum echoctl_exit
echoctl_show_health(struct echoctl_session *session)
{
	enum echoctl_exit code = echoctl_session_fetch(session, ECHOCTL_GET, "/readyz");
	const struct echoctl_answer *answer = echoctl_http_answer(session->http);

	if (code != ECHOCTL_EXIT_OK)
		return code;
	if (answer->status != 200 && answer->status != 503)
		return echoctl_session_refused(session, ECHOCTL_GET);
	/* its word goes with the status: ok, starting, draining; no document to pass on as it is */
	echoctl_text_write_lines(stdout, answer->body, answer->length);
	return answer->status == 200 ? ECHOCTL_EXIT_OK : ECHOCTL_EXIT_FAILED;
}

const char *
echoctl_show_state(const json_t *stats)
{
	if (echoctl_json_is_true(stats, "process.draining"))
		return "draining";
	return echoctl_json_is_true(stats, "process.ready") ? "ready" : "not ready";
}

enum echoctl_tone
echoctl_show_tone(const char *state)
{
	static const struct {
		const char *state;
		enum echoctl_tone tone;
	} tones[] = {
		{ "ready", ECHOCTL_GOOD },
		{ "accepting", ECHOCTL_GOOD },
		{ "draining", ECHOCTL_WARN },
		{ "flushing", ECHOCTL_WARN },
		{ "lingering", ECHOCTL_WARN },
		{ "not ready", ECHOCTL_BAD },
		{ "not accepting", ECHOCTL_WARN },
	};

	for (size_t i = 0; state != NULL && i < ARRAY_SIZE(tones); i++)
		if (strcmp(tones[i].state, state) == 0)
			return tones[i].tone;
	return ECHOCTL_PLAIN;
}
