/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "control/status_page.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "control/html.h"
#include "control/process_figures.h"
#include "control/status_page_parts.h"
#include "control/status_page_tables.h"
#include "engine/counters.h"

/* What one document is written from: read once, so that its figures agree. */
struct page {
	struct html html;
	const struct engine *engine;
	const struct process_status *status;
	const char *nonce;
	int64_t connections;
	struct counters_sum sum;
	struct process_figures figures;
};

/* The document's own parts. */

static void
page_nonce(struct page *page)
{
	html_text(&page->html, page->nonce);
}

static void
page_style(struct page *page)
{
	html_raw(&page->html, status_page_style, status_page_style_length);
}

static void
page_script(struct page *page)
{
	html_raw(&page->html, status_page_script, status_page_script_length);
}

/* The process. */

static void
page_version(struct page *page)
{
	html_text(&page->html, PACKAGE_VERSION);
}

static void
page_pid(struct page *page)
{
	html_print(&page->html, "%jd", (intmax_t)getpid());
}

static void
page_state(struct page *page)
{
	html_text(&page->html, page->status->not_ready != NULL ? page->status->not_ready : "ready");
}

static void
page_now(struct page *page)
{
	html_moment(&page->html, clock_wall_ns());
}

static void
page_started(struct page *page)
{
	html_moment(&page->html, page->status->started_wall_ns);
}

static void
page_uptime(struct page *page)
{
	html_duration(&page->html, clock_now_ns() - page->status->started_ns);
}

static void
page_reload(struct page *page)
{
	html_text(&page->html, page->status->last_reload_succeeded ? "good" : "failed");
}

static void
page_reload_success(struct page *page)
{
	html_moment(&page->html, page->status->last_success_wall_ns);
}

static void
page_reloads_succeeded(struct page *page)
{
	html_count(&page->html, page->status->reloads_succeeded);
}

static void
page_reloads_failed(struct page *page)
{
	html_count(&page->html, page->status->reloads_failed);
}

static void
page_cpu(struct page *page)
{
	html_duration(&page->html, page->figures.cpu_ns);
}

static void
page_resident(struct page *page)
{
	if (page->figures.resident_bytes < 0)
		html_text(&page->html, "unknown");
	else
		html_bytes(&page->html, (uint64_t)page->figures.resident_bytes);
}

/* A figure of the kernel's; one that could not be read is -1. */
static void
page_figure(struct page *page, int64_t figure)
{
	if (figure < 0)
		html_text(&page->html, "unknown");
	else
		html_count(&page->html, (uint64_t)figure);
}

static void
page_open_fds(struct page *page)
{
	page_figure(page, page->figures.open_fds);
}

static void
page_max_fds(struct page *page)
{
	page_figure(page, page->figures.max_fds);
}

static void
page_log_lost(struct page *page)
{
	struct log_totals log;

	log_totals_read(&log);
	html_count(&page->html, log.dropped + log.suppressed);
}

/* Totals. */

static void
page_connections(struct page *page)
{
	html_count(&page->html, (uint64_t)page->connections);
}

static void
page_connections_limit(struct page *page)
{
	html_count(&page->html, (uint64_t)page->engine->admission.limit);
}

/* An element, because its attributes want the plain numbers. */
static void
page_connections_meter(struct page *page)
{
	html_print(&page->html,
	    "<meter id=\"use\" aria-label=\"Share of the limit\" max=\"%" PRId64
	    "\" value=\"%" PRId64 "\"></meter>",
	    page->engine->admission.limit, page->connections);
}

static void
page_rejected(struct page *page)
{
	html_count(&page->html, status_page_family(&page->sum, COUNTER_REJECTED_LIMIT));
}

static void
page_listeners(struct page *page)
{
	status_page_listeners(&page->html, page->engine);
}

static void
page_workers(struct page *page)
{
	status_page_workers(&page->html, page->engine);
}

static void
page_reasons(struct page *page)
{
	status_page_reasons(&page->html, &page->sum);
}

/* The names that stand for a total of one counter. */
static const struct {
	const char *name;
	enum counter id;
	bool bytes; /* with a unit, else as a plain count */
} page_totals[] = {
	{ "accepted", COUNTER_CONNECTIONS_ACCEPTED, false },
	{ "pending", COUNTER_PENDING_BYTES, true },
	{ "read_pauses", COUNTER_READ_PAUSES, false },
	{ "received", COUNTER_RECEIVED_BYTES, true },
	{ "received_exact", COUNTER_RECEIVED_BYTES, false },
	{ "sent", COUNTER_SENT_BYTES, true },
	{ "sent_exact", COUNTER_SENT_BYTES, false },
};

/* What else {{name}} in the template stands for. */
static const struct {
	const char *name;
	void (*write)(struct page *page);
} page_table[] = {
	{ "connections", page_connections },
	{ "connections_limit", page_connections_limit },
	{ "connections_meter", page_connections_meter },
	{ "cpu", page_cpu },
	{ "listeners", page_listeners },
	{ "log_lost", page_log_lost },
	{ "max_fds", page_max_fds },
	{ "nonce", page_nonce },
	{ "now", page_now },
	{ "open_fds", page_open_fds },
	{ "pid", page_pid },
	{ "reasons", page_reasons },
	{ "rejected", page_rejected },
	{ "reload", page_reload },
	{ "reload_success", page_reload_success },
	{ "reloads_failed", page_reloads_failed },
	{ "reloads_succeeded", page_reloads_succeeded },
	{ "resident", page_resident },
	{ "script", page_script },
	{ "started", page_started },
	{ "state", page_state },
	{ "style", page_style },
	{ "uptime", page_uptime },
	{ "version", page_version },
	{ "workers", page_workers },
};

static bool
page_is(const char *known, const char *name, size_t length)
{
	return strlen(known) == length && memcmp(known, name, length) == 0;
}

/* Write what the LENGTH bytes at NAME stand for. Returns false for an unknown name. */
static bool
page_fill_in(struct page *page, const char *name, size_t length)
{
	for (size_t i = 0; i < ARRAY_SIZE(page_table); i++) {
		if (page_is(page_table[i].name, name, length)) {
			page_table[i].write(page);
			return true;
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(page_totals); i++) {
		if (!page_is(page_totals[i].name, name, length))
			continue;
		if (page_totals[i].bytes)
			html_bytes(&page->html, page->sum.values[page_totals[i].id]);
		else
			html_count(&page->html, page->sum.values[page_totals[i].id]);
		return true;
	}
	return false;
}

int
status_page_write(struct evbuffer *out, const struct engine *engine,
    const struct process_status *status, const char *nonce)
{
	struct page page = {
		.html = { .out = out }, .engine = engine, .status = status, .nonce = nonce
	};
	const char *text = (const char *)status_page_template;
	const char *end = text + status_page_template_length;

	page.connections = engine_connections(engine);
	engine_sum(engine, &page.sum);
	process_figures_read(&page.figures);
	for (;;) {
		const char *open = memmem(text, (size_t)(end - text), "{{", 2), *close;

		if (open == NULL)
			break;
		html_raw(&page.html, text, (size_t)(open - text));
		open += 2;
		close = memmem(open, (size_t)(end - open), "}}", 2);
		if (close == NULL || !page_fill_in(&page, open, (size_t)(close - open)))
			return -EINVAL;
		text = close + 2;
	}
	html_raw(&page.html, text, (size_t)(end - text));
	return page.html.failed ? -ENOMEM : 0;
}
