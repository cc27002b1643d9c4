/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A listener: an evconnlistener on a socket of our own making. It takes connections off the
 * backlog in bounded batches and hands each to its owner; it decides nothing. Main loop only.
 */
#ifndef ECHOD_ENGINE_LISTENER_H
#define ECHOD_ENGINE_LISTENER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/list.h"
#include "engine/listen_socket.h"
#include "engine/loop.h"
#include "engine/service.h"

struct evconnlistener;
struct listener;

/* What a listener tells its owner. */
struct listener_hooks {
	/* A connection came; the owner takes FD. SA is valid during the call only. */
	void (*accepted)(void *context, struct listener *lis, int fd, const struct sockaddr *sa,
	    socklen_t length);
	/* accept(2) failed with ERROR, which is not one of those that are simply tried again. */
	void (*failed)(void *context, struct listener *lis, int error);
	void *context; /* the engine */
};

struct listener {
	TAILQ_ENTRY(listener) next;
	struct listen_socket socket; /* owned */
	struct service *service;     /* borrowed; where its connections are counted */
	int64_t connections_limit;   /* 0: only the global one */
	bool limit_reported;         /* its limit was reached and logged; cleared when well below */
	bool accepting;              /* false while paused or closed */
	unsigned batch;              /* connections taken since the last breath */
	struct evconnlistener *evl;  /* owned */
	struct event *breath;        /* owned; starts accepting again after a full batch */
	struct listener_hooks hooks;
};

TAILQ_HEAD(listener_list, listener);

/*
 * Build a listener on SOCKET (taken when this succeeds, left to the caller otherwise). It does
 * not accept before listener_resume(). NULL: out of memory.
 */
struct listener *listener_new(
    struct loop *loop, const struct listen_socket *socket, const struct listener_hooks *hooks);

/* Stop accepting; what comes waits in the backlog. */
void listener_pause(struct listener *lis);

/* Let the rest of the loop have a turn before the next accept. */
void listener_breathe(struct listener *lis);

/* Accept (again). */
void listener_resume(struct listener *lis);

/*
 * Take everything that waits in the backlog, at most TIME_NS long. For a listener that is about
 * to be closed: a connection the kernel has completed is served, not reset.
 */
void listener_drain_backlog(struct listener *lis, int64_t time_ns);

/* Close the socket and free the listener. NULL is fine. */
void listener_free(struct listener *lis);

#endif
