/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "echoctl/top.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "echoctl/json.h"
#include "echoctl/screen.h"
#include "echoctl/show.h"
#include "echoctl/table.h"
#include "echoctl/text.h"

double
echoctl_sample_rate(double before, double after, double seconds)
{
	if (before < 0 || after < before || seconds <= 0)
		return ECHOCTL_RATE_UNKNOWN;
	return (after - before) / seconds;
}

static int
sample_compare_ids(const void *a, const void *b)
{
	const struct echoctl_row *x = a, *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

static bool
sample_read_rows(struct echoctl_sample *sample)
{
	const json_t *list = echoctl_json_get(sample->connections, "connections"), *json;
	size_t i, count = json_array_size(list);

	sample->rows = calloc(count + 1, sizeof(*sample->rows));
	sample->order = calloc(count + 1, sizeof(struct echoctl_row *));
	if (sample->rows == NULL || sample->order == NULL)
		return false;
	json_array_foreach(list, i, json)
	{
		sample->rows[i] = (struct echoctl_row){
			.id = echoctl_json_integer(json, "id"),
			.json = json,
			.age_seconds = echoctl_json_number(json, "age_seconds"),
			.bytes_in = echoctl_json_number(json, "bytes_in"),
			.bytes_out = echoctl_json_number(json, "bytes_out"),
			.pending_bytes = echoctl_json_number(json, "pending_bytes"),
			.in_rate = ECHOCTL_RATE_UNKNOWN,
			.out_rate = ECHOCTL_RATE_UNKNOWN,
		};
	}
	sample->count = count;
	qsort(sample->rows, count, sizeof(*sample->rows), sample_compare_ids);
	for (i = 0; i < count; i++)
		sample->order[i] = &sample->rows[i];
	return true;
}

/* Whether both samples are of one run of the daemon. */
static bool
sample_is_same_run(const struct echoctl_sample *a, const struct echoctl_sample *b)
{
	const char *started_a = echoctl_json_text(a->stats, "process.started");
	const char *started_b = echoctl_json_text(b->stats, "process.started");

	if (echoctl_json_integer(a->stats, "process.pid") !=
	    echoctl_json_integer(b->stats, "process.pid"))
		return false;
	return started_a == NULL || started_b == NULL || strcmp(started_a, started_b) == 0;
}

/* Rate of the count at PATH, or of the sum of those that have a label. */
static double
sample_total_rate(const struct echoctl_sample *before, const struct echoctl_sample *after,
    const char *path, double seconds)
{
	return echoctl_sample_rate((double)echoctl_json_sum(before->stats, path),
	    (double)echoctl_json_sum(after->stats, path), seconds);
}

static void
sample_rate_totals(
    struct echoctl_sample *sample, const struct echoctl_sample *before, double seconds)
{
	struct echoctl_total_rates *rates = &sample->rates;

	rates->received_bytes = sample_total_rate(before, sample, "totals.received_bytes", seconds);
	rates->sent_bytes = sample_total_rate(before, sample, "totals.sent_bytes", seconds);
	rates->accepted = sample_total_rate(before, sample, "totals.connections_accepted", seconds);
	rates->closed = sample_total_rate(before, sample, "totals.connections_closed", seconds);
	rates->rejected = sample_total_rate(before, sample, "totals.connections_rejected", seconds);
}

static void
sample_rate_row(struct echoctl_row *row, const struct echoctl_sample *before, double seconds)
{
	const struct echoctl_row *old = bsearch(
	    row, before->rows, before->count, sizeof(*row), sample_compare_ids);
	double age = row->age_seconds;

	if (old != NULL) {
		row->in_rate = echoctl_sample_rate(
		    old->bytes_in, row->bytes_in, age - old->age_seconds);
		row->out_rate = echoctl_sample_rate(
		    old->bytes_out, row->bytes_out, age - old->age_seconds);
	} else if (age <= seconds) {
		/* a new one; an older one was only beyond the limit of the last answer */
		row->in_rate = echoctl_sample_rate(0, row->bytes_in, age);
		row->out_rate = echoctl_sample_rate(0, row->bytes_out, age);
	}
}

static void
sample_compare(struct echoctl_sample *sample, const struct echoctl_sample *before)
{
	double seconds = echoctl_json_number(sample->stats, "process.uptime_seconds") -
			 echoctl_json_number(before->stats, "process.uptime_seconds");

	if (!sample_is_same_run(before, sample))
		return;
	sample_rate_totals(sample, before, seconds);
	for (size_t i = 0; i < sample->count; i++)
		sample_rate_row(&sample->rows[i], before, seconds);
}

struct echoctl_sample *
echoctl_sample_new(json_t *stats, json_t *connections, const struct echoctl_sample *before)
{
	struct echoctl_sample *sample = calloc(1, sizeof(*sample));

	if (sample == NULL) {
		json_decref(stats);
		json_decref(connections);
		return NULL;
	}
	sample->stats = stats;
	sample->connections = connections;
	sample->rates = (struct echoctl_total_rates){ ECHOCTL_RATE_UNKNOWN, ECHOCTL_RATE_UNKNOWN,
		ECHOCTL_RATE_UNKNOWN, ECHOCTL_RATE_UNKNOWN, ECHOCTL_RATE_UNKNOWN };
	if (!sample_read_rows(sample)) {
		echoctl_sample_free(sample);
		return NULL;
	}
	if (before != NULL)
		sample_compare(sample, before);
	return sample;
}

void
echoctl_sample_free(struct echoctl_sample *sample)
{
	if (sample == NULL)
		return;
	free(sample->order);
	free(sample->rows);
	json_decref(sample->stats);
	json_decref(sample->connections);
	free(sample);
}

struct order {
	enum echoctl_sort sort;
	bool ascending;
};

static double
sample_sort_value(const struct echoctl_row *row, enum echoctl_sort sort)
{
	switch (sort) {
	case ECHOCTL_SORT_IN:
		return row->in_rate;
	case ECHOCTL_SORT_OUT:
		return row->out_rate;
	case ECHOCTL_SORT_PENDING:
		return row->pending_bytes;
	case ECHOCTL_SORT_AGE:
		return row->age_seconds;
	case ECHOCTL_SORT_RATE:
		break;
	}
	return row->in_rate + row->out_rate;
}

static int
sample_compare_rows(const void *a, const void *b, void *context)
{
	const struct order *order = context;
	const struct echoctl_row *x = *(struct echoctl_row *const *)a;
	const struct echoctl_row *y = *(struct echoctl_row *const *)b;
	double value_x = sample_sort_value(x, order->sort);
	double value_y = sample_sort_value(y, order->sort);
	int larger = (value_x > value_y) - (value_x < value_y);

	if (larger == 0)
		return (x->id > y->id) - (x->id < y->id);
	return order->ascending ? larger : -larger;
}

void
echoctl_sample_sort(struct echoctl_sample *sample, enum echoctl_sort sort, bool ascending)
{
	struct order order = { sort, ascending };

	qsort_r(sample->order, sample->count, sizeof(struct echoctl_row *), sample_compare_rows,
	    &order);
}

#define LINE_END "\033[K\n"
#define HEAD_LINES 5 /* above the first connection, titles included */

static const struct {
	int key;
	const char *name;
} sorts[] = {
	[ECHOCTL_SORT_RATE] = { 'r', "rate" },
	[ECHOCTL_SORT_IN] = { 'i', "in" },
	[ECHOCTL_SORT_OUT] = { 'o', "out" },
	[ECHOCTL_SORT_PENDING] = { 'p', "pending" },
	[ECHOCTL_SORT_AGE] = { 'a', "age" },
};

bool
echoctl_top_choice_take(struct echoctl_top_choice *choice, int key)
{
	if (key == ' ') {
		choice->paused = !choice->paused;
		return true;
	}
	for (size_t i = 0; i < ARRAY_SIZE(sorts); i++) {
		if (sorts[i].key != key)
			continue;
		choice->ascending = choice->sort == (enum echoctl_sort)i && !choice->ascending;
		choice->sort = (enum echoctl_sort)i;
		return true;
	}
	return false;
}

struct view {
	const struct echoctl_sample *sample;
	const struct echoctl_style *style;
	FILE *out;
};

static void view_line(const struct view *view, enum echoctl_tone tone, const char *format, ...)
    ATTR_PRINTF(3, 4);

/* One line of what printf(3) makes, made harmless and cut. */
static void
view_line(const struct view *view, enum echoctl_tone tone, const char *format, ...)
{
	char text[512], escaped[1024];
	size_t columns, bytes;
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	echoctl_text_escape(text, strlen(text), escaped, sizeof(escaped));
	bytes = echoctl_text_fit(escaped, view->style->width, &columns);
	echoctl_style_begin(view->style, tone, view->out);
	(void)fwrite(escaped, 1, bytes, view->out);
	echoctl_style_end(view->style, tone, view->out);
	(void)fputs(LINE_END, view->out);
}

static const char *
view_bytes(double bytes, const char *per, char *buffer, size_t size)
{
	if (bytes < 0)
		return "-";
	units_human_bytes(bytes, buffer, size);
	(void)strncat(buffer, per, size - strlen(buffer) - 1);
	return buffer;
}

static const char *
view_rate(double rate, char *buffer, size_t size)
{
	if (rate < 0)
		return "-";
	units_human_number(rate, buffer, size);
	(void)strncat(buffer, "/s", size - strlen(buffer) - 1);
	return buffer;
}

static const char *
view_seconds(double seconds, char *buffer, size_t size)
{
	return seconds < 0 ? "-" : units_human_seconds(seconds, buffer, size);
}

static void
view_process(const struct view *view)
{
	const json_t *stats = view->sample->stats;
	const char *version = echoctl_json_text(stats, "process.version");
	const char *state = echoctl_show_state(stats);
	double uptime = echoctl_json_number(stats, "process.uptime_seconds");
	enum echoctl_tone tone = echoctl_show_tone(state);
	char up[UNITS_TEXT_MAX];

	view_line(view, tone == ECHOCTL_GOOD ? ECHOCTL_PLAIN : tone,
	    "echod %s, process %" JSON_INTEGER_FORMAT ": %s, up %s",
	    version != NULL ? version : "-", echoctl_json_integer(stats, "process.pid"), state,
	    view_seconds(uptime, up, sizeof(up)));
}

static void
view_totals(const struct view *view)
{
	const json_t *stats = view->sample->stats;
	const struct echoctl_total_rates *rates = &view->sample->rates;
	char a[UNITS_TEXT_MAX], b[UNITS_TEXT_MAX], c[UNITS_TEXT_MAX];
	char d[UNITS_TEXT_MAX], e[UNITS_TEXT_MAX];

	view_line(view, ECHOCTL_PLAIN,
	    "connections %" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT
	    ", accepted %s, closed %s, rejected %s",
	    echoctl_json_integer(stats, "totals.connections"),
	    echoctl_json_integer(stats, "limits.connections"),
	    view_rate(rates->accepted, a, sizeof(a)), view_rate(rates->closed, b, sizeof(b)),
	    view_rate(rates->rejected, c, sizeof(c)));
	view_line(view, ECHOCTL_PLAIN, "received %s (%s), sent %s (%s), pending %s",
	    view_bytes(rates->received_bytes, "/s", a, sizeof(a)),
	    view_bytes(echoctl_json_number(stats, "totals.received_bytes"), "", b, sizeof(b)),
	    view_bytes(rates->sent_bytes, "/s", c, sizeof(c)),
	    view_bytes(echoctl_json_number(stats, "totals.sent_bytes"), "", d, sizeof(d)),
	    view_bytes(echoctl_json_number(stats, "totals.pending_bytes"), "", e, sizeof(e)));
}

static void
view_row(struct echoctl_table *table, const struct echoctl_row *row)
{
	const char *state = echoctl_json_text(row->json, "state");
	char text[UNITS_TEXT_MAX];

	echoctl_table_addf(table, "%" JSON_INTEGER_FORMAT, row->id);
	echoctl_table_add(table, echoctl_json_text(row->json, "peer"));
	echoctl_table_add(table, view_bytes(row->in_rate, "/s", text, sizeof(text)));
	echoctl_table_add(table, view_bytes(row->out_rate, "/s", text, sizeof(text)));
	echoctl_table_add(table, view_bytes(row->pending_bytes, "", text, sizeof(text)));
	echoctl_table_add(table, view_seconds(row->age_seconds, text, sizeof(text)));
	echoctl_table_add_tone(table, state, echoctl_show_tone(state));
	echoctl_table_add(table, echoctl_json_text(row->json, "listener"));
	echoctl_table_add(table, view_bytes(row->bytes_in, "", text, sizeof(text)));
	echoctl_table_add(table, view_bytes(row->bytes_out, "", text, sizeof(text)));
}

int
echoctl_top_view(const struct echoctl_sample *sample, const struct echoctl_top_choice *choice,
    const struct echoctl_style *style, size_t lines, size_t columns, FILE *out)
{
	/*
	 * Wide enough for usual values, so that the columns do not move from one frame to the next.
	 * A narrow screen leaves out the last ones: the first seven take 79 columns.
	 */
	static const struct echoctl_column titles[] = {
		{ .title = "ID", .right = true, .least = 4 },
		{ .title = "PEER", .least = 21, .shorten = 21 },
		{ .title = "IN", .right = true, .least = 10, .drop = 1 },
		{ .title = "OUT", .right = true, .least = 10, .drop = 2 },
		{ .title = "PENDING", .right = true, .least = 7, .drop = 3 },
		{ .title = "AGE", .right = true, .least = 6, .drop = 4 },
		{ .title = "STATE", .least = 9, .shorten = 9, .drop = 5 },
		{ .title = "LISTENER", .least = 8, .shorten = 8, .drop = 6 },
		{ .title = "RECEIVED", .right = true, .least = 8, .drop = 7 },
		{ .title = "SENT", .right = true, .least = 8, .drop = 8 },
	};
	struct echoctl_style narrower = *style;
	struct view view = { sample, &narrower, out };
	size_t rows = lines > HEAD_LINES ? lines - HEAD_LINES : 0;
	struct echoctl_table *table = echoctl_table_new(titles, ARRAY_SIZE(titles));
	int r;

	/* leave the last column free: "erase to the end of line" would clear a character there */
	narrower.width = columns > 1 ? columns - 1 : 1;
	view_process(&view);
	view_totals(&view);
	view_line(&view, choice->paused ? ECHOCTL_WARN : ECHOCTL_PLAIN,
	    "%sby %s, %s first; q quit, space pause, r/i/o/p/a rate/in/out/pending/age",
	    choice->paused ? "PAUSED; " : "", sorts[choice->sort].name,
	    choice->ascending ? "least" : "most");
	for (size_t i = 0; i < sample->count && i < rows; i++)
		view_row(table, sample->order[i]);
	r = echoctl_table_print(table, &narrower, ECHOCTL_BAR, LINE_END, out);
	echoctl_table_free(table);
	return r;
}

/* The connections with the latest traffic, as many as the daemon returns at once. */
#define TARGET_CONNECTIONS "/connections?sort=idle&order=asc&limit=1000"

/* The status of an answer when too many requests wait for the daemon: ask again later. */
#define BUSY 503

/* The state of a sample: two requests, one after the other, then a pause until the next is due. */
enum top_step {
	TOP_RESTING,
	TOP_STATS,
	TOP_CONNECTIONS,
};

enum top_end {
	TOP_GOES_ON,
	TOP_LEFT,     /* by the user */
	TOP_SIGNAL,   /* number in `signal` */
	TOP_NO_REPLY, /* the daemon is gone, or does not answer */
	TOP_REFUSED,  /* it answers something else */
	TOP_FAILED,   /* of our own, in `error` */
};

struct top {
	struct echoctl_session *session;
	struct echoctl_screen *screen; /* owned */
	struct echoctl_sample *sample; /* owned; the one shown; NULL: none yet */
	json_t *stats;                 /* owned; the half of a sample that is there already */
	struct echoctl_top_choice choice;
	enum top_step step;
	int64_t due_ns; /* when the next sample begins */
	enum top_end end;
	int signal;
	int error; /* -errno */
};

static void
top_end(struct top *top, enum top_end end)
{
	if (top->end == TOP_GOES_ON)
		top->end = end;
}

static void
top_fail(struct top *top, int error)
{
	top->error = error;
	top_end(top, TOP_FAILED);
}

static void
top_draw(struct top *top)
{
	size_t length, lines, columns;
	char *text = NULL;
	FILE *out;
	int r;

	if (top->sample == NULL)
		return;
	out = open_memstream(&text, &length);
	if (out == NULL) {
		top_fail(top, -ENOMEM);
		return;
	}
	echoctl_screen_size(top->screen, &lines, &columns);
	echoctl_sample_sort(top->sample, top->choice.sort, top->choice.ascending);
	r = echoctl_top_view(top->sample, &top->choice, &top->session->style, lines, columns, out);
	if (fclose(out) != 0 || r < 0)
		top_fail(top, -ENOMEM);
	else
		echoctl_screen_show(top->screen, text, length);
	free(text);
}

static void
top_ask(struct top *top, enum top_step step, const char *target)
{
	int r = echoctl_http_start(top->session->http, ECHOCTL_GET, target);

	top->step = step;
	if (r < 0)
		top_fail(top, r);
}

static void
top_take_sample(struct top *top, json_t *connections)
{
	struct echoctl_sample *sample = echoctl_sample_new(top->stats, connections, top->sample);

	top->stats = NULL;
	top->step = TOP_RESTING;
	if (sample == NULL) {
		top_fail(top, -ENOMEM);
		return;
	}
	echoctl_sample_free(top->sample);
	top->sample = sample;
	top_draw(top);
}

/* The request is over. */
static void
top_take_answer(struct top *top)
{
	const struct echoctl_answer *answer = echoctl_http_answer(top->session->http);
	json_t *document;

	if (answer->status == BUSY) {
		/* what is shown stays, until the next sample is due */
		json_decref(top->stats);
		top->stats = NULL;
		top->step = TOP_RESTING;
		return;
	}
	if (answer->status != 200) {
		top_end(top, answer->status == 0 ? TOP_NO_REPLY : TOP_REFUSED);
		return;
	}
	document = echoctl_json_parse(answer->body, answer->length);
	if (document == NULL) {
		top_end(top, TOP_REFUSED);
	} else if (top->step == TOP_STATS) {
		top->stats = document;
		top_ask(top, TOP_CONNECTIONS, TARGET_CONNECTIONS);
	} else {
		top_take_sample(top, document);
	}
}

/* Take one event; returns whether there may be more. */
static bool
top_take_event(struct top *top)
{
	struct echoctl_event event = echoctl_screen_next(top->screen);

	switch (event.kind) {
	case ECHOCTL_EVENT_NONE:
		return false;
	case ECHOCTL_EVENT_KEY:
		if (event.value == 'q' || event.value == 'Q')
			top_end(top, TOP_LEFT);
		else if (echoctl_top_choice_take(&top->choice, event.value))
			top_draw(top);
		break;
	case ECHOCTL_EVENT_REDRAW:
		top_draw(top);
		break;
	case ECHOCTL_EVENT_SUSPEND:
		echoctl_screen_suspend(top->screen);
		break;
	case ECHOCTL_EVENT_END:
		top->signal = event.value;
		top_end(top, event.value == 0 || event.value == SIGINT ? TOP_LEFT : TOP_SIGNAL);
		break;
	}
	return top->end == TOP_GOES_ON;
}

/*
 * Begin a sample when one is due. Returns the milliseconds until the next one, -1: wait for an
 * event.
 */
static int
top_schedule(struct top *top)
{
	int64_t now_ns = clock_now_ns(), wait_ns = top->due_ns - now_ns;

	if (top->step != TOP_RESTING || top->choice.paused)
		return -1;
	if (wait_ns > 0)
		return (int)((wait_ns + NS_PER_MS - 1) / NS_PER_MS);
	top->due_ns += top->session->options->interval_ns;
	/* after a pause, or when answers take longer than the interval, do not catch up */
	if (top->due_ns <= now_ns)
		top->due_ns = now_ns + top->session->options->interval_ns;
	top_ask(top, TOP_STATS, "/stats");
	return -1;
}

static void
top_run(struct top *top)
{
	while (top->end == TOP_GOES_ON) {
		struct pollfd fds[ECHOCTL_SCREEN_FDS];
		int wait_ms = top_schedule(top), r;

		if (top->end != TOP_GOES_ON)
			break;
		echoctl_screen_fds(top->screen, fds);
		r = echoctl_http_poll(top->session->http, fds, ARRAY_SIZE(fds), wait_ms);
		if (r < 0)
			top_fail(top, r);
		else if (r > 0)
			top_take_answer(top);
		while (top_take_event(top)) {
			/* all that are there */
		}
	}
}

/* Print why `top` ended, unless the user ended it. The terminal is restored already. */
static enum echoctl_exit
top_tell(struct top *top)
{
	switch (top->end) {
	case TOP_NO_REPLY:
		echoctl_session_unreachable(top->session);
		return ECHOCTL_EXIT_UNREACHABLE;
	case TOP_REFUSED:
		return echoctl_session_refused(top->session, ECHOCTL_GET);
	case TOP_FAILED:
		(void)fprintf(stderr, "echoctl: %s\n", strerror(-top->error));
		return ECHOCTL_EXIT_FAILED;
	case TOP_SIGNAL:
		(void)raise(top->signal);
		return ECHOCTL_EXIT_FAILED;
	case TOP_GOES_ON:
	case TOP_LEFT:
		break;
	}
	return ECHOCTL_EXIT_OK;
}

/* Full-screen drawing needs a terminal that can do it, and a keyboard to leave it. */
static bool
top_has_terminal(void)
{
	const char *term = getenv("TERM");

	return isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1 && term != NULL &&
	       *term != '\0' && strcmp(term, "dumb") != 0;
}

enum echoctl_exit
echoctl_top(struct echoctl_session *session)
{
	struct top top = { .session = session, .due_ns = clock_now_ns() };
	enum echoctl_exit code;
	int r;

	if (!top_has_terminal()) {
		(void)fputs("echoctl: top needs a terminal: use connections instead\n", stderr);
		return ECHOCTL_EXIT_USAGE;
	}
	/* ask once before taking the screen, so that errors are printed on the normal one */
	code = echoctl_session_fetch(session, ECHOCTL_GET, "/livez");
	if (code != ECHOCTL_EXIT_OK)
		return code;
	r = echoctl_screen_open(&top.screen);
	if (r == 0)
		top_run(&top);
	else
		top_fail(&top, r);
	echoctl_screen_close(top.screen);
	echoctl_sample_free(top.sample);
	json_decref(top.stats);
	return top_tell(&top);
}
