/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "echoping/load.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "echoping/connect.h"
#include "echoping/progress.h"
#include "echoping/worker.h"

/* Room in a socket for what may be in flight to it. */
#define RECEIVE_ROOM_MAX (8 << 20)

struct load {
	const struct echoping_options *options;
	struct echoping_target *target;
	struct error_list *errors;
	struct echoping_plan plan;
	struct echoping_worker *workers; /* owned; options->threads */
	uint32_t inited;                 /* workers that want echoping_worker_done() */
	uint32_t started;                /* threads */
	int *active;                     /* owned; sockets that no worker has taken */
	int *idle;                       /* owned */
	int signal_fd;
};

static int
load_fail(struct load *load, const char *step, int r)
{
	char url[ADDRESS_TEXT_MAX];

	error_list_add(load->errors, "%s: %s: %s%s",
	    echoping_target_url(load->target, url, sizeof(url)), step, strerror(-r),
	    r == -EADDRNOTAVAIL ? " (no local port is left)" : "");
	return r;
}

static int *
load_new_sockets(uint32_t count)
{
	int *fds = malloc((count + 1) * sizeof(*fds));

	for (uint32_t i = 0; fds != NULL && i < count; i++)
		fds[i] = -1;
	return fds;
}

static void
load_close_sockets(int *fds, uint32_t count)
{
	for (uint32_t i = 0; fds != NULL && i < count; i++)
		if (fds[i] >= 0)
			(void)close(fds[i]);
	free(fds);
}

/* Datagrams that come back at once must find room, or the loss would be our own. */
static size_t
load_receive_room(const struct echoping_options *options)
{
	/* each is accounted with some overhead */
	uint64_t bytes = (uint64_t)options->pipeline * (options->size + 1024);

	if (options->target.transport != ECHOPING_UDP || options->pipeline == 1)
		return 0;
	return bytes < RECEIVE_ROOM_MAX ? (size_t)bytes : RECEIVE_ROOM_MAX;
}

static int
load_connect(struct load *load)
{
	const struct echoping_options *options = load->options;
	uint32_t done = 0;
	int first, r;

	load->active = load_new_sockets(options->connections);
	load->idle = load_new_sockets(options->idle);
	if (load->active == NULL || load->idle == NULL)
		return load_fail(load, "prepare", -ENOMEM);
	/* the first finds the place that answers; a name may stand for several */
	r = echoping_connect_first(load->target, options->timeout_ns, load->signal_fd, &first);
	if (r < 0)
		return load_fail(load, "connect", r);
	if (options->churn || load->target->transport == ECHOPING_UDP)
		(void)close(first);
	else
		load->active[done++] = first;
	r = echoping_connect_many(
	    load->target, options->idle, options->timeout_ns, 0, load->signal_fd, load->idle);
	if (r < 0)
		return load_fail(load, "connect idle connections", r);
	if (options->churn)
		return 0;
	r = echoping_connect_many(load->target, options->connections - done, options->timeout_ns,
	    load_receive_room(options), load->signal_fd, load->active + done);
	return r < 0 ? load_fail(load, "connect", r) : 0;
}

/* Share connections and messages out as evenly as they can be. */
static int
load_init_workers(struct load *load)
{
	const struct echoping_options *options = load->options;
	uint32_t first = 0;

	load->workers = calloc(options->threads, sizeof(*load->workers));
	if (load->workers == NULL)
		return load_fail(load, "prepare", -ENOMEM);
	for (uint32_t i = 0; i < options->threads; i++) {
		uint32_t end = (uint32_t)((uint64_t)options->connections * (i + 1) /
					  options->threads);
		uint64_t quota = UINT64_MAX;
		int r;

		if (options->count > 0)
			quota = options->count / options->threads +
				(i < options->count % options->threads);
		load->inited++;
		r = echoping_worker_init(&load->workers[i], &load->plan, first, end - first, quota,
		    options->churn ? NULL : load->active + first);
		if (r < 0)
			return load_fail(load, "prepare", r);
		first = end;
	}
	return 0;
}

static int
load_start(struct load *load)
{
	const struct echoping_options *options = load->options;

	load->plan.start_ns = clock_now_ns();
	load->plan.end_ns = options->duration_ns > 0 ? load->plan.start_ns + options->duration_ns
						     : INT64_MAX;
	for (uint32_t i = 0; i < options->threads; i++) {
		int r;

		atomic_fetch_add(&load->plan.running, 1);
		r = pthread_create(
		    &load->workers[i].thread, NULL, echoping_worker_run, &load->workers[i]);
		if (r != 0) {
			atomic_fetch_sub(&load->plan.running, 1);
			atomic_store(&load->plan.stop, ECHOPING_QUIT);
			return load_fail(load, "start a thread", -r);
		}
		load->started++;
	}
	return 0;
}

