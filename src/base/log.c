/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any thread appends packed records to a bounded ring; the log thread takes them out one by one and
 * writes them without the lock held. What was lost or suppressed is remembered with the next line
 * that gets through, so that the summary stands where the gap is. The main thread hands over a new
 * target through `next`. The thread may block in a target for ever: nobody waits for that.
 */
#include <config.h>

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cgroup.h"
#include "base/clock.h"

#define LOG_QUEUE_LINES 1024
#define LOG_WINDOW_NS NS_PER_S
#define LOG_STARVED_TURNS 10           /* of log_close(): see there */
#define LOG_LEAVE_NS (250 * NS_PER_MS) /* how long a thread may take to give up its target */

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
	atomic_bool stood_in;  /* stderr did, for the target of now */

	pthread_mutex_t lock; /* for all that follows, but what is the main thread's */
	pthread_cond_t wake;  /* for the log thread */
	pthread_cond_t left;  /* `alive` turned false */
	bool open;            /* lines go to the queue, else straight to stderr */
	bool alive;           /* there is a log thread */
	pid_t id;             /* its number; 0 before it runs */
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
	/* for log_reached_stderr(), also after log_close() */
	bool on_stderr;          /* the target is where stderr goes */
	uint64_t dropped_before; /* lines lost before log_open() */
	pthread_t thread;
	struct log_settings settings; /* for log_reopen() */
	char *file;                   /* what settings.file points to */
} state = {
	.level = LOG_LEVEL_INFO,
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.wake = PTHREAD_COND_INITIALIZER,
	.left = PTHREAD_COND_INITIALIZER,
};

/* What the log thread alone knows. */
struct log_writer {
	struct log_sink sink;
	struct log_sink spare; /* stderr, instead of a journal or syslog that cannot be had */
	bool away;             /* lines go to `spare`, and that was told */
	bool unchecked;        /* the target is new */
	struct log_gap gap;    /* not reported yet */
	bool failing;          /* the last write failed */
};

void
log_set_level(enum log_level level)
{
	state.level = (int)level;
}

enum log_level
log_get_level(void)
{
	return (enum log_level)state.level;
}

bool
log_enabled(enum log_level level)
{
	return (int)level <= atomic_load_explicit(&state.level, memory_order_relaxed);
}

void
log_totals_read(struct log_totals *ret_totals)
{
	*ret_totals = (struct log_totals){ state.written, state.dropped, state.suppressed };
}

/* Begin a new second where the last is over; ENDING: no line will come, it counts as over. */
static void
log_roll_window(bool ending)
{
	int64_t now_ns = clock_now_ns();

	if (!ending && now_ns - state.window_ns < LOG_WINDOW_NS)
		return;
	state.gap.suppressed += state.window_suppressed;
	state.window_suppressed = 0;
	state.window_lines = 0;
	state.window_ns = now_ns;
}

/*
 * Count one line against limit and queue before any work goes into it. A change of state, a
 * warning or an error is never suppressed: no flood of ordinary lines may hide a failed reload.
 */
static bool
log_admit(enum log_level level)
{
	bool limited = level > LOG_LEVEL_NOTICE, over = false, full = false;

	pthread_mutex_lock(&state.lock);
	if (state.open) {
		log_roll_window(false);
		over = limited && state.rate_limit > 0 && state.window_lines >= state.rate_limit;
		full = !over && state.used == LOG_QUEUE_LINES;
		/* the thread must see that a summary is due, should nothing follow */
		if (over && state.window_suppressed++ == 0)
			pthread_cond_signal(&state.wake);
		if (limited && !over)
			state.window_lines++;
		state.gap.lost += full;
	}
	pthread_mutex_unlock(&state.lock);
	state.suppressed += over;
	state.dropped += full;
	return !over && !full;
}

/* Write RECORD (taken, may be NULL) without queue and thread, and without waiting. */
static void
log_write_through(struct log_record *record)
{
	struct log_sink sink = LOG_SINK_STDERR;
	atomic_bool interrupt = true;

	if (record != NULL && log_sink_write(&sink, record, &interrupt) == 0)
		state.written++;
	else
		state.dropped++;
	log_record_free(record);
}

