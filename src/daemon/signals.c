/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "daemon/signals.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include <event2/event.h>

static const int served[] = { SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1 };

struct signals {
	struct event *events[ARRAY_SIZE(served)];
	void (*handler)(void *context, int number);
	void *context;
};

static void
signals_on_signal(evutil_socket_t number, short what, void *arg)
{
	struct signals *signals = arg;

	(void)what;
	signals->handler(signals->context, (int)number);
}

void
signals_block(void)
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
signals_unblock(void)
{
	sigset_t none;

	/* set, not restored: an exec hands its mask on */
	(void)sigemptyset(&none);
	(void)pthread_sigmask(SIG_SETMASK, &none, NULL);
}

struct signals *
signals_new(struct loop *loop, void (*handler)(void *context, int number), void *context)
{
	struct signals *signals = calloc(1, sizeof(*signals));

	if (signals == NULL)
		return NULL;
	signals->handler = handler;
	signals->context = context;
	for (size_t i = 0; i < ARRAY_SIZE(served); i++) {
		signals->events[i] = evsignal_new(
		    loop_base(loop), served[i], signals_on_signal, signals);
		if (signals->events[i] == NULL || event_add(signals->events[i], NULL) < 0) {
			signals_free(signals);
			return NULL;
		}
	}
	return signals;
}

void
signals_free(struct signals *signals)
{
	if (signals == NULL)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(served); i++) {
		if (signals->events[i] != NULL)
			event_free(signals->events[i]);
	}
	free(signals);
}
