/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "echoctl/status.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "echoctl/json.h"
#include "echoctl/table.h"
#include "echoctl/text.h"

/* Whether datagrams are being dropped shows in a second look, so long after the first one. */
#define LOOK_AGAIN_MS 300
/* So many reasons are named, those that count most; the others are one figure. */
#define REASONS_SHOWN 5

/* Whether both rows are of one listener. */
static bool
status_is_same_listener(const json_t *a, const json_t *b)
{
	const char *name_a = echoctl_json_text(a, "name"), *name_b = echoctl_json_text(b, "name");

	return name_a != NULL && name_b != NULL && strcmp(name_a, name_b) == 0;
}

/* Add to AFTER how many datagrams a second were dropped since BEFORE, where some were. */
static void
status_set_drops(json_t *after, const json_t *before, double seconds)
{
	json_int_t old = echoctl_json_sum(before, "datagrams_dropped");
	json_int_t now = echoctl_json_sum(after, "datagrams_dropped");

	if (old >= 0 && now > old && seconds > 0)
		(void)json_object_set_new(
		    after, "dropped_per_second", json_real((double)(now - old) / seconds));
}

/* Return STATS, or a later answer in its place that knows which drops go on. */
static json_t *
status_look_again(struct echoctl_session *session, json_t *stats)
{
	json_t *later, *listeners, *row;
	double seconds;
	size_t i;

	if (echoctl_json_sum(stats, "totals.datagrams_dropped") <= 0)
		return stats;
	(void)!echoctl_session_poll(session, NULL, 0, LOOK_AGAIN_MS);
	later = echoctl_session_look(session, "/stats");
	if (later == NULL)
		return stats;
	seconds = echoctl_json_number(later, "process.uptime_seconds") -
		  echoctl_json_number(stats, "process.uptime_seconds");
	status_set_drops(
	    echoctl_json_get(later, "totals"), echoctl_json_get(stats, "totals"), seconds);
	listeners = echoctl_json_get(stats, "listeners");
	/* a reload in between may move a row to another place: it is calm then */
	json_array_foreach(echoctl_json_get(later, "listeners"), i, row)
	{
		const json_t *before = json_array_get(listeners, i);

		if (status_is_same_listener(before, row))
			status_set_drops(row, before, seconds);
	}
	json_decref(stats);
	return later;
}

/*
 * Return the reason in COUNTS that comes after LAST, which has LAST_COUNT: the most first, equals
 * by name. NULL when there is none; with LAST NULL the first one.
 */
static const char *
status_next_reason(json_t *counts, const char *last, json_int_t last_count, json_int_t *ret_count)
{
	const char *reason, *next = NULL;
	json_int_t next_count = 0;
	json_t *value;

	json_object_foreach(counts, reason, value)
	{
		json_int_t count = json_integer_value(value);

		if (count <= 0 ||
		    (last != NULL &&
			(count > last_count || (count == last_count && strcmp(reason, last) <= 0))))
			continue;
		if (next != NULL &&
		    (count < next_count || (count == next_count && strcmp(reason, next) > 0)))
			continue;
		next = reason;
		next_count = count;
	}
	*ret_count = next_count;
	return next;
}

/* Write why datagrams were dropped: words without blanks, so that lines do not break in them. */
static void
status_write_reasons(FILE *out, json_t *counts, json_int_t all)
{
	const char *reason = NULL;
	json_int_t count = 0;

	if (all <= 0 || !json_is_object(counts))
		return;
	for (int i = 0; i < REASONS_SHOWN; i++) {
		reason = status_next_reason(counts, reason, count, &count);
		if (reason == NULL)
			break;
		all -= count;
		(void)fprintf(
		    out, "%s%s=%" JSON_INTEGER_FORMAT, i == 0 ? ": " : ", ", reason, count);
	}
	if (all > 0)
		(void)fprintf(out, ", others=%" JSON_INTEGER_FORMAT, all);
}

