/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An event loop with a mailbox: the one way in which threads communicate. A loop
 * belongs to the thread that runs it; loop_post() is the only call that others may make.
 */
#ifndef ECHOD_ENGINE_LOOP_H
#define ECHOD_ENGINE_LOOP_H

#include <stdint.h>

#include <event2/event.h>

#include "base/attributes.h"

struct loop;

/* A message in a mailbox; nobody but loop.c looks inside. */
struct post {
	STAILQ_ENTRY(post) next;
	void (*function)(void *argument);
	void *argument;
};

/* Build a loop with its event_base and mailbox. NULL with errno set on failure. */
struct loop *loop_new(void);

/* Free a loop that no thread runs any more; posts that never ran are forgotten. NULL is fine. */
void loop_free(struct loop *loop);

/* Return the loop's event_base (owned by the loop, made without locks: its own thread only). */
struct event_base *loop_base(struct loop *loop);

/*
 * Have FUNCTION(ARGUMENT) run on LOOP's thread, after all that was posted before. Any thread. POST
 * is the caller's memory, part of the object that FUNCTION works on: it is in use until FUNCTION is
 * called, which may reuse or free it. So a post cannot fail.
 */
void loop_post(
    struct loop *loop, struct post *post, void (*function)(void *argument), void *argument);

/* Return how many posts were run so far: a loop that hangs runs none. Any thread. */
uint64_t loop_handled(const struct loop *loop);

/* Run until loop_stop(). Returns 0, or -EIO when the selector itself fails. */
ATTR_MUSTCHECK int loop_run(struct loop *loop);

/* Make loop_run() return after the present turn. The loop's own thread only: post it. */
void loop_stop(struct loop *loop);

/* Run what was posted so far and what the selector has ready, without waiting. Own thread only. */
void loop_run_once(struct loop *loop);

#endif
