/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "control/status_page_tables.h"

#include <string.h>

#include "base/address.h"
#include "base/attributes.h"

uint64_t
status_page_family(const struct counters_sum *sum, enum counter member)
{
	const char *key = counter_info(member)->key;
	uint64_t total = 0;

	for (int id = 0; id < COUNTER_COUNT; id++) {
		if (strcmp(counter_info((enum counter)id)->key, key) == 0)
			total += sum->values[id];
	}
	return total;
}

static void
status_page_cell_count(struct html *html, uint64_t count)
{
	html_print(html, "<td class=\"n\">");
	html_count(html, count);
	html_print(html, "</td>");
}

static void
status_page_cell_bytes(struct html *html, uint64_t bytes)
{
	html_print(html, "<td class=\"n\">");
	html_bytes(html, bytes);
	html_print(html, "</td>");
}

/* A count that several threads write may be a moment below zero. */
static uint64_t
status_page_level(const _Atomic int64_t *level)
{
	int64_t value = atomic_load_explicit(level, memory_order_relaxed);

	return value > 0 ? (uint64_t)value : 0;
}

static void
status_page_listener(struct html *html, const struct engine *engine, const struct service *service)
{
	const struct listener *lis = engine_find_listener(engine, service);
	const char *state = lis == NULL ? "closed" : lis->accepting ? "accepting" : "paused";
	char address[ADDRESS_TEXT_MAX] = "";
	struct counters_sum sum;

	if (lis != NULL)
		address_format(&lis->socket.address, address, sizeof(address));
	service_sum(service, &sum);
	html_print(html, "<tr><th scope=\"row\">");
	html_text(html, service->name);
	html_print(html, "</th><td class=\"long\">");
	html_text(html, address);
	html_print(html, "</td><td class=\"word\" data-word=\"%s\">%s</td>", state, state);
	status_page_cell_count(html, status_page_level(&service->connections));
	status_page_cell_count(html, sum.values[COUNTER_CONNECTIONS_ACCEPTED]);
	status_page_cell_count(html, status_page_family(&sum, COUNTER_REJECTED_LIMIT));
	status_page_cell_bytes(html, sum.values[COUNTER_RECEIVED_BYTES]);
	status_page_cell_bytes(html, sum.values[COUNTER_SENT_BYTES]);
	status_page_cell_bytes(html, sum.values[COUNTER_PENDING_BYTES]);
	html_print(html, "</tr>\n");
}

void
status_page_listeners(struct html *html, const struct engine *engine)
{
	const struct service *service;

	TAILQ_FOREACH (service, &engine->services, next)
		status_page_listener(html, engine, service);
}

void
status_page_workers(struct html *html, const struct engine *engine)
{
	for (size_t i = 0; i < engine->worker_count; i++) {
		const struct worker *worker = engine->workers[i];

		html_print(html, "<tr><th scope=\"row\">%u</th>", worker->id);
		status_page_cell_count(html, status_page_level(&worker->load));
		/* the lag of the loop comes with scripts */
		html_print(html, "<td class=\"n live\"></td><td class=\"n live\"></td></tr>\n");
	}
}

/* What an operator calls a family of counters; one without a name here goes by its key. */
static const char *
status_page_family_title(const char *key)
{
	static const struct {
		const char *key;
		const char *title;
	} titles[] = {
		{ "connections_closed", "Ended" },
		{ "connections_rejected", "Turned away" },
		{ "accept_errors", "Errors of accept(2)" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(titles); i++) {
		if (strcmp(titles[i].key, key) == 0)
			return titles[i].title;
	}
	return key;
}

/* Only the first fold is open: the others matter when their sums are not zero. */
static void
status_page_fold(struct html *html, const struct counters_sum *sum, enum counter first, bool open)
{
	const struct counter_info *info = counter_info(first);

	html_print(html,
	    "<details%s>\n<summary><span>%s</span> "
	    "<span data-figure=\"totals.%s\" data-as=\"sum\">",
	    open ? " open" : "", status_page_family_title(info->key), info->key);
	html_count(html, status_page_family(sum, first));
	html_print(html, "</span></summary>\n<table class=\"reasons\">\n<tbody>\n");
}

void
status_page_reasons(struct html *html, const struct counters_sum *sum)
{
	const char *key = NULL;

	for (int id = 0; id < COUNTER_COUNT; id++) {
		const struct counter_info *info = counter_info((enum counter)id);

		if (info->label == NULL)
			continue;
		if (key == NULL || strcmp(key, info->key) != 0) {
			if (key != NULL)
				html_print(html, "</tbody>\n</table>\n</details>\n");
			status_page_fold(html, sum, (enum counter)id, key == NULL);
			key = info->key;
		}
		html_print(html,
		    "<tr%s><th scope=\"row\">%s</th>"
		    "<td class=\"n\" data-figure=\"totals.%s.%s\" data-as=\"count\">",
		    sum->values[id] == 0 ? " class=\"nothing\"" : "", info->value, info->key,
		    info->value);
		html_count(html, sum->values[id]);
		html_print(html, "</td></tr>\n");
	}
	if (key != NULL)
		html_print(html, "</tbody>\n</table>\n</details>\n");
}
