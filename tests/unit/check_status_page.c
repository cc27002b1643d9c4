/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "control/status_page.h"

#include <check.h>
#include <errno.h>
#include <event2/buffer.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "control/html.h"
#include "engine/plan.h"

static struct loop *loop;
static struct engine *engine;
static struct config *cfg;
static struct process_status status;
static struct error_list errors = ERROR_LIST_EMPTY;
static char hostile[64]; /* the address of an abstract socket is free to hold markup */

static void
add_listener(const char *name, const char *address)
{
	struct listener_config *lis = config_add_listener(cfg);
	const char *error;

	ck_assert_ptr_nonnull(lis);
	free(lis->name);
	free(lis->address_text);
	lis->name = strdup(name);
	lis->address_text = strdup(address);
	ck_assert_int_eq(address_parse(lis->address_text, &lis->address, &error), 0);
	lis->enabled = true;
}

static void
setup(void)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	cfg = config_new_empty();
	ck_assert_ptr_nonnull(cfg);
	cfg->workers = 2;
	cfg->limits.connections = 12345;
	snprintf(hostile, sizeof(hostile), "unix:@%d\"><b id='x'>&amp;</b>", (int)getpid());
	add_listener("plain", "tcp://127.0.0.1:0");
	add_listener("hostile", hostile);
	status = (struct process_status){ .started_ns = clock_now_ns() - 90 * NS_PER_S,
		.started_wall_ns = 86400 * NS_PER_S,
		.last_reload_succeeded = true,
		.reloads_succeeded = 3,
		.reloads_failed = 4 };
	loop = loop_new();
	ck_assert_ptr_nonnull(loop);
	engine = engine_new(loop, cfg, &errors);
	ck_assert_ptr_nonnull(engine);
	ck_assert_int_eq(plan_apply(engine, cfg, NULL, 0, &errors), 0);
}

static void
teardown(void)
{
	engine_free(engine);
	loop_free(loop);
	config_unref(cfg);
	error_list_done(&errors);
}

static char *
text_of(struct evbuffer *out)
{
	char *text;

	ck_assert_int_eq(evbuffer_add(out, "", 1), 0);
	text = strdup((const char *)evbuffer_pullup(out, -1));
	evbuffer_free(out);
	return text;
}

static char *
page_new(void)
{
	struct evbuffer *out = evbuffer_new();

	ck_assert_int_eq(status_page_write(out, engine, &status, "n0nce"), 0);
	return text_of(out);
}

static size_t
count(const char *text, const char *word)
{
	size_t found = 0;

	while ((text = strstr(text, word)) != NULL) {
		text += strlen(word);
		found++;
	}
	return found;
}

static void
assert_has(const char *page, const char *wanted)
{
	ck_assert_msg(strstr(page, wanted) != NULL, "the page lacks: %s", wanted);
}

START_TEST(every_figure_is_filled_in)
{
	char *page = page_new();
	const char *script = strstr(page, "<script");

	/* the script may hold braces of its own, what comes before it may not */
	ck_assert_ptr_nonnull(script);
	ck_assert_ptr_null(memmem(page, (size_t)(script - page), "{{", 2));
	ck_assert_ptr_null(memmem(page, (size_t)(script - page), "}}", 2));
	assert_has(page, "<title>echod: ready</title>");
	assert_has(page, "data-as=\"text\">" PACKAGE_VERSION "</span>");
	assert_has(page, ">12,345</span> at most");
	assert_has(page, ">1m 30s</dd>");
	assert_has(page, ">1970-01-02 00:00:00 UTC</dd>");
	assert_has(page, ">3</span> good, <span");
	assert_has(page, ">4</span> failed");
	assert_has(page, "data-word=\"good\">good</dd>");
	free(page);
}
END_TEST

START_TEST(state_is_told)
{
	static const char *const words[] = { "starting", "draining" };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		char wanted[64], *page;

		status.not_ready = words[i];
		status.last_reload_succeeded = false;
		page = page_new();
		snprintf(wanted, sizeof(wanted), "<html lang=\"en\" data-state=\"%s\">", words[i]);
		assert_has(page, wanted);
		assert_has(page, "data-word=\"failed\">failed</dd>");
		free(page);
	}
}
END_TEST

START_TEST(every_script_and_style_has_the_nonce)
{
	char *page = page_new();

	ck_assert_uint_eq(count(page, "<script "), 1);
	ck_assert_uint_eq(count(page, "</script"), 1);
	ck_assert_uint_eq(count(page, "<style "), 2);
	ck_assert_uint_eq(count(page, "</style"), 2);
	ck_assert_uint_eq(count(page, " nonce=\"n0nce\">"), 3);
	/* what the policy would not let pass */
	ck_assert_uint_eq(count(page, " style="), 0);
	ck_assert_uint_eq(count(page, "javascript:"), 0);
	ck_assert_uint_eq(count(page, "innerHTML"), 0);
	ck_assert_uint_eq(count(page, "src="), 0);
	ck_assert_uint_eq(count(page, "https:"), 0);
	/* the one http: is the name of SVG, which nobody fetches */
	ck_assert_uint_eq(count(page, "http:"), count(page, "http://www.w3.org/2000/svg"));
	free(page);
}
END_TEST

