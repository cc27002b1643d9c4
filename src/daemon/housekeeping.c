/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "daemon/housekeeping.h"

#include <malloc.h>
#include <stdlib.h>

#include <event2/event.h>

#include "base/clock.h"
#include "daemon/service_manager.h"

#define TICK_NS (250 * NS_PER_MS)

/* Ticks between two reports: two seconds. */
#define REPORT_TICKS 8

/* Fewer connections than this are not worth a trim. */
#define TRIM_MINIMUM 1000

struct housekeeping {
	struct engine *engine;
	const struct process_status *status;
	struct event *timer;
	int64_t due_ns; /* when the next tick should come */
	unsigned ticks;
	int64_t reported; /* connections in the last report */
	int64_t peak;     /* most connections since the last trim */
};

void
housekeeping_report(struct housekeeping *keeping)
{
	if (keeping == NULL)
		return;
	keeping->reported = engine_connections(keeping->engine);
	service_manager_status("%s %lld connections",
	    keeping->status->draining ? "Draining" : "Serving", (long long)keeping->reported);
}

/* The C library keeps what connections freed; after a burst that is memory nobody uses. */
static void
housekeeping_trim(struct housekeeping *keeping, int64_t connections)
{
	if (connections > keeping->peak)
		keeping->peak = connections;
	if (keeping->peak < TRIM_MINIMUM || connections > keeping->peak / 2)
		return;
	(void)malloc_trim(0);
	keeping->peak = connections;
}

static void
housekeeping_on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct housekeeping *keeping = arg;
	int64_t now_ns = clock_now_ns(), late_ns = now_ns - keeping->due_ns, connections;

	(void)fd;
	(void)what;
	distribution_record(&keeping->engine->lag, &distribution_delays, late_ns > 0 ? late_ns : 0);
	keeping->due_ns += TICK_NS;
	if (keeping->due_ns < now_ns)
		keeping->due_ns = now_ns + TICK_NS;
	if (++keeping->ticks % REPORT_TICKS != 0)
		return;
	connections = engine_connections(keeping->engine);
	if (connections != keeping->reported)
		housekeeping_report(keeping);
	housekeeping_trim(keeping, connections);
}

struct housekeeping *
housekeeping_new(struct loop *loop, struct engine *engine, const struct process_status *status)
{
	struct timeval interval = clock_timeval(TICK_NS);
	struct housekeeping *keeping = calloc(1, sizeof(*keeping));

	if (keeping == NULL)
		return NULL;
	keeping->engine = engine;
	keeping->status = status;
	keeping->due_ns = clock_now_ns() + TICK_NS;
	keeping->timer = event_new(loop_base(loop), -1, EV_PERSIST, housekeeping_on_tick, keeping);
	if (keeping->timer == NULL || event_add(keeping->timer, &interval) < 0) {
		housekeeping_free(keeping);
		return NULL;
	}
	return keeping;
}

void
housekeeping_free(struct housekeeping *keeping)
{
	if (keeping == NULL)
		return;
	if (keeping->timer != NULL)
		event_free(keeping->timer);
	free(keeping);
}
