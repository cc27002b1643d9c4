/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The routes that change something (POST): each is a verb of control_actions.h, or ends one
 * connection. Main loop only.
 */
#ifndef ECHOD_CONTROL_ROUTE_ACT_H
#define ECHOD_CONTROL_ROUTE_ACT_H

#include "control/route_call.h"

/* Handlers, one for each route: see the table in routes.c. */
void route_act_reload(const struct route_call *call);
void route_act_drain(const struct route_call *call);
void route_act_undrain(const struct route_call *call);
void route_act_stop(const struct route_call *call);
void route_act_log_reopen(const struct route_call *call);
void route_act_log_level(const struct route_call *call);
void route_act_close(const struct route_call *call);

#endif
