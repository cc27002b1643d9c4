/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a run has to show in the end: counts, times, and the first thing that went wrong. Each
 * thread has one of its own; they are added up when the threads have ended.
 */
#ifndef ECHOD_ECHOPING_TALLY_H
#define ECHOD_ECHOPING_TALLY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/histogram.h"

/* Exit codes; the greater ones are those of sysexits.h. */
enum echoping_exit {
	ECHOPING_EXIT_OK = 0,           /* everything came back as it was sent */
	ECHOPING_EXIT_LOSS = 1,         /* something did not come back */
	ECHOPING_EXIT_MISMATCH = 2,     /* something else came back */
	ECHOPING_EXIT_USAGE = 64,       /* wrong command line */
	ECHOPING_EXIT_UNREACHABLE = 69, /* nobody there */
	ECHOPING_EXIT_SYSTEM = 71,      /* this machine refused something */
};

struct echoping_tally {
	uint64_t sent;       /* messages begun */
	uint64_t received;   /* came back whole and equal */
	uint64_t lost;       /* timeout, early close, reset */
	uint64_t mismatched; /* came back different, or more came back than was sent */
	uint64_t broken;     /* connections that ended before the run did */
	uint64_t unsent;     /* open loop: due, but not begun when the run ended */
	uint64_t duplicates; /* datagrams */
	uint64_t reordered;  /* datagrams */
	uint64_t late;       /* datagrams; they are among the lost, too */
	uint64_t port_waits; /* churn: attempts put off because no local port was free */
	uint64_t idle_lost;  /* idle connections that the server closed */
	int64_t elapsed_ns;  /* how long the run took */
	int64_t cpu_ns;      /* CPU time of this process meanwhile */
	double squares;      /* sum of the squares of all times, for the deviation */
	bool refused;        /* a connection or port was refused */
	bool interrupted;    /* ended by a signal */
	char trouble[192];   /* the first loss or mismatch in words, or empty */
	struct histogram latency;
};

/* Count an echo that took that long. */
static inline void
echoping_tally_receive(struct echoping_tally *tally, int64_t latency_ns)
{
	tally->received++;
	tally->squares += (double)latency_ns * (double)latency_ns;
	histogram_record(&tally->latency, latency_ns);
}

/* Keep this text as the trouble unless there is one already. */
void echoping_tally_trouble(struct echoping_tally *tally, const char *format, ...)
    ATTR_PRINTF(2, 3);

/* Add counts, times of messages and trouble of FROM to INTO; not elapsed_ns and cpu_ns. */
void echoping_tally_merge(struct echoping_tally *into, const struct echoping_tally *from);

/* Return the standard deviation of all times in nanoseconds. */
double echoping_tally_deviation(const struct echoping_tally *tally);

/* Return what the run amounts to; a mismatch outweighs a loss. */
enum echoping_exit echoping_tally_exit(const struct echoping_tally *tally);

/* Return "ok", "loss", "mismatch" or "unreachable". */
const char *echoping_tally_result(const struct echoping_tally *tally);

#endif
