/* SPDX-License-Identifier: BSD-2-Clause */
/* A reload changes everything that it reports, or nothing. */
#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/attributes.h"
#include "base/clock.h"
#include "base/log.h"
#include "config/config_carry.h"
#include "config/config_groups.h"
#include "config/directive.h"
#include "control/server_interface.h"
#include "daemon/server.h"

/* Open the log file again where there is one, and tell what became of it. */
static int
reload_renew_log(struct error_list *errors)
{
	int r = log_reopen(errors);

	if (r == 0)
		log_notice("log file opened again");
	else if (r != -EOPNOTSUPP)
		log_error("%s: the old log file stays in use", error_list_first(errors));
	return r;
}

int
reload_reopen_log(void *context ATTR_UNUSED, struct error_list *errors)
{
	int r = reload_renew_log(errors);

	/* whoever asked for it expects a file; at a reload it would be noise */
	if (r == -EOPNOTSUPP)
		log_notice("%s", error_list_first(errors));
	return r;
}

/* A change that does not fit in memory is still logged. */
static void
reload_note(struct control_reload *reload, const char *key, const char *from, const char *to,
    bool needs_restart)
{
	struct control_change change = { strdup(key), strdup(from), strdup(to), needs_restart };
	struct control_change *changes = reallocarray(
	    reload->changes, reload->count + 1, sizeof(*changes));

	if (changes != NULL)
		reload->changes = changes;
	if (changes == NULL || change.key == NULL || change.from == NULL || change.to == NULL) {
		free(change.key);
		free(change.from);
		free(change.to);
		return;
	}
	changes[reload->count++] = change;
}

static void
reload_on_change(void *context, const char *key, const char *from, const char *to)
{
	reload_note(context, key, from, to, false);
	log_notice("%s changed from \"%s\" to \"%s\"", key, from, to);
}

/* Tell of all that the file has and only a restart will put in force, each time. */
static void
reload_tell_waiting(const struct config *cfg, struct control_reload *reload)
{
	char running[DIRECTIVE_TEXT_MAX];

	for (size_t i = 0; i < cfg->waiting_count; i++) {
		const struct config_waiting *waiting = &cfg->waiting[i];

		directive_format(waiting->row, waiting->base, running, sizeof(running));
		reload_note(reload, waiting->key, running, waiting->text, true);
		log_warning(
		    "%s is \"%s\" in the file and \"%s\" in force: takes effect only after a "
		    "restart",
		    waiting->key, waiting->text, running);
	}
}

/* Prepare and swap. On failure everything is as before, and RELOAD's errors say why. */
static int
reload_apply(struct server *server, struct config *cfg, struct control_reload *reload)
{
	struct log_settings now = server_log_settings(server->config, server->options);
	struct log_settings then = server_log_settings(cfg, server->options);
	struct error_list *errors = &reload->errors;
	int r = config_carry_over(cfg, server->config, errors);

	/* a level that was set by hand outlives a reload that fails */
	now.level = log_get_level();
	/* the lines that tell of this reload are not silenced by it: see reload_finish() */
	if (then.level < now.level)
		then.level = now.level;
	if (r == 0)
		r = server_raise_descriptors(cfg, errors);
	if (r == 0)
		r = log_change(&then, errors);
	if (r < 0)
		return r;
	r = plan_apply(server->engine, cfg, NULL, 0, errors);
	if (r < 0) {
		struct error_list again = ERROR_LIST_EMPTY;

		/* back to a log that worked a moment ago */
		if (log_change(&now, &again) < 0)
			log_error("%s", error_list_first(&again));
		error_list_done(&again);
		return r;
	}
	if (server->control != NULL)
		control_server_change(server->control, &cfg->control);
	config_diff(server->config, cfg, reload_on_change, reload);
	reload_tell_waiting(cfg, reload);
	server->status.needs_restart = cfg->waiting_count;
	return 0;
}

