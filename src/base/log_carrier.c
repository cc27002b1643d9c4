/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "base/log_carrier.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <unistd.h>

#include "base/clock.h"

/* What the log thread alone knows. */
struct log_carrier {
	struct log_shared *shared;
	struct log_sink sink;
	struct log_record *record; /* in hand, or NULL */
	struct log_gap gap;        /* not reported yet */
	bool failing;              /* the last write failed */
};

static bool log_carrier_say(struct log_carrier *carrier, const char *format, ...) ATTR_PRINTF(2, 3);

void
log_carrier_count(_Atomic uint64_t *total, uint64_t n)
{
	atomic_fetch_add_explicit(total, n, memory_order_relaxed);
}

int
log_carrier_wait(struct log_shared *shared, pthread_cond_t *condition, int64_t until_ns)
{
	struct timespec until = {
		.tv_sec = until_ns / NS_PER_S,
		.tv_nsec = until_ns % NS_PER_S,
	};

	return pthread_cond_timedwait(condition, &shared->lock, &until);
}

/* Change over to the target that was handed in. False when it must leave at once. */
static bool
log_carrier_renew(struct log_carrier *carrier)
{
	struct log_shared *shared = carrier->shared;
	struct log_sink old;
	bool renew, abandon;

	pthread_mutex_lock(&shared->lock);
	renew = shared->renew;
	abandon = shared->abandon;
	if (renew) {
		old = carrier->sink;
		carrier->sink = shared->next;
		shared->renew = false;
		carrier->failing = false;
	}
	atomic_store_explicit(&shared->interrupt, abandon, memory_order_relaxed);
	pthread_mutex_unlock(&shared->lock);
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
	struct log_shared *shared = carrier->shared;
	int r = log_sink_write(&carrier->sink, record, &shared->interrupt);

	while (r == -ECANCELED && log_carrier_renew(carrier))
		r = log_sink_write(&carrier->sink, record, &shared->interrupt);
	carrier->failing = r < 0;
	if (r == 0)
		log_carrier_count(&shared->written, 1);
	return r == 0;
}

/* Write a line of our own, whatever the level. */
static bool
log_carrier_say(struct log_carrier *carrier, const char *format, ...)
{
	struct log_record *record;
	bool written = false;
	va_list ap;

	va_start(ap, format);
	record = log_record_new(LOG_LEVEL_WARNING, clock_wall_ns(), NULL, 0, format, ap);
	va_end(ap);
	if (record != NULL)
		written = log_carrier_write(carrier, record);
	else
		carrier->failing = true; /* or it would be tried again at once */
	log_record_free(record);
	return written;
}

static void
log_carrier_report(struct log_carrier *carrier)
{
	struct log_gap *gap = &carrier->gap;

	if (gap->lost > 0 &&
	    log_carrier_say(carrier,
		"dropped %" PRIu64 " lines: the log target was slow, full or gone", gap->lost))
		gap->lost = 0;
	if (gap->suppressed > 0 &&
	    log_carrier_say(
		carrier, "suppressed %" PRIu64 " lines over log.rate_limit", gap->suppressed))
		gap->suppressed = 0;
}

/*
 * Write what was fetched, the summaries first. A target that failed is tried again when there is
 * a line to write, not for a summary alone.
 */
static void
log_carrier_deliver(struct log_carrier *carrier)
{
	struct log_shared *shared = carrier->shared;
	bool stay = log_carrier_renew(carrier);

	if (stay && (carrier->record != NULL || !carrier->failing))
		log_carrier_report(carrier);
	if (carrier->record == NULL)
		return;
	if (!stay || !log_carrier_write(carrier, carrier->record)) {
		carrier->gap.lost++;
		log_carrier_count(&shared->dropped, 1);
	}
	log_record_free(carrier->record);
	carrier->record = NULL;
}

/* Sleep until something happens, or until a summary is due. */
static void
log_carrier_sleep(struct log_shared *shared)
{
	int64_t due_ns = log_queue_due_ns(&shared->queue);

	if (due_ns > 0)
		(void)log_carrier_wait(shared, &shared->wake, due_ns);
	else
		(void)pthread_cond_wait(&shared->wake, &shared->lock);
}

/* Wait for work and take it. False when it must leave; `alive` is false then. */
static bool
log_carrier_fetch(struct log_carrier *carrier)
{
	struct log_shared *shared = carrier->shared;
	struct log_gap *gap = &carrier->gap;
	bool work = false;

	pthread_mutex_lock(&shared->lock);
	while (!shared->abandon) {
		work = log_queue_pop(
		    &shared->queue, clock_now_ns(), shared->stopping, gap, &carrier->record);
		/* a target that works again still owes the summary that failed */
		if (!carrier->failing && (gap->lost > 0 || gap->suppressed > 0))
			work = true;
		if (shared->renew)
			work = true;
		if (work || shared->stopping)
			break;
		log_carrier_sleep(shared);
	}
	if (!work) {
		shared->alive = false;
		pthread_cond_signal(&shared->left);
	}
	pthread_mutex_unlock(&shared->lock);
	return work;
}

void *
log_carrier_run(void *shared)
{
	struct log_carrier carrier = { .shared = shared, .sink = LOG_SINK_STDERR };

	while (log_carrier_fetch(&carrier))
		log_carrier_deliver(&carrier);
	log_sink_close(&carrier.sink);
	return NULL;
}
