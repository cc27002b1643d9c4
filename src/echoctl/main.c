/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * echoctl: see and steer a running echod through its control port. Here is what each verb asks,
 * prints and returns, but for `top`. A refusal is printed to stderr.
 */
#include <config.h>

#include <errno.h>
#include <jansson.h>
#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "client/option_value.h"
#include "echoctl/json.h"
#include "echoctl/session.h"
#include "echoctl/table.h"
#include "echoctl/text.h"
#include "echoctl/top.h"

/* How a verb is carried out. */
struct verb {
	enum echoctl_exit (*run)(struct echoctl_session *session, const struct verb *verb);
	const char *path;                /* to ask for; an asterisk stands for the operand */
	const char *done;                /* act_simply(): printed at the end, before the operand */
	const struct echoctl_view *view; /* show_table() */
};

/* Print all of the answer. */
static enum echoctl_exit
show_document(struct echoctl_session *session, const struct verb *verb)
{
	enum echoctl_exit code;
	json_t *document = echoctl_session_ask(session, ECHOCTL_GET, verb->path, &code);

	if (document != NULL && echoctl_json_print(document, &session->style, stdout) < 0)
		code = echoctl_session_fail(-ENOMEM);
	json_decref(document);
	return code;
}

/* Print the rows of DOCUMENT that VIEW shows, after FIRST unless that is NULL. */
static enum echoctl_exit
show_rows(const struct echoctl_style *style, const struct echoctl_view *view, const json_t *first,
    const json_t *document)
{
	struct echoctl_table *table = echoctl_json_table(view);
	const json_t *row;
	size_t i;
	int r;

	if (first != NULL)
		echoctl_json_add_row(table, view, first, style->human);
	json_array_foreach(echoctl_json_get(document, view->list), i, row)
	{
		echoctl_json_add_row(table, view, row, style->human);
	}
	r = echoctl_table_print(table, style, ECHOCTL_TITLE, "\n", stdout);
	echoctl_table_free(table);
	return r < 0 ? echoctl_session_fail(r) : ECHOCTL_EXIT_OK;
}

static const struct echoctl_view connections = {
	.list = "connections",
	.columns = {
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
	},
};

static const struct echoctl_view sources = {
	.list = "sources",
	.columns = {
		{ .key = "listener", .title = "LISTENER", .shorten = 8 },
		{ .key = "source", .title = "SOURCE", .shorten = 16 },
		{ .key = "echoed", .title = "ECHOED", .right = true },
		{ .key = "dropped", .title = "DROPPED", .right = true, .drop = 1 },
		{ .key = "idle_seconds", .title = "IDLE", .right = true, .drop = 2 },
	},
};

static const struct echoctl_view directives = {
	.list = "directives",
	.columns = {
		{ .key = "key", .title = "KEY", .shorten = 24 },
		{ .key = "value", .title = "VALUE", .shorten = 16 },
		{ .key = "origin", .title = "ORIGIN", .shorten = 16, .drop = 1 },
		{ .key = "effect", .title = "EFFECT", .drop = 2 },
	},
};

