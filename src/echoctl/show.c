/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "echoctl/show.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "echoctl/json.h"
#include "echoctl/table.h"
#include "echoctl/text.h"

#define PATH_MAX_BYTES 512

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

static bool
key_ends(const char *key, const char *end)
{
	size_t length = strlen(key), tail = strlen(end);

	return length >= tail && strcmp(key + length - tail, end) == 0;
}

static bool
key_is_bytes(const char *key)
{
	return key_ends(key, "_bytes") || strncmp(key, "bytes_", 6) == 0;
}

static bool
key_has_unit(const char *key)
{
	return key_ends(key, "_seconds") || key_is_bytes(key) || key_ends(key, "_rate");
}

/* Digits for programs: microseconds where milliseconds would not do. */
static char *
figures_format_exact(double value, bool seconds, char *buffer, size_t size)
{
	bool ms = value > 1e9 || (int64_t)(value * 1e6 + 0.5) % 1000 == 0;

	(void)snprintf(buffer, size, "%.*f", !seconds ? 0 : ms ? 3 : 6, value);
	return buffer;
}

char *
echoctl_figures_format(const char *key, double value, bool human, char *buffer, size_t size)
{
	bool seconds = key_ends(key, "_seconds");

	if (!human && (seconds || key_is_bytes(key)))
		return figures_format_exact(value, seconds, buffer, size);
	if (seconds)
		return units_human_seconds(value, buffer, size);
	if (key_is_bytes(key))
		return units_human_bytes(value, buffer, size);
	if (human && key_ends(key, "_rate"))
		return units_human_rate(value, buffer, size);
	return units_human_number(value, buffer, size);
}

/* Add VALUE, the field KEY, as one cell. */
static void
show_value(struct echoctl_table *table, const char *key, const json_t *value, bool human)
{
	const char *string = json_string_value(value);
	char text[UNITS_TEXT_MAX];

	if (string != NULL)
		echoctl_table_add_tone(table, *string != '\0' ? string : "\"\"",
		    strcmp(key, "state") == 0 ? echoctl_show_tone(string) : ECHOCTL_PLAIN);
	else if (json_is_integer(value) && !(human && key_has_unit(key)))
		/* exact: a double would round a large one */
		echoctl_table_addf(table, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else if (json_is_number(value))
		echoctl_table_add(table, echoctl_figures_format(key, json_number_value(value),
					     human, text, sizeof(text)));
	else if (json_is_boolean(value))
		echoctl_table_add(table, json_is_true(value) ? "true" : "false");
	else
		echoctl_table_add(table, NULL);
}

/* A document as a list, one value a line; a value goes by its path. */
struct flatten {
	struct echoctl_table *table;
	bool human;
	char path[PATH_MAX_BYTES];
	size_t length;
};

/* Append NAME to the path; what is too long is cut. */
static void
flatten_enter(struct flatten *flatten, const char *separator, const char *name, const char *end)
{
	int n = snprintf(flatten->path + flatten->length, sizeof(flatten->path) - flatten->length,
	    "%s%s%s", flatten->length > 0 ? separator : "", name, end);

	if (n > 0)
		flatten->length += (size_t)n;
	if (flatten->length >= sizeof(flatten->path))
		flatten->length = sizeof(flatten->path) - 1;
}

static void
flatten_leave(struct flatten *flatten, size_t length)
{
	flatten->length = length;
	flatten->path[length] = '\0';
}

static void figures_flatten(struct flatten *flatten, const char *key, const json_t *value);

static void
figures_flatten_list(struct flatten *flatten, const char *key, const json_t *list)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *row = json_array_get(list, i);
		const json_t *id = json_object_get(row, "id");
		const char *name = json_string_value(json_object_get(row, "name"));
		size_t length = flatten->length;
		char number[32];

		(void)snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT,
		    json_is_integer(id) ? json_integer_value(id) : (json_int_t)i);
		flatten_enter(flatten, "[", name != NULL ? name : number, "]");
		figures_flatten(flatten, key, row);
		flatten_leave(flatten, length);
	}
}

static void
figures_flatten(struct flatten *flatten, const char *key, const json_t *value)
{
	const char *member_key;
	json_t *member;

	if (json_is_array(value)) {
		figures_flatten_list(flatten, key, value);
		return;
	}
	if (!json_is_object(value)) {
		echoctl_table_add(flatten->table, flatten->path);
		show_value(flatten->table, key, value, flatten->human);
		return;
	}
	json_object_foreach((json_t *)value, member_key, member)
	{
		size_t length = flatten->length;

		flatten_enter(flatten, ".", member_key, "");
		figures_flatten(flatten, member_key, member);
		flatten_leave(flatten, length);
	}
}

