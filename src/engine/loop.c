/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "engine/loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/attributes.h"

STAILQ_HEAD(post_queue, post);

struct loop {
	struct event_base *base;
	struct event *mail;   /* readable when the mailbox is not empty */
	int mail_fd;          /* eventfd(2) */
	pthread_mutex_t lock; /* guards inbox */
	struct post_queue inbox;
	_Atomic uint64_t handled; /* posts that were run; written by the loop's thread */
};

uint64_t
loop_handled(const struct loop *loop)
{
	return atomic_load_explicit(&loop->handled, memory_order_relaxed);
}

/*
 * Takes the whole inbox at once: what a post posts runs in the next turn, so between two slices of
 * a post that posts itself again the selector is asked.
 */
static void
loop_on_mail(evutil_socket_t fd, short what ATTR_UNUSED, void *arg)
{
	struct loop *loop = arg;
	struct post_queue taken = STAILQ_HEAD_INITIALIZER(taken);
	uint64_t posts;

	if (read(fd, &posts, sizeof(posts)) < 0 && errno != EAGAIN)
		return;
	pthread_mutex_lock(&loop->lock);
	STAILQ_CONCAT(&taken, &loop->inbox);
	pthread_mutex_unlock(&loop->lock);

	while (!STAILQ_EMPTY(&taken)) {
		struct post *post = STAILQ_FIRST(&taken);

		STAILQ_REMOVE_HEAD(&taken, next);
		/* from here on the post is the function's to reuse or free */
		post->function(post->argument);
		atomic_store_explicit(&loop->handled, loop_handled(loop) + 1, memory_order_relaxed);
	}
}

static struct event_base *
loop_base_new(void)
{
	struct event_config *options = event_config_new();
	struct event_base *base = NULL;

	if (options == NULL)
		return NULL;
	if (event_config_set_flag(options, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV) ==
	    0)
		base = event_base_new_with_config(options);
	event_config_free(options);
	return base;
}

struct loop *
loop_new(void)
{
	struct loop *loop = calloc(1, sizeof(*loop));

	if (loop == NULL)
		return NULL;
	errno = ENOMEM; /* where libevent says nothing else */
	pthread_mutex_init(&loop->lock, NULL);
	STAILQ_INIT(&loop->inbox);
	loop->mail_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	loop->base = loop_base_new();
	if (loop->mail_fd >= 0 && loop->base != NULL)
		loop->mail = event_new(
		    loop->base, loop->mail_fd, EV_READ | EV_PERSIST, loop_on_mail, loop);
	if (loop->mail == NULL || event_add(loop->mail, NULL) < 0) {
		int error = errno;

		loop_free(loop);
		errno = error;
		return NULL;
	}
	return loop;
}

void
loop_free(struct loop *loop)
{
	if (loop == NULL)
		return;
	if (loop->mail != NULL)
		event_free(loop->mail);
	if (loop->base != NULL)
		event_base_free(loop->base);
	if (loop->mail_fd >= 0)
		close(loop->mail_fd);
	pthread_mutex_destroy(&loop->lock);
	free(loop);
}

struct event_base *
loop_base(struct loop *loop)
{
	return loop->base;
}

void
loop_post(struct loop *loop, struct post *post, void (*function)(void *argument), void *argument)
{
	bool was_empty;

	post->function = function;
	post->argument = argument;
	pthread_mutex_lock(&loop->lock);
	was_empty = STAILQ_EMPTY(&loop->inbox);
	STAILQ_INSERT_TAIL(&loop->inbox, post, next);
	pthread_mutex_unlock(&loop->lock);
	/*
	 * Only the first post to an empty inbox writes to the eventfd. The reader empties the
	 * eventfd before it takes the inbox, so no wake-up is lost; and the counter in it stays
	 * far below 2^64-2, where a write would be refused.
	 */
	if (was_empty)
		(void)eventfd_write(loop->mail_fd, 1);
}

int
loop_run(struct loop *loop)
{
	return event_base_loop(loop->base, EVLOOP_NO_EXIT_ON_EMPTY) < 0 ? -EIO : 0;
}

void
loop_stop(struct loop *loop)
{
	(void)event_base_loopbreak(loop->base);
}

void
loop_run_once(struct loop *loop)
{
	/* without ONCE it would go on while anything is ready: clients can make that for ever */
	(void)event_base_loop(loop->base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
}
