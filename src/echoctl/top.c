/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "echoctl/top.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "echoctl/json.h"
#include "echoctl/screen.h"
#include "echoctl/table.h"
#include "echoctl/text.h"

/* A list that can be shown: where its rows come from, what is computed and shown of them. */
struct list {
	const char *target;
	struct echoctl_view view;
	struct {
		const char *total, *rate; /* a figure that grows, and how fast */
	} rates[2];
	int (*compare)(const void *, const void *); /* tells what rows are of; for qsort() */
};

static int
sample_compare_ids(const void *a, const void *b)
{
	json_int_t x = echoctl_json_integer(*(json_t *const *)a, "id");
	json_int_t y = echoctl_json_integer(*(json_t *const *)b, "id");

	return (x > y) - (x < y);
}

static int
sample_compare_texts(const json_t *a, const json_t *b, const char *key)
{
	const char *x = echoctl_json_text(a, key), *y = echoctl_json_text(b, key);

	return strcmp(x != NULL ? x : "", y != NULL ? y : "");
}

static int
sample_compare_sources(const void *a, const void *b)
{
	const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
	int order = sample_compare_texts(x, y, "source");

	return order != 0 ? order : sample_compare_texts(x, y, "listener");
}

/*
 * Those with the latest traffic, or the busiest, as many as the daemon returns at once. Columns are
 * wide enough for usual values, so that they do not move from one frame to the next. A narrow
 * screen leaves out the last ones: the first seven of connections take 79 columns.
 */
static const struct list lists[] = {
	[ECHOCTL_LIST_CONNECTIONS] = {
		.target = "/connections?sort=idle&order=asc&limit=1000",
		.view = {
			.list = "connections",
			.columns = {
				{ .key = "id", .title = "ID", .right = true, .least = 4 },
				{ .key = "peer", .title = "PEER", .least = 21, .shorten = 21 },
				{ .key = "in_rate", .title = "IN", .right = true, .least = 10, .drop = 1 },
				{ .key = "out_rate", .title = "OUT", .right = true, .least = 10, .drop = 2 },
				{ .key = "pending_bytes", .title = "PENDING", .right = true, .least = 7, .drop = 3 },
				{ .key = "age_seconds", .title = "AGE", .right = true, .least = 6, .drop = 4 },
				{ .key = "state", .title = "STATE", .least = 9, .shorten = 9, .drop = 5 },
				{ .key = "listener", .title = "LISTENER", .least = 8, .shorten = 8, .drop = 6 },
				{ .key = "bytes_in", .title = "RECEIVED", .right = true, .least = 8, .drop = 7 },
				{ .key = "bytes_out", .title = "SENT", .right = true, .least = 8, .drop = 8 },
			},
		},
		.rates = { { "bytes_in", "in_rate" }, { "bytes_out", "out_rate" } },
		.compare = sample_compare_ids,
	},
	[ECHOCTL_LIST_SOURCES] = {
		.target = "/sources?limit=1000",
		.view = {
			.list = "sources",
			.columns = {
				{ .key = "source", .title = "SOURCE", .least = 19, .shorten = 19 },
				{ .key = "echoed_per_second", .title = "ECHOED/S", .right = true, .least = 9, .drop = 2 },
				{ .key = "dropped_per_second", .title = "DROPPED/S", .right = true, .least = 9,
				    .drop = 1, .warn = "dropped_per_second" },
				{ .key = "echoed", .title = "ECHOED", .right = true, .least = 8, .drop = 5 },
				{ .key = "dropped", .title = "DROPPED", .right = true, .least = 8, .drop = 4 },
				{ .key = "listener", .title = "LISTENER", .least = 8, .shorten = 8, .drop = 3 },
				{ .key = "idle_seconds", .title = "IDLE", .right = true, .least = 6, .drop = 6 },
			},
		},
		.rates = { { "echoed", "echoed_per_second" }, { "dropped", "dropped_per_second" } },
		.compare = sample_compare_sources,
	},
};