int
echoctl_figures_print(const json_t *document, const struct echoctl_style *style, FILE *out)
{
	static const struct echoctl_column columns[] = { { .shorten = 20 }, { .shorten = 16 } };
	struct flatten flatten = {
		.table = echoctl_table_new(columns, ARRAY_SIZE(columns)),
		.human = style->human,
	};
	int r;

	figures_flatten(&flatten, "", document);
	r = echoctl_table_print(flatten.table, style, ECHOCTL_PLAIN, "\n", out);
	echoctl_table_free(flatten.table);
	return r;
}

/* Add ROW: a cell for each of COUNT COLUMNS that its key finds; counts with a label as their sum.
 */
static void
show_row(struct echoctl_table *table, const struct echoctl_column *columns, size_t count,
    const json_t *row, bool human)
{
	for (size_t i = 0; i < count; i++) {
		const json_t *value = echoctl_json_get(row, columns[i].key);

		if (json_is_object(value))
			echoctl_table_addf(
			    table, "%" JSON_INTEGER_FORMAT, echoctl_json_sum(row, columns[i].key));
		else if (json_is_boolean(value))
			echoctl_table_add(table, json_is_true(value) ? "yes" : "no");
		else
			show_value(table, columns[i].key, value, human);
	}
}

/* Print the list of rows at KEY of DOCUMENT as a table, after FIRST unless that is NULL. */
static enum echoctl_exit
show_rows(const struct echoctl_style *style, const struct echoctl_column *columns, size_t count,
    const json_t *first, const json_t *document, const char *key)
{
	struct echoctl_table *table = echoctl_table_new(columns, count);
	const json_t *row;
	size_t i;
	int r;

	if (first != NULL)
		show_row(table, columns, count, first, style->human);
	json_array_foreach(echoctl_json_get(document, key), i, row)
	{
		show_row(table, columns, count, row, style->human);
	}
	r = echoctl_table_print(table, style, ECHOCTL_TITLE, "\n", stdout);
	echoctl_table_free(table);
	return r < 0 ? echoctl_session_no_memory() : ECHOCTL_EXIT_OK;
}

char *
echoctl_show_target(const struct echoctl_options *options, const char *path, bool tcp)
{
	struct echoctl_parameter parameters[1 + ECHOCTL_FILTERS] = { { "tcp", tcp ? "1" : NULL } };

	for (int i = 0; i < ECHOCTL_FILTERS; i++)
		parameters[1 + i] = (struct echoctl_parameter){
			echoctl_filter_name((enum echoctl_filter)i),
			options->filter[i],
		};
	return echoctl_http_target(path, parameters, ARRAY_SIZE(parameters));
}

/* Ask for what echoctl_show_target() names. NULL: *ret_code is the exit code. */
static json_t *
show_ask(struct echoctl_session *session, const char *path, bool tcp, enum echoctl_exit *ret_code)
{
	char *target = echoctl_show_target(session->options, path, tcp);
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

/* Print a note when DOCUMENT does not have all connections that match. */
static void
show_note_more(const json_t *document)
{
	size_t shown = json_array_size(echoctl_json_get(document, "connections"));
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
		{ .key = "id", .title = "ID", .right = true },
		{ .key = "listener", .title = "LISTENER", .shorten = 8 },
		{ .key = "peer", .title = "PEER", .shorten = 21 },
		{ .key = "state", .title = "STATE", .shorten = 9, .drop = 2 },
		{ .key = "age_seconds", .title = "AGE", .right = true, .drop = 3 },
		{ .key = "idle_seconds", .title = "IDLE", .right = true, .drop = 5 },
		{ .key = "bytes_in", .title = "IN", .right = true, .drop = 1 },
		{ .key = "bytes_out", .title = "OUT", .right = true, .drop = 4 },
		{ .key = "pending_bytes", .title = "PENDING", .right = true, .drop = 6 },
		{ .key = "read_paused", .title = "PAUSED", .drop = 7 },
		{ .key = "tcp.rtt_seconds", .title = "RTT", .right = true, .drop = 8 },
	};
	enum echoctl_exit code;
	/* TCP figures cost the daemon a system call for each connection: it wants to be asked */
	json_t *document = show_ask(session, "/connections", true, &code);

	if (document == NULL)
		return code;
	code = show_rows(
	    &session->style, columns, ARRAY_SIZE(columns), NULL, document, "connections");
	show_note_more(document);
	json_decref(document);
	return code;
}

