/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writers append packed records to the queue; the log thread takes them out one by one and
 * writes them without the lock held. The main thread hands over a new target through `next`.
 */
#include <config.h>

#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cgroup.h"
#include "base/clock.h"
#include "base/log_carrier.h"
#include "base/log_queue.h"
#include "base/log_record.h"
#include "base/log_sink.h"

#define LOG_LEAVE_NS (250 * NS_PER_MS) /* for a thread that was told to give up its target */

/* The globals of the daemon: all of them. */
static struct {
	_Atomic int level;
	bool open; /* lines go to the queue, else straight to stderr; under shared.lock */
	struct log_shared shared;

	/* main thread only */
	bool prepared; /* the conditions are initialized */
	bool joinable; /* `thread` was started, and neither joined nor detached */
	pthread_t thread;
	struct log_settings settings; /* for log_reopen() */
	char *file;                   /* what settings.file points to */
} room = {
	.level = LOG_LEVEL_INFO,
	.shared.lock = PTHREAD_MUTEX_INITIALIZER,
};

const char *
log_level_name(enum log_level level)
{
	switch (level) {
	case LOG_LEVEL_ERROR:
		return "error";
	case LOG_LEVEL_WARNING:
		return "warning";
	case LOG_LEVEL_NOTICE:
		return "notice";
	case LOG_LEVEL_INFO:
		return "info";
	case LOG_LEVEL_DEBUG:
		break;
	}
	return "debug";
}

void
log_set_level(enum log_level level)
{
	atomic_store_explicit(&room.level, (int)level, memory_order_relaxed);
}

bool
log_enabled(enum log_level level)
{
	return (int)level <= atomic_load_explicit(&room.level, memory_order_relaxed);
}

void
log_totals_read(struct log_totals *ret_totals)
{
	*ret_totals = (struct log_totals){
		.written = atomic_load_explicit(&room.shared.written, memory_order_relaxed),
		.dropped = atomic_load_explicit(&room.shared.dropped, memory_order_relaxed),
		.suppressed = atomic_load_explicit(&room.shared.suppressed, memory_order_relaxed),
	};
}

/* Count one line against limit and queue before any work goes into it. */
static bool
log_admit(enum log_level level)
{
	enum log_verdict verdict = LOG_VERDICT_ADMITTED;

	pthread_mutex_lock(&room.shared.lock);
	if (room.open)
		verdict = log_queue_admit(
		    &room.shared.queue, clock_now_ns(), level <= LOG_LEVEL_NOTICE);
	/* the thread must see that a summary is due, should nothing follow */
	if (verdict == LOG_VERDICT_SUPPRESSED && room.shared.queue.window_suppressed == 1)
		pthread_cond_signal(&room.shared.wake);
	pthread_mutex_unlock(&room.shared.lock);
	if (verdict == LOG_VERDICT_SUPPRESSED)
		log_carrier_count(&room.shared.suppressed, 1);
	else if (verdict == LOG_VERDICT_FULL)
		log_carrier_count(&room.shared.dropped, 1);
	return verdict == LOG_VERDICT_ADMITTED;
}

/* Append RECORD (taken, may be NULL). False when there is no queue: it is still the caller's. */
static bool
log_append(struct log_record *record)
{
	bool open, taken = false;

	pthread_mutex_lock(&room.shared.lock);
	open = room.open;
	if (open) {
		taken = log_queue_push(&room.shared.queue, record);
		pthread_cond_signal(&room.shared.wake);
	}
	pthread_mutex_unlock(&room.shared.lock);
	if (open && !taken) {
		log_record_free(record);
		log_carrier_count(&room.shared.dropped, 1);
	}
	return open;
}

/* Write RECORD (taken) without queue and thread, and without waiting. */
static void
log_write_through(struct log_record *record)
{
	struct log_sink sink = LOG_SINK_STDERR;
	atomic_bool interrupt = true;

	if (record != NULL && log_sink_write(&sink, record, &interrupt) == 0)
		log_carrier_count(&room.shared.written, 1);
	else
		log_carrier_count(&room.shared.dropped, 1);
	log_record_free(record);
}

void
log_fields(
    enum log_level level, const struct log_field *fields, size_t count, const char *format, ...)
{
	struct log_record *record;
	int saved = errno;
	va_list ap;

	if (!log_enabled(level))
		return;
	if (log_admit(level)) {
		errno = saved; /* for %m */
		va_start(ap, format);
		record = log_record_new(level, clock_wall_ns(), fields, count, format, ap);
		va_end(ap);
		if (!log_append(record))
			log_write_through(record);
	}
	errno = saved;
}

void
log_abort(const char *format, ...)
{
	struct log_record *record;
	va_list ap;

	va_start(ap, format);
	record = log_record_new(LOG_LEVEL_ERROR, clock_wall_ns(), NULL, 0, format, ap);
	va_end(ap);
	/* not by the thread, which has no time left */
	log_write_through(record);
	abort();
}

