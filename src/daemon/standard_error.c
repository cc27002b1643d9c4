/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "daemon/standard_error.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/time.h>

#define LIMIT_S 1
#define AGAIN_US 10000 /* for a write that begins after the limit */

static void
standard_error_on_alarm(int number)
{
	(void)number; /* that it came ends a write(2) that waits */
}

/*
 * A signal, because nothing else works for all that standard error may be: poll(2) does not say
 * how much a terminal takes, and O_NONBLOCK would be in force for all who share the file.
 */
void
standard_error_limit(bool limited)
{
	/* without SA_RESTART */
	const struct sigaction on_alarm = { .sa_handler = standard_error_on_alarm };
	struct itimerval timer = { .it_value.tv_sec = 0 };
	sigset_t alarm_alone;

	if (limited) {
		(void)sigaction(SIGALRM, &on_alarm, NULL);
		(void)sigemptyset(&alarm_alone);
		(void)sigaddset(&alarm_alone, SIGALRM);
		(void)pthread_sigmask(SIG_UNBLOCK, &alarm_alone, NULL);
		timer.it_value.tv_sec = LIMIT_S;
		timer.it_interval.tv_usec = AGAIN_US;
	}
	(void)setitimer(ITIMER_REAL, &timer, NULL);
}

void
standard_error_print(const struct error_list *errors)
{
	standard_error_limit(true);
	error_list_print(errors, stderr);
	standard_error_limit(false);
}
