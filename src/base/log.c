/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writers append packed records to a bounded ring; the log thread takes them out one by one and
 * writes them without the lock held. What was lost or suppressed is remembered with the next line
 * that gets through, so that the summary stands where the gap is. The main thread hands over a new
 * target through `next`. The thread may block in a target for ever: nobody waits for that.
 */
#include <config.h>

#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cgroup.h"
#include "base/clock.h"

#define LOG_QUEUE_LINES 1024
#define LOG_WINDOW_NS NS_PER_S
#define LOG_LEAVE_NS (250 * NS_PER_MS) /* for a thread that was told to give up its target */

/* Lines that are missing. */
struct log_gap {
	uint64_t lost;       /* no room, no memory, or not written */
	uint64_t suppressed; /* over the rate limit */
};

struct log_slot {
	struct log_record *record; /* owned */
	struct log_gap before;
};

/* The globals of the daemon: all of them. They outlive the log thread. */
static struct {
	/* any thread, without the lock */
	_Atomic int level;
	_Atomic uint64_t written, dropped, suppressed; /* see struct log_totals */
	atomic_bool interrupt; /* the log thread must not wait for its target */

	pthread_mutex_t lock; /* for all that follows, but what is the main thread's */
	pthread_cond_t wake;  /* for the log thread */
	pthread_cond_t left;  /* `alive` turned false */
	bool open;            /* lines go to the queue, else straight to stderr */
	bool alive;           /* there is a log thread */
	bool stopping;        /* it must leave when the queue is empty */
	bool abandon;         /* it must leave now */
	bool renew;           /* it must take over `next` */
	struct log_sink next; /* owned while `renew` is true */

	/* the queue, a ring: `used` slots from `first` on */
	struct log_slot slots[LOG_QUEUE_LINES];
	size_t first, used;
	struct log_gap gap;         /* after the last line in the ring */
	int64_t rate_limit;         /* lines in a second, 0: none */
	int64_t window_ns;          /* when the second began, monotonic */
	int64_t window_lines;       /* admitted in it */
	uint64_t window_suppressed; /* not yet in `gap`: there may be more */

	/* main thread only */
	bool joinable; /* `thread` was started, and neither joined nor detached */
	pthread_t thread;
	struct log_settings settings; /* for log_reopen() */
	char *file;                   /* what settings.file points to */
} room = {
	.level = LOG_LEVEL_INFO,
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.wake = PTHREAD_COND_INITIALIZER,
	.left = PTHREAD_COND_INITIALIZER,
};

/* What the log thread alone knows. */
struct log_carrier {
	struct log_sink sink;
	struct log_gap gap; /* not reported yet */
	bool failing;       /* the last write failed */
};

void
log_set_level(enum log_level level)
{
	room.level = (int)level;
}

bool
log_enabled(enum log_level level)
{
	return (int)level <= atomic_load_explicit(&room.level, memory_order_relaxed);
}

void
log_totals_read(struct log_totals *ret_totals)
{
	*ret_totals = (struct log_totals){ room.written, room.dropped, room.suppressed };
}

/* Begin a new second where the last is over; ENDING: no line will come, it counts as over. */
static void
log_roll_window(bool ending)
{
	int64_t now_ns = clock_now_ns();

	if (!ending && now_ns - room.window_ns < LOG_WINDOW_NS)
		return;
	room.gap.suppressed += room.window_suppressed;
	room.window_suppressed = 0;
	room.window_lines = 0;
	room.window_ns = now_ns;
}

/*
 * Count one line against limit and queue before any work goes into it. A change of state, a
 * warning or an error is never suppressed: no flood of ordinary lines may hide a failed reload.
 */
static bool
log_admit(enum log_level level)
{
	bool limited = level > LOG_LEVEL_NOTICE, over = false, full = false;

	pthread_mutex_lock(&room.lock);
	if (room.open) {
		log_roll_window(false);
		over = limited && room.rate_limit > 0 && room.window_lines >= room.rate_limit;
		full = !over && room.used == LOG_QUEUE_LINES;
		/* the thread must see that a summary is due, should nothing follow */
		if (over && room.window_suppressed++ == 0)
			pthread_cond_signal(&room.wake);
		if (limited && !over)
			room.window_lines++;
		room.gap.lost += full;
	}
	pthread_mutex_unlock(&room.lock);
	room.suppressed += over;
	room.dropped += full;
	return !over && !full;
}

/* Write RECORD (taken, may be NULL) without queue and thread, and without waiting. */
static void
log_write_through(struct log_record *record)
{
	struct log_sink sink = LOG_SINK_STDERR;
	atomic_bool interrupt = true;

	if (record != NULL && log_sink_write(&sink, record, &interrupt) == 0)
		room.written++;
	else
		room.dropped++;
	free(record);
}

