/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "control/metrics_text.h"

#include <check.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "control/stats_json.h"
#include "document_text.h"
#include "engine_bed.h"
#include "suite.h"

static struct process_status status;

static void
new_config(void)
{
	bed_configure();
	cfg->limits.connections = 77;
}

static void
setup(void)
{
	new_config();
	status = (struct process_status){ .started_ns = clock_now_ns(),
		.started_boot_ns = clock_boot_ns(),
		.wall_offset_ns = clock_wall_ns() - clock_boot_ns(),
		.last_reload_succeeded = true,
		.reloads_succeeded = 3,
		.reloads_failed = 4 };
	bed_open();
}

/* Give every counter of every service a value of its own. */
static uint64_t
counter_value(const char *service, int id)
{
	return (strcmp(service, "one") == 0 ? 1000 : 2000) + (uint64_t)id;
}

static void
count(void)
{
	struct service *service;

	TAILQ_FOREACH (service, &engine->services, next) {
		for (int id = 0; id < COUNTER_COUNT; id++) {
			/* in parts, as the main loop and the workers count */
			counters_add(&service->acceptor, (enum counter)id, 1);
			counters_add(&service->shards[1].counters, (enum counter)id,
			    counter_value(service->name, id) - 1);
		}
		atomic_store(&service->connections, 5);
	}
}

static char *
metrics_new(bool openmetrics)
{
	return text_of(metrics_text_new(openmetrics, engine, &status));
}

static void
assert_line(const char *text, const char *line)
{
	const char *found = strstr(text, line);

	ck_assert_msg(
	    found != NULL && (found == text || found[-1] == '\n') && found[strlen(line)] == '\n',
	    "no line %s", line);
}

START_TEST(metrics_have_every_counter)
{
	struct service *service;
	char *text, line[256];

	count();
	text = metrics_new(false);
	TAILQ_FOREACH (service, &engine->services, next) {
		for (int id = 0; id < COUNTER_COUNT; id++) {
			const struct counter_info *info = counter_info((enum counter)id);
			uint64_t value = counter_value(service->name, id);

			if (info->label == NULL)
				snprintf(line, sizeof(line), "%s{listener=\"%s\"} %" PRIu64,
				    info->metric, service->name, value);
			else
				snprintf(line, sizeof(line),
				    "%s{listener=\"%s\",%s=\"%s\"} %" PRIu64, info->metric,
				    service->name, info->label, info->value, value);
			assert_line(text, line);
		}
	}
	assert_line(text, "echod_connections{listener=\"two\"} 5");
	assert_line(text, "echod_connections_limit 77");
	assert_line(text, "echod_build_info{version=\"" PACKAGE_VERSION "\"} 1");
	assert_line(text, "echod_config_reloads_total{result=\"success\"} 3");
	assert_line(text, "echod_config_reloads_total{result=\"failure\"} 4");
	assert_line(text, "echod_config_last_reload_successful 1");
	assert_line(text, "echod_draining 0");
	free(text);
}
END_TEST

/* Each family is described once, and its samples follow its description at once. */
static void
check_families(char *text, bool openmetrics)
{
	char *state = NULL, family[128] = "", kind[32] = "", name[160], seen[8192] = " ";

	for (char *line = strtok_r(text, "\n", &state); line != NULL;
	     line = strtok_r(NULL, "\n", &state)) {
		size_t length = strlen(family);
		const char *rest;

		if (strcmp(line, "# EOF") == 0) {
			ck_assert(openmetrics);
			ck_assert_ptr_null(strtok_r(NULL, "\n", &state));
			break;
		}
		if (sscanf(line, "# HELP %100s", family) == 1) {
			snprintf(name, sizeof(name), " %s ", family);
			ck_assert_msg(strstr(seen, name) == NULL, "%s comes twice", family);
			strcat(seen, name + 1);
			continue;
		}
		if (sscanf(line, "# TYPE %100s %20s", name, kind) == 2) {
			ck_assert_str_eq(name, family);
			continue;
		}
		ck_assert_int_eq(sscanf(line, "%100[a-z_]", name), 1);
		ck_assert_msg(strncmp(name, family, length) == 0, "%s in %s", name, family);
		rest = name + length;
		if (strcmp(kind, "histogram") == 0)
			ck_assert(strcmp(rest, "_bucket") == 0 || strcmp(rest, "_sum") == 0 ||
				  strcmp(rest, "_count") == 0);
		else if (strcmp(kind, "counter") == 0 && openmetrics)
			ck_assert_str_eq(rest, "_total");
		else
			ck_assert_str_eq(rest, "");
	}
	ck_assert_ptr_nonnull(strstr(seen, " process_resident_memory_bytes "));
}

