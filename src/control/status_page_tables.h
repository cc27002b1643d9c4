/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The tables of the status page, as rows of HTML: what status_page/tables.js brings up to date.
 * Main loop only.
 */
#ifndef ECHOD_CONTROL_STATUS_PAGE_TABLES_H
#define ECHOD_CONTROL_STATUS_PAGE_TABLES_H

#include <stdint.h>

#include "control/html.h"
#include "engine/counters.h"
#include "engine/engine.h"

/* Append one row for each service, those without a listener included. */
void status_page_listeners(struct html *html, const struct engine *engine);

/* Append one row for each worker. */
void status_page_workers(struct html *html, const struct engine *engine);

/* Append one fold for each family of counters with a label, in the order of their table. */
void status_page_reasons(struct html *html, const struct counters_sum *sum);

/* Add up those of SUM that are of one family: all that share the key of MEMBER. */
uint64_t status_page_family(const struct counters_sum *sum, enum counter member);

#endif