/* Their orders: by a sum of figures. The first one of a list is that at the start. */
static const struct {
	enum echoctl_list list;
	int key;
	const char *name;
	const char *figures[2];
} sorts[] = {
	[ECHOCTL_SORT_RATE] = { ECHOCTL_LIST_CONNECTIONS, 'r', "rate", { "in_rate", "out_rate" } },
	[ECHOCTL_SORT_IN] = { ECHOCTL_LIST_CONNECTIONS, 'i', "in", { "in_rate" } },
	[ECHOCTL_SORT_OUT] = { ECHOCTL_LIST_CONNECTIONS, 'o', "out", { "out_rate" } },
	[ECHOCTL_SORT_PENDING] = { ECHOCTL_LIST_CONNECTIONS, 'p', "pending", { "pending_bytes" } },
	[ECHOCTL_SORT_AGE] = { ECHOCTL_LIST_CONNECTIONS, 'a', "age", { "age_seconds" } },
	[ECHOCTL_SORT_DATAGRAMS] = { ECHOCTL_LIST_SOURCES, 'r', "rate",
	    { "echoed_per_second", "dropped_per_second" } },
	[ECHOCTL_SORT_ECHOED] = { ECHOCTL_LIST_SOURCES, 'e', "echoed", { "echoed_per_second" } },
	[ECHOCTL_SORT_DROPPED] = { ECHOCTL_LIST_SOURCES, 'd', "dropped", { "dropped_per_second" } },
};

#define LINE_END "\033[K\n"
#define HEAD_LINES 5 /* above the first row, titles included, that of datagrams not */

static void
sample_sort_as_made(struct echoctl_sample *sample)
{
	qsort(sample->rows, sample->count, sizeof(sample->rows[0]), lists[sample->list].compare);
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

/*
 * Put the growth in SECONDS in OBJECT as a rate, unless a figure is missing (below 0), it shrank or
 * no time has passed.
 */
static void
sample_set_rate(json_t *object, const char *key, double before, double after, double seconds)
{
	if (before >= 0 && after >= before && seconds > 0)
		(void)json_object_set_new(object, key, json_real((after - before) / seconds));
}

static void
sample_rate_totals(
    const struct echoctl_sample *sample, const struct echoctl_sample *before, double seconds)
{
	static const struct {
		const char *total, *rate;
	} totals[] = {
		{ "totals.received_bytes", "received_rate" },
		{ "totals.sent_bytes", "sent_rate" },
		{ "totals.connections_accepted", "accepted_per_second" },
		{ "totals.connections_closed", "closed_per_second" },
		{ "totals.connections_rejected", "rejected_per_second" },
		{ "totals.datagrams_received", "datagrams_per_second" },
		{ "totals.datagrams_sent", "echoed_per_second" },
		{ "totals.datagrams_dropped", "dropped_per_second" },
	};
	json_t *object = json_object();

	for (size_t i = 0; i < ARRAY_SIZE(totals); i++)
		sample_set_rate(object, totals[i].rate,
		    (double)echoctl_json_sum(before->stats, totals[i].total),
		    (double)echoctl_json_sum(sample->stats, totals[i].total), seconds);
	(void)json_object_set_new(sample->stats, "rates", object);
}

/* Whether SAMPLE has all rows that there were, so that one which it does not have is new since. */
static bool
sample_is_whole(const struct echoctl_sample *sample)
{
	json_int_t known = echoctl_json_integer(sample->document, "known");

	return known >= 0 && known <= (json_int_t)sample->count;
}

static void
sample_rate_row(const struct echoctl_sample *sample, json_t *row,
    const struct echoctl_sample *before, double seconds)
{
	const struct list *list = &lists[sample->list];
	json_t *const *old = bsearch(
	    &row, before->rows, before->count, sizeof(before->rows[0]), list->compare);
	double age = echoctl_json_number(row, "age_seconds");
	double old_age = old != NULL ? echoctl_json_number(*old, "age_seconds") : 0;

	if (sample->list == ECHOCTL_LIST_SOURCES) {
		/* a source has no age */
		if (old == NULL && !sample_is_whole(before))
			return;
		age = seconds;
		old_age = 0;
	}
	/* a new one began at 0; an older one was only beyond the limit of the last answer */
	if (old == NULL && age > seconds)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(list->rates); i++)
		sample_set_rate(row, list->rates[i].rate,
		    old != NULL ? echoctl_json_number(*old, list->rates[i].total) : 0,
		    echoctl_json_number(row, list->rates[i].total), age - old_age);
}

static void
sample_compare(struct echoctl_sample *sample, struct echoctl_sample *before)
{
	double seconds = echoctl_json_number(sample->stats, "process.uptime_seconds") -
			 echoctl_json_number(before->stats, "process.uptime_seconds");

	if (!sample_is_same_run(before, sample))
		return;
	sample_rate_totals(sample, before, seconds);
	if (before->list != sample->list)
		return;
	sample_sort_as_made(before);
	for (size_t i = 0; i < sample->count; i++)
		sample_rate_row(sample, sample->rows[i], before, seconds);
}