/* Print a note when DOCUMENT does not have all connections that match. */
static void
show_note_more(const json_t *document)
{
	size_t shown = json_array_size(echoctl_json_get(document, connections.list));
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

static enum echoctl_exit
show_table(struct echoctl_session *session, const struct verb *verb)
{
	enum echoctl_exit code;
	json_t *document = echoctl_session_ask(session, ECHOCTL_GET, verb->path, &code);

	if (document != NULL)
		code = show_rows(&session->style, verb->view, NULL, document);
	if (verb->view == &connections)
		show_note_more(document);
	json_decref(document);
	return code;
}

static enum echoctl_exit
show_metrics(struct echoctl_session *session, const struct verb *verb)
{
	enum echoctl_exit code = echoctl_session_fetch(session, ECHOCTL_GET, verb->path);

	if (code != ECHOCTL_EXIT_OK)
		return code;
	if (session->answer.status != 200)
		return echoctl_session_refused(session);
	echoctl_session_print_body(session);
	return ECHOCTL_EXIT_OK;
}

static enum echoctl_exit
show_health(struct echoctl_session *session, const struct verb *verb)
{
	enum echoctl_exit code = echoctl_session_fetch(session, ECHOCTL_GET, verb->path);
	const struct echoctl_answer *answer = &session->answer;

	if (code != ECHOCTL_EXIT_OK)
		return code;
	if (answer->status != 200 && answer->status != 503)
		return echoctl_session_refused(session);
	/* its word goes with the status: ok, starting, draining; no document to pass on as it is */
	echoctl_text_write_lines(stdout, answer->body, answer->length);
	return answer->status == 200 ? ECHOCTL_EXIT_OK : ECHOCTL_EXIT_FAILED;
}

static enum echoctl_exit
show_top(struct echoctl_session *session, const struct verb *verb ATTR_UNUSED)
{
	return echoctl_top(session);
}

/* `echoctl status`: the overview. It is for people, so figures have units also in a pipe. */

/* Print the first line; returns 0 or -ENOMEM. */
static int
status_print_head(const struct echoctl_style *style, const json_t *stats)
{
	char *head = echoctl_json_fill(stats, "echod {$process.version}, process {process.pid}: ");
	char *tail = echoctl_json_fill(stats, ", up {process.uptime_seconds}");
	const char *state = echoctl_json_state(stats);
	bool whole = head != NULL && tail != NULL;

	if (whole) {
		echoctl_text_write(stdout, head, strlen(head));
		echoctl_style_printf(style, echoctl_style_tone(state), stdout, "%s", state);
		(void)puts(tail);
	}
	free(head);
	free(tail);
	return whole ? 0 : -ENOMEM;
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

static int
status_print_figures(const struct echoctl_style *style, const json_t *stats)
{
	static const struct echoctl_column columns[] = { { .title = NULL }, { .prose = true } };
	enum echoctl_tone tone = ECHOCTL_PLAIN;
	const char *reload = status_reload(stats, &tone);
	const struct {
		const char *name, *template;
		enum echoctl_tone tone;
	} lines[] = {
		{ "connections",
		    "{totals.connections} of {limits.connections}; "
		    "{totals.connections_accepted} accepted, "
		    "{totals.connections_rejected} rejected, "
		    "{totals.connections_closed} closed",
		    ECHOCTL_PLAIN },
		{ "traffic",
		    "{totals.received_bytes} received, {totals.sent_bytes} sent, "
		    "{totals.pending_bytes} pending",
		    ECHOCTL_PLAIN },
		{ "process",
		    "{process.resident_bytes} resident, {process.open_fds} of "
		    "{process.max_fds} descriptors, {process.cpu_seconds} of CPU time",
		    ECHOCTL_PLAIN },
		{ "log",
		    "{totals.log_written} lines written, {totals.log_dropped} dropped, "
		    "{totals.log_suppressed} suppressed",
		    ECHOCTL_PLAIN },
		{ "last reload", reload, tone },
	};
	struct echoctl_table *table = echoctl_table_new(columns, ARRAY_SIZE(columns));
	bool whole = true;
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		char *text = echoctl_json_fill(stats, lines[i].template);

		echoctl_table_add(table, lines[i].name);
		echoctl_table_add_tone(table, text, lines[i].tone);
		whole = whole && text != NULL;
		free(text);
	}
	r = echoctl_table_print(table, style, ECHOCTL_TITLE, "\n", stdout);
	echoctl_table_free(table);
	return whole ? r : -ENOMEM;
}

static enum echoctl_exit
status_print_listeners(const struct echoctl_style *style, const json_t *stats)
{
	static const struct echoctl_view listeners = {
		.list = "listeners",
		.columns = {
			{ .key = "name", .title = "LISTENER", .shorten = 8 },
			{ .key = "address", .title = "ADDRESS", .shorten = 16 },
			{ .key = "state", .title = "STATE", .shorten = 9 },
			{ .key = "connections", .title = "OPEN", .right = true },
			{ .key = "connections_accepted", .title = "ACCEPTED", .right = true, .drop = 2 },
			{ .key = "connections_rejected", .title = "REJECTED", .right = true, .drop = 1 },
			{ .key = "received_bytes", .title = "RECEIVED", .right = true, .drop = 3 },
			{ .key = "sent_bytes", .title = "SENT", .right = true, .drop = 4 },
		},
	};
	json_t *row;
	size_t i;

	json_array_foreach(echoctl_json_get(stats, listeners.list), i, row)
	{
		const char *state = json_is_true(echoctl_json_get(row, "accepting")) ? "accepting"
				    : json_is_false(echoctl_json_get(row, "open"))
					? "closed"
					: "not accepting";

		(void)json_object_set_new(row, "state", json_string(state));
	}
	return show_rows(style, &listeners, NULL, stats);
}

static enum echoctl_exit
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
	return show_rows(style, &workers, process, stats);
}

