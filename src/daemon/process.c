/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "daemon/process.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "engine/engine.h"

void
process_open_streams(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

int
process_flush_output(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return 0;
	(void)fprintf(stderr, "echod: cannot write to the standard output: %s\n", strerror(errno));
	return -1;
}

void
process_block_signals(void)
{
	sigset_t all;

	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGUSR2, SIG_IGN);
	(void)sigfillset(&all);
	/* these say that the code is wrong: blocked, they would end the process without a word */
	(void)sigdelset(&all, SIGSEGV);
	(void)sigdelset(&all, SIGBUS);
	(void)sigdelset(&all, SIGFPE);
	(void)sigdelset(&all, SIGILL);
	(void)sigdelset(&all, SIGABRT);
	(void)pthread_sigmask(SIG_SETMASK, &all, NULL);
}

void
process_unblock_signals(void)
{
	sigset_t none;

	/* set, not restored: an exec hands its mask on */
	(void)sigemptyset(&none);
	(void)pthread_sigmask(SIG_SETMASK, &none, NULL);
}

int
process_meet_descriptors(const struct config *cfg, struct error_list *errors)
{
	rlim_t needed = (rlim_t)engine_descriptors(cfg);
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0) {
		error_list_add(
		    errors, "cannot read the limit on open descriptors: %s", strerror(errno));
		return -EMFILE;
	}
	if (limit.rlim_cur >= needed)
		return 0;
	if (limit.rlim_max < needed) {
		error_list_add(errors,
		    "limits.connections = %lld needs %llu open descriptors, but the hard limit is "
		    "%llu "
		    "(raise LimitNOFILE= or ulimit -Hn, or lower limits.connections)",
		    (long long)cfg->limits.connections, (unsigned long long)needed,
		    (unsigned long long)limit.rlim_max);
		return -EMFILE;
	}
	limit.rlim_cur = needed;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0) {
		error_list_add(errors, "cannot raise the limit on open descriptors to %llu: %s",
		    (unsigned long long)needed, strerror(errno));
		return -EMFILE;
	}
	return 0;
}
