/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "daemon/notifier.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/service_manager.h"

void
notifier_init(struct notifier *notifier)
{
	const char *path = getenv("NOTIFY_SOCKET"), *reason;
	char url[256];

	*notifier = (struct notifier){ .fd = -1 };
	(void)snprintf(url, sizeof(url), "unixgram:%s", path != NULL ? path : "");
	/* a manager that cannot be told is no reason to serve less */
	if (!SERVICE_MANAGER_SUPPORTED || address_parse(url, &notifier->manager, &reason) < 0)
		return;
	/* not connected: a manager that made its socket anew is found again */
	notifier->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

void
notifier_done(struct notifier *notifier)
{
	notifier_flush(notifier);
	if (notifier->fd >= 0)
		close(notifier->fd);
	notifier->fd = -1;
}

/* Let go of the message with number I. */
static void
notifier_drop(struct notifier *notifier, size_t i)
{
	notifier->count--;
	memmove(notifier->waiting[i], notifier->waiting[i + 1],
	    (notifier->count - i) * sizeof(notifier->waiting[i]));
}

void
notifier_flush(struct notifier *notifier)
{
	while (notifier->count > 0 && notifier->fd >= 0 &&
	       sendto(notifier->fd, notifier->waiting[0], strlen(notifier->waiting[0]),
		   MSG_NOSIGNAL, &notifier->manager.u.sa, notifier->manager.length) >= 0)
		notifier_drop(notifier, 0);
}

static bool
notifier_is(const char *text, const char *key)
{
	return strncmp(text, key, strlen(key)) == 0 && text[strlen(key)] == '=';
}

/* Drop what TEXT makes out of date, so that it has room in any case. */
static void
notifier_make_room(struct notifier *notifier, const char *text)
{
	bool reloading = notifier_is(text, "RELOADING"), after = false;
	bool state = notifier_is(text, "READY") || notifier_is(text, "STOPPING");

	for (size_t i = 0; i < notifier->count && !state;) {
		const char *old = notifier->waiting[i];

		after |= notifier_is(old, "RELOADING");
		/* a reload waits as a pair: RELOADING, and the READY behind it */
		if (reloading
			? after && (notifier_is(old, "RELOADING") || notifier_is(old, "READY"))
			: strcspn(old, "=") == strcspn(text, "=") &&
			      strncmp(old, text, strcspn(text, "=")) == 0)
			notifier_drop(notifier, i);
		else
			i++;
	}
}

void
notifier_tell(struct notifier *notifier, const char *format, ...)
{
	char text[NOTIFIER_TEXT_MAX];
	va_list ap;

	if (notifier->fd < 0)
		return;
	va_start(ap, format);
	(void)vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	notifier_make_room(notifier, text);
	/* it has: the daemon tells no other states than those that are counted in the header */
	if (notifier->count < NOTIFIER_WAITING_MAX)
		memcpy(notifier->waiting[notifier->count++], text, sizeof(text));
	notifier_flush(notifier);
}
