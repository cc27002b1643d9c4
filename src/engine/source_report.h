/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who sends datagrams, asked of all workers that serve any: each copies its endpoints' tables,
 * which are bounded, and the main loop puts them in order. Main loop.
 */
#ifndef ECHOD_ENGINE_SOURCE_REPORT_H
#define ECHOD_ENGINE_SOURCE_REPORT_H

#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "engine/datagram/sources.h"

struct engine;

struct source_report_row {
	const char *listener; /* borrowed from the service: lives as long as the engine */
	struct source source;
};

struct source_report {
	int64_t taken_ns; /* CLOCK_MONOTONIC */
	size_t count;
	struct source_report_row *rows; /* busiest first */
};

/*
 * Ask for the sources of the listener of that name, "" for all. DONE is called once, on the main
 * loop, after this call returned 0; it may use REPORT until it returns; NULL means out of memory.
 * Returns 0, or -ENOMEM: then DONE is not called.
 */
ATTR_MUSTCHECK int source_report_request(struct engine *engine, const char *listener,
    void (*done)(void *context, const struct source_report *report), void *context);

#endif
