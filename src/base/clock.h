/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The one clock of the daemon: int64 nanoseconds of CLOCK_MONOTONIC, see clock_gettime(2).
 * Wall-clock time is for log lines and JSON only, never for a decision.
 */
#ifndef ECHOD_BASE_CLOCK_H
#define ECHOD_BASE_CLOCK_H

#include <stdint.h>
#include <sys/time.h>
#include <time.h>

#define NS_PER_US INT64_C(1000)
#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)

/* Read CLOCK as nanoseconds. */
static inline int64_t
clock_read_ns(clockid_t clock)
{
	struct timespec ts;

	(void)clock_gettime(clock, &ts);
	return ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

/* Return monotonic time with full resolution. */
static inline int64_t
clock_now_ns(void)
{
	return clock_read_ns(CLOCK_MONOTONIC);
}

/* Return monotonic time of the last kernel tick (1 to 4 ms old): cheap enough for every message. */
static inline int64_t
clock_coarse_ns(void)
{
	return clock_read_ns(CLOCK_MONOTONIC_COARSE);
}

/* Return nanoseconds since the epoch, for people and logs. */
static inline int64_t
clock_wall_ns(void)
{
	return clock_read_ns(CLOCK_REALTIME);
}

/*
 * Return time since the boot, in which the machine slept too: the wall clock moves away from it
 * only where somebody sets that one.
 */
static inline int64_t
clock_boot_ns(void)
{
	return clock_read_ns(CLOCK_BOOTTIME);
}

/* Convert nanoseconds (not negative) to what libevent takes. */
static inline struct timeval
clock_timeval(int64_t ns)
{
	return (struct timeval){ .tv_sec = ns / NS_PER_S, .tv_usec = ns % NS_PER_S / NS_PER_US };
}

/* Convert nanoseconds to seconds for JSON and metrics. */
static inline double
clock_seconds(int64_t ns)
{
	return (double)ns / (double)NS_PER_S;
}

#endif