/* Append RECORD (taken, may be NULL) to the queue, or write it where there is none. */
static void
log_append(struct log_record *record)
{
	bool open, full;

	pthread_mutex_lock(&state.lock);
	open = state.open;
	full = record == NULL || state.used == LOG_QUEUE_LINES;
	if (open && full) {
		state.gap.lost++;
	} else if (open) {
		state.slots[(state.first + state.used++) % LOG_QUEUE_LINES] = (struct log_slot){
			record, state.gap
		};
		state.gap = (struct log_gap){ 0 };
	}
	pthread_cond_signal(&state.wake);
	pthread_mutex_unlock(&state.lock);
	if (!open) {
		log_write_through(record);
	} else if (full) {
		log_record_free(record);
		state.dropped++;
	}
}

void
log_fields_at(const struct log_place *place, enum log_level level, const struct log_field *fields,
    size_t count, const char *format, ...)
{
	int saved = errno;
	va_list ap;

	if (!log_enabled(level))
		return;
	if (log_admit(level)) {
		errno = saved; /* for %m */
		va_start(ap, format);
		log_append(
		    log_record_new(level, clock_wall_ns(), place, fields, count, format, ap));
		va_end(ap);
	}
	errno = saved;
}

void
log_abort(const char *format, ...)
{
	va_list ap;

	/* written here: the log thread would not get to it before abort(3) */
	va_start(ap, format);
	log_write_through(
	    log_record_new(LOG_LEVEL_ERROR, clock_wall_ns(), LOG_HERE, NULL, 0, format, ap));
	va_end(ap);
	abort();
}

/* --- the log thread --- */

/* Change over to the target that was handed in. False when the thread must leave at once. */
static bool
log_writer_renew(struct log_writer *writer)
{
	struct log_sink old = writer->sink;
	bool renew, abandon;

	pthread_mutex_lock(&state.lock);
	renew = state.renew;
	abandon = state.abandon;
	if (renew) {
		writer->sink = state.next;
		state.renew = false;
		writer->failing = false;
	}
	state.interrupt = abandon;
	pthread_mutex_unlock(&state.lock);
	if (renew) {
		struct log_sink spare = log_sink_spare(&writer->sink);

		log_sink_follow(&spare, &writer->spare);
		log_sink_follow(&writer->sink, &writer->spare);
		log_sink_follow(&writer->sink, &old);
		log_sink_close(&old);
		writer->spare = spare;
		writer->away = false;
		writer->unchecked = true;
	}
	return !abandon;
}

static bool log_writer_tell(struct log_sink *sink, enum log_level level, const char *format, ...)
    ATTR_PRINTF(3, 4);

/* Write a line about the target itself, whatever the level. Returns whether that went well. */
static bool
log_writer_tell(struct log_sink *sink, enum log_level level, const char *format, ...)
{
	struct log_record *record;
	va_list ap;
	bool told;

	va_start(ap, format);
	record = log_record_new(level, clock_wall_ns(), LOG_HERE, NULL, 0, format, ap);
	va_end(ap);
	told = record != NULL && log_sink_write(sink, record, &state.interrupt) == 0;
	state.written += told;
	log_record_free(record);
	return told;
}

/* The target cannot be had, as -ERROR tells: say so, once for each time that this begins. */
static void
log_writer_leave(struct log_writer *writer, int error)
{
	if (!writer->away)
		writer->away = log_writer_tell(&writer->spare, LOG_LEVEL_ERROR,
		    "log.target: %s cannot be had: %s: lines go to standard error until it can",
		    log_target_name(writer->sink.target), strerror(-error));
}

/* Have a new target that cannot be had told at once, not with the first line for it. */
static void
log_writer_check(struct log_writer *writer)
{
	int r = log_sink_check(&writer->sink);

	writer->unchecked = false;
	if (r < 0)
		log_writer_leave(writer, r);
}

/* Write one record to the target, or to what stands in for it. */
static int
log_writer_put(struct log_writer *writer, const struct log_record *record)
{
	bool others = writer->sink.target == LOG_TARGET_JOURNAL ||
		      writer->sink.target == LOG_TARGET_SYSLOG;
	int r = log_sink_write(&writer->sink, record, &state.interrupt);

	if (r < 0 && r != -ECANCELED && others) {
		log_writer_leave(writer, r);
		state.stood_in = true;
		return log_sink_write(&writer->spare, record, &state.interrupt);
	}
	if (r == 0 && writer->away) {
		writer->away = false;
		(void)log_writer_tell(&writer->sink, LOG_LEVEL_NOTICE,
		    "log.target: %s can be had again", log_target_name(writer->sink.target));
	}
	return r;
}

/* Write one record, to a new target if one comes while the old one blocks. */
static bool
log_writer_write(struct log_writer *writer, const struct log_record *record)
{
	int r = log_writer_put(writer, record);

	while (r == -ECANCELED && log_writer_renew(writer))
		r = log_writer_put(writer, record);
	writer->failing = r < 0;
	state.written += r == 0;
	return r == 0;
}

