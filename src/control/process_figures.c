/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "control/process_figures.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"

/* Fields of /proc/self/stat, counted as proc(5) does; the third follows the command's name. */
#define STAT_FIRST 3
#define STAT_THREADS 20
#define STAT_VIRTUAL 23
#define STAT_RESIDENT 24

static void
process_figures_read_stat(struct process_figures *figures)
{
	int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
	char text[1024];
	ssize_t length;
	char *field;

	if (fd < 0)
		return;
	length = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[length > 0 ? length : 0] = '\0';
	/* the command's name may hold anything, but it is the last thing in parentheses */
	field = strrchr(text, ')');
	if (field == NULL)
		return;
	for (int i = STAT_FIRST - 1; field != NULL && i <= STAT_RESIDENT; i++) {
		if (i == STAT_THREADS)
			figures->threads = strtoll(field, NULL, 10);
		else if (i == STAT_VIRTUAL)
			figures->virtual_bytes = strtoll(field, NULL, 10);
		else if (i == STAT_RESIDENT)
			figures->resident_bytes = strtoll(field, NULL, 10) * sysconf(_SC_PAGESIZE);
		field = strchr(field, ' ');
		if (field != NULL)
			field++;
	}
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

static int64_t
process_figures_timeval_ns(const struct timeval *time)
{
	return time->tv_sec * NS_PER_S + time->tv_usec * NS_PER_US;
}

void
process_figures_read(struct process_figures *ret_figures)
{
	struct process_figures figures = {
		.cpu_ns = -1, .threads = -1, .virtual_bytes = -1, .resident_bytes = -1
	};
	struct rusage usage;

	if (getrusage(RUSAGE_SELF, &usage) == 0)
		figures.cpu_ns = process_figures_timeval_ns(&usage.ru_utime) +
				 process_figures_timeval_ns(&usage.ru_stime);
	process_figures_read_stat(&figures);
	figures.open_fds = process_figures_count_fds();
	figures.max_fds = process_figures_limit(RLIMIT_NOFILE);
	figures.virtual_max_bytes = process_figures_limit(RLIMIT_AS);
	*ret_figures = figures;
}