/* Put CFG (taken) in force. */
static int
reload_take(struct server *server, struct config *cfg, struct control_reload *reload)
{
	int r = reload_apply(server, cfg, reload);

	if (r < 0) {
		config_unref(cfg);
		return r;
	}
	config_unref(server->config);
	server->config = cfg;
	return 0;
}

static void
reload_count(struct server *server, int result, const struct error_list *errors)
{
	server->status.last_reload_succeeded = result == 0;
	if (result == 0) {
		server->status.reloads_succeeded++;
		server->status.last_success_boot_ns = clock_boot_ns();
		log_notice("reloaded");
		return;
	}
	server->status.reloads_failed++;
	server_log_errors(errors);
	log_error("reload failed: the running configuration is unchanged");
}

/*
 * A file that is read. Its thread may be held up for long, by a file system, a pipe or a name
 * service, and is then left behind at the end: the lock decides whether it finds the loop.
 */
struct reload_job {
	pthread_t thread;
	pthread_mutex_t lock;
	struct loop *loop; /* borrowed; NULL when nobody waits any more; under the lock */
	bool posted;       /* the answer is on its way; under the lock */
	struct post post;
	struct server *server;
	const struct options *options; /* borrowed; those of the command line */
	const struct config *before;   /* owned reference; whose groups need no lookup */
	struct config *config;         /* owned; NULL: ERRORS say why */
	struct error_list errors;
};

static void
reload_job_free(struct reload_job *job)
{
	config_unref(job->before);
	config_unref(job->config);
	error_list_done(&job->errors);
	(void)pthread_mutex_destroy(&job->lock);
	free(job);
}

/* The old file of a log that was rotated has to be closed in any case. */
static void
reload_reopen(void)
{
	struct error_list errors = ERROR_LIST_EMPTY;

	(void)reload_renew_log(&errors);
	error_list_done(&errors);
}

static void reload_begin(struct server *server);

/* A reload has ended with R: tell those who wait, and begin what was asked for meanwhile. */
static void
reload_end(struct server *server, int r, struct control_reload *reload)
{
	struct reload_waiters *served = &server->reload.served;
	struct control_waiter *waiter;

	server->reloaded_ns = clock_now_ns();
	while ((waiter = STAILQ_FIRST(served)) != NULL) {
		STAILQ_REMOVE_HEAD(served, next);
		waiter->done(waiter, r, reload);
	}
	control_reload_done(reload);
	if (!server->reload.again && STAILQ_EMPTY(&server->reload.waiting))
		return;
	server->reload.again = false;
	STAILQ_CONCAT(served, &server->reload.waiting);
	reload_begin(server);
}

static void
reload_refuse(struct server *server)
{
	struct control_reload reload = { .errors = ERROR_LIST_EMPTY };

	reload_reopen();
	error_list_add(&reload.errors, "not reloading: the daemon is draining or stopping");
	log_warning("%s", error_list_first(&reload.errors));
	reload_end(server, -EBUSY, &reload);
}

/* Also after a failure: systemd waits for it, and the old configuration serves. */
static void
reload_tell_ready(struct server *server)
{
	if (server->lifecycle.phase < PHASE_STOP_DELAY)
		notifier_tell(&server->notifier, "READY=1");
}

/* What was read is CFG (taken; NULL: the errors in RELOAD say why). */
static void
reload_finish(struct server *server, struct config *cfg, struct control_reload *reload)
{
	int r = cfg == NULL ? -EINVAL : reload_take(server, cfg, reload);

	reload_count(server, r, &reload->errors);
	if (r == 0)
		log_set_level(server_log_settings(server->config, server->options).level);
	reload_reopen();
	reload_tell_ready(server);
	reload_end(server, r, reload);
}

