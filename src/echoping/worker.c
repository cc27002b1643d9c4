/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "echoping/worker.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"

#define WORKER_EVENTS 128
#define WORKER_TICK_NS (100 * NS_PER_MS)

static struct echoping_link *
worker_link(struct echoping_worker *worker, uint32_t index)
{
	void *link = worker->links + (size_t)index * worker->kind->size;

	return link;
}

static const struct echoping_link_kind *
worker_choose_kind(const struct echoping_plan *plan)
{
	if (plan->options->churn)
		return &echoping_churn_kind;
	if (plan->target->transport == ECHOPING_UDP)
		return &echoping_datagram_kind;
	return &echoping_stream_kind;
}

static int
worker_init_timer(struct echoping_worker *worker)
{
	/* edge-triggered: setting the timer anew makes it unreadable again, so nobody reads it */
	struct epoll_event event = { .events = EPOLLIN | EPOLLET, .data.ptr = NULL };

	worker->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (worker->timer_fd < 0)
		return -errno;
	if (epoll_ctl(worker->epoll_fd, EPOLL_CTL_ADD, worker->timer_fd, &event) < 0)
		return -errno;
	return 0;
}

static int
worker_init_links(struct echoping_worker *worker, uint32_t first, int *fds)
{
	int r;

	for (uint32_t i = 0; i < worker->link_count; i++) {
		struct echoping_link *link = worker_link(worker, i);

		link->kind = worker->kind;
		link->worker = worker;
		link->number = first + i;
		link->fd = -1;
		if (fds != NULL) {
			link->fd = fds[i];
			fds[i] = -1;
		}
		worker->open++;
		r = worker->kind->init(link);
		if (r < 0)
			return r;
	}
	return 0;
}

int
echoping_worker_init(struct echoping_worker *worker, struct echoping_plan *plan, uint32_t first,
    uint32_t count, uint64_t quota, int *fds)
{
	*worker = (struct echoping_worker){
		.plan = plan,
		.timer_fd = -1,
		.kind = worker_choose_kind(plan),
		.sending = true,
		.quota = quota,
	};
	worker->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (worker->epoll_fd < 0)
		return -errno;
	worker->links = calloc(count, worker->kind->size);
	worker->buffer = malloc(ECHOPING_PAYLOAD_PIECE);
	worker->tally = calloc(1, sizeof(*worker->tally));
	if (worker->links == NULL || worker->buffer == NULL || worker->tally == NULL)
		return -ENOMEM;
	if (plan->options->rate > 0) {
		int r = worker_init_timer(worker);

		if (r < 0)
			return r;
	}
	worker->link_count = count;
	return worker_init_links(worker, first, fds);
}

void
echoping_worker_done(struct echoping_worker *worker)
{
	for (uint32_t i = 0; worker->links != NULL && i < worker->link_count; i++) {
		struct echoping_link *link = worker_link(worker, i);

		/* those that were not reached are all zero */
		if (link->worker == NULL)
			break;
		worker->kind->done(link);
		if (link->fd >= 0)
			(void)close(link->fd);
	}
	free(worker->links);
	free(worker->buffer);
	free(worker->tally);
	if (worker->timer_fd >= 0)
		(void)close(worker->timer_fd);
	if (worker->epoll_fd >= 0)
		(void)close(worker->epoll_fd);
}

bool
echoping_worker_take(struct echoping_link *link, int64_t now_ns, int64_t *ret_start_ns)
{
	struct echoping_worker *worker = link->worker;
	const struct echoping_options *options = worker->plan->options;

	if (!worker->sending)
		return false;
	if (options->rate > 0) {
		if (link->taken == link->released)
			return false;
		worker->backlog--;
		*ret_start_ns = echoping_pace_time(
		    &worker->pace, link->taken * options->connections + link->number);
	} else {
		if (worker->quota == 0)
			return false;
		worker->quota--;
		*ret_start_ns = now_ns;
	}
	link->taken++;
	worker->tally->sent++;
	return true;
}

bool
echoping_worker_wants_more(const struct echoping_link *link)
{
	const struct echoping_worker *worker = link->worker;

	return worker->sending && (worker->quota > 0 || link->released > link->taken);
}

void
echoping_worker_watch(struct echoping_link *link, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = link };
	int operation = link->watched == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;

	if (link->watched == events)
		return;
	if (events == 0)
		operation = EPOLL_CTL_DEL;
	if (epoll_ctl(link->worker->epoll_fd, operation, link->fd, &event) < 0) {
		link->worker->tally->lost++;
		echoping_worker_trouble(link, strerror(errno));
		echoping_worker_retire(link);
		return;
	}
	link->watched = events;
}

void
echoping_worker_close(struct echoping_link *link)
{
	if (link->fd >= 0)
		(void)close(link->fd);
	link->fd = -1;
	link->watched = 0;
}

void
echoping_worker_retire(struct echoping_link *link)
{
	struct echoping_worker *worker = link->worker;

	if (link->retired)
		return;
	echoping_worker_close(link);
	link->retired = true;
	worker->open--;
	if (worker->sending && worker->plan->options->rate > 0) {
		/* nobody will send what was due here */
		worker->backlog -= link->released - link->taken;
		worker->tally->unsent += link->released - link->taken;
	}
}

void
echoping_worker_trouble(const struct echoping_link *link, const char *what)
{
	echoping_tally_trouble(
	    link->worker->tally, "connection %u: %s", (unsigned)link->number, what);
}