enum echoctl_exit
echoctl_show_sources(struct echoctl_session *session)
{
	static const struct echoctl_column columns[] = {
		{ .key = "listener", .title = "LISTENER", .shorten = 8 },
		{ .key = "source", .title = "SOURCE", .shorten = 16 },
		{ .key = "echoed", .title = "ECHOED", .right = true },
		{ .key = "dropped", .title = "DROPPED", .right = true, .drop = 1 },
		{ .key = "idle_seconds", .title = "IDLE", .right = true, .drop = 2 },
	};
	enum echoctl_exit code;
	json_t *document = show_ask(session, "/sources", false, &code);

	if (document == NULL)
		return code;
	code = show_rows(&session->style, columns, ARRAY_SIZE(columns), NULL, document, "sources");
	json_decref(document);
	return code;
}

enum echoctl_exit
echoctl_show_config(struct echoctl_session *session)
{
	static const struct echoctl_column columns[] = {
		{ .key = "key", .title = "KEY", .shorten = 24 },
		{ .key = "value", .title = "VALUE", .shorten = 16 },
		{ .key = "origin", .title = "ORIGIN", .shorten = 16, .drop = 1 },
		{ .key = "effect", .title = "EFFECT", .drop = 2 },
	};
	enum echoctl_exit code;
	json_t *document = echoctl_session_ask(session, ECHOCTL_GET, "/config", &code);

	if (document == NULL)
		return code;
	code = show_rows(
	    &session->style, columns, ARRAY_SIZE(columns), NULL, document, "directives");
	json_decref(document);
	return code;
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

/* `echoctl status`: the overview. It is for people, so figures have units also in a pipe. */

/* The figures of one status, as the lines need them. */
struct status {
	json_t *stats;
	char text[8][UNITS_TEXT_MAX]; /* one for each figure of a line */
	unsigned used;
};

/* Return the figure at PATH as text, which is valid until eight more were asked for. */
static const char *
status_figure(struct status *status, const char *path)
{
	char *text = status->text[status->used++ % ARRAY_SIZE(status->text)];
	json_int_t count = echoctl_json_sum(status->stats, path);
	double value = echoctl_json_number(status->stats, path);

	if (key_has_unit(path) && value >= 0)
		return echoctl_figures_format(path, value, true, text, UNITS_TEXT_MAX);
	if (key_has_unit(path) || count < 0)
		return "-";
	(void)snprintf(text, UNITS_TEXT_MAX, "%" JSON_INTEGER_FORMAT, count);
	return text;
}

static void
status_print_head(struct echoctl_session *session, struct status *status)
{
	const char *version = echoctl_json_text(status->stats, "process.version");
	const char *state = echoctl_show_state(status->stats);
	char text[64];

	echoctl_text_escape(version != NULL ? version : "-", version != NULL ? strlen(version) : 1,
	    text, sizeof(text));
	(void)printf("echod %s, process %s: ", text, status_figure(status, "process.pid"));
	echoctl_style_begin(&session->style, echoctl_show_tone(state), stdout);
	(void)fputs(state, stdout);
	echoctl_style_end(&session->style, echoctl_show_tone(state), stdout);
	(void)printf(", up %s\n", status_figure(status, "process.uptime_seconds"));
}

static void
status_add_reload(struct status *status, struct echoctl_table *table)
{
	json_int_t failed = echoctl_json_integer(status->stats, "process.reloads.failure");
	json_int_t done = echoctl_json_integer(status->stats, "process.reloads.success");

	echoctl_table_add(table, "last reload");
	if (failed <= 0 && done <= 0)
		echoctl_table_add(table, "none since the start");
	else if (echoctl_json_is_true(status->stats, "process.last_reload_successful"))
		echoctl_table_addf(table,
		    "successful (%" JSON_INTEGER_FORMAT " so far, %" JSON_INTEGER_FORMAT " failed)",
		    done, failed);
	else
		echoctl_table_add_tone(
		    table, "failed: the configuration before it is in force", ECHOCTL_BAD);
}

static void
status_add_figures(struct status *status, struct echoctl_table *table)
{
	echoctl_table_add(table, "connections");
	echoctl_table_addf(table, "%s of %s; %s accepted, %s rejected, %s closed",
	    status_figure(status, "totals.connections"),
	    status_figure(status, "limits.connections"),
	    status_figure(status, "totals.connections_accepted"),
	    status_figure(status, "totals.connections_rejected"),
	    status_figure(status, "totals.connections_closed"));
	echoctl_table_add(table, "traffic");
	echoctl_table_addf(table, "%s received, %s sent, %s pending",
	    status_figure(status, "totals.received_bytes"),
	    status_figure(status, "totals.sent_bytes"),
	    status_figure(status, "totals.pending_bytes"));
	echoctl_table_add(table, "process");
	echoctl_table_addf(table, "%s resident, %s of %s descriptors, %s of CPU time",
	    status_figure(status, "process.resident_bytes"),
	    status_figure(status, "process.open_fds"), status_figure(status, "process.max_fds"),
	    status_figure(status, "process.cpu_seconds"));
	echoctl_table_add(table, "log");
	echoctl_table_addf(table, "%s lines written, %s dropped, %s suppressed",
	    status_figure(status, "totals.log_written"),
	    status_figure(status, "totals.log_dropped"),
	    status_figure(status, "totals.log_suppressed"));
	status_add_reload(status, table);
}

static enum echoctl_exit
status_print_figures(struct status *status, const struct echoctl_style *style)
{
	static const struct echoctl_column columns[] = { { .title = NULL }, { .prose = true } };
	struct echoctl_table *table = echoctl_table_new(columns, ARRAY_SIZE(columns));
	int r;

	status_add_figures(status, table);
	r = echoctl_table_print(table, style, ECHOCTL_TITLE, "\n", stdout);
	echoctl_table_free(table);
	return r < 0 ? echoctl_session_no_memory() : ECHOCTL_EXIT_OK;
}

static enum echoctl_exit
status_print_listeners(struct status *status, const struct echoctl_style *style)
{
	static const struct echoctl_column columns[] = {
		{ .key = "name", .title = "LISTENER", .shorten = 8 },
		{ .key = "address", .title = "ADDRESS", .shorten = 16 },
		{ .key = "state", .title = "STATE", .shorten = 9 },
		{ .key = "connections", .title = "OPEN", .right = true },
		{ .key = "connections_accepted", .title = "ACCEPTED", .right = true, .drop = 2 },
		{ .key = "connections_rejected", .title = "REJECTED", .right = true, .drop = 1 },
		{ .key = "received_bytes", .title = "RECEIVED", .right = true, .drop = 3 },
		{ .key = "sent_bytes", .title = "SENT", .right = true, .drop = 4 },
	};
	json_t *row;
	size_t i;

	json_array_foreach(echoctl_json_get(status->stats, "listeners"), i, row)
	{
		const char *state = echoctl_json_is_true(row, "accepting")      ? "accepting"
				    : echoctl_json_text(row, "address") != NULL ? "not accepting"
										: "closed";

		(void)json_object_set_new(row, "state", json_string(state));
	}
	return show_rows(style, columns, ARRAY_SIZE(columns), NULL, status->stats, "listeners");
}

static enum echoctl_exit
status_print_loops(struct status *status, const struct echoctl_style *style)
{
	static const struct echoctl_column columns[] = {
		{ .key = "loop", .title = "LOOP" },
		{ .key = "connections", .title = "OPEN", .right = true },
		{ .key = "loop_lag.p50_seconds", .title = "LAG P50", .right = true },
		{ .key = "loop_lag.p99_seconds", .title = "LAG P99", .right = true },
	};
	json_t *process = echoctl_json_get(status->stats, "process"), *row;
	size_t i;

	(void)json_object_set_new(process, "loop", json_string("main"));
	json_array_foreach(echoctl_json_get(status->stats, "workers"), i, row)
	{
		json_int_t id = echoctl_json_integer(row, "id");

		(void)json_object_set_new(
		    row, "loop", json_sprintf("worker %" JSON_INTEGER_FORMAT, id));
	}
	return show_rows(style, columns, ARRAY_SIZE(columns), process, status->stats, "workers");
}

enum echoctl_exit
echoctl_show_status(struct echoctl_session *session)
{
	struct echoctl_style style = session->style;
	enum echoctl_exit code;
	struct status status = {
		.stats = echoctl_session_ask(session, ECHOCTL_GET, "/stats", &code),
	};

	if (status.stats == NULL)
		return code;
	style.human = true;
	status_print_head(session, &status);
	code = status_print_figures(&status, &style);
	(void)fputc('\n', stdout);
	if (code == ECHOCTL_EXIT_OK)
		code = status_print_listeners(&status, &style);
	(void)fputc('\n', stdout);
	if (code == ECHOCTL_EXIT_OK)
		code = status_print_loops(&status, &style);
	json_decref(status.stats);
	return code;
}
