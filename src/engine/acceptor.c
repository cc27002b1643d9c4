/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "engine/acceptor.h"

#include <string.h>
#include <unistd.h>

#include "engine/engine.h"

/* The least loaded worker; among equals the one after the last served. */
static struct worker *
acceptor_pick_worker(const struct engine *engine)
{
	struct worker *best = NULL;
	int64_t best_load = 0;

	for (size_t i = 0; i < engine->worker_count; i++) {
		struct worker *worker =
		    engine->workers[(engine->last_id + i) % engine->worker_count];
		int64_t load = atomic_load_explicit(&worker->load, memory_order_relaxed);

		if (best == NULL || load < best_load) {
			best = worker;
			best_load = load;
		}
	}
	return best;
}

static void
acceptor_read_peer(int fd, const struct sockaddr *sa, socklen_t length, union connection_peer *peer)
{
	struct ucred credentials = { .pid = 0, .uid = (uid_t)-1 };
	socklen_t size = sizeof(credentials);

	memset(peer, 0, sizeof(*peer));
	if (length >= sizeof(sa->sa_family) &&
	    (sa->sa_family == AF_INET || sa->sa_family == AF_INET6)) {
		memcpy(peer, sa, length < sizeof(*peer) ? length : sizeof(*peer));
		return;
	}
	(void)getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size);
	peer->un.family = AF_UNIX;
	peer->un.pid = credentials.pid;
	peer->un.uid = credentials.uid;
}

static void
acceptor_on_accept(
    void *context, struct listener *lis, int fd, const struct sockaddr *sa, socklen_t length)
{
	struct engine *engine = context;
	struct service *service = lis->service;
	enum reject_reason reject = admission_check(
	    &engine->admission, lis, engine_connections(engine));
	union connection_peer peer;
	struct worker *worker;

	if (reject != REJECT_NONE) {
		counters_add(&service->acceptor, reject_reason_counter(reject), 1);
		close(fd);
		return;
	}
	acceptor_read_peer(fd, sa, length, &peer);
	worker = acceptor_pick_worker(engine);
	counters_add(&service->acceptor, COUNTER_CONNECTIONS_ACCEPTED, 1);
	if (worker_take(worker, &service->shares[worker->id], fd, ++engine->last_id, &peer) < 0) {
		counters_add(&service->acceptor, COUNTER_CLOSED_NO_MEMORY, 1);
		close(fd);
	}
}

static void
acceptor_on_error(void *context, struct listener *lis, int error)
{
	struct engine *engine = context;

	admission_fail(&engine->admission, lis, error);
}

struct listener_hooks
acceptor_hooks(struct engine *engine)
{
	return (struct listener_hooks){
		.accepted = acceptor_on_accept, .failed = acceptor_on_error, .context = engine
	};
}
