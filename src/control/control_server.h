/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control port: HTTP (evhttp) on the main loop, at a UNIX socket where everything may be asked
 * for, and at a TCP address that can be read only. It answers from counters, and asks the workers
 * without waiting for them.
 */
#ifndef ECHOD_CONTROL_CONTROL_SERVER_H
#define ECHOD_CONTROL_CONTROL_SERVER_H

#include "base/error_list.h"
#include "config/configuration.h"
#include "control/server_interface.h"

struct control_server;
struct engine;
struct loop;

/*
 * Listen where CFG says, which may be nowhere, answer about ENGINE and STATUS, and have ACTIONS
 * carried out (all borrowed; CFG until control_server_change()). NULL with a line in ERRORS and
 * errno set when an address cannot be had; a control.socket that is "auto" and cannot be had is a
 * warning in the log alone. Main loop.
 */
struct control_server *control_server_new(struct loop *loop, struct engine *engine,
    const struct process_status *status, const struct control_actions *actions,
    const struct control_config *cfg, struct error_list *errors);

/*
 * Take over CFG, which is borrowed from now on, and what of it a reload may change: clients,
 * timeout and http_hosts. Main loop; called by a reload that a request asked for, too.
 */
void control_server_change(struct control_server *control, const struct control_config *cfg);

/*
 * Close the listeners and every client, remove the socket's file. What has been asked is answered
 * before, for which the loop runs for 0.2 s at most; the rest is refused. NULL is fine.
 */
void control_server_free(struct control_server *control);

#endif
