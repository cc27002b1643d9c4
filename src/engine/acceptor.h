/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What becomes of an accepted connection: admission decides, the least loaded worker gets it.
 * Main loop only.
 */
#ifndef ECHOD_ENGINE_ACCEPTOR_H
#define ECHOD_ENGINE_ACCEPTOR_H

#include "engine/listener.h"

struct engine;

/* Return the hooks that make a listener feed ENGINE. */
struct listener_hooks acceptor_hooks(struct engine *engine);

#endif
