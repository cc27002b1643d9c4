/* SPDX-License-Identifier: BSD-2-Clause */
/* A reload changes everything that it reports, or nothing. */
#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/attributes.h"
#include "base/clock.h"
#include "base/log.h"
#include "config/config_carry.h"
#include "config/directive.h"
#include "control/server_interface.h"
#include "daemon/server.h"
#include "daemon/service_manager.h"

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

static int
reload_try(struct server *server, struct control_reload *reload)
{
	struct config *cfg = server_read_config(server->options, &reload->errors, NULL);
	int r;

	if (cfg == NULL)
		return -EINVAL;
	r = reload_apply(server, cfg, reload);
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
		server->status.last_success_wall_ns = clock_wall_ns();
		log_notice("reloaded");
		return;
	}
	server->status.reloads_failed++;
	server_log_errors(errors);
	log_error("reload failed: the running configuration is unchanged");
}

int
reload_run(void *context, struct control_reload *ret_reload)
{
	struct server *server = context;
	struct control_reload reload = { .errors = ERROR_LIST_EMPTY };
	struct error_list reopen = ERROR_LIST_EMPTY;
	bool serving = server->lifecycle.phase == PHASE_SERVING;
	int r = -EBUSY;

	if (serving) {
		/* systemd wants both in one message, see sd_notify(3) */
		service_manager_notify(SERVICE_MANAGER_TIMEOUT_MS,
		    "RELOADING=1\nMONOTONIC_USEC=%" PRId64, clock_now_ns() / NS_PER_US);
		r = reload_try(server, &reload);
		reload_count(server, r, &reload.errors);
	}
	/* the old file of a log that was rotated has to be closed in any case */
	(void)reload_renew_log(&reopen);
	error_list_done(&reopen);
	if (serving) {
		/* also after a failure: systemd waits for it, and the old configuration serves */
		service_manager_notify(SERVICE_MANAGER_TIMEOUT_MS, "READY=1");
	} else {
		error_list_add(&reload.errors, "not reloading: the daemon is draining or stopping");
		log_warning("%s", error_list_first(&reload.errors));
	}
	*ret_reload = reload;
	return r;
}