static void log_writer_report(struct log_writer *writer, uint64_t *count, const char *format, ...)
    ATTR_PRINTF(3, 4);

/* Write a line of our own about *COUNT missing lines, whatever the level, and forget them. */
static void
log_writer_report(struct log_writer *writer, uint64_t *count, const char *format, ...)
{
	struct log_record *record;
	va_list ap;

	if (*count == 0)
		return;
	va_start(ap, format);
	record = log_record_new(LOG_LEVEL_WARNING, clock_wall_ns(), LOG_HERE, NULL, 0, format, ap);
	va_end(ap);
	if (record == NULL)
		writer->failing = true; /* or it would be tried again at once */
	else if (log_writer_write(writer, record))
		*count = 0;
	log_record_free(record);
}

/*
 * Write RECORD (taken, may be NULL), the summaries first. A target that failed is tried again when
 * there is a line to write, not for a summary alone.
 */
static void
log_writer_deliver(struct log_writer *writer, struct log_record *record)
{
	struct log_gap *gap = &writer->gap;
	bool stay = log_writer_renew(writer);

	if (stay && writer->unchecked)
		log_writer_check(writer);
	if (stay && (record != NULL || !writer->failing)) {
		log_writer_report(writer, &gap->lost,
		    "dropped %" PRIu64
		    " lines: the log target was slow, full or gone, or memory short",
		    gap->lost);
		log_writer_report(writer, &gap->suppressed,
		    "suppressed %" PRIu64 " lines over log.rate_limit", gap->suppressed);
	}
	if (record != NULL && (!stay || !log_writer_write(writer, record))) {
		gap->lost++;
		state.dropped++;
	}
	log_record_free(record);
}

/* Wait for CONDITION, at most until the monotonic clock says UNTIL_NS. Under the lock. */
static int
log_wait(pthread_cond_t *condition, int64_t until_ns)
{
	struct timespec until = {
		.tv_sec = until_ns / NS_PER_S,
		.tv_nsec = until_ns % NS_PER_S,
	};

	return pthread_cond_clockwait(condition, &state.lock, CLOCK_MONOTONIC, &until);
}

/* Take the oldest line, and what is missing before it. Under the lock. NULL where there is none. */
static struct log_record *
log_writer_take(struct log_writer *writer)
{
	struct log_slot *slot = &state.slots[state.first];
	struct log_gap *before = state.used > 0 ? &slot->before : &state.gap;

	log_roll_window(state.stopping);
	writer->gap.lost += before->lost;
	writer->gap.suppressed += before->suppressed;
	*before = (struct log_gap){ 0 };
	if (state.used == 0)
		return NULL;
	state.first = (state.first + 1) % LOG_QUEUE_LINES;
	state.used--;
	return slot->record;
}

/* Wait for work and take it. False when the thread must leave; `alive` is false then. */
static bool
log_writer_fetch(struct log_writer *writer, struct log_record **ret_record)
{
	const struct log_gap *gap = &writer->gap;
	bool work = false;

	pthread_mutex_lock(&state.lock);
	while (!state.abandon) {
		*ret_record = log_writer_take(writer);
		/* a target that works again still owes the summary that failed */
		work = *ret_record != NULL || state.renew ||
		       (!writer->failing && (gap->lost > 0 || gap->suppressed > 0));
		if (work || state.stopping)
			break;
		/* until something happens, or a summary is due */
		if (state.window_suppressed > 0)
			(void)log_wait(&state.wake, state.window_ns + LOG_WINDOW_NS);
		else
			(void)pthread_cond_wait(&state.wake, &state.lock);
	}
	if (!work) {
		state.alive = false;
		pthread_cond_signal(&state.left);
	}
	pthread_mutex_unlock(&state.lock);
	return work;
}

static void *
log_writer_run(void *unused ATTR_UNUSED)
{
	struct log_writer writer = { .sink = LOG_SINK_STDERR, .spare = LOG_SINK_STDERR };
	struct log_record *record;

	pthread_mutex_lock(&state.lock);
	state.id = gettid();
	pthread_mutex_unlock(&state.lock);
	while (log_writer_fetch(&writer, &record))
		log_writer_deliver(&writer, record);
	log_sink_close(&writer.sink);
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
	state.id = 0;
	r = pthread_create(&state.thread, NULL, log_writer_run, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r != 0) {
		error_list_add(errors, "cannot start the log thread: %s (%s)", strerror(r),
		    cgroup_thread_limits("", limits, sizeof(limits)));
		return -r;
	}
	pthread_setname_np(state.thread, "echod-log");
	state.alive = state.joinable = true;
	return 0;
}