/* Append RECORD (taken, may be NULL) to the queue, or write it where there is none. */
static void
log_append(struct log_record *record)
{
	bool open, full;

	pthread_mutex_lock(&room.lock);
	open = room.open;
	full = record == NULL || room.used == LOG_QUEUE_LINES;
	if (open && full) {
		room.gap.lost++;
	} else if (open) {
		room.slots[(room.first + room.used++) % LOG_QUEUE_LINES] = (struct log_slot){
			record, room.gap
		};
		room.gap = (struct log_gap){ 0 };
	}
	pthread_cond_signal(&room.wake);
	pthread_mutex_unlock(&room.lock);
	if (!open) {
		log_write_through(record);
	} else if (full) {
		free(record);
		room.dropped++;
	}
}

void
log_fields(
    enum log_level level, const struct log_field *fields, size_t count, const char *format, ...)
{
	int saved = errno;
	va_list ap;

	if (!log_enabled(level))
		return;
	if (log_admit(level)) {
		errno = saved; /* for %m */
		va_start(ap, format);
		log_append(log_record_new(level, clock_wall_ns(), fields, count, format, ap));
		va_end(ap);
	}
	errno = saved;
}

void
log_abort(const char *format, ...)
{
	va_list ap;

	/* not by the thread, which has no time left */
	va_start(ap, format);
	log_write_through(log_record_new(LOG_LEVEL_ERROR, clock_wall_ns(), NULL, 0, format, ap));
	va_end(ap);
	abort();
}

/* --- the log thread --- */

/* Change over to the target that was handed in. False when the thread must leave at once. */
static bool
log_carrier_renew(struct log_carrier *carrier)
{
	struct log_sink old = carrier->sink;
	bool renew, abandon;

	pthread_mutex_lock(&room.lock);
	renew = room.renew;
	abandon = room.abandon;
	if (renew) {
		carrier->sink = room.next;
		room.renew = false;
		carrier->failing = false;
	}
	room.interrupt = abandon;
	pthread_mutex_unlock(&room.lock);
	if (renew) {
		log_sink_follow(&carrier->sink, &old);
		log_sink_close(&old);
	}
	return !abandon;
}

/* Write one record, to a new target if one comes while the old one blocks. */
static bool
log_carrier_write(struct log_carrier *carrier, const struct log_record *record)
{
	int r = log_sink_write(&carrier->sink, record, &room.interrupt);

	while (r == -ECANCELED && log_carrier_renew(carrier))
		r = log_sink_write(&carrier->sink, record, &room.interrupt);
	carrier->failing = r < 0;
	room.written += r == 0;
	return r == 0;
}

static void log_carrier_report(
    struct log_carrier *carrier, uint64_t *count, const char *format, ...) ATTR_PRINTF(3, 4);

/* Write a line of our own about *COUNT missing lines, whatever the level, and forget them. */
static void
log_carrier_report(struct log_carrier *carrier, uint64_t *count, const char *format, ...)
{
	struct log_record *record;
	va_list ap;

	if (*count == 0)
		return;
	va_start(ap, format);
	record = log_record_new(LOG_LEVEL_WARNING, clock_wall_ns(), NULL, 0, format, ap);
	va_end(ap);
	if (record == NULL)
		carrier->failing = true; /* or it would be tried again at once */
	else if (log_carrier_write(carrier, record))
		*count = 0;
	free(record);
}

/*
 * Write RECORD (taken, may be NULL), the summaries first. A target that failed is tried again when
 * there is a line to write, not for a summary alone.
 */
static void
log_carrier_deliver(struct log_carrier *carrier, struct log_record *record)
{
	struct log_gap *gap = &carrier->gap;
	bool stay = log_carrier_renew(carrier);

	if (stay && (record != NULL || !carrier->failing)) {
		log_carrier_report(carrier, &gap->lost,
		    "dropped %" PRIu64 " lines: the log target was slow, full or gone", gap->lost);
		log_carrier_report(carrier, &gap->suppressed,
		    "suppressed %" PRIu64 " lines over log.rate_limit", gap->suppressed);
	}
	if (record != NULL && (!stay || !log_carrier_write(carrier, record))) {
		gap->lost++;
		room.dropped++;
	}
	free(record);
}

/* Wait for CONDITION, at most until the monotonic clock says UNTIL_NS. Under the lock. */
static int
log_wait(pthread_cond_t *condition, int64_t until_ns)
{
	struct timespec until = {
		.tv_sec = until_ns / NS_PER_S,
		.tv_nsec = until_ns % NS_PER_S,
	};

	return pthread_cond_clockwait(condition, &room.lock, CLOCK_MONOTONIC, &until);
}

/* Take the oldest line, and what is missing before it. Under the lock. NULL where there is none. */
static struct log_record *
log_carrier_take(struct log_carrier *carrier)
{
	struct log_slot *slot = &room.slots[room.first];
	struct log_gap *before = room.used > 0 ? &slot->before : &room.gap;

	log_roll_window(room.stopping);
	carrier->gap.lost += before->lost;
	carrier->gap.suppressed += before->suppressed;
	*before = (struct log_gap){ 0 };
	if (room.used == 0)
		return NULL;
	room.first = (room.first + 1) % LOG_QUEUE_LINES;
	room.used--;
	return slot->record;
}