/* Start the log thread, with all signals blocked: they are for the main loop. */
static int
log_thread_start(struct error_list *errors)
{
	char limits[CGROUP_LIMITS_MAX];
	sigset_t all, before;
	int r;

	if (!room.prepared) {
		pthread_condattr_t attr;

		pthread_condattr_init(&attr);
		pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
		pthread_cond_init(&room.shared.wake, &attr);
		pthread_cond_init(&room.shared.left, &attr);
		pthread_condattr_destroy(&attr);
		room.prepared = true;
	}
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	room.shared.alive = true;
	r = pthread_create(&room.thread, NULL, log_carrier_run, &room.shared);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r != 0) {
		room.shared.alive = false;
		error_list_add(errors, "cannot start the log thread: %s (%s)", strerror(r),
		    cgroup_thread_limits("", limits, sizeof(limits)));
		return -r;
	}
	pthread_setname_np(room.thread, "echod-log");
	room.joinable = true;
	return 0;
}

/* Hand SINK (taken) to the log thread. Under the lock. */
static void
log_hand_over(struct log_sink sink, int64_t rate_limit)
{
	if (room.shared.renew)
		log_sink_close(&room.shared.next); /* the thread is stuck and never saw it */
	room.shared.next = sink;
	room.shared.renew = true;
	room.shared.queue.rate_limit = rate_limit;
	atomic_store_explicit(&room.shared.interrupt, true, memory_order_relaxed);
	pthread_cond_signal(&room.shared.wake);
}

/* Open what SETTINGS ask for, start the thread where START says so, and only then change over. */
static int
log_apply(const struct log_settings *settings, bool start, struct error_list *errors)
{
	char *file = NULL;
	struct log_sink sink;
	int r;

	if (settings->file != NULL) {
		file = strdup(settings->file);
		if (file == NULL) {
			error_list_add(errors, "log: out of memory");
			return -ENOMEM;
		}
	}
	r = log_sink_open(settings, errors, &sink);
	if (r < 0) {
		free(file);
		return r;
	}
	pthread_mutex_lock(&room.shared.lock);
	if (start) {
		/* a thread that an earlier log_close() left behind serves again */
		room.shared.stopping = room.shared.abandon = false;
		r = room.shared.alive ? 0 : log_thread_start(errors);
	} else if (!room.open) {
		error_list_add(errors, "log: it is not open");
		r = -EINVAL;
	}
	if (r == 0) {
		room.open = true;
		log_hand_over(sink, settings->rate_limit);
	}
	pthread_mutex_unlock(&room.shared.lock);
	if (r < 0) {
		log_sink_close(&sink);
		free(file);
		return r;
	}
	log_set_level(settings->level);
	free(room.file);
	room.settings = *settings;
	room.settings.file = room.file = file;
	return 0;
}

int
log_open(const struct log_settings *settings, struct error_list *errors)
{
	return log_apply(settings, true, errors);
}

int
log_change(const struct log_settings *settings, struct error_list *errors)
{
	return log_apply(settings, false, errors);
}

int
log_reopen(struct error_list *errors)
{
	struct log_sink sink;
	int r;

	if (room.settings.target != LOG_TARGET_FILE || room.settings.file == NULL)
		return 0;
	r = log_sink_open(&room.settings, errors, &sink);
	if (r < 0)
		return r;
	pthread_mutex_lock(&room.shared.lock);
	log_hand_over(sink, room.settings.rate_limit);
	pthread_mutex_unlock(&room.shared.lock);
	return 0;
}

/* Wait until the thread has left, or until the clock says UNTIL_NS. Under the lock. */
static void
log_await_leave(int64_t until_ns)
{
	while (
	    room.shared.alive && log_carrier_wait(&room.shared, &room.shared.left, until_ns) == 0)
		;
}

void
log_close(int64_t timeout_ns)
{
	int64_t now_ns = clock_now_ns();
	bool alive;

	pthread_mutex_lock(&room.shared.lock);
	if (!room.open) {
		pthread_mutex_unlock(&room.shared.lock);
		return;
	}
	room.open = false;
	room.shared.stopping = true;
	pthread_cond_signal(&room.shared.wake);
	log_await_leave(now_ns + timeout_ns);
	if (room.shared.alive) {
		room.shared.abandon = true;
		atomic_store_explicit(&room.shared.interrupt, true, memory_order_relaxed);
		log_await_leave(clock_now_ns() + LOG_LEAVE_NS);
	}
	alive = room.shared.alive;
	if (!alive && room.shared.renew) {
		log_sink_close(&room.shared.next);
		room.shared.renew = false;
	}
	log_carrier_count(&room.shared.dropped, log_queue_clear(&room.shared.queue));
	pthread_mutex_unlock(&room.shared.lock);
	if (room.joinable) {
		if (alive)
			pthread_detach(room.thread);
		else
			pthread_join(room.thread, NULL);
		room.joinable = false;
	}
	free(room.file);
	room.file = NULL;
	room.settings = (struct log_settings){ 0 };
}
