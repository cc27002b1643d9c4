/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The verbs of the control port, carried out on the server. Main thread only.
 */
#ifndef ECHOD_DAEMON_ACTIONS_H
#define ECHOD_DAEMON_ACTIONS_H

#include "control/control_actions.h"

struct server;

/* Return the verbs for SERVER, which outlives them. */
struct control_actions actions_of(struct server *server);

#endif