START_TEST(metrics_come_in_families)
{
	char *text = metrics_new(false);

	check_families(text, false);
	free(text);
}
END_TEST

START_TEST(openmetrics_come_in_families)
{
	char *text = metrics_new(true);

	ck_assert_str_eq(text + strlen(text) - strlen("# EOF\n"), "# EOF\n");
	assert_line(text, "# TYPE echod_received_bytes counter");
	assert_line(text, "echod_received_bytes_total{listener=\"one\"} 0");
	check_families(text, true);
	free(text);
}
END_TEST

START_TEST(histograms_are_consistent)
{
	struct service *service = service_find(&engine->services, "two");
	char *text;

	/* on both workers; a value on a bound belongs below it */
	distribution_record(&service->shards[0].duration, &distribution_lives, NS_PER_MS);
	distribution_record(&service->shards[1].duration, &distribution_lives, NS_PER_MS + 1);
	distribution_record(&service->shards[1].duration, &distribution_lives, 90000 * NS_PER_S);
	distribution_record(&engine->workers[1]->lag, &distribution_delays, 20 * NS_PER_US);
	text = metrics_new(false);
	assert_line(text, "# TYPE echod_connection_duration_seconds histogram");
	assert_line(
	    text, "echod_connection_duration_seconds_bucket{listener=\"two\",le=\"0.001\"} 1");
	assert_line(
	    text, "echod_connection_duration_seconds_bucket{listener=\"two\",le=\"0.005\"} 2");
	assert_line(
	    text, "echod_connection_duration_seconds_bucket{listener=\"two\",le=\"86400.0\"} 2");
	assert_line(
	    text, "echod_connection_duration_seconds_bucket{listener=\"two\",le=\"+Inf\"} 3");
	assert_line(text, "echod_connection_duration_seconds_count{listener=\"two\"} 3");
	assert_line(
	    text, "echod_connection_duration_seconds_sum{listener=\"two\"} 90000.002000001");
	assert_line(text, "echod_connection_duration_seconds_count{listener=\"one\"} 0");
	assert_line(text, "echod_echo_delay_seconds_bucket{listener=\"one\",le=\"0.00001\"} 0");
	assert_line(text, "echod_event_loop_lag_seconds_bucket{loop=\"worker1\",le=\"0.00001\"} 0");
	assert_line(
	    text, "echod_event_loop_lag_seconds_bucket{loop=\"worker1\",le=\"0.000025\"} 1");
	assert_line(text, "echod_event_loop_lag_seconds_count{loop=\"main\"} 0");
	free(text);
}
END_TEST

/* A configuration has no such name; the longest has room for all its escapes. */
START_TEST(labels_are_escaped)
{
	char name[CONFIG_LISTENER_NAME_MAX + 1] = "", line[256] = "echod_connections{listener=\"";
	char *text;

	memset(name, '"', CONFIG_LISTENER_NAME_MAX);
	for (int i = 0; i < CONFIG_LISTENER_NAME_MAX; i++)
		strcat(line, "\\\"");
	strcat(line, "\"} 0");
	/* the one in force is never written again */
	config_unref(cfg);
	new_config();
	bed_add_listener("a\\b\"c\nd", "tcp://127.0.0.1:0");
	bed_add_listener("", "tcp://127.0.0.1:0");
	bed_add_listener(name, "tcp://127.0.0.1:0");
	ck_assert_int_eq(plan_apply(engine, cfg, NULL, 0, &errors), 0);
	text = metrics_new(false);
	assert_line(text, "echod_connections{listener=\"a\\\\b\\\"c\\nd\"} 0");
	assert_line(text, "echod_connections{listener=\"\"} 0");
	assert_line(text, line);
	free(text);
}
END_TEST

