/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "base/cgroup.h"

#include <inttypes.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

/* More CPUs than any kernel can be built for. */
#define CPUS_MAX (1 << 16)

#define MOUNT "/sys/fs/cgroup"

/* What one group says of a limit. Returns it, 0 where it says nothing. FOLDER is the group's. */
typedef int64_t cgroup_reader(const char *folder);

/* Read two numbers from FOLDER/NAME; a word such as "max" counts as -1. Returns how many. */
static int
cgroup_read_file(const char *folder, const char *name, int64_t values[2])
{
	char path[PATH_MAX], words[2][32] = { "", "" };
	int count = 0;
	FILE *file;

	if (snprintf(path, sizeof(path), "%s/%s", folder, name) >= (int)sizeof(path) ||
	    (file = fopen(path, "re")) == NULL)
		return 0;
	if (fscanf(file, "%31s %31s", words[0], words[1]) < 1)
		words[0][0] = '\0';
	(void)fclose(file);
	for (; count < 2 && words[count][0] != '\0'; count++) {
		if (sscanf(words[count], "%" SCNd64, &values[count]) != 1)
			values[count] = -1;
	}
	return count;
}

static int64_t
cgroup_round_up(int64_t quota, int64_t period)
{
	return quota > 0 && period > 0 ? quota / period + (quota % period != 0) : 0;
}

static int64_t
cgroup_read_cpus(const char *folder)
{
	int64_t both[2], quota[2], period[2];

	if (cgroup_read_file(folder, "cpu.max", both) == 2)
		return cgroup_round_up(both[0], both[1]);
	/* version 1 has a file for each */
	if (cgroup_read_file(folder, "cpu.cfs_quota_us", quota) < 1 ||
	    cgroup_read_file(folder, "cpu.cfs_period_us", period) < 1)
		return 0;
	return cgroup_round_up(quota[0], period[0]);
}

static int64_t
cgroup_read_pids(const char *folder)
{
	int64_t values[2];

	return cgroup_read_file(folder, "pids.max", values) > 0 && values[0] > 0 ? values[0] : 0;
}

/* The least that READ finds in the group at FOLDER and those above it, of LENGTH bytes at least. */
static int64_t
cgroup_least(char *folder, size_t length, cgroup_reader *read)
{
	int64_t least = 0;

	for (;;) {
		int64_t found = read(folder);
		char *slash = strrchr(folder, '/');

		if (found > 0 && (least == 0 || found < least))
			least = found;
		if (slash == NULL || strlen(folder) <= length)
			return least;
		*slash = '\0';
	}
}

/* Whether the list CONTROLLERS, such as "cpu,cpuacct", has CONTROLLER; version 2 has no list. */
static bool
cgroup_lists(const char *controllers, const char *controller)
{
	size_t length = strlen(controller);

	if (*controllers == '\0')
		return true;
	for (const char *p = controllers; (p = strstr(p, controller)) != NULL; p += length) {
		if ((p == controllers || p[-1] == ',') && (p[length] == '\0' || p[length] == ','))
			return true;
	}
	return false;
}

/* The least that READ finds in the groups of this process that have CONTROLLER; 0: no limit. */
static int64_t
cgroup_limit(const char *root, const char *controller, cgroup_reader *read)
{
	char line[PATH_MAX], folder[2 * PATH_MAX];
	int64_t least = 0;
	FILE *file;

	(void)snprintf(line, sizeof(line), "%s/proc/self/cgroup", root);
	file = fopen(line, "re");
	if (file == NULL)
		return 0;
	/* lines such as "4:cpu,cpuacct:/a/b" and, of version 2, "0::/a/b" */
	while (fgets(line, sizeof(line), file) != NULL) {
		char *controllers = strchr(line, ':'), *path;
		int64_t found;
		int length;

		if (controllers == NULL || (path = strchr(++controllers, ':')) == NULL)
			continue;
		*path++ = '\0';
		path[strcspn(path, "\n")] = '\0';
		if (!cgroup_lists(controllers, controller))
			continue;
		length = snprintf(folder, sizeof(folder), "%s" MOUNT "%s%s", root,
		    *controllers != '\0' ? "/" : "", controllers);
		(void)snprintf(folder + length, sizeof(folder) - (size_t)length, "%s",
		    strcmp(path, "/") == 0 ? "" : path);
		found = cgroup_least(folder, (size_t)length, read);
		if (found > 0 && (least == 0 || found < least))
			least = found;
	}
	(void)fclose(file);
	return least;
}

/* The kernel refuses a mask that is smaller than its own: try larger ones. */
static int64_t
cgroup_affinity(void)
{
	for (int cpus = 1024; cpus <= CPUS_MAX; cpus *= 2) {
		cpu_set_t *set = CPU_ALLOC(cpus);
		size_t size = CPU_ALLOC_SIZE(cpus);
		int count = 0;

		if (set == NULL)
			break;
		if (sched_getaffinity(0, size, set) == 0)
			count = CPU_COUNT_S(size, set);
		CPU_FREE(set);
		if (count > 0)
			return count;
	}
	return 1;
}

int64_t
cgroup_cpus(const char *root)
{
	int64_t cpus = cgroup_affinity(), quota = cgroup_limit(root, "cpu", cgroup_read_cpus);

	return quota > 0 && quota < cpus ? quota : cpus;
}

char *
cgroup_thread_limits(const char *root, char *buffer, size_t size)
{
	struct rlimit limit = { .rlim_cur = RLIM_INFINITY };
	int64_t pids = cgroup_limit(root, "pids", cgroup_read_pids);
	char user[32] = "unlimited", group[32] = "unlimited";

	(void)getrlimit(RLIMIT_NPROC, &limit);
	if (limit.rlim_cur != RLIM_INFINITY)
		(void)snprintf(user, sizeof(user), "%llu", (unsigned long long)limit.rlim_cur);
	if (pids > 0)
		(void)snprintf(group, sizeof(group), "%lld", (long long)pids);
	(void)snprintf(buffer, size,
	    "RLIMIT_NPROC, ulimit -u, is %s for all of the user's threads; pids.max, TasksMax=, is "
	    "%s",
	    user, group);
	return buffer;
}
