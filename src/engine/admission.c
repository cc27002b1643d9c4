/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "engine/admission.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/clock.h"
#include "base/log.h"

#define RETRY_NS (100 * NS_PER_MS)

/* Connections wait this long in the backlog for a descriptor before they are shed. */
#define PATIENCE_NS (500 * NS_PER_MS)

/* An episode is over when this long passed without an error. */
#define EPISODE_END_NS NS_PER_S

/* Connections shed in one go. */
#define SHED_MAX 256

static int
admission_open_spare(void)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void
admission_on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct admission *adm = arg;
	struct listener *lis;

	(void)fd;
	(void)what;
	if (adm->spare_fd < 0)
		adm->spare_fd = admission_open_spare();
	TAILQ_FOREACH (lis, adm->listeners, next)
		listener_resume(lis);
}

int
admission_init(struct admission *adm, struct loop *loop, struct listener_list *listeners)
{
	adm->listeners = listeners;
	adm->spare_fd = admission_open_spare();
	if (adm->spare_fd < 0)
		return -errno;
	adm->retry = event_new(loop_base(loop), -1, 0, admission_on_retry, adm);
	return adm->retry == NULL ? -ENOMEM : 0;
}

void
admission_done(struct admission *adm)
{
	if (adm->listeners == NULL)
		return;
	if (adm->retry != NULL)
		event_free(adm->retry);
	if (adm->spare_fd >= 0)
		close(adm->spare_fd);
}

/* One line when a limit is met, the next only after the count was a tenth below it. */
static bool
admission_is_full(int64_t count, int64_t limit, bool *reported, const char *who, const char *key)
{
	if (count < limit) {
		if (count < limit - limit / 10)
			*reported = false;
		return false;
	}
	if (!*reported)
		log_warning("%s%s = %lld is reached: new connections are closed at once", who, key,
		    (long long)limit);
	*reported = true;
	return true;
}

enum reject_reason
admission_check(struct admission *adm, struct listener *lis, int64_t total)
{
	int64_t own = atomic_load_explicit(&lis->service->connections, memory_order_relaxed);

	/* something could be accepted: those that wait have reason to go on waiting */
	adm->starved_since_ns = 0;

	if (admission_is_full(total, adm->limit, &adm->limit_reported, "", "limits.connections"))
		return REJECT_LIMIT;
	if (lis->connections_limit > 0 &&
	    admission_is_full(own, lis->connections_limit, &lis->limit_reported, lis->service->name,
		": connections"))
		return REJECT_LISTENER_LIMIT;
	return REJECT_NONE;
}

/* With the spare descriptor given up, accept and close what waits on LIS. */
static void
admission_shed(struct admission *adm, struct listener *lis)
{
	enum counter shed = reject_reason_counter(REJECT_NO_DESCRIPTORS);
	struct linger reset = { .l_onoff = 1, .l_linger = 0 };

	if (adm->spare_fd < 0)
		return;
	close(adm->spare_fd);
	for (int i = 0; i < SHED_MAX; i++) {
		int fd = accept4(lis->socket.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0)
			break;
		(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		close(fd);
		counters_add(&lis->service->acceptor, shed, 1);
	}
	adm->spare_fd = admission_open_spare();
}

/* Whether waiting helps: what accept(2) lacked may come free. Other errors are one client's. */
static bool
admission_is_exhausted(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

static void
admission_begin_episode(struct admission *adm, int error, int64_t now_ns)
{
	bool begins = adm->last_error_ns == 0 || now_ns - adm->last_error_ns >= EPISODE_END_NS;

	adm->last_error_ns = now_ns;
	if (adm->starved_since_ns == 0)
		adm->starved_since_ns = now_ns;
	if (!begins)
		return;
	log_warning(
	    "cannot accept connections: %s; trying again ten times a second", strerror(error));
}

void
admission_fail(struct admission *adm, struct listener *lis, int error)
{
	struct timeval retry = clock_timeval(RETRY_NS);
	int64_t now_ns = clock_now_ns();
	struct listener *each;

	counters_add(&lis->service->acceptor, accept_error_counter(error), 1);
	if (!admission_is_exhausted(error)) {
		listener_breathe(lis);
		return;
	}
	admission_begin_episode(adm, error, now_ns);
	if (now_ns - adm->starved_since_ns >= PATIENCE_NS)
		admission_shed(adm, lis);
	TAILQ_FOREACH (each, adm->listeners, next)
		listener_pause(each);
	if (!event_pending(adm->retry, EV_TIMEOUT, NULL))
		(void)event_add(adm->retry, &retry);
}