START_TEST(stats_have_every_counter)
{
	struct service *service;
	json_t *document, *totals, *listeners;
	size_t index = 0;

	count();
	document = json_of(stats_json_new(engine, &status));
	ck_assert_ptr_nonnull(document);
	totals = json_object_get(document, "totals");
	listeners = json_object_get(document, "listeners");
	ck_assert_uint_eq(json_array_size(listeners), 2);
	for (int id = 0; id < COUNTER_COUNT; id++) {
		const struct counter_info *info = counter_info((enum counter)id);
		json_t *value = json_object_get(totals, info->key);

		if (info->label != NULL)
			value = json_object_get(value, info->value);
		ck_assert(json_is_integer(value));
		ck_assert_int_eq(json_integer_value(value), 3000 + 2 * id);
	}
	TAILQ_FOREACH (service, &engine->services, next) {
		json_t *row = json_array_get(listeners, index++);

		ck_assert_str_eq(json_string_value(json_object_get(row, "name")), service->name);
		ck_assert_str_eq(json_string_value(json_object_get(row, "origin")), "bound");
		ck_assert(json_is_true(json_object_get(row, "accepting")));
		ck_assert_int_eq(json_integer_value(json_object_get(row, "connections_accepted")),
		    (int64_t)counter_value(service->name, COUNTER_CONNECTIONS_ACCEPTED));
	}
	json_decref(document);
}
END_TEST

START_TEST(stats_know_a_service_without_a_listener)
{
	json_t *document, *row;

	engine_close_listeners(engine, false);
	document = json_of(stats_json_new(engine, &status));
	row = json_array_get(json_object_get(document, "listeners"), 1);
	ck_assert_str_eq(json_string_value(json_object_get(row, "name")), "two");
	ck_assert(json_is_string(json_object_get(row, "address")));
	ck_assert(json_is_null(json_object_get(row, "origin")));
	ck_assert(json_is_false(json_object_get(row, "open")));
	ck_assert(json_is_false(json_object_get(row, "accepting")));
	ck_assert(json_is_integer(json_object_get(row, "received_bytes")));
	json_decref(document);
}
END_TEST

START_TEST(stats_tell_how_late_loops_are)
{
	json_t *document, *lag;

	for (int i = 0; i < 98; i++)
		distribution_record(&engine->lag, &distribution_delays, 10 * NS_PER_US);
	distribution_record(&engine->lag, &distribution_delays, 20 * NS_PER_MS);
	distribution_record(&engine->lag, &distribution_delays, 60 * NS_PER_S);
	document = json_of(stats_json_new(engine, &status));
	lag = json_object_get(json_object_get(document, "process"), "loop_lag");
	ck_assert(json_real_value(json_object_get(lag, "p50_seconds")) == 0.00001);
	ck_assert(json_is_null(json_object_get(lag, "p99_seconds")));
	ck_assert(json_real_value(json_object_get(lag, "mean_seconds")) > 0.6);
	lag = json_object_get(json_array_get(json_object_get(document, "workers"), 0), "loop_lag");
	ck_assert(json_is_null(json_object_get(lag, "p50_seconds")));
	ck_assert(json_is_null(json_object_get(lag, "mean_seconds")));
	json_decref(document);
}
END_TEST

static int allocations; /* of jansson that succeed */

static void *
short_malloc(size_t size)
{
	return allocations-- > 0 ? malloc(size) : NULL;
}

START_TEST(stats_fail_as_a_whole)
{
	int needed = 0, r = -ENOMEM;

	json_set_alloc_funcs(short_malloc, free);
	while (r < 0) {
		struct document *document = stats_json_new(engine, &status);
		struct evbuffer *out = evbuffer_new();

		allocations = needed++;
		while ((r = document_write(document, out)) > 0)
			continue;
		ck_assert(r == 0 || r == -ENOMEM);
		document_free(document);
		evbuffer_free(out);
	}
	ck_assert_int_gt(needed, 2 * COUNTER_COUNT);
	ck_assert_int_eq(allocations, 0);
}
END_TEST

Suite *
test_suite(void)
{
	Suite *suite = suite_create("control_text");
	TCase *documents = tcase_create("documents");

	tcase_add_checked_fixture(documents, setup, bed_close);
	tcase_add_test(documents, metrics_have_every_counter);
	tcase_add_test(documents, metrics_come_in_families);
	tcase_add_test(documents, openmetrics_come_in_families);
	tcase_add_test(documents, histograms_are_consistent);
	tcase_add_test(documents, labels_are_escaped);
	tcase_add_test(documents, stats_have_every_counter);
	tcase_add_test(documents, stats_know_a_service_without_a_listener);
	tcase_add_test(documents, stats_tell_how_late_loops_are);
	tcase_add_test(documents, stats_fail_as_a_whole);
	suite_add_tcase(suite, documents);
	return suite;
}
