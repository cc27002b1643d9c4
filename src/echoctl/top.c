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
#include "echoctl/sample.h"
#include "echoctl/screen.h"
#include "echoctl/top_view.h"

/* The busiest: as many as the daemon tells of at once, those with traffic most lately. */
#define TARGET_CONNECTIONS "/connections?sort=idle&order=asc&limit=1000"

/* The daemon has too many questions just now. */
#define BUSY 503

/* Where a sample is: one request after the other, then a rest until the next is due. */
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
	TOP_TROUBLE,  /* of our own, in `error` */
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
	top_end(top, TOP_TROUBLE);
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

/* Begin a sample when one is due. Returns how long there is nothing to do, -1: until something. */
static int
top_schedule(struct top *top)
{
	int64_t now_ns = clock_now_ns(), wait_ns = top->due_ns - now_ns;

	if (top->step != TOP_RESTING || top->choice.paused)
		return -1;
	if (wait_ns > 0)
		return (int)((wait_ns + NS_PER_MS - 1) / NS_PER_MS);
	top->due_ns += top->session->options->interval_ns;
	/* after a pause, or where answers take longer than the interval, do not hurry */
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

/* The terminal is given back: say why, where that is not plain. */
static enum echoctl_exit
top_tell(struct top *top)
{
	switch (top->end) {
	case TOP_NO_REPLY:
		echoctl_session_unreachable(top->session);
		return ECHOCTL_EXIT_UNREACHABLE;
	case TOP_REFUSED:
		return echoctl_session_refused(top->session, ECHOCTL_GET);
	case TOP_TROUBLE:
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
	/* who is not there is told on the screen as it is */
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