/* Return the line about datagrams, not escaped, on the heap; NULL when memory is short. */
static char *
status_datagrams(const json_t *stats, enum echoctl_tone *ret_tone)
{
	double dropping = echoctl_json_number(stats, "totals.dropped_per_second");
	json_int_t dropped = echoctl_json_sum(stats, "totals.datagrams_dropped");
	char *figures = echoctl_json_fill(stats,
	    "{totals.datagrams_received} received, {totals.datagrams_sent} echoed, "
	    "{totals.datagrams_dropped} dropped");
	char *line = NULL, rate[UNITS_TEXT_MAX];
	size_t length;
	FILE *out = open_memstream(&line, &length);

	if (figures == NULL || out == NULL) {
		free(figures);
		return NULL;
	}
	(void)fputs(figures, out);
	free(figures);
	if (dropping > 0) {
		*ret_tone = ECHOCTL_WARN;
		(void)fprintf(out, ", %s now",
		    echoctl_json_format("dropped_per_second", dropping, true, rate, sizeof(rate)));
	}
	status_write_reasons(out, echoctl_json_get(stats, "totals.datagrams_dropped"), dropped);
	if (fclose(out) == 0)
		return line;
	free(line);
	return NULL;
}

/* Print the first line, or where it is wider than the terminal its parts; returns 0 or -ENOMEM. */
static int
status_print_head(const struct echoctl_style *style, const json_t *stats)
{
	char *head = echoctl_json_fill(stats, "echod {$process.version}, process {process.pid}:");
	char *tail = echoctl_json_fill(stats, "up {process.uptime_seconds}");
	const char *state = echoctl_json_state(stats), *gap = " ";
	char *escaped = head != NULL ? echoctl_text_dup(head) : NULL, *broken = NULL;
	size_t width = style->width > 0 ? style->width : SIZE_MAX;

	if (escaped != NULL && tail != NULL)
		broken = echoctl_text_break(escaped, width);
	if (broken != NULL) {
		if (echoctl_text_columns(escaped) + strlen(state) + strlen(tail) + 3 > width)
			gap = "\n";
		(void)printf("%s%s", broken, gap);
		echoctl_style_printf(style, echoctl_style_tone(state), stdout, "%s", state);
		(void)printf(", %s\n", tail);
	}
	free(head);
	free(tail);
	free(escaped);
	free(broken);
	return broken != NULL ? 0 : -ENOMEM;
}

/* Return the template for the last reload. */
static const char *
status_reload(const json_t *stats, enum echoctl_tone *ret_tone)
{
	if (echoctl_json_integer(stats, "process.reloads.failure") <= 0 &&
	    echoctl_json_integer(stats, "process.reloads.success") <= 0)
		return "none since the start";
	if (json_is_true(echoctl_json_get(stats, "process.last_reload_successful")))
		return "successful ({process.reloads.success} so far, "
		       "{process.reloads.failure} failed)";
	*ret_tone = ECHOCTL_BAD;
	return "failed: the configuration before it is in force";
}

/* Return the template for what the file has and the daemon does not; NULL: nothing. */
static const char *
status_restart(const json_t *stats)
{
	json_int_t waiting = echoctl_json_integer(stats, "process.needs_restart");

	if (waiting <= 0)
		return NULL;
	return waiting == 1 ? "1 directive waits for a restart, see echoctl config"
			    : "{process.needs_restart} directives wait for a restart, "
			      "see echoctl config";
}

/* The lines about the process as a whole. */
struct lines {
	struct echoctl_table *table;
	const json_t *stats;
	bool failed; /* memory was short */
};

/* Add a line with TEXT, which is freed. */
static void
lines_add_text(struct lines *lines, const char *name, char *text, enum echoctl_tone tone)
{
	echoctl_table_add(lines->table, name);
	echoctl_table_add_tone(lines->table, text, tone);
	lines->failed = lines->failed || text == NULL;
	free(text);
}

static void
lines_add(struct lines *lines, const char *name, const char *template, enum echoctl_tone tone)
{
	lines_add_text(lines, name, echoctl_json_fill(lines->stats, template), tone);
}

