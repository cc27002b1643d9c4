/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From a configuration to what the engine serves, at start and at each reload: everything that
 * can fail is prepared first, then the change is made. Main loop only.
 */
#ifndef ECHOD_ENGINE_PLAN_H
#define ECHOD_ENGINE_PLAN_H

#include <stdint.h>

#include "base/attributes.h"
#include "base/error_list.h"
#include "config/config.h"
#include "engine/listen_socket.h"

struct engine;

/*
 * Make the engine serve CFG. First everything that can fail is prepared: new sockets opened or
 * taken from INHERITANCE (which may be NULL), memory had. Only then the change is made. PATIENCE_NS
 * is how long an address in use may take to come free. Returns 0; or -errno, lines in ERRORS, and
 * the engine serves what it served before.
 */
ATTR_MUSTCHECK int plan_apply(struct engine *engine, const struct config *cfg,
    struct inheritance *inheritance, int64_t patience_ns, struct error_list *errors);

#endif
