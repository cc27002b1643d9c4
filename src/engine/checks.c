/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "engine/checks.h"

#include "base/clock.h"
#include "base/list.h"
#include "engine/connection.h"
#include "engine/worker.h"

/* A waiting output is looked at this many times in one stall_timeout. */
#define PROGRESS_CHECKS 8

static void
checks_share(struct share *share, int64_t now_ns)
{
	int64_t idle_ns = share->settings.idle_timeout_ns,
		lifetime_ns = share->settings.lifetime_ns;
	struct connection *conn, *next;

	if (idle_ns > 0) {
		TAILQ_FOREACH_SAFE (conn, &share->by_activity, by_activity, next) {
			if (now_ns - conn->queued_ns < idle_ns)
				break;
			if (now_ns - conn->active_ns >= idle_ns)
				connection_finish(conn, CLOSE_IDLE_TIMEOUT);
		}
	}
	if (lifetime_ns > 0) {
		TAILQ_FOREACH_SAFE (conn, &share->by_age, by_age, next) {
			if (now_ns - conn->accepted_ns < lifetime_ns)
				break;
			connection_finish(conn, CLOSE_LIFETIME);
		}
	}
}

/* Longest unchecked first; each one looked at goes to the end, so one walk meets it once. */
static void
checks_pending(struct worker *worker, int64_t now_ns)
{
	int64_t interval_ns = worker->settings.stall_timeout_ns / PROGRESS_CHECKS;
	struct connection *conn;

	if (worker->settings.stall_timeout_ns == 0)
		return;
	while ((conn = TAILQ_FIRST(&worker->pending)) != NULL) {
		if (now_ns - conn->checked_ns < interval_ns || conn->checked_ns == now_ns)
			break;
		if (connection_check_progress(conn, now_ns) || conn->waiting == 0)
			continue;
		TAILQ_REMOVE(&worker->pending, conn, by_progress);
		TAILQ_INSERT_TAIL(&worker->pending, conn, by_progress);
	}
}

static void
checks_lingering(struct worker *worker, int64_t now_ns)
{
	struct connection *conn;

	while ((conn = TAILQ_FIRST(&worker->lingering)) != NULL) {
		if (now_ns - conn->progress_ns < worker->settings.linger_timeout_ns)
			break;
		connection_close(conn, conn->reason);
	}
}

/* Finish what has been idle for idle_grace; once the deadline has passed, finish everything. */
static void
checks_drain(struct worker *worker, struct share *share, int64_t now_ns)
{
	struct connection *conn, *next;

	TAILQ_FOREACH_SAFE (conn, &share->by_activity, by_activity, next) {
		if (worker->phase == WORKER_CUTTING)
			connection_finish(conn, CLOSE_DRAIN_FORCED);
		else if (now_ns - conn->queued_ns < worker->idle_grace_ns)
			break;
		else if (now_ns - conn->active_ns >= worker->idle_grace_ns && conn->waiting == 0)
			connection_finish(conn, CLOSE_DRAIN);
	}
}

void
checks_run(struct worker *worker)
{
	int64_t now_ns = clock_coarse_ns();
	struct share *share;

	checks_pending(worker, now_ns);
	checks_lingering(worker, now_ns);
	TAILQ_FOREACH (share, &worker->shares, next) {
		if (worker->phase != WORKER_SERVING)
			checks_drain(worker, share, now_ns);
		checks_share(share, now_ns);
	}
}
