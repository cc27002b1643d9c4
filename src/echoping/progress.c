/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "echoping/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"

void
echoping_progress_init(
    struct echoping_progress *progress, size_t size, int64_t start_ns, bool quiet)
{
	*progress = (struct echoping_progress){
		.shown = !quiet && isatty(STDERR_FILENO) == 1,
		.size = size,
		.start_ns = start_ns,
		.last_ns = start_ns,
	};
}

void
echoping_progress_draw(
    struct echoping_progress *progress, int64_t now_ns, uint64_t received, uint64_t failed)
{
	double seconds = clock_seconds(now_ns - progress->last_ns);
	double rate;

	if (!progress->shown || seconds <= 0)
		return;
	rate = (double)(received - progress->last_received) / seconds;
	(void)fprintf(stderr,
	    "\r%5.0f s  %11.0f msg/s  %9.2f MB/s  %12" PRIu64 " received  %" PRIu64 " failed ",
	    clock_seconds(now_ns - progress->start_ns), rate, rate * (double)progress->size / 1e6,
	    received, failed);
	(void)fflush(stderr);
	progress->last_ns = now_ns;
	progress->last_received = received;
	progress->drawn = true;
}

void
echoping_progress_done(struct echoping_progress *progress)
{
	if (progress->drawn)
		(void)fprintf(stderr, "\r%79s\r", "");
	progress->drawn = false;
}
