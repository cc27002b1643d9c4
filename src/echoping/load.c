/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "echoping/load.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"

#define WORKER_EVENTS 128
#define WORKER_TICK_NS (100 * NS_PER_MS)

static struct echoping_link *
worker_link(struct echoping_worker *worker, uint32_t index)
{
	void *link = worker->links + (size_t)index * worker->kind->size;

	return link;
}

/* Call FUNCTION for each link that is not retired. */
static void
worker_each(struct echoping_worker *worker,
    void (*function)(struct echoping_link *link, int64_t now_ns), int64_t now_ns)
{
	for (uint32_t i = 0; i < worker->link_count; i++) {
		struct echoping_link *link = worker_link(worker, i);

		if (!link->retired)
			function(link, now_ns);
	}
}

static int
worker_init_timer(struct echoping_worker *worker)
{
	/* edge-triggered: setting the timer anew makes it unreadable again, so nobody reads it */
	struct epoll_event event = { .events = EPOLLIN | EPOLLET, .data.ptr = NULL };

	worker->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (worker->timer_fd < 0 ||
	    epoll_ctl(worker->epoll_fd, EPOLL_CTL_ADD, worker->timer_fd, &event) < 0)
		return -errno;
	return 0;
}

static int
worker_init_links(struct echoping_worker *worker, uint32_t first, int *fds)
{
	int r;

	for (uint32_t i = 0; i < worker->link_count; i++) {
		struct echoping_link *link = worker_link(worker, i);

		link->worker = worker;
		link->number = first + i;
		link->fd = fds[i];
		fds[i] = -1;
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
	int r = 0;

	*worker = (struct echoping_worker){
		.plan = plan,
		.options = plan->run->options,
		.payload = plan->run->payload,
		.timer_fd = -1,
		.kind = echoping_target_is_datagram(&plan->run->target) ? &echoping_datagram_kind
									: &echoping_stream_kind,
		.sending = true,
		.quota = quota,
	};
	worker->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (worker->epoll_fd < 0)
		return -errno;
	worker->links = calloc(count, worker->kind->size);
	worker->buffer = malloc(ECHOPING_PAYLOAD_PIECE);
	worker->results = calloc(1, sizeof(*worker->results));
	if (worker->links == NULL || worker->buffer == NULL || worker->results == NULL)
		return -ENOMEM;
	if (worker->options->rate > 0)
		r = worker_init_timer(worker);
	worker->link_count = count;
	return r < 0 ? r : worker_init_links(worker, first, fds);
}

void
echoping_worker_done(struct echoping_worker *worker)
{
	for (uint32_t i = 0; worker->links != NULL && i < worker->link_count; i++) {
		struct echoping_link *link = worker_link(worker, i);

		/* the rest was not initialized */
		if (link->worker == NULL)
			break;
		worker->kind->done(link);
		if (link->fd >= 0)
			(void)close(link->fd);
	}
	free(worker->links);
	free(worker->buffer);
	free(worker->results);
	if (worker->timer_fd >= 0)
		(void)close(worker->timer_fd);
	if (worker->epoll_fd >= 0)
		(void)close(worker->epoll_fd);
}

bool
echoping_worker_take(struct echoping_link *link, int64_t now_ns, int64_t *ret_start_ns)
{
	struct echoping_worker *worker = link->worker;
	const struct echoping_options *options = worker->options;

	if (!worker->sending)
		return false;
	if (options->rate > 0) {
		if (link->taken == link->released)
			return false;
		worker->backlog--;
		*ret_start_ns = echoping_plan_due(
		    worker->plan, link->taken * options->connections + link->number);
	} else {
		if (worker->quota == 0)
			return false;
		worker->quota--;
		*ret_start_ns = now_ns;
	}
	link->taken++;
	worker->results->sent++;
	return true;
}

void
echoping_worker_watch(struct echoping_link *link, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = link };
	int operation = link->watched == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;

	if (link->watched == events)
		return;
	if (epoll_ctl(link->worker->epoll_fd, operation, link->fd, &event) < 0) {
		link->worker->results->lost++;
		echoping_worker_note(link, strerror(errno));
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
	if (worker->sending && worker->options->rate > 0) {
		/* nobody will send what was due here */
		worker->backlog -= link->released - link->taken;
		worker->results->unsent += link->released - link->taken;
	}
}

void
echoping_worker_note(const struct echoping_link *link, const char *what)
{
	echoping_results_note(
	    link->worker->results, "connection %u: %s", (unsigned)link->number, what);
}

/* Open loop: return when the thread's next message is due. */
static int64_t
worker_next_due_ns(const struct echoping_worker *worker)
{
	uint32_t first = ((const struct echoping_link *)(const void *)worker->links)->number;
	uint64_t round = worker->released / worker->link_count;

	return echoping_plan_due(worker->plan,
	    round * worker->options->connections + first + worker->released % worker->link_count);
}

/* Open loop: hand each message whose time has come to its link, in turn. */
static void
worker_release(struct echoping_worker *worker, int64_t now_ns)
{
	while (worker->sending && worker->quota > 0) {
		int64_t due_ns = worker_next_due_ns(worker);
		struct echoping_link *link;

		if (due_ns > now_ns || due_ns >= worker->plan->end_ns)
			break;
		link = worker_link(worker, (uint32_t)(worker->released % worker->link_count));
		worker->released++;
		worker->quota--;
		if (link->retired) {
			worker->results->unsent++;
			continue;
		}
		worker->backlog++;
		link->released++;
		worker->kind->pump(link, now_ns);
	}
}

/* Open loop: wake when the next message is due. */
static void
worker_set_timer(struct echoping_worker *worker)
{
	int64_t due_ns = worker_next_due_ns(worker);
	struct itimerspec spec = { .it_value = { .tv_sec = due_ns / NS_PER_S,
				       .tv_nsec = due_ns % NS_PER_S } };

	if (due_ns == worker->timer_at_ns)
		return;
	worker->timer_at_ns = due_ns;
	(void)timerfd_settime(worker->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL);
}

/* Stop sending; links that wait for no echo end at once. */
static void
worker_stop_sending(struct echoping_worker *worker, int64_t now_ns)
{
	worker->sending = false;
	worker->stopped_ns = now_ns;
	worker->results->unsent += worker->backlog;
	worker->backlog = 0;
	worker_each(worker, worker->kind->pump, now_ns);
}

static bool
worker_must_stop(const struct echoping_worker *worker, int64_t now_ns)
{
	return now_ns >= worker->plan->end_ns || (worker->quota == 0 && worker->backlog == 0) ||
	       atomic_load_explicit(&worker->plan->stop, memory_order_relaxed) != ECHOPING_RUN;
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
				worker->kind->on_event(link, events[i].events);
		}
		worker->now_ns = clock_now_ns();
		if (worker->timer_fd >= 0)
			worker_release(worker, worker->now_ns);
		if (worker->now_ns >= tick_ns) {
			worker_each(worker, worker->kind->on_tick, worker->now_ns);
			tick_ns = worker->now_ns + WORKER_TICK_NS;
		}
		if (worker->sending && worker_must_stop(worker, worker->now_ns))
			worker_stop_sending(worker, worker->now_ns);
		atomic_store_explicit(
		    &worker->received_so_far, worker->results->received, memory_order_relaxed);
		atomic_store_explicit(&worker->failed_so_far,
		    worker->results->lost + worker->results->mismatched, memory_order_relaxed);
	}
}