START_TEST(text_from_outside_is_no_markup)
{
	char wanted[128], *page = page_new();

	snprintf(wanted, sizeof(wanted),
	    "<td class=\"long\">unix:@%d&quot;&gt;&lt;b id=&#39;x&#39;&gt;&amp;amp;&lt;/b&gt;</td>",
	    (int)getpid());
	assert_has(page, wanted);
	ck_assert_ptr_null(strstr(page, "<b id='x'>"));
	free(page);
}
END_TEST

START_TEST(tables_have_every_row)
{
	struct service *service = TAILQ_FIRST(&engine->services);
	char *page;

	for (int id = 0; id < COUNTER_COUNT; id++)
		counters_add(&service->acceptor, (enum counter)id, 1000000 + (uint64_t)id);
	atomic_store(&service->connections, 7);
	page = page_new();
	assert_has(page, "<th scope=\"row\">plain</th><td class=\"long\">tcp://127.0.0.1:");
	assert_has(page, "<td class=\"n\">7</td>");
	assert_has(page, "<tr><th scope=\"row\">0</th><td class=\"n\">0</td><td");
	assert_has(page, "<tr><th scope=\"row\">1</th><td class=\"n\">0</td><td");
	for (int id = 0; id < COUNTER_COUNT; id++) {
		const struct counter_info *info = counter_info((enum counter)id);
		char wanted[256];

		if (info->label == NULL)
			continue;
		snprintf(wanted, sizeof(wanted),
		    "<tr><th scope=\"row\">%s</th>"
		    "<td class=\"n\" data-figure=\"totals.%s.%s\" "
		    "data-as=\"count\">1,000,%03d</td>",
		    info->value, info->key, info->value, id);
		assert_has(page, wanted);
	}
	ck_assert_uint_eq(count(page, "<details open>"), 1);
	ck_assert_uint_eq(count(page, "<details"), count(page, "</details>"));
	free(page);
}
END_TEST

static const struct {
	int kind; /* c count, b bytes, d duration in ms, m moment in s */
	uint64_t value;
	const char *text;
} figures[] = {
	{ 'c', 0, "0" },
	{ 'c', 999, "999" },
	{ 'c', 1000, "1,000" },
	{ 'c', 1234567, "1,234,567" },
	{ 'c', UINT64_MAX, "18,446,744,073,709,551,615" },
	{ 'b', 0, "0 B" },
	{ 'b', 1023, "1023 B" },
	{ 'b', 1024, "1.00 KiB" },
	{ 'b', 15 * 1024 + 512, "15.5 KiB" },
	{ 'b', 150 * 1024 * 1024, "150 MiB" },
	{ 'b', UINT64_MAX, "16.0 EiB" },
	{ 'd', 0, "0.0s" },
	{ 'd', 449, "0.4s" },
	{ 'd', 9999, "9.9s" },
	{ 'd', 10000, "10s" },
	{ 'd', 59999, "59s" },
	{ 'd', 65000, "1m 05s" },
	{ 'd', 3 * 3600000 + 300000, "3h 05m" },
	{ 'd', 12 * 86400000LL + 3 * 3600000, "12d 3h" },
	{ 'm', 0, "1970-01-01 00:00:00 UTC" },
	{ 'm', 1735689599, "2024-12-31 23:59:59 UTC" },
};

START_TEST(figures_have_their_form)
{
	struct html html = { .out = evbuffer_new() };
	char *text;

	if (figures[_i].kind == 'c')
		html_count(&html, figures[_i].value);
	else if (figures[_i].kind == 'b')
		html_bytes(&html, figures[_i].value);
	else if (figures[_i].kind == 'd')
		html_duration(&html, (int64_t)figures[_i].value * NS_PER_MS);
	else
		html_moment(&html, (int64_t)figures[_i].value * NS_PER_S);
	text = text_of(html.out);
	ck_assert_str_eq(text, figures[_i].text);
	ck_assert(!html.failed);
	free(text);
}
END_TEST

START_TEST(lost_text_is_noticed)
{
	struct html html = { .out = evbuffer_new() };

	/* a frozen buffer takes nothing, as one without memory */
	ck_assert_int_eq(evbuffer_freeze(html.out, 0), 0);
	html_text(&html, "text");
	ck_assert(html.failed);
	ck_assert_int_eq(status_page_write(html.out, engine, &status, "n"), -ENOMEM);
	evbuffer_free(html.out);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("status_page");
	TCase *page = tcase_create("page"), *form = tcase_create("form");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(page, setup, teardown);
	tcase_add_test(page, every_figure_is_filled_in);
	tcase_add_test(page, state_is_told);
	tcase_add_test(page, every_script_and_style_has_the_nonce);
	tcase_add_test(page, text_from_outside_is_no_markup);
	tcase_add_test(page, tables_have_every_row);
	tcase_add_test(page, lost_text_is_noticed);
	suite_add_tcase(suite, page);
	tcase_add_loop_test(form, figures_have_their_form, 0, ARRAY_SIZE(figures));
	suite_add_tcase(suite, form);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
