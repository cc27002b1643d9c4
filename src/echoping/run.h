/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One run: what it is given, what comes of it, its two forms (ping.c, load.c) and its report
 * (report.c). Each thread of a load has results of its own, which are added up in the end.
 */
#ifndef ECHOD_ECHOPING_RUN_H
#define ECHOD_ECHOPING_RUN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/attributes.h"
#include "base/distribution.h"
#include "base/error_list.h"
#include "echoping/options.h"
#include "echoping/outage.h"
#include "echoping/payload.h"
#include "echoping/target.h"

/* Exit codes; the greater ones are those of sysexits.h. */
enum echoping_exit {
	ECHOPING_EXIT_OK = 0,           /* everything came back as it was sent */
	ECHOPING_EXIT_LOSS = 1,         /* something did not come back */
	ECHOPING_EXIT_MISMATCH = 2,     /* something else came back */
	ECHOPING_EXIT_USAGE = 64,       /* wrong command line */
	ECHOPING_EXIT_UNREACHABLE = 69, /* nobody there */
	ECHOPING_EXIT_SYSTEM = 71,      /* this machine refused something */
};

/* X(name, meaning): what a run counts, named and ordered as in JSON and CSV. */
#define ECHOPING_COUNTERS(X) \
	X(sent, "messages begun") \
	X(received, "came back whole and equal") \
	X(lost, "timeout, early close, reset") \
	X(mismatched, "came back different, or more came back than was sent") \
	X(broken, "connections that ended before the run did") \
	X(unsent, "open loop: due, but not begun when the run ended") \
	X(duplicates, "datagrams that came back more than once") \
	X(reordered, "datagrams that came back after one that was sent later") \
	X(late, "datagrams that came back after the timeout; they are among the lost, too") \
	X(idle_lost, "idle connections that the server closed") \
	X(reconnects, "connections made anew after one that had ended") \
	X(port_waits, "churn: attempts put off because no local port was free")

/* Up to so many times the percentiles are exact; more are taken from the histogram. */
#define ECHOPING_TIMES_MAX 1000

struct echoping_results {
#define ECHOPING_COUNTER(name, meaning) uint64_t name;
	ECHOPING_COUNTERS(ECHOPING_COUNTER)
#undef ECHOPING_COUNTER
	int64_t elapsed_ns;    /* how long the run took */
	int64_t cpu_ns;        /* CPU time of this process meanwhile */
	double squares;        /* sum of the squares of all times, for the deviation */
	bool refused;          /* a connection or port was refused */
	bool interrupted;      /* ended by a signal */
	char first_error[192]; /* the first loss or mismatch in words, or empty */
	struct histogram latency;
	int64_t times_ns[ECHOPING_TIMES_MAX]; /* the first of them as they were */
	int64_t idle_lost_ns; /* ping: shortest rest that a connection did not outlive; 0: none */
	struct echoping_outages outages;
};

/* Options and payload are borrowed, the signal descriptors too; the rest is its own. */
struct echoping_run {
	const struct echoping_options *options;
	const struct echoping_payload *payload;
	struct error_list errors;      /* why there was no run */
	struct echoping_target target; /* looked up; narrowed to the address that answers */
	int signal_fd;                 /* a signalfd(2) of the signals that end the run */
	int quit_fd;                   /* one of SIGQUIT, which asks how it goes */
	struct echoping_results results;
	enum echoping_exit code; /* what it amounts to, for the report */
};

/*
 * The ping form: one probe after the other over one connection, which is made anew when it broke
 * or can no longer be trusted. Prints a line for each probe unless told otherwise. Fills the
 * results and returns 0 when there was a run, else -errno with lines added to the errors.
 */
ATTR_MUSTCHECK int echoping_ping_run(struct echoping_run *run);

/* The load form: many connections, kept busy by some threads. Results as echoping_ping_run(). */
ATTR_MUSTCHECK int echoping_load_run(struct echoping_run *run);

/* Count an echo that took that long. */
static inline void
echoping_results_receive(struct echoping_results *results, int64_t latency_ns)
{
	if (results->latency.count < ECHOPING_TIMES_MAX)
		results->times_ns[results->latency.count] = latency_ns;
	results->received++;
	results->squares += (double)latency_ns * (double)latency_ns;
	histogram_record(&results->latency, latency_ns);
}

/* Keep this text as the first error unless there is one already. */
void echoping_results_note(struct echoping_results *results, const char *format, ...)
    ATTR_PRINTF(2, 3);

/*
 * Write the LENGTH bytes of DATA, of which the first few will do, to BUFFER for a line about an
 * answer that is none of ours. Returns whether they are text, which bytes of ours hardly are.
 */
bool echoping_quote_answer(const unsigned char *data, size_t length, char *buffer, size_t size);

/* Add counts, times of messages and first error of FROM to INTO; not elapsed_ns and cpu_ns. */
void echoping_results_merge(struct echoping_results *into, const struct echoping_results *from);

/* Return the time that PERCENT of all do not exceed; exact of up to ECHOPING_TIMES_MAX. */
int64_t echoping_results_percentile(const struct echoping_results *results, double percent);

/*
 * Order the times, for echoping_results_percentile(), and join the outages: the run, which kept so
 * many CONNECTIONS busy, is over.
 */
void echoping_results_finish(struct echoping_results *results, uint64_t connections);

/* Return what a run that took place amounts to; a mismatch outweighs a loss. */
enum echoping_exit echoping_run_exit(const struct echoping_run *run);

/*
 * Write what came of COUNT runs with the same options to OUT: sentences and a histogram for people,
 * of several a line each; as JSON an object as echoping(1) documents it, of several an array; as
 * CSV a header and a row each (RFC 4180, with plain newlines). A run that did not take place is
 * reported to programs alone. Returns 0 or -ENOMEM.
 */
ATTR_MUSTCHECK int echoping_report(FILE *out, const struct echoping_run *runs, size_t count);

/*
 * Print one line of JSON about probe NUMBER: its LATENCY_NS, or where WHAT says so, what went
 * wrong. Only when the options want such lines.
 */
void echoping_report_probe(
    const struct echoping_run *run, uint64_t number, int64_t latency_ns, const char *what);

/* Print one line about the SPAN_NS of a load that end now, in the form that the options want. */
void echoping_report_interval(const struct echoping_run *run, int64_t span_ns, int64_t elapsed_ns,
    uint64_t received, uint64_t failed);

/* Print to standard error how it goes; reads SIGQUIT off the run's quit_fd. */
void echoping_report_so_far(const struct echoping_run *run);

/*
 * Draw the histogram to OUT, as wide as COLUMNS allow. The ranges are of equal width on a
 * logarithmic scale, as narrow as 20 lines allow. UNICODE bars are smooth to an eighth of a column,
 * the others are made of #. Draws nothing when nothing was recorded.
 */
void echoping_draw_histogram(
    FILE *out, const struct histogram *histogram, unsigned columns, bool unicode);

/* Return how wide the terminal at FD is; 80 where it is none. */
unsigned echoping_terminal_columns(int fd);

#endif
