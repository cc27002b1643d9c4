/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The status page: one HTML document that holds all it needs. Its parts are the files of
 * status_page/, which a build turns into arrays (status_page_parts.h); this room fills in the
 * figures of the moment, so that the page can be read without scripts. With scripts it asks
 * /stats and /connections for newer ones, once a second. Main loop only.
 */
#ifndef ECHOD_CONTROL_STATUS_PAGE_H
#define ECHOD_CONTROL_STATUS_PAGE_H

#include "base/attributes.h"
#include "control/process_status.h"
#include "engine/engine.h"

#define STATUS_PAGE_TYPE "text/html; charset=utf-8"

struct evbuffer;

/*
 * Append the document to OUT. NONCE is what the answer's Content-Security-Policy allows in
 * script-src and style-src; it is new for each answer. Returns 0; -ENOMEM, or -EINVAL when the
 * template names a figure that is not known, and OUT is not to be used.
 */
ATTR_MUSTCHECK int status_page_write(struct evbuffer *out, const struct engine *engine,
    const struct process_status *status, const char *nonce);

#endif
