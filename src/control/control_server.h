/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control port: an HTTP server (evhttp) on the main loop, with the limits that evhttp lacks:
 * a cap on clients, an absolute deadline for each, routing on the raw path, a check of Host.
 * It answers from counters and snapshots and never waits for a worker.
 */
#ifndef ECHOD_CONTROL_CONTROL_SERVER_H
#define ECHOD_CONTROL_CONTROL_SERVER_H

#include "base/attributes.h"
#include "base/error_list.h"
#include "config/config.h"
#include "control/process_status.h"

struct control_server;
struct engine;
struct loop;

/*
 * Listen on cfg->http and answer about ENGINE and STATUS (both borrowed). NULL with a line in
 * ERRORS and errno set when the address cannot be had. Main loop.
 */
struct control_server *control_server_new(struct loop *loop, struct engine *engine,
    const struct process_status *status, const struct control_config *cfg,
    struct error_list *errors);

/* Take over what a reload may change: clients and timeout. Main loop. */
void control_server_change(struct control_server *control, const struct control_config *cfg);

/* Close the port and every client. Snapshots still under way are forgotten. NULL is fine. */
void control_server_free(struct control_server *control);

#endif