/* Those that are still on are without an end; nobody may take their connections for whole. */
static void
worker_end_outages(struct echoping_worker *worker)
{
	for (uint32_t i = 0; i < worker->link_count; i++) {
		struct echoping_link *link = worker_link(worker, i);

		worker->results->broken += link->outage.begin_ns != 0;
		echoping_outage_end(&link->outage, INT64_MAX, &worker->results->outages);
	}
}

/* The function of a worker's thread. */
static void *
worker_run(void *argument)
{
	struct echoping_worker *worker = argument;
	const struct echoping_plan *plan = worker->plan;
	const uint64_t one = 1;

	worker->now_ns = worker->last_ns = plan->start_ns;
	for (uint32_t i = 0; i < worker->link_count; i++)
		worker->kind->pump(worker_link(worker, i), clock_now_ns());
	worker_loop(worker);
	if (worker->sending) {
		worker->stopped_ns = clock_now_ns();
		worker->results->unsent += worker->backlog;
	}
	worker_end_outages(worker);
	(void)!write(plan->done_fd, &one, sizeof(one));
	return NULL;
}

/* Standard streams, name lookups and what else needs a descriptor for a while. */
#define OTHER_DESCRIPTORS 32

struct load {
	struct echoping_run *run;
	struct echoping_plan plan;
	struct echoping_worker *workers; /* owned; options->threads */
	uint32_t inited;                 /* workers that want echoping_worker_done() */
	uint32_t started;                /* threads */
	/* Owned sockets that no worker has taken, or -1: first the idle ones, then one a link. */
	int *sockets;
	int64_t drawn_ns;        /* when the progress line was drawn, or the start */
	uint64_t drawn_received; /* messages that were back then */
	/* The same of the last line of figures, with --interval. */
	int64_t printed_ns;
	uint64_t printed_received;
	uint64_t printed_failed;
};

