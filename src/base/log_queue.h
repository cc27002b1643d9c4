/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The lines between the writers and the log thread: a bounded ring, the rate limit, and the
 * count of what is missing. What was lost or suppressed is remembered with the next line that
 * gets through, so that the summary stands where the gap is. No lock: the log room has one.
 */
#ifndef ECHOD_BASE_LOG_QUEUE_H
#define ECHOD_BASE_LOG_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/log_record.h"

#define LOG_QUEUE_LINES 1024

/* Lines that are missing. */
struct log_gap {
	uint64_t lost;       /* no room, no memory, or not written */
	uint64_t suppressed; /* over the rate limit */
};

struct log_slot {
	struct log_record *record; /* owned */
	struct log_gap before;
};

/* All zero is an empty queue without a limit. */
struct log_queue {
	struct log_slot slots[LOG_QUEUE_LINES];
	size_t first, used;
	struct log_gap gap;         /* after the last line in the ring */
	int64_t rate_limit;         /* lines in a second, 0: none */
	int64_t window_ns;          /* when the second began, monotonic */
	int64_t window_lines;       /* admitted in it */
	uint64_t window_suppressed; /* not yet in `gap`: there may be more */
};

enum log_verdict {
	LOG_VERDICT_ADMITTED,
	LOG_VERDICT_FULL,       /* counted as lost */
	LOG_VERDICT_SUPPRESSED, /* counted */
};

/*
 * Judge one line at NOW_NS, before any work goes into it. An IMPORTANT one (a change of state, a
 * warning, an error) is never suppressed: no flood of ordinary lines may hide a failed reload.
 */
enum log_verdict log_queue_admit(struct log_queue *queue, int64_t now_ns, bool important);

/* Append RECORD and take it over. False when there is no room, or it is NULL: counted as lost. */
ATTR_MUSTCHECK bool log_queue_push(struct log_queue *queue, struct log_record *record);

/*
 * Take the oldest line, or NULL when there is only a gap to report; add to GAP what is missing
 * before it. ENDING: no line will come, the second counts as over. False when there is nothing.
 */
bool log_queue_pop(struct log_queue *queue, int64_t now_ns, bool ending, struct log_gap *gap,
    struct log_record **ret_record);

/* Return when log_queue_pop() will have a gap to report though no line comes, 0 for never. */
int64_t log_queue_due_ns(const struct log_queue *queue);

/* Free what is in the ring and forget the gaps. Returns how many lines that were. */
size_t log_queue_clear(struct log_queue *queue);

#endif