static enum echoctl_exit
show_status(struct echoctl_session *session, const struct verb *verb)
{
	struct echoctl_style style = session->style;
	enum echoctl_exit code;
	json_t *stats = echoctl_session_ask(session, ECHOCTL_GET, verb->path, &code);
	int r;

	if (stats == NULL)
		return code;
	style.human = true;
	r = status_print_head(&style, stats);
	if (r == 0)
		r = status_print_figures(&style, stats);
	if (r < 0)
		code = echoctl_session_fail(r);
	(void)fputc('\n', stdout);
	if (code == ECHOCTL_EXIT_OK)
		code = status_print_listeners(&style, stats);
	(void)fputc('\n', stdout);
	if (code == ECHOCTL_EXIT_OK)
		code = status_print_loops(&style, stats);
	json_decref(stats);
	return code;
}

/* The verbs that change something print in one line what was done. */

static void
act_write(const char *text)
{
	if (text == NULL || *text == '\0')
		text = "(none)";
	echoctl_text_write(stdout, text, strlen(text));
}

/* Post, and print what was done; the answer itself has no news. */
static enum echoctl_exit
act_simply(struct echoctl_session *session, const struct verb *verb)
{
	enum echoctl_exit code;
	json_t *document = echoctl_session_ask(session, ECHOCTL_POST, verb->path, &code);

	if (document == NULL)
		return code;
	json_decref(document);
	(void)fputs(verb->done, stdout);
	if (session->options->operand != NULL)
		act_write(session->options->operand);
	(void)fputc('\n', stdout);
	return ECHOCTL_EXIT_OK;
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

static enum echoctl_exit
act_reload(struct echoctl_session *session, const struct verb *verb)
{
	enum echoctl_exit code;
	json_t *document = echoctl_session_ask(session, ECHOCTL_POST, verb->path, &code);
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

/*
 * `echoctl stop`: with --wait, poll until the daemon is gone. When another process answers at the
 * same place, it has taken over, and the daemon that was asked is gone, too.
 */

#define STOP_TIMEOUT_NS (90 * NS_PER_S)
#define LOOK_EVERY_MS 100

/* The daemon that answers now; each is -1 when it is not known. */
struct stop_look {
	json_int_t pid;
	json_int_t connections;
};

static struct stop_look
stop_look(struct echoctl_session *session)
{
	json_t *stats = NULL;
	struct stop_look look;

	if (echoctl_session_exchange(session, ECHOCTL_GET, "/stats") == 0 &&
	    session->answer.status == 200)
		stats = echoctl_json_parse(session->answer.body, session->answer.length);
	look.pid = echoctl_json_integer(stats, "process.pid");
	look.connections = echoctl_json_integer(stats, "totals.connections");
	json_decref(stats);
	return look;
}

/* Wait until UNTIL_NS for the end of the process PID, with a line of progress on a terminal. */
static enum echoctl_exit
stop_wait(struct echoctl_session *session, json_int_t pid, int64_t until_ns)
{
	json_int_t progress = -1;
	bool gone;

	for (;;) {
		struct stop_look look = stop_look(session);

		gone = session->answer.gone || (pid >= 0 && look.pid >= 0 && look.pid != pid);
		if (gone || clock_now_ns() >= until_ns)
			break;
		if (look.connections >= 0 && look.connections != progress &&
		    isatty(STDERR_FILENO) == 1) {
			progress = look.connections;
			(void)fprintf(
			    stderr, "\r%" JSON_INTEGER_FORMAT " connections left\033[K", progress);
		}
		(void)!usleep(LOOK_EVERY_MS * 1000);
	}
	if (progress >= 0)
		(void)fputs("\r\033[K", stderr);
	if (!gone) {
		(void)fputs("echoctl: the daemon is still there, and still stopping\n", stderr);
		return ECHOCTL_EXIT_FAILED;
	}
	if (!session->options->json)
		(void)puts("stopped");
	return ECHOCTL_EXIT_OK;
}

static enum echoctl_exit
act_stop(struct echoctl_session *session, const struct verb *verb)
{
	const struct echoctl_options *options = session->options;
	int64_t timeout_ns = options->timeout_ns > 0 ? options->timeout_ns : STOP_TIMEOUT_NS;
	int64_t until_ns = clock_now_ns() + timeout_ns;
	json_int_t pid = options->wait ? stop_look(session).pid : -1;
	enum echoctl_exit code;

	json_decref(echoctl_session_ask(session, ECHOCTL_POST, verb->path, &code));
	if (code != ECHOCTL_EXIT_OK)
		return code;
	if (options->wait)
		return stop_wait(session, pid, until_ns);
	if (!options->json)
		(void)puts(verb->done);
	return ECHOCTL_EXIT_OK;
}

static const struct verb verbs[ECHOCTL_VERBS] = {
	[ECHOCTL_STATUS] = { .run = show_status, .path = "/stats" },
	[ECHOCTL_STATS] = { .run = show_document, .path = "/stats" },
	/* TCP figures cost the daemon a system call for each connection: it wants to be asked */
	[ECHOCTL_CONNECTIONS] = { .run = show_table,
	    .path = "/connections?tcp=1",
	    .view = &connections },
	[ECHOCTL_CONNECTION] = { .run = show_document, .path = "/connections/*" },
	[ECHOCTL_SOURCES] = { .run = show_table, .path = "/sources", .view = &sources },
	[ECHOCTL_TOP] = { .run = show_top },
	[ECHOCTL_METRICS] = { .run = show_metrics, .path = "/metrics" },
	[ECHOCTL_CONFIG] = { .run = show_table, .path = "/config", .view = &directives },
	[ECHOCTL_HEALTH] = { .run = show_health, .path = "/readyz" },
	[ECHOCTL_RELOAD] = { .run = act_reload, .path = "/reload" },
	[ECHOCTL_DRAIN] = { .run = act_simply, .path = "/drain", .done = "draining" },
	[ECHOCTL_UNDRAIN] = { .run = act_simply,
	    .path = "/undrain",
	    .done = "taking clients again" },
	[ECHOCTL_STOP] = { .run = act_stop, .path = "/stop", .done = "stopping" },
	[ECHOCTL_CLOSE] = { .run = act_simply,
	    .path = "/connections/*/close",
	    .done = "closed: connection " },
	[ECHOCTL_LOG_LEVEL] = { .run = act_simply,
	    .path = "/log/level?level=*",
	    .done = "log level until the next reload: " },
	[ECHOCTL_LOG_REOPEN] = { .run = act_simply,
	    .path = "/log/reopen",
	    .done = "log opened again" },
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
		code = verbs[options->verb].run(&session, &verbs[options->verb]);
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
		    echoctl_session_curl_version(), JANSSON_VERSION);
	else
		code = echoctl_run(&options);
	if (fflush(stdout) != 0 || ferror(stdout) != 0) {
		(void)fprintf(stderr, "echoctl: standard output: %s\n", strerror(errno));
		return ECHOCTL_EXIT_FAILED;
	}
	return code;
}