static void
status_add_traffic(struct lines *lines)
{
	enum echoctl_tone tone = ECHOCTL_PLAIN;
	char *text;

	lines_add(lines, "connections",
	    "{totals.connections} of {limits.connections}; {totals.connections_accepted} accepted, "
	    "{totals.connections_rejected} rejected, {totals.connections_closed} closed",
	    ECHOCTL_PLAIN);
	lines_add(lines, "traffic",
	    "{totals.received_bytes} received, {totals.sent_bytes} sent, "
	    "{totals.pending_bytes} pending",
	    ECHOCTL_PLAIN);
	if (echoctl_json_has_datagrams(lines->stats)) {
		text = status_datagrams(lines->stats, &tone);
		lines_add_text(lines, "datagrams", text, tone);
	}
	if (json_is_object(echoctl_json_get(lines->stats, "totals.peaks")))
		lines_add(lines, "peaks",
		    "{totals.peaks.connections} connections, "
		    "{totals.peaks.accepts_per_second} accepted, "
		    "{totals.peaks.received_bytes_per_second} in, "
		    "{totals.peaks.sent_bytes_per_second} out",
		    ECHOCTL_PLAIN);
}

static void
status_add_process(struct lines *lines)
{
	enum echoctl_tone tone = ECHOCTL_PLAIN;
	const char *template;

	lines_add(lines, "process",
	    "{process.resident_bytes} resident, {process.open_fds} of {process.max_fds} "
	    "descriptors, {process.cpu_seconds} of CPU time",
	    ECHOCTL_PLAIN);
	lines_add(lines, "log",
	    "{totals.log_written} lines written, {totals.log_dropped} dropped, "
	    "{totals.log_suppressed} suppressed",
	    ECHOCTL_PLAIN);
	template = status_reload(lines->stats, &tone);
	lines_add(lines, "last reload", template, tone);
	template = status_restart(lines->stats);
	if (template != NULL)
		lines_add(lines, "restart", template, ECHOCTL_WARN);
}

/* Returns 0 or -ENOMEM, as the functions below. */
static int
status_print_figures(const struct echoctl_style *style, const json_t *stats)
{
	static const struct echoctl_column columns[] = { { .title = NULL }, { .prose = true } };
	struct lines lines = { echoctl_table_new(columns, ARRAY_SIZE(columns)), stats, false };
	int r;

	status_add_traffic(&lines);
	status_add_process(&lines);
	r = echoctl_table_print(lines.table, style, ECHOCTL_TITLE, "\n", stdout);
	echoctl_table_free(lines.table);
	return lines.failed ? -ENOMEM : r;
}

static const struct echoctl_view streams = {
	.list = "streams",
	.columns = {
		{ .key = "name", .title = "LISTENER", .shorten = 8 },
		{ .key = "address", .title = "ADDRESS", .shorten = 21 },
		{ .key = "state", .title = "STATE", .shorten = 9 },
		{ .key = "connections", .title = "OPEN", .right = true },
		{ .key = "limit", .title = "LIMIT", .right = true, .drop = 5, .optional = true },
		{ .key = "peaks.connections", .title = "PEAK", .right = true, .drop = 4,
		    .optional = true },
		{ .key = "connections_accepted", .title = "ACCEPTED", .right = true, .drop = 2 },
		{ .key = "connections_rejected", .title = "REJECTED", .right = true, .drop = 1 },
		{ .key = "received_bytes", .title = "RECEIVED", .right = true, .drop = 3 },
		{ .key = "sent_bytes", .title = "SENT", .right = true, .drop = 6 },
	},
};

static const struct echoctl_view datagrams = {
	.list = "datagrams",
	.columns = {
		{ .key = "name", .title = "LISTENER", .shorten = 8 },
		{ .key = "address", .title = "ADDRESS", .shorten = 19 },
		{ .key = "state", .title = "STATE", .shorten = 9 },
		{ .key = "datagrams_received", .title = "RECEIVED", .right = true, .drop = 2 },
		{ .key = "datagrams_sent", .title = "ECHOED", .right = true, .drop = 1 },
		{ .key = "datagrams_dropped", .title = "DROPPED", .right = true,
		    .warn = "dropped_per_second" },
		{ .key = "mostly", .title = "MOSTLY", .shorten = 11, .drop = 3 },
		{ .key = "received_bytes", .title = "BYTES IN", .right = true, .drop = 4 },
		{ .key = "sent_bytes", .title = "BYTES OUT", .right = true, .drop = 5 },
	},
};

