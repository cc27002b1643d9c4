/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A datagram endpoint: one bound UDP or UNIX datagram socket, served by one worker. What is read
 * (datagram_batch) is judged (datagram_guard), rated (source_table) and sent back
 * (datagram_sender); nothing is logged for a datagram, everything is counted. The main loop builds
 * and frees it, the worker runs it in between; no lock is needed because they speak by posts only.
 */
#ifndef ECHOD_ENGINE_DATAGRAM_H
#define ECHOD_ENGINE_DATAGRAM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/error_list.h"
#include "config/config.h"
#include "engine/loop.h"
#include "engine/source_table.h"

struct datagram;
struct share;
struct worker;

/* What a reload may change; made beforehand, so that the change itself cannot fail. */
struct datagram_settings;

/*
 * Take from CFG what an endpoint needs, with room for OWN_COUNT own addresses. NULL: out of memory.
 */
struct datagram_settings *datagram_settings_new(
    const struct listener_config *cfg, size_t own_count);

/* Name one more address that the daemon serves datagrams at. */
void datagram_settings_add_own(struct datagram_settings *settings, const struct address *address);

/* Free settings that no endpoint took; NULL is fine. */
void datagram_settings_free(struct datagram_settings *settings);

/*
 * Build an endpoint on FD (borrowed; open as long as the endpoint lives), to be run by WORKER. IP:
 * not a UNIX socket. NULL with errno set on failure. Main loop.
 */
struct datagram *datagram_new(struct worker *worker, int fd, bool ip);

/*
 * Obey SETTINGS (taken) from now on, and count in the worker's own of the SHARES of a service.
 * Before the first datagram_serve() and then at each reload. Main loop.
 */
void datagram_set(
    struct datagram *datagram, struct share *shares, struct datagram_settings *settings);

/* Read and echo, or leave what comes in the socket. Main loop. */
void datagram_serve(struct datagram *datagram, bool serve);

/*
 * Echo what waits in the socket, then serve no more; STOPPED is called once on LOOP, the main one,
 * and may free it. Main loop.
 */
void datagram_stop(
    struct datagram *datagram, struct loop *loop, void (*stopped)(void *context), void *context);

/*
 * Free an endpoint that has stopped, was never served, or whose worker's thread has ended. NULL is
 * fine. Main loop.
 */
void datagram_free(struct datagram *datagram);

/* Have FUNCTION(ARGUMENT) run on the thread of DATAGRAM's worker; see loop_post(). Main loop. */
void datagram_post(const struct datagram *datagram, struct post *post,
    void (*function)(void *argument), void *argument);

/*
 * Copy the sources of DATAGRAM to SOURCES, which has room for SOURCE_TABLE_SIZE; *ret_count tells
 * how many. The worker's thread.
 */
void datagram_copy_sources(
    const struct datagram *datagram, struct source *sources, size_t *ret_count);

#endif
