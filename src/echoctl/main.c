/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * echoctl: see and steer a running echod through its control port. Here is what each verb asks,
 * prints and returns, but for `status`, `events` and `top`. A refusal is printed to stderr.
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
#include "echoctl/events.h"
#include "echoctl/json.h"
#include "echoctl/session.h"
#include "echoctl/status.h"
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

static void
print_version(void)
{
	(void)printf("echoctl %s (libcurl %s, jansson %s)\n", PACKAGE_VERSION,
	    echoctl_session_curl_version(), JANSSON_VERSION);
}

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

static const struct echoctl_view peers = {
	.list = "peers",
	.columns = {
		{ .key = "peer", .title = "PEER", .shorten = 16 },
		{ .key = "connections", .title = "CONNECTIONS", .right = true },
		{ .key = "bytes_in", .title = "IN", .right = true, .drop = 1 },
		{ .key = "bytes_out", .title = "OUT", .right = true, .drop = 2 },
		{ .key = "pending_bytes", .title = "PENDING", .right = true, .drop = 3 },
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
		{ .key = "waiting", .title = "AFTER RESTART", .shorten = 13, .optional = true,
		    .warn = "waiting" },
	},
};

/* Print a note when DOCUMENT does not have all rows of VIEW that match. */
static void
show_note_more(const struct echoctl_view *view, const json_t *document)
{
	size_t shown = json_array_size(echoctl_json_get(document, view->list));
	json_int_t all = echoctl_json_integer(document, "matched");

	if (all < 0 && view == &connections)
		all = echoctl_json_integer(document, "total");
	if (all <= (json_int_t)shown)
		return;
	(void)fflush(stdout);
	(void)fprintf(stderr,
	    "echoctl: these are %zu of %" JSON_INTEGER_FORMAT " %s, see --limit and --offset\n",
	    shown, all, view->list);
}

/* Ask for PATH and show the rows of VIEW. */
static enum echoctl_exit
show_answer(struct echoctl_session *session, const char *path, const struct echoctl_view *view)
{
	enum echoctl_exit code;
	json_t *document = echoctl_session_ask(session, ECHOCTL_GET, path, &code);
	int r;

	if (document == NULL)
		return code;
	r = echoctl_json_print_rows(document, view, NULL, &session->style, stdout);
	show_note_more(view, document);
	json_decref(document);
	return r < 0 ? echoctl_session_fail(r) : ECHOCTL_EXIT_OK;
}

static enum echoctl_exit
show_table(struct echoctl_session *session, const struct verb *verb)
{
	return show_answer(session, verb->path, verb->view);
}

static enum echoctl_exit
show_peers(struct echoctl_session *session, const struct verb *verb)
{
	const char *prefix = session->options->prefix, *comma;
	char path[96];

	if (prefix == NULL)
		return show_answer(session, "/connections?group=address", verb->view);
	comma = strchr(prefix, ',');
	(void)snprintf(path, sizeof(path), "/connections?group=prefix&ipv4_prefix=%.*s%s%s",
	    (int)strcspn(prefix, ","), prefix, comma != NULL ? "&ipv6_prefix=" : "",
	    comma != NULL ? comma + 1 : "");
	return show_answer(session, path, verb->view);
}

static enum echoctl_exit
show_events(struct echoctl_session *session, const struct verb *verb ATTR_UNUSED)
{
	return echoctl_events(session);
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
show_version(struct echoctl_session *session, const struct verb *verb)
{
	enum echoctl_exit code;
	json_t *document = echoctl_session_ask(session, ECHOCTL_GET, verb->path, &code);
	char *text;

	if (document == NULL)
		return code;
	text = echoctl_json_fill(document,
	    "{$name} {$version} (libevent {$libevent}, jansson {$jansson}, "
	    "compiler {$compiler})");
	json_decref(document);
	if (text == NULL)
		return echoctl_session_fail(-ENOMEM);
	print_version();
	echoctl_text_write(stdout, text, strlen(text));
	(void)fputc('\n', stdout);
	free(text);
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
show_status(struct echoctl_session *session, const struct verb *verb ATTR_UNUSED)
{
	return echoctl_status(session);
}

static enum echoctl_exit
show_top(struct echoctl_session *session, const struct verb *verb ATTR_UNUSED)
{
	return echoctl_top(session);
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
	json_t *stats = echoctl_session_look(session, "/stats");
	struct stop_look look;

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
	[ECHOCTL_STATUS] = { .run = show_status },
	[ECHOCTL_STATS] = { .run = show_document, .path = "/stats" },
	/* TCP figures cost the daemon a system call for each connection: it wants to be asked */
	[ECHOCTL_CONNECTIONS] = { .run = show_table,
	    .path = "/connections?tcp=1",
	    .view = &connections },
	[ECHOCTL_CONNECTION] = { .run = show_document, .path = "/connections/*" },
	[ECHOCTL_SOURCES] = { .run = show_table, .path = "/sources", .view = &sources },
	[ECHOCTL_PEERS] = { .run = show_peers, .view = &peers },
	[ECHOCTL_EVENTS] = { .run = show_events },
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
	[ECHOCTL_DAEMON_VERSION] = { .run = show_version, .path = "/version" },
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
		echoctl_options_print_help(options.verb, stdout);
	else if (options.action == ECHOCTL_VERSION)
		print_version();
	else
		code = echoctl_run(&options);
	if (fflush(stdout) != 0 || ferror(stdout) != 0) {
		(void)fprintf(stderr, "echoctl: standard output: %s\n", strerror(errno));
		return ECHOCTL_EXIT_FAILED;
	}
	return code;
}
