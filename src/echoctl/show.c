/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "echoctl/show.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "echoctl/json.h"
#include "echoctl/table.h"
#include "echoctl/text.h"

/* Print TABLE, free it and the document it was made from. */
static enum echoctl_exit
show_table(struct echoctl_session *session, struct echoctl_table *table, json_t *document)
{
	int r = echoctl_table_print(table, &session->style, ECHOCTL_TITLE, "\n", stdout);

	echoctl_table_free(table);
	json_decref(document);
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

/* Add the number at KEY of ROW, with its unit. */
static void
show_figure(struct echoctl_table *table, const json_t *row, const char *key, bool human)
{
	double value = echoctl_json_number(row, key);
	char text[UNITS_TEXT_MAX];

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
	show_figure(table, echoctl_json_get(row, "tcp"), "rtt_seconds", human);
}

/* Print a note when DOCUMENT has only SHOWN of the connections that match. */
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
		{ .title = "LISTENER", .shorten = 8 },
		{ .title = "PEER", .shorten = 21 },
		{ .title = "STATE", .shorten = 9, .drop = 2 },
		{ .title = "AGE", .right = true, .drop = 3 },
		{ .title = "IDLE", .right = true, .drop = 5 },
		{ .title = "IN", .right = true, .drop = 1 },
		{ .title = "OUT", .right = true, .drop = 4 },
		{ .title = "PENDING", .right = true, .drop = 6 },
		{ .title = "PAUSED", .drop = 7 },
		{ .title = "RTT", .right = true, .drop = 8 },
	};
	enum echoctl_exit code;
	/* TCP figures cost the daemon a system call for each connection: it wants to be asked */
	json_t *document = show_ask(session, "/connections", true, &code);
	json_t *rows, *row;
	struct echoctl_table *table;
	size_t i;

	if (document == NULL)
		return code;
	table = echoctl_table_new(columns, ARRAY_SIZE(columns));
	rows = echoctl_json_get(document, "connections");
	json_array_foreach(rows, i, row) show_connection_row(table, row, session->style.human);
	/* the note needs the rows, which the document owns: free it last */
	code = show_table(session, table, json_incref(document));
	show_note_more(document, json_array_size(rows));
	json_decref(document);
	return code;
}

