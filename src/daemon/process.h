/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What belongs to the process as a whole: its standard streams, its signals, its limit on open
 * descriptors (RLIMIT_NOFILE, see getrlimit(2)). Main thread only.
 */
#ifndef ECHOD_DAEMON_PROCESS_H
#define ECHOD_DAEMON_PROCESS_H

#include "base/attributes.h"
#include "base/error_list.h"
#include "config/configuration.h"

/*
 * Make sure that descriptors 0 to 2 are open: what is opened later must not be taken for the
 * standard streams, which libraries and the log write to.
 */
void process_open_streams(void);

/* Write out the standard output. Returns 0; or -1 after it said on stderr that it did not arrive.
 */
int process_flush_output(void);

/*
 * Block all signals in the calling thread, and so in every thread it starts; ignore SIGPIPE
 * (a client that left) and SIGUSR2, whose default would end the daemon.
 */
void process_block_signals(void);

/* Let the main thread receive signals, those that came meanwhile included. */
void process_unblock_signals(void);

/*
 * Raise the soft limit on descriptors to what CFG may need, which is better refused at start than
 * found out under load; nothing is called when it suffices. Returns 0, or -EMFILE with a line in
 * ERRORS that gives both numbers.
 */
ATTR_MUSTCHECK int process_meet_descriptors(const struct config *cfg, struct error_list *errors);

#endif
