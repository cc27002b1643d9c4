/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the machine and the control groups of this process grant it: CPUs and threads. See
 * cgroups(7). ROOT goes in front of /proc and /sys/fs/cgroup: "" but in tests. Any thread.
 */
#ifndef ECHOD_BASE_CGROUP_H
#define ECHOD_BASE_CGROUP_H

#include <stddef.h>
#include <stdint.h>

/*
 * Return how many CPUs this process may use at a time, at least 1: those of its affinity mask, or
 * the quota of its groups, rounded up, where that is less.
 */
int64_t cgroup_cpus(const char *root);

/* Room for cgroup_thread_limits(). */
#define CGROUP_LIMITS_MAX 160

/* Write which limits there are on the number of threads, for an error message. Returns BUFFER. */
char *cgroup_thread_limits(const char *root, char *buffer, size_t size);

#endif
