/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "base/cgroup.h"

#include <inttypes.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* More CPUs than any kernel can be built for. */
#define CPUS_MAX (1 << 16)

#define MOUNT "/sys/fs/cgroup"

/* What one group says of a limit. Returns it, 0 where it says nothing. FOLDER is the group's. */
typedef int64_t cgroup_reader(const char *folder);

/* Read two numbers from FOLDER/NAME. A word such as "max", and what is not there, is 0. */
static void
cgroup_read_file(const char *folder, const char *name, int64_t values[2])
{
	char path[PATH_MAX], words[2][32];
	FILE *file = NULL;
	int count = 0;

	if (snprintf(path, sizeof(path), "%s/%s", folder, name) < (int)sizeof(path))
		file = fopen(path, "re");
	if (file != NULL) {
		count = fscanf(file, "%31s %31s", words[0], words[1]);
		(void)fclose(file);
	}
	for (int i = 0; i < 2; i++)
		values[i] = i < count ? strtoll(words[i], NULL, 10) : 0;
}

static int64_t
cgroup_read_cpus(const char *folder)
{
	int64_t quota[2], period[2];

	cgroup_read_file(folder, "cpu.max", quota);
	period[0] = quota[1];
	if (period[0] == 0) {
		/* version 1 has a file for each */
		cgroup_read_file(folder, "cpu.cfs_quota_us", quota);
		cgroup_read_file(folder, "cpu.cfs_period_us", period);
	}
	if (quota[0] <= 0 || period[0] <= 0)
		return 0;
	return quota[0] / period[0] + (quota[0] % period[0] != 0);
}

static int64_t
cgroup_read_pids(const char *folder)
{
	int64_t values[2];

	cgroup_read_file(folder, "pids.max", values);
	return values[0];
}

/* The lower of two limits, of which one that is not positive says nothing. */
static int64_t
cgroup_lower(int64_t a, int64_t b)
{
	return b > 0 && (a <= 0 || b < a) ? b : a;
}

/* The least that READ finds in the group at FOLDER and those above it, of LENGTH bytes at least. */
static int64_t
cgroup_least(char *folder, size_t length, cgroup_reader *read)
{
	int64_t least = read(folder);
	char *slash;

	while (strlen(folder) > length && (slash = strrchr(folder, '/')) != NULL) {
		*slash = '\0';
		least = cgroup_lower(least, read(folder));
	}
	return least;
}

/*
 * The least that READ finds in the groups of this process that have CONTROLLER; 0: no limit.
 * CONTROLLER stands between commas, such as ",cpu,".
 */
static int64_t
cgroup_limit(const char *root, const char *controller, cgroup_reader *read)
{
	char line[PATH_MAX], list[PATH_MAX + 2], folder[2 * PATH_MAX];
	int64_t least = 0;
	FILE *file;

	(void)snprintf(line, sizeof(line), "%s/proc/self/cgroup", root);
	file = fopen(line, "re");
	if (file == NULL)
		return 0;
	/* lines such as "4:cpu,cpuacct:/a/b" and, of version 2, which has no list, "0::/a/b" */
	while (fgets(line, sizeof(line), file) != NULL) {
		char *controllers = strchr(line, ':'), *path;
		int length;

		if (controllers == NULL || (path = strchr(++controllers, ':')) == NULL)
			continue;
		*path++ = '\0';
		path[strcspn(path, "\n")] = '\0';
		(void)snprintf(list, sizeof(list), ",%s,", controllers);
		if (*controllers != '\0' && strstr(list, controller) == NULL)
			continue;
		length = snprintf(folder, sizeof(folder), "%s" MOUNT "%s%s", root,
		    *controllers != '\0' ? "/" : "", controllers);
		(void)snprintf(folder + length, sizeof(folder) - (size_t)length, "%s",
		    strcmp(path, "/") == 0 ? "" : path);
		least = cgroup_lower(least, cgroup_least(folder, (size_t)length, read));
	}
	(void)fclose(file);
	return least;
}

static int64_t
cgroup_affinity(void)
{
	/* the kernel refuses a mask that is smaller than its own */
	cpu_set_t set[CPUS_MAX / CPU_SETSIZE];

	return sched_getaffinity(0, sizeof(set), set) == 0 ? CPU_COUNT_S(sizeof(set), set) : 1;
}

int64_t
cgroup_cpus(const char *root)
{
	return cgroup_lower(cgroup_affinity(), cgroup_limit(root, ",cpu,", cgroup_read_cpus));
}

/* Write LIMIT; a negative one is none. */
static const char *
cgroup_text(int64_t limit, char buffer[32])
{
	if (limit < 0)
		return "unlimited";
	(void)snprintf(buffer, 32, "%" PRId64, limit);
	return buffer;
}

char *
cgroup_thread_limits(const char *root, char *buffer, size_t size)
{
	int64_t tasks = cgroup_limit(root, ",pids,", cgroup_read_pids);
	struct rlimit limit = { .rlim_cur = RLIM_INFINITY };
	char user[32], group[32];

	(void)getrlimit(RLIMIT_NPROC, &limit);
	(void)snprintf(buffer, size,
	    "RLIMIT_NPROC, ulimit -u, is %s for all of the user's threads; pids.max, TasksMax=, is "
	    "%s",
	    cgroup_text(limit.rlim_cur == RLIM_INFINITY ? -1 : (int64_t)limit.rlim_cur, user),
	    cgroup_text(tasks > 0 ? tasks : -1, group));
	return buffer;
}