/* Open loop: which message of the run is the thread's next. */
static uint64_t
worker_next_index(const struct echoping_worker *worker)
{
	const struct echoping_options *options = worker->plan->options;
	uint32_t first = ((const struct echoping_link *)(const void *)worker->links)->number;

	return worker->released / worker->link_count * options->connections + first +
	       worker->released % worker->link_count;
}

/* Open loop: hand each message whose time has come to its link, in turn. */
static void
worker_release(struct echoping_worker *worker, int64_t now_ns)
{
	while (worker->sending && worker->quota > 0) {
		int64_t due_ns = echoping_pace_time(&worker->pace, worker_next_index(worker));
		struct echoping_link *link;

		if (due_ns > now_ns || due_ns >= worker->plan->end_ns)
			break;
		link = worker_link(worker, (uint32_t)(worker->released % worker->link_count));
		worker->released++;
		worker->quota--;
		if (link->retired) {
			worker->tally->unsent++;
			continue;
		}
		worker->backlog++;
		link->released++;
		link->kind->pump(link, now_ns);
	}
}

/* Open loop: wake when the next message is due. */
static void
worker_set_timer(struct echoping_worker *worker)
{
	int64_t due_ns = echoping_pace_time(&worker->pace, worker_next_index(worker));
	struct itimerspec spec = { .it_value = { .tv_sec = due_ns / NS_PER_S,
				       .tv_nsec = due_ns % NS_PER_S } };

	if (due_ns == worker->timer_at_ns)
		return;
	worker->timer_at_ns = due_ns;
	(void)timerfd_settime(worker->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL);
}

/* Nothing new from here on; links with nothing out wind up at once. */
static void
worker_stop_sending(struct echoping_worker *worker, int64_t now_ns)
{
	worker->sending = false;
	worker->stopped_ns = now_ns;
	worker->tally->unsent += worker->backlog;
	worker->backlog = 0;
	for (uint32_t i = 0; i < worker->link_count; i++) {
		struct echoping_link *link = worker_link(worker, i);

		if (!link->retired)
			link->kind->pump(link, now_ns);
	}
}

static bool
worker_must_stop(const struct echoping_worker *worker, int64_t now_ns)
{
	return now_ns >= worker->plan->end_ns || (worker->quota == 0 && worker->backlog == 0) ||
	       atomic_load_explicit(&worker->plan->stop, memory_order_relaxed) != ECHOPING_RUN;
}

static void
worker_tick(struct echoping_worker *worker, int64_t now_ns)
{
	for (uint32_t i = 0; i < worker->link_count; i++) {
		struct echoping_link *link = worker_link(worker, i);

		if (!link->retired)
			link->kind->on_tick(link, now_ns);
	}
}

static int
worker_wait_ms(const struct echoping_worker *worker, int64_t tick_ns)
{
	int64_t until_ns = tick_ns;

	if (worker->sending && worker->plan->end_ns < until_ns)
		until_ns = worker->plan->end_ns;
	until_ns -= worker->now_ns;
	return until_ns > 0 ? (int)((until_ns + NS_PER_MS - 1) / NS_PER_MS) : 0;
}

static void
worker_loop(struct echoping_worker *worker)
{
	struct epoll_event events[WORKER_EVENTS];
	const struct echoping_plan *plan = worker->plan;
	int64_t tick_ns = plan->start_ns + WORKER_TICK_NS;

	while (worker->open > 0 &&
	       atomic_load_explicit(&plan->stop, memory_order_relaxed) != ECHOPING_QUIT) {
		int count;

		if (worker->timer_fd >= 0 && worker->sending)
			worker_set_timer(worker);
		count = epoll_wait(
		    worker->epoll_fd, events, WORKER_EVENTS, worker_wait_ms(worker, tick_ns));
		for (int i = 0; i < count; i++) {
			struct echoping_link *link = events[i].data.ptr;

			if (link != NULL && !link->retired)
				link->kind->on_event(link, events[i].events);
		}
		worker->now_ns = clock_now_ns();
		if (worker->timer_fd >= 0)
			worker_release(worker, worker->now_ns);
		if (worker->now_ns >= tick_ns) {
			worker_tick(worker, worker->now_ns);
			tick_ns = worker->now_ns + WORKER_TICK_NS;
		}
		if (worker->sending && worker_must_stop(worker, worker->now_ns))
			worker_stop_sending(worker, worker->now_ns);
		atomic_store_explicit(
		    &worker->received_so_far, worker->tally->received, memory_order_relaxed);
		atomic_store_explicit(&worker->failed_so_far,
		    worker->tally->lost + worker->tally->mismatched, memory_order_relaxed);
	}
}

void *
echoping_worker_run(void *argument)
{
	struct echoping_worker *worker = argument;
	const struct echoping_plan *plan = worker->plan;
	const uint64_t one = 1;

	worker->now_ns = worker->last_ns = plan->start_ns;
	if (plan->options->rate > 0)
		worker->pace = echoping_pace_of(plan->start_ns, plan->options->rate);
	for (uint32_t i = 0; i < worker->link_count; i++) {
		struct echoping_link *link = worker_link(worker, i);

		link->kind->pump(link, clock_now_ns());
	}
	worker_loop(worker);
	if (worker->sending) {
		worker->stopped_ns = clock_now_ns();
		worker->tally->unsent += worker->backlog;
	}
	atomic_fetch_sub(&worker->plan->running, 1);
	(void)!write(plan->done_fd, &one, sizeof(one));
	return NULL;
}