/* On the main loop. */
static void
reload_on_read(void *argument)
{
	struct reload_job *job = argument;
	struct server *server = job->server;
	struct control_reload reload = { .errors = job->errors };
	struct config *cfg = job->config;

	(void)pthread_join(job->thread, NULL);
	job->errors = (struct error_list)ERROR_LIST_EMPTY;
	job->config = NULL;
	reload_job_free(job);
	server->reload.job = NULL;
	if (server->lifecycle.phase == PHASE_SERVING) {
		reload_finish(server, cfg, &reload);
		return;
	}
	/* a drain or a stop began meanwhile */
	config_unref(cfg);
	control_reload_done(&reload);
	reload_tell_ready(server);
	reload_refuse(server);
}

static void *
reload_read(void *argument)
{
	struct reload_job *job = argument;
	bool waited;

	job->config = server_read_config(job->options, &job->errors, NULL);
	if (job->config != NULL && config_find_groups(job->config, job->before, &job->errors) < 0) {
		config_unref(job->config);
		job->config = NULL;
	}
	(void)pthread_mutex_lock(&job->lock);
	waited = job->posted = job->loop != NULL;
	if (waited)
		loop_post(job->loop, &job->post, reload_on_read, job);
	(void)pthread_mutex_unlock(&job->lock);
	if (!waited)
		reload_job_free(job);
	return NULL;
}

/* Start the thread of JOB, which serves no signals. Returns 0 or -errno. */
static int
reload_start_thread(struct reload_job *job)
{
	int r;

	server_block_signals();
	r = pthread_create(&job->thread, NULL, reload_read, job);
	server_unblock_signals();
	if (r == 0)
		(void)pthread_setname_np(job->thread, "echod-reload");
	return -r;
}

static int
reload_start(struct server *server)
{
	struct reload_job *job = calloc(1, sizeof(*job));
	int r;

	if (job == NULL)
		return -ENOMEM;
	(void)pthread_mutex_init(&job->lock, NULL);
	job->loop = server->loop;
	job->server = server;
	job->options = server->options;
	job->before = config_ref(server->config);
	/* before the thread, whose answer waits for the next turn of this loop */
	server->reload.job = job;
	r = reload_start_thread(job);
	if (r < 0) {
		server->reload.job = NULL;
		reload_job_free(job);
	}
	return r;
}

/* Begin a reload for those in served. */
static void
reload_begin(struct server *server)
{
	struct control_reload reload = { .errors = ERROR_LIST_EMPTY };
	int r;

	if (server->lifecycle.phase != PHASE_SERVING) {
		reload_refuse(server);
		return;
	}
	/* systemd wants both in one message, see sd_notify(3) */
	notifier_tell(
	    &server->notifier, "RELOADING=1\nMONOTONIC_USEC=%" PRId64, clock_now_ns() / NS_PER_US);
	r = reload_start(server);
	if (r == 0)
		return;
	error_list_add(
	    &reload.errors, "cannot start a thread that reads the file: %s", strerror(-r));
	reload_finish(server, NULL, &reload);
}

void
reload_run(void *context, struct control_waiter *waiter)
{
	struct server *server = context;
	bool busy = server->reload.job != NULL;
	struct reload_waiters *waiters = busy ? &server->reload.waiting : &server->reload.served;

	if (waiter != NULL)
		STAILQ_INSERT_TAIL(waiters, waiter, next);
	if (!busy)
		reload_begin(server);
	else if (waiter == NULL)
		server->reload.again = true;
}

void
reload_abandon(struct server *server)
{
	struct reload_job *job = server->reload.job;
	bool posted;

	if (job == NULL)
		return;
	(void)pthread_mutex_lock(&job->lock);
	posted = job->posted;
	job->loop = NULL;
	/* under the lock: without an answer to give, the thread frees the job as soon as it can */
	if (!posted)
		(void)pthread_detach(job->thread);
	(void)pthread_mutex_unlock(&job->lock);
	/* an answer that is on its way comes with the next turn of the loop, and is refused */
	if (posted)
		return;
	server->reload.job = NULL;
	reload_refuse(server);
}
