/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "echoctl/top_view.h"

#include <stdarg.h>
#include <string.h>

#include "echoctl/json.h"
#include "echoctl/show.h"
#include "echoctl/table.h"
#include "echoctl/text.h"
#include "echoctl/units.h"

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
	size_t width; /* columns in use: the last one stays free, or erasing would take it */
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
	bytes = echoctl_text_fit(escaped, view->width, &columns);
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
	echoctl_units_bytes(bytes, true, buffer, size);
	(void)strncat(buffer, per, size - strlen(buffer) - 1);
	return buffer;
}

static const char *
view_rate(double rate, char *buffer, size_t size)
{
	if (rate < 0)
		return "-";
	echoctl_units_number(rate, buffer, size);
	(void)strncat(buffer, "/s", size - strlen(buffer) - 1);
	return buffer;
}

static const char *
view_seconds(double seconds, char *buffer, size_t size)
{
	return seconds < 0 ? "-" : echoctl_units_seconds(seconds, true, buffer, size);
}

static void
view_process(const struct view *view)
{
	const json_t *stats = view->sample->stats;
	const char *version = echoctl_json_text(stats, "process.version");
	const char *state = echoctl_show_state(stats);
	double uptime = echoctl_json_number(stats, "process.uptime_seconds");
	enum echoctl_tone tone = echoctl_show_tone(state);
	char up[ECHOCTL_UNITS_TEXT_MAX];

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
	char a[ECHOCTL_UNITS_TEXT_MAX], b[ECHOCTL_UNITS_TEXT_MAX], c[ECHOCTL_UNITS_TEXT_MAX];
	char d[ECHOCTL_UNITS_TEXT_MAX], e[ECHOCTL_UNITS_TEXT_MAX];

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
	char text[ECHOCTL_UNITS_TEXT_MAX];

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
	 * Wide enough for what is usual, so that the columns stand still; in the order of their
	 * worth, because a narrow screen cuts the last ones: the first seven take 79 columns.
	 */
	static const struct echoctl_column titles[] = {
		{ .title = "ID", .right = true, .least = 4 },
		{ .title = "PEER", .least = 21 },
		{ .title = "IN", .right = true, .least = 10 },
		{ .title = "OUT", .right = true, .least = 10 },
		{ .title = "PENDING", .right = true, .least = 7 },
		{ .title = "AGE", .right = true, .least = 6 },
		{ .title = "STATE", .least = 9 },
		{ .title = "LISTENER", .least = 8 },
		{ .title = "RECEIVED", .right = true, .least = 8 },
		{ .title = "SENT", .right = true, .least = 8 },
	};
	struct view view = { sample, style, columns > 1 ? columns - 1 : 1, out };
	size_t rows = lines > HEAD_LINES ? lines - HEAD_LINES : 0;
	struct echoctl_table *table = echoctl_table_new(titles, ARRAY_SIZE(titles));
	int r;

	view_process(&view);
	view_totals(&view);
	view_line(&view, choice->paused ? ECHOCTL_WARN : ECHOCTL_PLAIN,
	    "%sby %s, %s first; q quit, space pause, r/i/o/p/a rate/in/out/pending/age",
	    choice->paused ? "PAUSED; " : "", sorts[choice->sort].name,
	    choice->ascending ? "least" : "most");
	for (size_t i = 0; i < sample->count && i < rows; i++)
		view_row(table, sample->order[i]);
	r = echoctl_table_print(table, style, ECHOCTL_BAR, view.width, LINE_END, out);
	echoctl_table_free(table);
	return r;
}
