/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "daemon/server.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/clock.h"
#include "base/log.h"
#include "config/config_groups.h"
#include "daemon/service_manager.h"
#include "daemon/standard_error.h"

/* How long to wait for an address in use at start: a killed predecessor may not have ended yet. */
#define START_TIMEOUT_NS NS_PER_S

/* Reloads that signals ask for begin so far apart. */
#define RELOAD_INTERVAL_NS (200 * NS_PER_MS)

/* How long the last lines may take to reach a slow log. */
#define LOG_CLOSE_NS (100 * NS_PER_MS)

void
server_block_signals(void)
{
	sigset_t all;

	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGUSR2, SIG_IGN);
	(void)sigfillset(&all);
	/* these say that the code is wrong: blocked, they would end the process without a word */
	(void)sigdelset(&all, SIGSEGV);
	(void)sigdelset(&all, SIGBUS);
	(void)sigdelset(&all, SIGFPE);
	(void)sigdelset(&all, SIGILL);
	(void)sigdelset(&all, SIGABRT);
	(void)pthread_sigmask(SIG_SETMASK, &all, NULL);
}

void
server_unblock_signals(void)
{
	sigset_t none;

	/* set, not restored: an exec hands its mask on */
	(void)sigemptyset(&none);
	(void)pthread_sigmask(SIG_SETMASK, &none, NULL);
}

int
server_raise_descriptors(struct config *cfg, struct error_list *errors)
{
	rlim_t needed = (rlim_t)engine_descriptors(cfg), most = (rlim_t)cfg->limits.connections;
	bool chosen = config_origin_of(cfg, CONFIG_LIMITS, "connections")->file != NULL;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0) {
		error_list_add(
		    errors, "cannot read the limit on open descriptors: %s", strerror(errno));
		return -EMFILE;
	}
	if (limit.rlim_max < needed && limit.rlim_max > needed - most && !chosen) {
		cfg->limits.connections = (int64_t)(limit.rlim_max - (needed - most));
		log_warning("limits.connections is %lld instead of its default, %llu: the hard "
			    "limit on open descriptors is %llu (raise LimitNOFILE= or ulimit -Hn)",
		    (long long)cfg->limits.connections, (unsigned long long)most,
		    (unsigned long long)limit.rlim_max);
		needed = limit.rlim_max;
	}
	if (limit.rlim_max < needed) {
		error_list_add(errors,
		    "limits.connections = %lld needs %llu open descriptors, but the hard limit is "
		    "%llu (raise LimitNOFILE= or ulimit -Hn, or lower limits.connections)",
		    (long long)cfg->limits.connections, (unsigned long long)needed,
		    (unsigned long long)limit.rlim_max);
		return -EMFILE;
	}
	if (limit.rlim_cur >= needed)
		return 0;
	limit.rlim_cur = needed;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0) {
		error_list_add(errors, "cannot raise the limit on open descriptors to %llu: %s",
		    (unsigned long long)needed, strerror(errno));
		return -EMFILE;
	}
	return 0;
}

struct config *
server_read_config(
    const struct options *options, struct error_list *errors, struct config **ret_rejected)
{
	return options_read_config(
	    options, !service_manager_passes_sockets(), errors, ret_rejected);
}

void
server_log_errors(const struct error_list *errors)
{
	const char *line;

	for (size_t i = 0; (line = error_list_line(errors, i)) != NULL; i++)
		log_error("%s", line);
	if (errors->lost > 0)
		log_error("%zu more errors did not fit in memory", errors->lost);
}

struct log_settings
server_log_settings(const struct config *cfg, const struct options *options)
{
	bool journal = service_manager_has_journal_stderr();
	enum log_target automatic = SERVICE_MANAGER_SUPPORTED && journal ? LOG_TARGET_JOURNAL
									 : LOG_TARGET_STDERR;

	return (struct log_settings){
		.level = options->verbose ? LOG_LEVEL_DEBUG : (enum log_level)cfg->log.level,
		.target = cfg->log.target == CONFIG_LOG_AUTO ? automatic
							     : (enum log_target)cfg->log.target,
		.format = (enum log_format)cfg->log.format,
		.stderr_priority = journal,
		.file = cfg->log.file,
		.mode = (mode_t)cfg->log.mode,
		.rate_limit = cfg->log.rate_limit,
		.journal_send = service_manager_journal_send,
		.journal_socket = SERVICE_MANAGER_JOURNAL,
	};
}

