/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What was, as JSON: the document of /history, and the peaks in /stats. Main loop only.
 */
#ifndef ECHOD_CONTROL_HISTORY_JSON_H
#define ECHOD_CONTROL_HISTORY_JSON_H

#include <jansson.h>

#include "engine/history.h"

struct document;

/* Build the document of /history as it is now. NULL: out of memory. */
struct document *history_json_new(const struct history *history);

/* Make an object of PEAKS. NULL: out of memory. */
json_t *history_json_peaks(const struct peaks *peaks);

#endif
