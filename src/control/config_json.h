/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The configuration and its changes as JSON documents. Values are text, as a user would write
 * them. Main loop only.
 */
#ifndef ECHOD_CONTROL_CONFIG_JSON_H
#define ECHOD_CONTROL_CONFIG_JSON_H

#include <jansson.h>

#include "base/error_list.h"
#include "config/configuration.h"
#include "control/server_interface.h"

struct document;

/*
 * Build the document of /config: the directives of CONFIG, of which it holds a reference, so that a
 * reload meanwhile changes nothing in it. NULL: out of memory.
 */
struct document *config_json_new(const struct config *config);

/* Build the answer to a reload that succeeded. Caller owns it. NULL: out of memory. */
json_t *config_json_changes(const struct control_reload *reload);

/* Build the answer to a reload that failed. Caller owns it. NULL: out of memory. */
json_t *config_json_errors(const struct error_list *errors);

#endif
