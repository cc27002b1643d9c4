/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Outages: times in which a service that had echoed, or should have, did not. One begins with the
 * first message that was lost or the connection that broke, and ends with the next echo. Each
 * connection of a run keeps its own, the threads of a load collect what is over, and those of
 * several connections that overlap are one in the report.
 */
#ifndef ECHOD_ECHOPING_OUTAGE_H
#define ECHOD_ECHOPING_OUTAGE_H

#include <stddef.h>
#include <stdint.h>

/* So many are kept for the report, the rest is counted. */
#define ECHOPING_OUTAGES_MAX 100

struct echoping_outage {
	int64_t begin_ns;     /* CLOCK_MONOTONIC; 0: there is none */
	int64_t end_ns;       /* of the echo that ended it; INT64_MAX: it goes on */
	uint64_t lost;        /* messages */
	uint64_t connections; /* that had it, at most: see echoping_outages_join */
	char cause[80];       /* what happened first, in words */
};

/* Those of one thread, or of the run. */
struct echoping_outages {
	struct echoping_outage list[ECHOPING_OUTAGES_MAX];
	size_t count;
	uint64_t more; /* that found no place */
};

/* Note that LOST messages (or none, where only the connection broke) failed at NOW_NS of CAUSE. */
void echoping_outage_extend(
    struct echoping_outage *outage, int64_t now_ns, uint64_t lost, const char *cause);

/* Let an outage that is on end at END_NS (INT64_MAX: unended) and move it to OUTAGES. */
void echoping_outage_end(
    struct echoping_outage *outage, int64_t end_ns, struct echoping_outages *outages);

/* Add what FROM has to INTO. */
void echoping_outages_merge(struct echoping_outages *into, const struct echoping_outages *from);

/*
 * Order by the begin, and join those that overlap. A connection that had several of them counts
 * with each, up to the CONNECTIONS that there were in all.
 */
void echoping_outages_join(struct echoping_outages *outages, uint64_t connections);

#endif