static const char *
status_listener_state(const json_t *listener)
{
	const json_t *open = echoctl_json_get(listener, "open");

	/* a closed listener's address may be known; without `open` it is not */
	if (json_is_boolean(open) ? json_is_false(open)
				  : echoctl_json_text(listener, "address") == NULL)
		return "closed";
	return json_is_true(echoctl_json_get(listener, "accepting")) ? "accepting"
								     : "not accepting";
}

/* Sort the listeners of STATS into two lists, with what is shown of them. */
static void
status_sort_listeners(json_t *stats)
{
	json_t *of_streams = json_array(), *of_datagrams = json_array(), *row;
	size_t i;

	json_array_foreach(echoctl_json_get(stats, "listeners"), i, row)
	{
		bool is_datagrams = echoctl_json_is_datagrams(row);
		json_int_t limit = echoctl_json_integer(row, "connections_limit"), count;
		const char *mostly = status_next_reason(
		    echoctl_json_get(row, "datagrams_dropped"), NULL, 0, &count);

		(void)json_object_set_new(row, "state", json_string(status_listener_state(row)));
		if (limit > 0)
			(void)json_object_set_new(row, "limit", json_integer(limit));
		if (mostly != NULL)
			(void)json_object_set_new(row, "mostly", json_string(mostly));
		(void)json_array_append(is_datagrams ? of_datagrams : of_streams, row);
	}
	(void)json_object_set_new(stats, streams.list, of_streams);
	(void)json_object_set_new(stats, datagrams.list, of_datagrams);
}

/* Print a table for each kind of listener that there is. */
static int
status_print_listeners(const struct echoctl_style *style, json_t *stats)
{
	static const struct echoctl_view *const views[] = { &streams, &datagrams };
	int r = 0;

	status_sort_listeners(stats);
	for (size_t i = 0; i < ARRAY_SIZE(views) && r == 0; i++) {
		if (json_array_size(echoctl_json_get(stats, views[i]->list)) == 0)
			continue;
		(void)fputc('\n', stdout);
		r = echoctl_json_print_rows(stats, views[i], NULL, style, stdout);
	}
	return r;
}

static int
status_print_loops(const struct echoctl_style *style, const json_t *stats)
{
	static const struct echoctl_view workers = {
		.list = "workers",
		.columns = {
			{ .key = "loop", .title = "LOOP" },
			{ .key = "connections", .title = "OPEN", .right = true },
			{ .key = "loop_lag.p50_seconds", .title = "LAG P50", .right = true },
			{ .key = "loop_lag.p99_seconds", .title = "LAG P99", .right = true },
		},
	};
	json_t *process = echoctl_json_get(stats, "process"), *row;
	size_t i;

	(void)json_object_set_new(process, "loop", json_string("main"));
	json_array_foreach(echoctl_json_get(stats, workers.list), i, row)
	{
		json_int_t id = echoctl_json_integer(row, "id");

		(void)json_object_set_new(
		    row, "loop", json_sprintf("worker %" JSON_INTEGER_FORMAT, id));
	}
	(void)fputc('\n', stdout);
	return echoctl_json_print_rows(stats, &workers, process, style, stdout);
}

enum echoctl_exit
echoctl_status(struct echoctl_session *session)
{
	struct echoctl_style style = session->style;
	enum echoctl_exit code;
	json_t *stats = echoctl_session_ask(session, ECHOCTL_GET, "/stats", &code);
	int r;

	if (stats == NULL)
		return code;
	stats = status_look_again(session, stats);
	style.human = true;
	r = status_print_head(&style, stats);
	if (r == 0)
		r = status_print_figures(&style, stats);
	if (r == 0)
		r = status_print_listeners(&style, stats);
	if (r == 0)
		r = status_print_loops(&style, stats);
	json_decref(stats);
	return r < 0 ? echoctl_session_fail(r) : code;
}
