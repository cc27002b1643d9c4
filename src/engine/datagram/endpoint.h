/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A datagram endpoint: one bound UDP or UNIX datagram socket, served by one worker. What is read
 * (batch) is judged (guard), rated (sources) and sent back (batch); nothing is logged for a
 * single datagram, everything is counted. The main loop builds and frees it; in between the
 * worker's thread runs it. No lock is needed, because the two communicate by posts.
 */
#ifndef ECHOD_ENGINE_DATAGRAM_ENDPOINT_H
#define ECHOD_ENGINE_DATAGRAM_ENDPOINT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <event2/event_struct.h>

#include "base/attributes.h"
#include "config/configuration.h"
#include "engine/datagram/broadcasts.h"
#include "engine/datagram/drops.h"
#include "engine/datagram/guard.h"
#include "engine/listen_socket.h"
#include "engine/loop.h"
#include "engine/service.h"

/* What a reload may change; made beforehand, so that the change itself cannot fail. */
struct endpoint_settings;

struct endpoint {
	LIST_ENTRY(endpoint) next;
	struct listen_socket socket; /* owned; the worker uses its descriptor alone */
	struct service *service;     /* borrowed; main loop's */
	struct worker *worker;       /* borrowed; outlives it */
	struct drops drops;          /* main loop's: what the log knows of the service's drops */
	/* The main loop's requests to the worker. */
	struct post serve_post; /* in use while serve_posted */
	atomic_bool serve_posted;
	atomic_bool serving;
	struct post close_post; /* to the worker, then back */
	struct loop *close_loop;
	/* The worker's. */
	struct event readable;
	struct event retry;                 /* while waiting after an error, instead of readable */
	int64_t pause_ns;                   /* how long it waits after an error */
	int64_t episode_end_ns;             /* the next error is one more of the same until then */
	struct endpoint_settings *settings; /* owned */
	struct batch *batch;                /* owned */
	struct sources *sources;            /* owned; NULL for UNIX sockets */
	struct source everybody;            /* on a UNIX socket */
	struct token_bucket total;
	struct broadcasts broadcasts;
};

LIST_HEAD(endpoint_list, endpoint);

/*
 * Take from CFG what an endpoint needs, with room for OWN_COUNT own addresses; for free(3) while no
 * endpoint has taken it. NULL: out of memory.
 */
struct endpoint_settings *endpoint_settings_new(
    const struct listener_config *cfg, size_t own_count);

/* Name one more address that the daemon serves datagrams at. */
void endpoint_settings_add_own(struct endpoint_settings *settings, const struct address *address);

/*
 * Build an endpoint on SOCK (taken when this succeeds, left to the caller otherwise), to be run
 * by WORKER. It serves nothing before endpoint_set() and endpoint_serve(). NULL with errno set on
 * failure, also when the kernel refuses to watch the socket. Main loop.
 */
struct endpoint *endpoint_new(struct worker *worker, const struct listen_socket *sock);

/* Obey SETTINGS (taken) from now on, and count in SERVICE. Main loop. */
void endpoint_set(
    struct endpoint *endpoint, struct service *service, struct endpoint_settings *settings);

/* Read and echo, or leave what comes in the socket. Main loop. */
void endpoint_serve(struct endpoint *endpoint, bool serve);

/* Log what is dropped, if it is time for that; to be called every two seconds or so. Main loop. */
void endpoint_watch_drops(struct endpoint *endpoint, int64_t now_ns);

/*
 * Echo what waits in the socket, then serve no more; then, on LOOP, the main one, the endpoint is
 * taken off its list and freed. Main loop.
 */
void endpoint_close(struct endpoint *endpoint, struct loop *loop);

/*
 * Close the socket and free an endpoint that was never served, or whose worker's thread has ended.
 * NULL is fine. Main loop.
 */
void endpoint_free(struct endpoint *endpoint);

#endif