struct echoctl_sample *
echoctl_sample_new(
    enum echoctl_list list, json_t *stats, json_t *document, struct echoctl_sample *before)
{
	const json_t *source = echoctl_json_get(document, lists[list].view.list);
	size_t count = json_array_size(source);
	struct echoctl_sample *sample = calloc(1, sizeof(*sample));
	json_t **rows = calloc(count + 1, sizeof(json_t *));

	if (sample == NULL || rows == NULL) {
		json_decref(stats);
		json_decref(document);
		free(sample);
		free(rows);
		return NULL;
	}
	*sample = (struct echoctl_sample){ list, stats, document, rows, count };
	for (size_t i = 0; i < count; i++)
		rows[i] = json_array_get(source, i);
	sample_sort_as_made(sample);
	(void)json_object_set_new(stats, "state", json_string(echoctl_json_state(stats)));
	if (before != NULL)
		sample_compare(sample, before);
	return sample;
}

void
echoctl_sample_free(struct echoctl_sample *sample)
{
	if (sample == NULL)
		return;
	free(sample->rows);
	json_decref(sample->stats);
	json_decref(sample->document);
	free(sample);
}

/* What rows are sorted by: the sum of figures. */
static double
sample_sort_value(const json_t *row, enum echoctl_sort sort)
{
	double value = 0;

	for (size_t i = 0; i < ARRAY_SIZE(sorts[sort].figures); i++)
		if (sorts[sort].figures[i] != NULL)
			value += echoctl_json_number(row, sorts[sort].figures[i]);
	return value;
}

static int
sample_compare_rows(const void *a, const void *b, void *context)
{
	const struct echoctl_top_choice *choice = context;
	double x = sample_sort_value(*(json_t *const *)a, choice->sort);
	double y = sample_sort_value(*(json_t *const *)b, choice->sort);
	int larger = (x > y) - (x < y);

	if (larger == 0)
		return lists[choice->list].compare(a, b);
	return choice->ascending ? larger : -larger;
}

void
echoctl_sample_sort(struct echoctl_sample *sample, const struct echoctl_top_choice *choice)
{
	qsort_r(sample->rows, sample->count, sizeof(sample->rows[0]), sample_compare_rows,
	    (void *)choice);
}

bool
echoctl_top_choice_take(struct echoctl_top_choice *choice, int key)
{
	if (key == ' ') {
		choice->paused = !choice->paused;
		return true;
	}
	if (key == 's') {
		bool sources = choice->list == ECHOCTL_LIST_SOURCES;

		/* what was shown is of no use any more, so that a pause ends */
		*choice = (struct echoctl_top_choice){
			.list = sources ? ECHOCTL_LIST_CONNECTIONS : ECHOCTL_LIST_SOURCES,
			.sort = sources ? ECHOCTL_SORT_RATE : ECHOCTL_SORT_DATAGRAMS,
		};
		return true;
	}
	for (size_t i = 0; i < ARRAY_SIZE(sorts); i++) {
		if (sorts[i].list != choice->list || sorts[i].key != key)
			continue;
		choice->ascending = choice->sort == (enum echoctl_sort)i && !choice->ascending;
		choice->sort = (enum echoctl_sort)i;
		return true;
	}
	return false;
}

/* Print TEXT as one line, made harmless and cut. */
static void
view_line(const struct echoctl_style *style, enum echoctl_tone tone, const char *text, FILE *out)
{
	char escaped[1024];
	size_t columns, bytes;

	echoctl_text_escape(text, strlen(text), escaped, sizeof(escaped));
	bytes = echoctl_text_fit(escaped, style->width, &columns);
	echoctl_style_printf(style, tone, out, "%.*s", (int)bytes, escaped);
	(void)fputs(LINE_END, out);
}

/* Print what TEMPLATE makes of the stats. Returns 0 or -ENOMEM. */
static int
view_figures(const struct echoctl_sample *sample, const char *template,
    const struct echoctl_style *style, enum echoctl_tone tone, FILE *out)
{
	char *text = echoctl_json_fill(sample->stats, template);

	if (text == NULL)
		return -ENOMEM;
	view_line(style, tone, text, out);
	free(text);
	return 0;
}