static int
load_fail(struct load *load, const char *step, int r)
{
	return echoping_target_fail(&load->run->target, step, r, &load->run->errors);
}

/* Make sure that the load may open its descriptors: raise the soft limit up to the hard one. */
static int
load_reserve(struct load *load)
{
	const struct echoping_options *options = load->run->options;
	rlim_t wanted = (rlim_t)(options->connections + options->idle + 3 * options->threads) +
			OTHER_DESCRIPTORS;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= wanted)
		return 0;
	if (limit.rlim_max >= wanted) {
		limit.rlim_cur = wanted;
		if (setrlimit(RLIMIT_NOFILE, &limit) == 0)
			return 0;
	}
	error_list_add(&load->run->errors,
	    "%llu descriptors are needed, but at most %llu are allowed (raise ulimit -Hn)",
	    (unsigned long long)wanted, (unsigned long long)limit.rlim_max);
	return -EMFILE;
}

static int
load_connect(struct load *load)
{
	const struct echoping_options *options = load->run->options;
	struct echoping_target *target = &load->run->target;
	const int signal_fd = load->run->signal_fd;
	const size_t count = options->idle + options->connections;
	int *active;
	int first, r;

	load->sockets = malloc(count * sizeof(*load->sockets));
	if (load->sockets == NULL)
		return load_fail(load, "prepare", -ENOMEM);
	active = load->sockets + options->idle;
	for (size_t i = 0; i < count; i++)
		load->sockets[i] = -1;
	/* the first finds the address that answers; a name may stand for several */
	r = echoping_target_connect(target, options->timeout_ns, signal_fd, &first);
	if (r < 0)
		return load_fail(load, "connect", r);
	if (options->churn || echoping_target_is_datagram(target))
		(void)close(first);
	else
		*active++ = first;
	r = echoping_target_connect_many(
	    target, options->idle, options->timeout_ns, signal_fd, load->sockets);
	if (r < 0)
		return load_fail(load, "connect idle connections", r);
	if (!options->churn)
		r = echoping_target_connect_many(target, (size_t)(load->sockets + count - active),
		    options->timeout_ns, signal_fd, active);
	return r < 0 ? load_fail(load, "connect", r) : 0;
}

/* Divide connections and messages evenly among the workers. */
static int
load_init_workers(struct load *load)
{
	const struct echoping_options *options = load->run->options;
	uint32_t first = 0;

	load->workers = calloc(options->threads, sizeof(*load->workers));
	if (load->workers == NULL)
		return load_fail(load, "prepare", -ENOMEM);
	for (uint32_t i = 0; i < options->threads; i++) {
		uint32_t end = (uint32_t)(options->connections * (i + 1) / options->threads);
		uint64_t quota = UINT64_MAX;
		int r;

		if (options->count > 0)
			quota = options->count / options->threads +
				(i < options->count % options->threads);
		load->inited++;
		r = echoping_worker_init(&load->workers[i], &load->plan, first, end - first, quota,
		    load->sockets + options->idle + first);
		if (r < 0)
			return load_fail(load, "prepare", r);
		first = end;
	}
	return 0;
}

