/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `echoctl status`: the page an operator looks at first. It is for people, wherever it goes: units
 * everywhere.
 */
#include <config.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "echoctl/json.h"
#include "echoctl/show.h"
#include "echoctl/table.h"
#include "echoctl/text.h"
#include "echoctl/units.h"

/* The figures of one status, as the lines need them. */
struct status {
	const json_t *stats;
	char text[8][ECHOCTL_UNITS_TEXT_MAX]; /* one for each figure of a line */
	unsigned used;
};

/* Return the text of a figure; it lives until eight more were asked for. */
static char *
status_text(struct status *status)
{
	return status->text[status->used++ % ARRAY_SIZE(status->text)];
}

static const char *
status_bytes(struct status *status, const json_t *row, const char *path)
{
	double bytes = echoctl_json_number(row, path);

	return bytes < 0
		   ? "-"
		   : echoctl_units_bytes(bytes, true, status_text(status), ECHOCTL_UNITS_TEXT_MAX);
}

static const char *
status_seconds(struct status *status, const json_t *row, const char *path)
{
	double seconds = echoctl_json_number(row, path);

	return seconds < 0 ? "-"
			   : echoctl_units_seconds(
				 seconds, true, status_text(status), ECHOCTL_UNITS_TEXT_MAX);
}

/* A count, or the sum of the counts with a label. */
static const char *
status_count(struct status *status, const json_t *row, const char *path)
{
	json_int_t count = echoctl_json_sum(row, path);
	char *text = status_text(status);

	if (count < 0)
		return "-";
	(void)snprintf(text, ECHOCTL_UNITS_TEXT_MAX, "%" JSON_INTEGER_FORMAT, count);
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
	static const struct echoctl_column columns[] = { { .title = NULL }, { .title = NULL } };
	struct echoctl_table *table = echoctl_table_new(columns, ARRAY_SIZE(columns));

	status_add_figures(status, table);
	return table;
}

static struct echoctl_table *
status_listeners(struct status *status)
{
	static const struct echoctl_column columns[] = {
		{ .title = "LISTENER" },
		{ .title = "ADDRESS" },
		{ .title = "STATE" },
		{ .title = "OPEN", .right = true },
		{ .title = "ACCEPTED", .right = true },
		{ .title = "REJECTED", .right = true },
		{ .title = "RECEIVED", .right = true },
		{ .title = "SENT", .right = true },
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

/* How late the loop of ROW, which has CONNECTIONS, comes to its work. */
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
		if (echoctl_table_print(table, &session->style, ECHOCTL_TITLE, 0, "\n", stdout) < 0)
			code = echoctl_session_no_memory();
		echoctl_table_free(table);
	}
	json_decref(stats);
	return code;
}
