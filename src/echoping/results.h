/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The results of a run: counts, times, and the first error. Each thread has its own; they are added
 * up when the threads have ended.
 */
#ifndef ECHOD_ECHOPING_RESULTS_H
#define ECHOD_ECHOPING_RESULTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/distribution.h"

/* Exit codes; the greater ones are those of sysexits.h. */
enum echoping_exit {
	ECHOPING_EXIT_OK = 0,           /* everything came back as it was sent */
	ECHOPING_EXIT_LOSS = 1,         /* something did not come back */
	ECHOPING_EXIT_MISMATCH = 2,     /* something else came back */
	ECHOPING_EXIT_USAGE = 64,       /* wrong command line */
	ECHOPING_EXIT_UNREACHABLE = 69, /* nobody there */
	ECHOPING_EXIT_SYSTEM = 71,      /* this machine refused something */
};

struct echoping_results {
	uint64_t sent;         /* messages begun */
	uint64_t received;     /* came back whole and equal */
	uint64_t lost;         /* timeout, early close, reset */
	uint64_t mismatched;   /* came back different, or more came back than was sent */
	uint64_t broken;       /* connections that ended before the run did */
	uint64_t unsent;       /* open loop: due, but not begun when the run ended */
	uint64_t duplicates;   /* datagrams */
	uint64_t reordered;    /* datagrams */
	uint64_t late;         /* datagrams; they are among the lost, too */
	uint64_t port_waits;   /* churn: attempts put off because no local port was free */
	uint64_t idle_lost;    /* idle connections that the server closed */
	int64_t elapsed_ns;    /* how long the run took */
	int64_t cpu_ns;        /* CPU time of this process meanwhile */
	double squares;        /* sum of the squares of all times, for the deviation */
	bool refused;          /* a connection or port was refused */
	bool interrupted;      /* ended by a signal */
	char first_error[192]; /* the first loss or mismatch in words, or empty */
	struct histogram latency;
};

/* Count an echo that took that long. */
static inline void
echoping_results_receive(struct echoping_results *results, int64_t latency_ns)
{
	results->received++;
	results->squares += (double)latency_ns * (double)latency_ns;
	histogram_record(&results->latency, latency_ns);
}

/* Keep this text as the first error unless there is one already. */
void echoping_results_note(struct echoping_results *results, const char *format, ...)
    ATTR_PRINTF(2, 3);

/* Add counts, times of messages and first error of FROM to INTO; not elapsed_ns and cpu_ns. */
void echoping_results_merge(struct echoping_results *into, const struct echoping_results *from);

/* Return the standard deviation of all times in nanoseconds. */
double echoping_results_deviation(const struct echoping_results *results);

/* Return what the run amounts to; a mismatch outweighs a loss. */
enum echoping_exit echoping_results_exit(const struct echoping_results *results);

/* Return "ok", "loss", "mismatch" or "unreachable". */
const char *echoping_results_verdict(const struct echoping_results *results);

#endif
