/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the machine and the control groups of this process grant it: CPUs and threads. See
 * cgroups(7). ROOT goes in front of /proc and /sys/fs/cgroup: "" but in tests. Any thread.
 */
#ifndef ECHOD_BASE_CGROUP_H
#define ECHOD_BASE_CGROUP_H

#include <stdint.h>

/*
 * Return how many CPUs this process may use at a time, at least 1: those of its affinity mask, or
 * the quota of its groups, rounded up, where that is less.
 */
int64_t cgroup_cpus(const char *root);

/* Return how many threads its groups may have (pids.max), 0 where there is no limit. */
int64_t cgroup_pids_max(const char *root);

#endif