static int
load_start(struct load *load)
{
	const struct echoping_options *options = load->run->options;
	struct echoping_plan *plan = &load->plan;

	plan->start_ns = load->drawn_ns = load->printed_ns = clock_now_ns();
	plan->end_ns = options->duration_ns > 0 ? plan->start_ns + options->duration_ns : INT64_MAX;
	if (options->rate > 0)
		plan->interval_ns = (double)NS_PER_S / (double)options->rate;
	for (; load->started < options->threads; load->started++) {
		struct echoping_worker *worker = &load->workers[load->started];
		int r = pthread_create(&worker->thread, NULL, worker_run, worker);

		if (r != 0) {
			atomic_store(&plan->stop, ECHOPING_QUIT);
			return load_fail(load, "start a thread", -r);
		}
	}
	return 0;
}

/* How many messages are back, and how many failed, of all threads so far. */
static uint64_t
load_received(const struct load *load, uint64_t *ret_failed)
{
	uint64_t received = 0;

	*ret_failed = 0;
	for (uint32_t i = 0; i < load->started; i++) {
		received += atomic_load_explicit(
		    &load->workers[i].received_so_far, memory_order_relaxed);
		*ret_failed += atomic_load_explicit(
		    &load->workers[i].failed_so_far, memory_order_relaxed);
	}
	return received;
}

/* Draw the line of a running load again, on standard error, as wide as the terminal is. */
static void
load_draw(struct load *load, int64_t now_ns)
{
	double seconds = clock_seconds(now_ns - load->drawn_ns), rate;
	uint64_t failed, received = load_received(load, &failed);
	char speed[UNITS_TEXT_MAX], line[160];

	rate = (double)(received - load->drawn_received) / seconds;
	(void)snprintf(line, sizeof(line),
	    "%5.0f s  %11.0f msg/s  %12s  %12" PRIu64 " received  %" PRIu64 " failed ",
	    clock_seconds(now_ns - load->plan.start_ns), rate,
	    units_human_rate(rate * (double)load->run->options->size, speed, sizeof(speed)),
	    received, failed);
	/* the last column stays free: some terminals wrap there */
	(void)fprintf(stderr, "\r%.*s", (int)echoping_terminal_columns(STDERR_FILENO) - 1, line);
	(void)fflush(stderr);
	load->drawn_ns = now_ns;
	load->drawn_received = received;
}

/* Print a line about the interval that ends now. */
static void
load_print(struct load *load, int64_t now_ns)
{
	uint64_t failed, received = load_received(load, &failed);

	echoping_report_interval(load->run, now_ns - load->printed_ns, now_ns - load->plan.start_ns,
	    received - load->printed_received, failed - load->printed_failed);
	load->printed_ns = now_ns;
	load->printed_received = received;
	load->printed_failed = failed;
}

/* SIGQUIT asks how it goes. */
static void
load_tell(struct load *load)
{
	uint64_t failed, received = load_received(load, &failed);
	struct signalfd_siginfo info;

	while (read(load->run->quit_fd, &info, sizeof(info)) == sizeof(info))
		;
	(void)fprintf(stderr, "%s%" PRIu64 " received, %" PRIu64 " failed in %.1f s\n",
	    load->drawn_ns > load->plan.start_ns ? "\n" : "", received, failed,
	    clock_seconds(clock_now_ns() - load->plan.start_ns));
}