/* Print how the list is ordered, and the keys. */
static void
view_keys(const struct echoctl_top_choice *choice, const struct echoctl_style *style, FILE *out)
{
	bool sources = choice->list == ECHOCTL_LIST_SOURCES;
	char keys[128];

	(void)snprintf(keys, sizeof(keys), "%sby %s, %s first; q quit, s %s, space pause, %s sort",
	    choice->paused ? "PAUSED; " : "", sorts[choice->sort].name,
	    choice->ascending ? "least" : "most", sources ? "connections" : "sources",
	    sources ? "r/e/d" : "r/i/o/p/a");
	view_line(style, choice->paused ? ECHOCTL_WARN : ECHOCTL_PLAIN, keys, out);
}

/* Print the lines above the table. Returns 0 or -ENOMEM. */
static int
view_head(const struct echoctl_sample *sample, const struct echoctl_top_choice *choice,
    const struct echoctl_style *style, FILE *out)
{
	const json_t *stats = sample->stats;
	enum echoctl_tone state = echoctl_style_tone(echoctl_json_text(stats, "state"));
	bool dropping = echoctl_json_number(stats, "rates.dropped_per_second") > 0;
	const struct {
		const char *template; /* NULL: no line */
		enum echoctl_tone tone;
	} lines[] = {
		{ "echod {$process.version}, process {process.pid}: {$state}, up "
		  "{process.uptime_seconds}",
		    state != ECHOCTL_GOOD ? state : ECHOCTL_PLAIN },
		{ "connections {totals.connections} of {limits.connections}, accepted "
		  "{rates.accepted_per_second}, closed {rates.closed_per_second}, rejected "
		  "{rates.rejected_per_second}",
		    ECHOCTL_PLAIN },
		{ "received {rates.received_rate} ({totals.received_bytes}), sent "
		  "{rates.sent_rate} ({totals.sent_bytes}), pending {totals.pending_bytes}",
		    ECHOCTL_PLAIN },
		{ echoctl_json_has_datagrams(stats)
			? "datagrams received {rates.datagrams_per_second}, echoed "
			  "{rates.echoed_per_second}, dropped {rates.dropped_per_second} "
			  "({totals.datagrams_dropped} in all)"
			: NULL,
		    dropping ? ECHOCTL_WARN : ECHOCTL_PLAIN },
	};
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(lines) && r == 0; i++)
		if (lines[i].template != NULL)
			r = view_figures(sample, lines[i].template, style, lines[i].tone, out);
	view_keys(choice, style, out);
	return r;
}

int
echoctl_top_view(const struct echoctl_sample *sample, const struct echoctl_top_choice *choice,
    const struct echoctl_style *style, size_t lines, size_t columns, FILE *out)
{
	struct echoctl_style narrower = *style;
	const struct echoctl_view *view = &lists[sample->list].view;
	size_t head = HEAD_LINES + (echoctl_json_has_datagrams(sample->stats) ? 1 : 0);
	size_t rows = lines > head ? lines - head : 0;
	struct echoctl_table *table = echoctl_json_table(view);
	int r;

	narrower.human = true;
	/* leave the last column free: "erase to the end of line" would clear a character there */
	narrower.width = columns > 1 ? columns - 1 : 1;
	for (size_t i = 0; i < sample->count && i < rows; i++)
		echoctl_json_add_row(table, view, sample->rows[i], narrower.human);
	r = view_head(sample, choice, &narrower, out);
	if (r == 0)
		r = echoctl_table_print(table, &narrower, ECHOCTL_BAR, LINE_END, out);
	echoctl_table_free(table);
	return r;
}

/* The status of an answer when too many requests wait for the daemon: ask again later. */
#define BUSY 503

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
	bool asking;                   /* for stats, then for the list; else a sample is due */
	json_t *stats;                 /* owned; the half of a sample that is there already */
	struct echoctl_top_choice choice;
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

	/* the list that was chosen meanwhile is still being asked for */
	if (top->sample == NULL || top->sample->list != top->choice.list)
		return;
	out = open_memstream(&text, &length);
	if (out == NULL) {
		top_fail(top, -ENOMEM);
		return;
	}
	echoctl_style_size(STDOUT_FILENO, &lines, &columns);
	echoctl_sample_sort(top->sample, &top->choice);
	r = echoctl_top_view(top->sample, &top->choice, &top->session->style, lines, columns, out);
	if (fclose(out) != 0 || r < 0)
		top_fail(top, -ENOMEM);
	else
		echoctl_screen_show(top->screen, text, length);
	free(text);
}