/* Hand SINK (taken) to the log thread. Under the lock. */
static void
log_hand_over(struct log_sink sink, int64_t rate_limit)
{
	if (state.renew)
		log_sink_close(&state.next); /* the thread is stuck and never saw it */
	state.next = sink;
	state.renew = true;
	state.rate_limit = rate_limit;
	state.interrupt = true;
	pthread_cond_signal(&state.wake);
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
	pthread_mutex_lock(&state.lock);
	if (start) {
		/* a thread that an earlier log_close() left behind serves again */
		state.stopping = state.abandon = false;
		r = state.alive ? 0 : log_thread_start(errors);
	} else if (!state.open) {
		error_list_add(errors, "log: it is not open");
		r = -EINVAL;
	}
	if (r == 0) {
		state.open = true;
		state.on_stderr = log_sink_is_stderr(&sink);
		state.stood_in = false;
		if (start)
			state.dropped_before = state.dropped;
		log_hand_over(sink, settings->rate_limit);
	}
	pthread_mutex_unlock(&state.lock);
	if (r < 0) {
		log_sink_close(&sink);
		free(file);
		return r;
	}
	log_set_level(settings->level);
	free(state.file);
	state.settings = *settings;
	state.settings.file = state.file = file;
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

	if (state.settings.target != LOG_TARGET_FILE || state.settings.file == NULL) {
		error_list_add(errors, "the log goes to %s: there is no file to open again",
		    log_target_name(state.settings.target));
		return -EOPNOTSUPP;
	}
	r = log_sink_open(&state.settings, errors, &sink);
	if (r < 0)
		return r;
	pthread_mutex_lock(&state.lock);
	log_hand_over(sink, state.settings.rate_limit);
	pthread_mutex_unlock(&state.lock);
	return 0;
}

bool
log_is_open(void)
{
	return state.open; /* written by this thread alone */
}

bool
log_reached_stderr(void)
{
	return (state.on_stderr || state.stood_in) && state.dropped == state.dropped_before;
}

/* Wait until the thread has left, at most TIMEOUT_NS. Under the lock. Returns whether it has. */
static bool
log_await_leave(int64_t timeout_ns)
{
	int64_t until_ns = clock_now_ns() + timeout_ns;

	while (state.alive && log_wait(&state.left, until_ns) == 0)
		;
	return !state.alive;
}

/*
 * Whether the thread waits for a processor, not for its target: it is ready to run, see proc(5), or
 * never was. Where nobody can tell, it is taken for stuck. Under the lock.
 */
static bool
log_thread_starves(void)
{
	char path[64], text[64], *end;
	ssize_t length;
	int fd;

	if (state.id == 0)
		return true;
	(void)snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)state.id);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	length = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[length > 0 ? length : 0] = '\0';
	end = strrchr(text, ')');
	return end != NULL && strncmp(end, ") R", 3) == 0;
}

void
log_close(int64_t timeout_ns)
{
	bool left;

	pthread_mutex_lock(&state.lock);
	if (!state.open) {
		pthread_mutex_unlock(&state.lock);
		return;
	}
	state.open = false;
	state.stopping = true;
	pthread_cond_signal(&state.wake);
	left = log_await_leave(timeout_ns);
	/* as much again and again for a thread that only lacks a processor */
	for (int i = 0; i < LOG_STARVED_TURNS && !left && log_thread_starves(); i++)
		left = log_await_leave(timeout_ns);
	if (!left) {
		state.abandon = true;
		state.interrupt = true;
		left = log_await_leave(LOG_LEAVE_NS);
	}
	if (left && state.renew) {
		log_sink_close(&state.next);
		state.renew = false;
	}
	for (; state.used > 0; state.used--) {
		log_record_free(state.slots[state.first].record);
		state.first = (state.first + 1) % LOG_QUEUE_LINES;
		state.dropped++;
	}
	state.gap = (struct log_gap){ 0 };
	state.window_suppressed = 0;
	pthread_mutex_unlock(&state.lock);
	if (state.joinable) {
		if (left)
			pthread_join(state.thread, NULL);
		else
			pthread_detach(state.thread);
		state.joinable = false;
	}
	free(state.file);
	state.file = NULL;
	state.settings = (struct log_settings){ 0 };
}
