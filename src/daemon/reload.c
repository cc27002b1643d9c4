/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "daemon/reload.h"

#include "base/clock.h"
#include "base/log.h"
#include "daemon/descriptor_limit.h"
#include "daemon/server.h"
#include "daemon/service_manager.h"
#include "engine/plan.h"

void
reload_reopen_log(void)
{
	struct error_list errors = ERROR_LIST_EMPTY;

	if (log_reopen(&errors) < 0)
		log_error("%s: the old log file stays in use", error_list_first(&errors));
	else
		log_notice("log reopened");
	error_list_done(&errors);
}

static void
reload_on_change(
    void *context, const char *key, const char *from, const char *to, bool needs_restart)
{
	(void)context;
	if (needs_restart)
		log_warning("%s changed from \"%s\" to \"%s\": takes effect only after a restart",
		    key, from, to);
	else
		log_notice("%s changed from \"%s\" to \"%s\"", key, from, to);
}

/* Prepare and swap. On failure everything is as before, and ERRORS says why. */
static int
reload_apply(struct server *server, struct config *cfg, struct error_list *errors)
{
	struct log_settings now = server_log_settings(server->config, server->options);
	struct log_settings then = server_log_settings(cfg, server->options);
	int r = descriptor_limit_meet(cfg, errors);

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
	config_diff(server->config, cfg, reload_on_change, NULL);
	return 0;
}

static int
reload_try(struct server *server, struct error_list *errors)
{
	struct config *cfg = server_read_config(server->options, errors);
	int r;

	if (cfg == NULL)
		return -1;
	r = reload_apply(server, cfg, errors);
	if (r < 0) {
		config_free(cfg);
		return r;
	}
	config_free(server->config);
	server->config = cfg;
	return 0;
}

void
reload_run(struct server *server)
{
	struct error_list errors = ERROR_LIST_EMPTY;

	if (server->phase != SERVER_RUNNING) {
		log_warning("not reloading: the daemon is stopping");
		return;
	}
	service_manager_reloading();
	if (reload_try(server, &errors) == 0) {
		server->status.reloads_succeeded++;
		server->status.last_reload_succeeded = true;
		server->status.last_success_wall_ns = clock_wall_ns();
		log_notice("reloaded");
	} else {
		server->status.reloads_failed++;
		server->status.last_reload_succeeded = false;
		for (size_t i = 0; i < errors.count; i++)
			log_error("%s", errors.lines[i]);
		log_error("reload failed: the running configuration is unchanged");
	}
	reload_reopen_log();
	/* also after a failure: systemd waits for it, and the old configuration does serve */
	service_manager_ready();
	error_list_done(&errors);
}
