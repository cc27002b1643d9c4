/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "daemon/drain.h"

#include <errno.h>

#include <event2/event.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/server.h"
#include "daemon/stop.h"
#include "engine/plan.h"

static int
drain_refuse(struct error_list *errors)
{
	error_list_add(errors, "the daemon is stopping");
	return -EBUSY;
}

static void
drain_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct server *server = arg;

	(void)fd;
	(void)what;
	if (server->phase != SERVER_DRAINED)
		return;
	engine_suspend_listeners(server->engine);
	engine_drain(server->engine, WORKER_DRAINING, server->config->shutdown.idle_grace);
}

struct event *
drain_timer_new(struct server *server)
{
	return evtimer_new(loop_base(server->loop), drain_on_timer, server);
}

int
drain_begin(struct server *server, struct error_list *errors)
{
	struct timeval delay = clock_timeval(server->config->shutdown.delay);

	if (stop_is_under_way(server))
		return drain_refuse(errors);
	if (server->phase == SERVER_DRAINED)
		return 0;
	if (event_add(server->drain_timer, &delay) < 0) {
		error_list_add(errors, "out of memory");
		return -ENOMEM;
	}
	server->phase = SERVER_DRAINED;
	server_set_draining(server, true);
	log_notice("draining: no new connections after shutdown.delay");
	return 0;
}

int
drain_end(struct server *server, struct error_list *errors)
{
	int r;

	if (stop_is_under_way(server))
		return drain_refuse(errors);
	if (server->phase == SERVER_RUNNING)
		return 0;
	/* all or nothing, and no waiting: an operator can ask again, the loop has others to serve
	 */
	r = plan_apply(server->engine, server->config, NULL, 0, errors);
	if (r < 0) {
		for (size_t i = 0; i < errors->count; i++)
			log_error("%s", errors->lines[i]);
		return r;
	}
	(void)event_del(server->drain_timer);
	engine_resume_listeners(server->engine);
	engine_drain(server->engine, WORKER_SERVING, 0);
	server->phase = SERVER_RUNNING;
	server_set_draining(server, false);
	log_notice("serving again");
	return 0;
}
