/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The standard streams of the process. Main thread, before others are started.
 */
#ifndef ECHOD_DAEMON_STREAMS_H
#define ECHOD_DAEMON_STREAMS_H

/*
 * Make sure that descriptors 0 to 2 are open: what is opened later must not be taken for the
 * standard streams, which libraries and the log write to.
 */
void streams_open(void);

/* Write out the standard output. Returns 0; or -1 after it said on stderr that it did not arrive.
 */
int streams_flush(void);

#endif
