/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An operator's word against one connection. Main loop only.
 */
#ifndef ECHOD_ENGINE_DISMISSAL_H
#define ECHOD_ENGINE_DISMISSAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"

struct engine;

/*
 * Close the connection ID at once, with reason admin. DONE is called once, later, on the main
 * loop, and says whether there was one. Returns 0 or -ENOMEM (then DONE is not called).
 */
ATTR_MUSTCHECK int dismissal_start(
    struct engine *engine, uint64_t id, void (*done)(void *context, bool found), void *context);

#endif