static void
top_ask(struct top *top, const char *target)
{
	int r = echoctl_session_start(top->session, ECHOCTL_GET, target);

	top->asking = true;
	if (r < 0)
		top_fail(top, r);
}

static void
top_take_sample(struct top *top, json_t *document)
{
	struct echoctl_sample *sample = echoctl_sample_new(
	    top->choice.list, top->stats, document, top->sample);

	top->stats = NULL;
	top->asking = false;
	if (sample == NULL) {
		top_fail(top, -ENOMEM);
		return;
	}
	echoctl_sample_free(top->sample);
	top->sample = sample;
	top_draw(top);
}

/* Forget the half of a sample that is there. */
static void
top_break_off(struct top *top)
{
	json_decref(top->stats);
	top->stats = NULL;
	top->asking = false;
}

/* Draw by the new choice; another list has to be asked for first, in place of what is asked. */
static void
top_follow_choice(struct top *top, enum echoctl_list before)
{
	if (top->choice.list == before) {
		top_draw(top);
		return;
	}
	top_break_off(top);
	top->due_ns = clock_now_ns();
}

/* The request is over. */
static void
top_take_answer(struct top *top)
{
	const struct echoctl_answer *answer = &top->session->answer;
	json_t *document;

	if (answer->status == BUSY) {
		/* what is shown stays, until the next sample is due */
		top_break_off(top);
		return;
	}
	if (answer->status != 200) {
		top_end(top, answer->status == 0 ? TOP_NO_REPLY : TOP_REFUSED);
		return;
	}
	document = echoctl_json_parse(answer->body, answer->length);
	if (document == NULL) {
		top_end(top, TOP_REFUSED);
	} else if (top->stats == NULL) {
		top->stats = document;
		top_ask(top, lists[top->choice.list].target);
	} else {
		top_take_sample(top, document);
	}
}

/* Take one event; returns whether there may be more. */
static bool
top_take_event(struct top *top)
{
	struct echoctl_event event = echoctl_screen_next(top->screen);
	enum echoctl_list list = top->choice.list;

	switch (event.kind) {
	case ECHOCTL_EVENT_NONE:
		return false;
	case ECHOCTL_EVENT_KEY:
		if (event.value == 'q' || event.value == 'Q')
			top_end(top, TOP_LEFT);
		else if (echoctl_top_choice_take(&top->choice, event.value))
			top_follow_choice(top, list);
		break;
	case ECHOCTL_EVENT_REDRAW:
		top_draw(top);
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

	if (top->asking || top->choice.paused)
		return -1;
	if (wait_ns > 0)
		return (int)((wait_ns + NS_PER_MS - 1) / NS_PER_MS);
	top->due_ns += top->session->options->interval_ns;
	/* after a pause, or when answers take longer than the interval, do not catch up */
	if (top->due_ns <= now_ns)
		top->due_ns = now_ns + top->session->options->interval_ns;
	top_ask(top, "/stats");
	return -1;
}

static void
top_run(struct top *top)
{
	while (top->end == TOP_GOES_ON) {
		int fds[ECHOCTL_SCREEN_FDS];
		int wait_ms = top_schedule(top), r;

		if (top->end != TOP_GOES_ON)
			break;
		echoctl_screen_fds(top->screen, fds);
		r = echoctl_session_poll(top->session, fds, ARRAY_SIZE(fds), wait_ms);
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
		return echoctl_session_unreachable(top->session);
	case TOP_REFUSED:
		return echoctl_session_refused(top->session);
	case TOP_FAILED:
		return echoctl_session_fail(top->error);
	case TOP_SIGNAL:
		(void)raise(top->signal);
		return ECHOCTL_EXIT_FAILED;
	case TOP_GOES_ON:
	case TOP_LEFT:
		break;
	}
	return ECHOCTL_EXIT_OK;
}

enum echoctl_exit
echoctl_top(struct echoctl_session *session)
{
	struct top top = { .session = session, .due_ns = clock_now_ns() };
	enum echoctl_exit code;
	int r;

	/* drawing needs a terminal that can do it, and a keyboard to leave it */
	if (!session->style.able || isatty(STDIN_FILENO) != 1) {
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