static void
server_on_libevent_log(int severity, const char *message)
{
	int error = errno;

	/* a refused epoll_ctl(2): who asked for it has the errno, and tells in its own words */
	if (strncmp(message, "Epoll ", strlen("Epoll ")) == 0)
		severity = EVENT_LOG_DEBUG;
	log_write(severity == EVENT_LOG_ERR    ? LOG_LEVEL_ERROR
		  : severity == EVENT_LOG_WARN ? LOG_LEVEL_WARNING
					       : LOG_LEVEL_DEBUG,
	    "libevent: %s", message);
	errno = error;
}

/* libevent cannot go on, and has logged why. abort(3) leaves a core, its own exit(1) does not. */
static void
server_on_libevent_fatal(int error)
{
	log_abort("libevent gave up (error %d)", error);
}

/* Verbs of the control port; the others are functions of reload.c and lifecycle.c. */
static const struct config *
server_config(void *context)
{
	struct server *server = context;

	return server->config;
}

static int
server_set_log_level(void *context, enum log_level level, struct error_list *errors)
{
	(void)context;
	(void)errors;
	/* the line that tells of a change is not silenced by it, nor by what was in force before */
	if (log_get_level() < LOG_LEVEL_NOTICE)
		log_set_level(LOG_LEVEL_NOTICE);
	log_notice("log.level is %s until the next reload", log_level_name(level));
	log_set_level(level);
	return 0;
}

static void
server_on_reload(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	reload_run(arg, NULL);
}

/* Signals that come while a reload is due are served by that one, which begins after them. */
static void
server_reload_soon(struct server *server)
{
	int64_t wait_ns = server->reloaded_ns + RELOAD_INTERVAL_NS - clock_now_ns();
	struct timeval wait = clock_timeval(wait_ns > 0 ? wait_ns : 0);

	if (!event_pending(server->reload_soon, EV_TIMEOUT, NULL) &&
	    event_add(server->reload_soon, &wait) < 0)
		event_active(server->reload_soon, EV_TIMEOUT, 0);
}

static void
server_on_signal(evutil_socket_t number, short what, void *arg)
{
	struct error_list errors = ERROR_LIST_EMPTY;
	struct server *server = arg;

	(void)what;
	switch (number) {
	case SIGHUP:
		server_reload_soon(server);
		break;
	case SIGUSR1:
		(void)reload_reopen_log(server, &errors);
		break;
	case SIGQUIT:
		lifecycle_stop_now(server);
		break;
	default:
		if (lifecycle_stop(server, &errors) < 0)
			lifecycle_stop_now(server);
		break;
	}
	error_list_done(&errors);
}