static void
load_draw(struct load *load, struct echoping_progress *progress)
{
	uint64_t received = 0, failed = 0;

	for (uint32_t i = 0; i < load->started; i++) {
		received += atomic_load_explicit(
		    &load->workers[i].received_so_far, memory_order_relaxed);
		failed += atomic_load_explicit(
		    &load->workers[i].failed_so_far, memory_order_relaxed);
	}
	echoping_progress_draw(progress, clock_now_ns(), received, failed);
}

/* Wait for the threads; a first signal lets them finish what is out, a second one does not. */
static void
load_wait(struct load *load, struct echoping_tally *tally)
{
	struct pollfd fds[] = { { .fd = load->signal_fd, .events = POLLIN },
		{ .fd = load->plan.done_fd, .events = POLLIN } };
	struct echoping_progress progress;
	int64_t draw_ns = load->plan.start_ns + NS_PER_S;

	echoping_progress_init(
	    &progress, load->options->size, load->plan.start_ns, load->options->quiet);
	while (atomic_load(&load->plan.running) > 0) {
		int64_t left_ns = draw_ns - clock_now_ns();
		struct signalfd_siginfo info;
		uint64_t done;

		(void)poll(fds, ARRAY_SIZE(fds), left_ns > 0 ? (int)(left_ns / NS_PER_MS) + 1 : 0);
		if (read(load->signal_fd, &info, sizeof(info)) == sizeof(info)) {
			atomic_store(
			    &load->plan.stop, tally->interrupted ? ECHOPING_QUIT : ECHOPING_STOP);
			tally->interrupted = true;
		}
		(void)!read(load->plan.done_fd, &done, sizeof(done));
		if (clock_now_ns() >= draw_ns) {
			load_draw(load, &progress);
			draw_ns += NS_PER_S;
		}
	}
	echoping_progress_done(&progress);
}

/* After a second signal: what was still out will not be waited for. */
static void
load_abandon(struct load *load, struct echoping_tally *tally)
{
	uint64_t settled = tally->received + tally->lost + tally->mismatched;

	if (atomic_load(&load->plan.stop) != ECHOPING_QUIT || settled >= tally->sent)
		return;
	tally->lost += tally->sent - settled;
	echoping_tally_trouble(tally, "interrupted before everything was back");
}

static void
load_sum(struct load *load, struct echoping_tally *tally)
{
	int64_t end_ns = load->plan.start_ns;
	char byte;

	for (uint32_t i = 0; i < load->started; i++) {
		const struct echoping_worker *worker = &load->workers[i];

		if (worker->stopped_ns > end_ns)
			end_ns = worker->stopped_ns;
		if (worker->last_ns > end_ns)
			end_ns = worker->last_ns;
		echoping_tally_merge(tally, worker->tally);
	}
	tally->elapsed_ns = end_ns - load->plan.start_ns;
	load_abandon(load, tally);
	for (uint32_t i = 0; i < load->options->idle; i++) {
		ssize_t n = recv(load->idle[i], &byte, 1, MSG_DONTWAIT);

		if (n > 0)
			tally->mismatched++;
		else if (n == 0 || (errno != EAGAIN && errno != EINTR))
			tally->idle_lost++;
	}
	if (tally->idle_lost > 0)
		echoping_tally_trouble(tally, "the server closed idle connections");
}

static void
load_done(struct load *load)
{
	for (uint32_t i = 0; i < load->inited; i++)
		echoping_worker_done(&load->workers[i]);
	free(load->workers);
	load_close_sockets(load->active, load->options->connections);
	load_close_sockets(load->idle, load->options->idle);
	if (load->plan.done_fd >= 0)
		(void)close(load->plan.done_fd);
}

int
echoping_load_run(const struct echoping_options *options, struct echoping_target *target,
    const struct echoping_payload *payload, int signal_fd, struct error_list *errors,
    struct echoping_tally *ret_tally)
{
	struct load load = {
		.options = options,
		.target = target,
		.errors = errors,
		.plan = { .options = options, .target = target, .payload = payload },
		.signal_fd = signal_fd,
	};
	int64_t cpu_ns;
	int r = echoping_connect_reserve(
	    (size_t)options->connections + options->idle + 3 * options->threads, errors);

	if (r < 0)
		return r;
	load.plan.done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = load.plan.done_fd < 0 ? load_fail(&load, "prepare", -errno) : load_connect(&load);
	if (r == 0)
		r = load_init_workers(&load);
	if (r == 0) {
		cpu_ns = clock_read_ns(CLOCK_PROCESS_CPUTIME_ID);
		r = load_start(&load);
		load_wait(&load, ret_tally);
		for (uint32_t i = 0; i < load.started; i++)
			(void)pthread_join(load.workers[i].thread, NULL);
		ret_tally->cpu_ns = clock_read_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_ns;
		load_sum(&load, ret_tally);
	}
	load_done(&load);
	return r;
}