/* Wait for work and take it. False when the thread must leave; `alive` is false then. */
static bool
log_carrier_fetch(struct log_carrier *carrier, struct log_record **ret_record)
{
	const struct log_gap *gap = &carrier->gap;
	bool work = false;

	pthread_mutex_lock(&room.lock);
	while (!room.abandon) {
		*ret_record = log_carrier_take(carrier);
		/* a target that works again still owes the summary that failed */
		work = *ret_record != NULL || room.renew ||
		       (!carrier->failing && (gap->lost > 0 || gap->suppressed > 0));
		if (work || room.stopping)
			break;
		/* until something happens, or a summary is due */
		if (room.window_suppressed > 0)
			(void)log_wait(&room.wake, room.window_ns + LOG_WINDOW_NS);
		else
			(void)pthread_cond_wait(&room.wake, &room.lock);
	}
	if (!work) {
		room.alive = false;
		pthread_cond_signal(&room.left);
	}
	pthread_mutex_unlock(&room.lock);
	return work;
}

static void *
log_carrier_run(void *unused ATTR_UNUSED)
{
	struct log_carrier carrier = { .sink = LOG_SINK_STDERR };
	struct log_record *record;

	while (log_carrier_fetch(&carrier, &record))
		log_carrier_deliver(&carrier, record);
	log_sink_close(&carrier.sink);
	return NULL;
}

/* --- the main thread --- */

/* Start the log thread, with all signals blocked: they are for the main loop. */
static int
log_thread_start(struct error_list *errors)
{
	char limits[CGROUP_LIMITS_MAX];
	sigset_t all, before;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&room.thread, NULL, log_carrier_run, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r != 0) {
		error_list_add(errors, "cannot start the log thread: %s (%s)", strerror(r),
		    cgroup_thread_limits("", limits, sizeof(limits)));
		return -r;
	}
	pthread_setname_np(room.thread, "echod-log");
	room.alive = room.joinable = true;
	return 0;
}

/* Hand SINK (taken) to the log thread. Under the lock. */
static void
log_hand_over(struct log_sink sink, int64_t rate_limit)
{
	if (room.renew)
		log_sink_close(&room.next); /* the thread is stuck and never saw it */
	room.next = sink;
	room.renew = true;
	room.rate_limit = rate_limit;
	room.interrupt = true;
	pthread_cond_signal(&room.wake);
}

/* Open what SETTINGS ask for, start the thread where START says so, and only then change over. */
static int
log_apply(const struct log_settings *settings, bool start, struct error_list *errors)
{
	char *file = settings->file != NULL ? strdup(settings->file) : NULL;
	struct log_sink sink;
	int r;

	if (settings->file != NULL && file == NULL) {
		error_list_add(errors, "log: out of memory");
		return -ENOMEM;
	}
	r = log_sink_open(settings, errors, &sink);
	if (r < 0) {
		free(file);
		return r;
	}
	pthread_mutex_lock(&room.lock);
	if (start) {
		/* a thread that an earlier log_close() left behind serves again */
		room.stopping = room.abandon = false;
		r = room.alive ? 0 : log_thread_start(errors);
	} else if (!room.open) {
		error_list_add(errors, "log: it is not open");
		r = -EINVAL;
	}
	if (r == 0) {
		room.open = true;
		log_hand_over(sink, settings->rate_limit);
	}
	pthread_mutex_unlock(&room.lock);
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
	pthread_mutex_lock(&room.lock);
	log_hand_over(sink, room.settings.rate_limit);
	pthread_mutex_unlock(&room.lock);
	return 0;
}

/* Wait until the thread has left, at most TIMEOUT_NS. Under the lock. Returns whether it has. */
static bool
log_await_leave(int64_t timeout_ns)
{
	int64_t until_ns = clock_now_ns() + timeout_ns;

	while (room.alive && log_wait(&room.left, until_ns) == 0)
		;
	return !room.alive;
}

void
log_close(int64_t timeout_ns)
{
	bool left;

	pthread_mutex_lock(&room.lock);
	if (!room.open) {
		pthread_mutex_unlock(&room.lock);
		return;
	}
	room.open = false;
	room.stopping = true;
	pthread_cond_signal(&room.wake);
	left = log_await_leave(timeout_ns);
	if (!left) {
		room.abandon = true;
		room.interrupt = true;
		left = log_await_leave(LOG_LEAVE_NS);
	}
	if (left && room.renew) {
		log_sink_close(&room.next);
		room.renew = false;
	}
	for (; room.used > 0; room.used--) {
		free(room.slots[room.first].record);
		room.first = (room.first + 1) % LOG_QUEUE_LINES;
		room.dropped++;
	}
	room.gap = (struct log_gap){ 0 };
	room.window_suppressed = 0;
	pthread_mutex_unlock(&room.lock);
	if (room.joinable) {
		if (left)
			pthread_join(room.thread, NULL);
		else
			pthread_detach(room.thread);
		room.joinable = false;
	}
	free(room.file);
	room.file = NULL;
	room.settings = (struct log_settings){ 0 };
}