enum echoctl_exit
echoctl_show_sources(struct echoctl_session *session)
{
	static const struct echoctl_column columns[] = {
		{ .title = "LISTENER", .shorten = 8 },
		{ .title = "SOURCE", .shorten = 16 },
		{ .title = "ECHOED", .right = true },
		{ .title = "DROPPED", .right = true, .drop = 1 },
		{ .title = "IDLE", .right = true, .drop = 2 },
	};
	enum echoctl_exit code;
	json_t *document = show_ask(session, "/sources", false, &code);
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
		{ .title = "KEY", .shorten = 24 },
		{ .title = "VALUE", .shorten = 16 },
		{ .title = "ORIGIN", .shorten = 16, .drop = 1 },
		{ .title = "EFFECT", .drop = 2 },
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

#define PATH_MAX_BYTES 512

struct flatten {
	struct echoctl_table *table;
	bool human;
	char path[PATH_MAX_BYTES];
	size_t length;
};

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

static void
figures_add(struct flatten *flatten, const char *key, const json_t *value)
{
	char text[UNITS_TEXT_MAX];

	echoctl_table_add(flatten->table, flatten->path);
	switch (json_typeof(value)) {
	case JSON_STRING:
		echoctl_table_add(flatten->table, json_string_value(value));
		break;
	case JSON_INTEGER:
		/* exact: a double would round a large one */
		if (!flatten->human) {
			echoctl_table_addf(
			    flatten->table, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
			break;
		}
		/* fall through */
	case JSON_REAL:
		echoctl_table_add(
		    flatten->table, echoctl_figures_format(key, json_number_value(value),
					flatten->human, text, sizeof(text)));
		break;
	case JSON_TRUE:
	case JSON_FALSE:
		echoctl_table_add(flatten->table, json_is_true(value) ? "true" : "false");
		break;
	default:
		echoctl_table_add(flatten->table, NULL);
		break;
	}
}

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
		figures_add(flatten, key, value);
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

/* `echoctl status`: the overview. It is for people, so figures have units also in a pipe. */

/* The figures of one status, as the lines need them. */
struct status {
	const json_t *stats;
	char text[8][UNITS_TEXT_MAX]; /* one for each figure of a line */
	unsigned used;
};

/* Return a buffer for a figure; it is used again after eight more calls. */
static char *
status_text(struct status *status)
{
	return status->text[status->used++ % ARRAY_SIZE(status->text)];
}

static const char *
status_bytes(struct status *status, const json_t *row, const char *path)
{
	double bytes = echoctl_json_number(row, path);

	return bytes < 0 ? "-" : units_human_bytes(bytes, status_text(status), UNITS_TEXT_MAX);
}

static const char *
status_seconds(struct status *status, const json_t *row, const char *path)
{
	double seconds = echoctl_json_number(row, path);

	return seconds < 0 ? "-"
			   : units_human_seconds(seconds, status_text(status), UNITS_TEXT_MAX);
}

/* A count, or the sum of the counts with a label. */
static const char *
status_count(struct status *status, const json_t *row, const char *path)
{
	json_int_t count = echoctl_json_sum(row, path);
	char *text = status_text(status);

	if (count < 0)
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
	(void)printf(
	    "echod %s, process %s: ", text, status_count(status, status->stats, "process.pid"));
	echoctl_style_begin(&session->style, echoctl_show_tone(state), stdout);
	(void)fputs(state, stdout);
	echoctl_style_end(&session->style, echoctl_show_tone(state), stdout);
	(void)printf(", up %s\n", status_seconds(status, status->stats, "process.uptime_seconds"));
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
	const json_t *stats = status->stats;

	echoctl_table_add(table, "connections");
	echoctl_table_addf(table, "%s of %s; %s accepted, %s rejected, %s closed",
	    status_count(status, stats, "totals.connections"),
	    status_count(status, stats, "limits.connections"),
	    status_count(status, stats, "totals.connections_accepted"),
	    status_count(status, stats, "totals.connections_rejected"),
	    status_count(status, stats, "totals.connections_closed"));
	echoctl_table_add(table, "traffic");
	echoctl_table_addf(table, "%s received, %s sent, %s pending",
	    status_bytes(status, stats, "totals.received_bytes"),
	    status_bytes(status, stats, "totals.sent_bytes"),
	    status_bytes(status, stats, "totals.pending_bytes"));
	echoctl_table_add(table, "process");
	echoctl_table_addf(table, "%s resident, %s of %s descriptors, %s of CPU time",
	    status_bytes(status, stats, "process.resident_bytes"),
	    status_count(status, stats, "process.open_fds"),
	    status_count(status, stats, "process.max_fds"),
	    status_seconds(status, stats, "process.cpu_seconds"));
	echoctl_table_add(table, "log");
	echoctl_table_addf(table, "%s lines written, %s dropped, %s suppressed",
	    status_count(status, stats, "totals.log_written"),
	    status_count(status, stats, "totals.log_dropped"),
	    status_count(status, stats, "totals.log_suppressed"));
	status_add_reload(status, table);
}

static struct echoctl_table *
status_figures(struct status *status)
{
	static const struct echoctl_column columns[] = { { .title = NULL }, { .prose = true } };
	struct echoctl_table *table = echoctl_table_new(columns, ARRAY_SIZE(columns));

	status_add_figures(status, table);
	return table;
}

static struct echoctl_table *
status_listeners(struct status *status)
{
	static const struct echoctl_column columns[] = {
		{ .title = "LISTENER", .shorten = 8 },
		{ .title = "ADDRESS", .shorten = 16 },
		{ .title = "STATE", .shorten = 9 },
		{ .title = "OPEN", .right = true },
		{ .title = "ACCEPTED", .right = true, .drop = 2 },
		{ .title = "REJECTED", .right = true, .drop = 1 },
		{ .title = "RECEIVED", .right = true, .drop = 3 },
		{ .title = "SENT", .right = true, .drop = 4 },
	};
	struct echoctl_table *table = echoctl_table_new(columns, ARRAY_SIZE(columns));
	json_t *row;
	size_t i;

	json_array_foreach(echoctl_json_get(status->stats, "listeners"), i, row)
	{
		const char *state = echoctl_json_is_true(row, "accepting")      ? "accepting"
				    : echoctl_json_text(row, "address") != NULL ? "not accepting"
										: "closed";

		echoctl_table_add(table, echoctl_json_text(row, "name"));
		echoctl_table_add(table, echoctl_json_text(row, "address"));
		echoctl_table_add_tone(table, state, echoctl_show_tone(state));
		echoctl_table_add(table, status_count(status, row, "connections"));
		echoctl_table_add(table, status_count(status, row, "connections_accepted"));
		echoctl_table_add(table, status_count(status, row, "connections_rejected"));
		echoctl_table_add(table, status_bytes(status, row, "received_bytes"));
		echoctl_table_add(table, status_bytes(status, row, "sent_bytes"));
	}
	return table;
}

/* Add the event loop of ROW, which has CONNECTIONS, with its lag. */
static void
status_add_loop(struct status *status, struct echoctl_table *table, const json_t *row,
    const char *name, const char *connections)
{
	echoctl_table_add(table, name);
	echoctl_table_add(table, connections);
	echoctl_table_add(table, status_seconds(status, row, "loop_lag.p50_seconds"));
	echoctl_table_add(table, status_seconds(status, row, "loop_lag.p99_seconds"));
}

static struct echoctl_table *
status_workers(struct status *status)
{
	static const struct echoctl_column columns[] = {
		{ .title = "LOOP" },
		{ .title = "OPEN", .right = true },
		{ .title = "LAG P50", .right = true },
		{ .title = "LAG P99", .right = true },
	};
	struct echoctl_table *table = echoctl_table_new(columns, ARRAY_SIZE(columns));
	json_t *row;
	size_t i;

	status_add_loop(status, table, echoctl_json_get(status->stats, "process"), "main", NULL);
	json_array_foreach(echoctl_json_get(status->stats, "workers"), i, row)
	{
		char name[64];

		(void)snprintf(name, sizeof(name), "worker %s", status_count(status, row, "id"));
		status_add_loop(status, table, row, name, status_count(status, row, "connections"));
	}
	return table;
}

enum echoctl_exit
echoctl_show_status(struct echoctl_session *session)
{
	static struct echoctl_table *(*const parts[])(struct status *) = {
		status_figures,
		status_listeners,
		status_workers,
	};
	enum echoctl_exit code;
	json_t *stats = echoctl_session_ask(session, ECHOCTL_GET, "/stats", &code);
	struct status status = { .stats = stats };

	if (stats == NULL)
		return code;
	status_print_head(session, &status);
	for (size_t i = 0; i < ARRAY_SIZE(parts) && code == ECHOCTL_EXIT_OK; i++) {
		struct echoctl_table *table = parts[i](&status);

		if (i > 0)
			(void)fputc('\n', stdout);
		if (echoctl_table_print(table, &session->style, ECHOCTL_TITLE, "\n", stdout) < 0)
			code = echoctl_session_no_memory();
		echoctl_table_free(table);
	}
	json_decref(stats);
	return code;
}