static int
server_start_events(struct server *server)
{
	static const int served[SERVER_SIGNALS] = { SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1 };
	struct event_base *base = loop_base(server->loop);

	server->reload_soon = event_new(base, -1, 0, server_on_reload, server);
	server->lifecycle.timer = event_new(base, -1, EV_PERSIST, lifecycle_on_timer, server);
	if (housekeeping_start(server) < 0 || server->reload_soon == NULL ||
	    server->lifecycle.timer == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < SERVER_SIGNALS; i++) {
		server->signals[i] = evsignal_new(base, served[i], server_on_signal, server);
		if (server->signals[i] == NULL || event_add(server->signals[i], NULL) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* The code for a step that failed with ERROR (0: it did not); OTHERWISE is the step's own. */
static enum server_exit
server_exit_for(int error, enum server_exit otherwise)
{
	switch (-error) {
	case 0:
		return SERVER_EXIT_OK;
	case EACCES:
	case EPERM:
		return SERVER_EXIT_PERMISSION;
	case ENOMEM:
	case EMFILE:
	case ENFILE:
	case ENOSPC:
	case EAGAIN:
		return SERVER_EXIT_OS;
	case EPROTOTYPE: /* of inheritance_take(): the wrong kind of socket was passed in */
		return SERVER_EXIT_CONFIGURATION;
	default:
		return otherwise;
	}
}

static enum server_exit
server_open_listeners(struct server *server, struct error_list *errors)
{
	struct inheritance inheritance = INHERITANCE_NONE;
	enum server_exit code = SERVER_EXIT_CONFIGURATION;
	int r = service_manager_sockets(&inheritance, errors);

	if (r == 0)
		r = inheritance_check(&inheritance, errors);
	if (r == 0) {
		code = SERVER_EXIT_UNAVAILABLE;
		r = plan_apply(
		    server->engine, server->config, &inheritance, START_TIMEOUT_NS, errors);
	}
	/* warn about descriptors that nobody took only when all else is right */
	inheritance_done(&inheritance, r == 0);
	return server_exit_for(r, code);
}

static enum server_exit
server_open_control(struct server *server, struct error_list *errors)
{
	const struct control_config *cfg = &server->config->control;

	server->control = control_server_new(
	    server->loop, server->engine, &server->status, &server->actions, cfg, errors);
	return server->control == NULL ? server_exit_for(-errno, SERVER_EXIT_UNAVAILABLE)
				       : SERVER_EXIT_OK;
}

static enum server_exit
server_make_loops(struct server *server, struct error_list *errors)
{
	event_set_log_callback(server_on_libevent_log);
	event_set_fatal_callback(server_on_libevent_fatal);
	server->loop = loop_new();
	if (server->loop == NULL) {
		error_list_add(errors, "cannot make the main loop: %s", strerror(errno));
		return SERVER_EXIT_OS;
	}
	server->engine = engine_new(server->loop, server->config, errors);
	return server->engine == NULL ? SERVER_EXIT_OS : SERVER_EXIT_OK;
}

/*
 * Let this thread, which accepts, not take the CPU from a worker for each connection that arrives:
 * with SCHED_BATCH it waits until the worker sleeps or has had its slice, see sched(7). That
 * matters only where they share a CPU, and saves a tenth of the cost of a connection there; where a
 * sandbox refuses it, nothing else changes.
 */
static void
server_defer_to_workers(void)
{
	/* a policy that somebody chose for the daemon stays */
	if (sched_getscheduler(0) == SCHED_OTHER)
		(void)sched_setscheduler(
		    0, SCHED_BATCH, &(struct sched_param){ .sched_priority = 0 });
}

static enum server_exit
server_start(struct server *server, struct error_list *errors)
{
	int r = server_start_events(server);

	if (r < 0)
		error_list_add(errors, "cannot set up signals and timers: %s", strerror(-r));
	else
		r = engine_start(server->engine, errors);
	/* after the workers' threads began, which would inherit it */
	server_defer_to_workers();
	return server_exit_for(r, SERVER_EXIT_OS);
}

static int
server_open_log(const struct config *cfg, const struct options *options, struct error_list *errors)
{
	struct log_settings settings = server_log_settings(cfg, options);

	return log_open(&settings, errors);
}

/* The steps of a start, in order; each adds its own errors. */
static enum server_exit
server_build(struct server *server, struct error_list *errors)
{
	static enum server_exit (*const steps[])(struct server *, struct error_list *) = {
		server_make_loops, server_open_listeners, server_open_control, server_start
	};
	struct config *rejected = NULL;
	struct config *cfg = server_read_config(server->options, errors, &rejected);
	bool no_memory = errno == ENOMEM;
	enum server_exit code;
	int r;

	if (cfg == NULL) {
		/* the mistakes go to the log too; what is wrong with it is told with them */
		if (rejected != NULL)
			r = server_open_log(rejected, server->options, errors);
		config_unref(rejected);
		return no_memory ? SERVER_EXIT_OS : SERVER_EXIT_CONFIGURATION;
	}
	server->config = cfg;
	r = server_open_log(cfg, server->options, errors);
	if (r == 0) {
		r = config_find_groups(cfg, NULL, errors);
		if (r < 0)
			return r == -EINVAL ? SERVER_EXIT_CONFIGURATION
					    : server_exit_for(r, SERVER_EXIT_UNAVAILABLE);
	}
	if (r == 0)
		r = server_raise_descriptors(cfg, errors);
	code = server_exit_for(r, SERVER_EXIT_OS);
	for (size_t i = 0; code == SERVER_EXIT_OK && i < ARRAY_SIZE(steps); i++)
		code = steps[i](server, errors);
	return code;
}

static enum server_exit
server_run(struct server *server)
{
	int r;

	server->status.not_ready = NULL;
	log_notice("echod %s is ready: %zu workers, process %d", PACKAGE_VERSION,
	    server->engine->worker_count, (int)getpid());
	housekeeping_report(server->housekeeping);
	notifier_tell(&server->notifier, "READY=1");
	server_unblock_signals();
	r = loop_run(server->loop);
	if (r < 0)
		log_error("the main loop failed: %s", strerror(errno));
	return lifecycle_finish(server) < 0 || r < 0 ? SERVER_EXIT_SOFTWARE : SERVER_EXIT_OK;
}

/* Take down what server_build() built, in reverse; half of it is fine. */
static void
server_free(struct server *server)
{
	/* a worker that hangs may still use all of it: nothing is freed */
	if (server->engine != NULL && engine_stop(server->engine) < 0) {
		log_close(LOG_CLOSE_NS);
		return;
	}
	/* the control port answers while it closes: each verb is refused from here on */
	server->lifecycle.phase = PHASE_ENDED;
	/* nobody serves signals any more: their defaults would end the process with an error */
	server_block_signals();
	reload_abandon(server);
	/* answers of the control port that are written already leave */
	if (server->loop != NULL)
		loop_run_once(server->loop);
	for (size_t i = 0; i < SERVER_SIGNALS; i++) {
		if (server->signals[i] != NULL)
			event_free(server->signals[i]);
	}
	/* first what posts to the workers by itself: its posts must not outlive it */
	housekeeping_free(server->housekeeping);
	if (server->lifecycle.timer != NULL)
		event_free(server->lifecycle.timer);
	if (server->reload_soon != NULL)
		event_free(server->reload_soon);
	/* the last requests are answered; then answers that workers still owe are dropped */
	control_server_free(server->control);
	if (server->loop != NULL)
		loop_run_once(server->loop);
	engine_free(server->engine);
	loop_free(server->loop);
	config_unref(server->config);
	notifier_done(&server->notifier);
	libevent_global_shutdown();
	log_close(LOG_CLOSE_NS);
	free(server);
}

enum server_exit
server_serve(const struct options *options)
{
	struct error_list errors = ERROR_LIST_EMPTY;
	struct server *server = calloc(1, sizeof(*server));
	enum server_exit code;

	/* from the first moment: a signal while starting waits for the loop that serves it */
	server_block_signals();
	if (server == NULL) {
		(void)fputs("echod: out of memory\n", stderr);
		return SERVER_EXIT_OS;
	}
	notifier_init(&server->notifier);
	server->options = options;
	server->actions = (struct control_actions){ .context = server,
		.config = server_config,
		.reload = reload_run,
		.drain = lifecycle_drain,
		.undrain = lifecycle_undrain,
		.stop = lifecycle_stop,
		.log_reopen = reload_reopen_log,
		.log_level = server_set_log_level };
	server->reloaded_ns = -RELOAD_INTERVAL_NS;
	STAILQ_INIT(&server->reload.served);
	STAILQ_INIT(&server->reload.waiting);
	server->status = (struct process_status){ .started_ns = clock_now_ns(),
		.started_boot_ns = clock_boot_ns(),
		.wall_offset_ns = clock_wall_ns() - clock_boot_ns(),
		.not_ready = "starting",
		.last_reload_succeeded = true,
		.last_success_boot_ns = clock_boot_ns() };
	code = server_build(server, &errors);
	if (code == SERVER_EXIT_OK)
		code = server_run(server);
	else if (log_is_open())
		server_log_errors(&errors);
	server_free(server);
	/* in the log, and to the person at the terminal, but not twice in one place */
	if (error_list_count(&errors) > 0 && !log_reached_stderr())
		standard_error_print(&errors);
	error_list_done(&errors);
	return code;
}