/* Wait for the threads; a first signal lets them finish what is out, a second one does not. */
static void
load_wait(struct load *load)
{
	const bool shown = !load->run->options->quiet && load->run->options->interval_ns == 0 &&
			   isatty(STDERR_FILENO) == 1;
	struct echoping_results *results = &load->run->results;
	struct pollfd fds[] = { { .fd = load->run->signal_fd, .events = POLLIN },
		{ .fd = load->plan.done_fd, .events = POLLIN },
		{ .fd = load->run->quit_fd, .events = POLLIN } };
	const int64_t interval_ns = load->run->options->interval_ns;
	int64_t draw_ns = load->plan.start_ns + NS_PER_S;
	int64_t print_ns = interval_ns > 0 ? load->plan.start_ns + interval_ns : INT64_MAX;
	uint64_t ended = 0;

	while (ended < load->started) {
		int64_t left_ns = (draw_ns < print_ns ? draw_ns : print_ns) - clock_now_ns();
		struct signalfd_siginfo info;
		uint64_t more;

		(void)poll(fds, ARRAY_SIZE(fds), left_ns > 0 ? (int)(left_ns / NS_PER_MS) + 1 : 0);
		if (read(load->run->signal_fd, &info, sizeof(info)) == sizeof(info)) {
			atomic_store(
			    &load->plan.stop, results->interrupted ? ECHOPING_QUIT : ECHOPING_STOP);
			results->interrupted = true;
		}
		if (fds[2].revents != 0)
			load_tell(load);
		if (read(load->plan.done_fd, &more, sizeof(more)) == sizeof(more))
			ended += more;
		if (clock_now_ns() >= print_ns) {
			load_print(load, clock_now_ns());
			print_ns += interval_ns;
		}
		if (clock_now_ns() >= draw_ns) {
			if (shown)
				load_draw(load, clock_now_ns());
			draw_ns += NS_PER_S;
		}
	}
	if (load->drawn_ns > load->plan.start_ns)
		(void)fprintf(
		    stderr, "\r%*s\r", (int)echoping_terminal_columns(STDERR_FILENO) - 1, "");
}

static void
load_sum(struct load *load)
{
	struct echoping_results *results = &load->run->results;
	int64_t end_ns = load->plan.start_ns;
	uint64_t settled;
	char byte;

	for (uint32_t i = 0; i < load->started; i++) {
		const struct echoping_worker *worker = &load->workers[i];

		if (worker->stopped_ns > end_ns)
			end_ns = worker->stopped_ns;
		if (worker->last_ns > end_ns)
			end_ns = worker->last_ns;
		echoping_results_merge(results, worker->results);
	}
	results->elapsed_ns = end_ns - load->plan.start_ns;
	settled = results->received + results->lost + results->mismatched;
	if (atomic_load(&load->plan.stop) == ECHOPING_QUIT && settled < results->sent) {
		/* after a second signal what was still out was not waited for */
		results->lost += results->sent - settled;
		echoping_results_note(results, "interrupted before everything was back");
	}
	for (uint32_t i = 0; i < load->run->options->idle; i++) {
		ssize_t n = recv(load->sockets[i], &byte, 1, MSG_DONTWAIT);

		if (n > 0)
			results->mismatched++;
		else if (n == 0 || (errno != EAGAIN && errno != EINTR))
			results->idle_lost++;
	}
	if (results->idle_lost > 0)
		echoping_results_note(results, "the server closed idle connections");
}

static void
load_done(struct load *load)
{
	const struct echoping_options *options = load->run->options;

	for (uint32_t i = 0; i < load->inited; i++)
		echoping_worker_done(&load->workers[i]);
	free(load->workers);
	for (size_t i = 0; load->sockets != NULL && i < options->idle + options->connections; i++)
		if (load->sockets[i] >= 0)
			(void)close(load->sockets[i]);
	free(load->sockets);
	if (load->plan.done_fd >= 0)
		(void)close(load->plan.done_fd);
}

int
echoping_load_run(struct echoping_run *run)
{
	struct load load = { .run = run, .plan = { .run = run } };
	int64_t cpu_ns;
	int r = load_reserve(&load);

	if (r < 0)
		return r;
	load.plan.done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = load.plan.done_fd < 0 ? load_fail(&load, "prepare", -errno) : load_connect(&load);
	if (r == 0)
		r = load_init_workers(&load);
	if (r == 0) {
		cpu_ns = clock_read_ns(CLOCK_PROCESS_CPUTIME_ID);
		r = load_start(&load);
		load_wait(&load);
		for (uint32_t i = 0; i < load.started; i++)
			(void)pthread_join(load.workers[i].thread, NULL);
		run->results.cpu_ns = clock_read_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_ns;
		load_sum(&load);
	}
	load_done(&load);
	return r;
}
