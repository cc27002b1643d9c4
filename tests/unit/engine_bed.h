/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An engine in the test's own process: two workers and the listeners "one" and "two" on TCP. Its
 * main loop is the test's thread, which runs it while it waits for something.
 */
#ifndef ECHOD_TESTS_ENGINE_BED_H
#define ECHOD_TESTS_ENGINE_BED_H

#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"

static struct loop *loop;
static struct engine *engine;
static struct config *cfg;
static struct error_list errors = ERROR_LIST_EMPTY;

static inline void
bed_add_listener(const char *name, const char *address)
{
	struct listener_config *lis = config_add_listener(cfg);
	const char *error;

	ck_assert_ptr_nonnull(lis);
	free(lis->name);
	free(lis->address_text);
	lis->name = strdup(name);
	lis->address_text = strdup(address);
	ck_assert_int_eq(address_parse(address, &lis->address, &error), 0);
	lis->enabled = true;
}

/* Make cfg, to which the test may add before bed_open(). */
static inline void
bed_configure(void)
{
	sigset_t all;

	signal(SIGPIPE, SIG_IGN);
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	cfg = config_new_empty();
	ck_assert_ptr_nonnull(cfg);
	cfg->workers = 2;
	bed_add_listener("one", "tcp://127.0.0.1:0");
	bed_add_listener("two", "tcp://127.0.0.1:0");
}

/* Make loop and engine, whose sockets listen. The test starts the workers, if it wants them. */
static inline void
bed_open(void)
{
	loop = loop_new();
	ck_assert_ptr_nonnull(loop);
	engine = engine_new(loop, cfg, &errors);
	ck_assert_ptr_nonnull(engine);
	ck_assert_int_eq(plan_apply(engine, cfg, NULL, 0, &errors), 0);
}

/* End the workers, which answers all that was asked of them. */
static inline void
bed_stop(void)
{
	ck_assert_int_eq(engine_stop(engine), 0);
	loop_run_once(loop);
}

static inline void
bed_close(void)
{
	engine_free(engine);
	loop_free(loop);
	config_unref(cfg);
	error_list_done(&errors);
}

#endif
