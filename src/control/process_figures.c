/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "control/process_figures.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"

/* See /proc/pid/stat in proc(5): what is wanted are its fields 20, 23 and 24. */
static void
process_figures_read_stat(struct process_figures *figures)
{
	int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
	char text[1024];
	ssize_t length;
	int64_t threads, bytes, pages;

	if (fd < 0)
		return;
	length = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[length > 0 ? length : 0] = '\0';
	/* the command's name, field 2, may hold anything, but it is the last in parentheses */
	if (strrchr(text, ')') == NULL ||
	    sscanf(strrchr(text, ')'),
		") %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
		"%" SCNd64 " %*s %*s %" SCNd64 " %" SCNd64,
		&threads, &bytes, &pages) != 3)
		return;
	figures->threads = threads;
	figures->virtual_bytes = bytes;
	figures->resident_bytes = pages * sysconf(_SC_PAGESIZE);
}

/* Since Linux 6.2 the directory's size is the number of open descriptors; else they are counted. */
static int64_t
process_figures_count_fds(void)
{
	struct stat status;
	const struct dirent *entry;
	int64_t count = 0;
	DIR *directory;

	if (stat("/proc/self/fd", &status) == 0 && status.st_size > 0)
		return status.st_size;
	directory = opendir("/proc/self/fd");
	if (directory == NULL)
		return -1;
	while ((entry = readdir(directory)) != NULL)
		count += entry->d_name[0] != '.';
	closedir(directory);
	/* not the one of the directory itself */
	return count - 1;
}

static int64_t
process_figures_limit(int resource)
{
	struct rlimit limit;

	if (getrlimit(resource, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
		return -1;
	return (int64_t)limit.rlim_cur;
}

struct process_figures
process_figures_read(void)
{
	struct process_figures figures = {
		.cpu_ns = clock_read_ns(CLOCK_PROCESS_CPUTIME_ID),
		.threads = -1,
		.virtual_bytes = -1,
		.resident_bytes = -1,
		.open_fds = process_figures_count_fds(),
		.max_fds = process_figures_limit(RLIMIT_NOFILE),
		.virtual_max_bytes = process_figures_limit(RLIMIT_AS),
	};

	process_figures_read_stat(&figures);
	return figures;
}
