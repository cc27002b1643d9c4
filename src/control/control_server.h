/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control port: an HTTP server (evhttp) on the main loop with two doors, a UNIX socket where
 * everything may be asked for and a TCP port that can be read only. Both have the limits that
 * evhttp lacks: a cap on clients, an absolute deadline for each, routing on the raw path, a check
 * of where a request comes from. It answers from counters and snapshots and never waits for a
 * worker.
 */
#ifndef ECHOD_CONTROL_CONTROL_SERVER_H
#define ECHOD_CONTROL_CONTROL_SERVER_H

#include "base/attributes.h"
#include "base/error_list.h"
#include "config/configuration.h"
#include "control/control_actions.h"
#include "control/process_status.h"

struct control_server;
struct engine;
struct loop;

/*
 * Open the doors that CFG asks for, which may be none, answer about ENGINE and STATUS, and have
 * ACTIONS done (all borrowed; cfg->http_hosts too, until control_server_change()). NULL with a line
 * in ERRORS and errno set when an address cannot be had; a control.socket that is "auto" and
 * cannot be had is a warning in the log alone. Main loop.
 */
struct control_server *control_server_new(struct loop *loop, struct engine *engine,
    const struct process_status *status, const struct control_actions *actions,
    const struct control_config *cfg, struct error_list *errors);

/*
 * Take over what a reload may change: clients, timeout and http_hosts, which is borrowed from now
 * on. Main loop; called by a reload that a request asked for, too.
 */
void control_server_change(struct control_server *control, const struct control_config *cfg);

/*
 * Close the doors and every client, remove the socket's file. What has been asked is answered
 * before, for which the loop runs for 0.2 s at most; the rest is refused. NULL is fine.
 */
void control_server_free(struct control_server *control);

#endif
