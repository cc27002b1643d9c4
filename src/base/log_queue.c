/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "base/log_queue.h"

#include "base/clock.h"

#define LOG_WINDOW_NS NS_PER_S

static void
log_queue_roll(struct log_queue *queue, int64_t now_ns, bool ending)
{
	if (!ending && now_ns - queue->window_ns < LOG_WINDOW_NS)
		return;
	queue->gap.suppressed += queue->window_suppressed;
	queue->window_suppressed = 0;
	queue->window_lines = 0;
	queue->window_ns = now_ns;
}

enum log_verdict
log_queue_admit(struct log_queue *queue, int64_t now_ns, bool important)
{
	log_queue_roll(queue, now_ns, false);
	if (!important) {
		if (queue->rate_limit > 0 && queue->window_lines >= queue->rate_limit) {
			queue->window_suppressed++;
			return LOG_VERDICT_SUPPRESSED;
		}
		queue->window_lines++;
	}
	if (queue->used == LOG_QUEUE_LINES) {
		queue->gap.lost++;
		return LOG_VERDICT_FULL;
	}
	return LOG_VERDICT_ADMITTED;
}

bool
log_queue_push(struct log_queue *queue, struct log_record *record)
{
	if (record == NULL || queue->used == LOG_QUEUE_LINES) {
		queue->gap.lost++;
		return false;
	}
	queue->slots[(queue->first + queue->used++) % LOG_QUEUE_LINES] = (struct log_slot){
		.record = record,
		.before = queue->gap,
	};
	queue->gap = (struct log_gap){ 0 };
	return true;
}

bool
log_queue_pop(struct log_queue *queue, int64_t now_ns, bool ending, struct log_gap *gap,
    struct log_record **ret_record)
{
	struct log_gap *before = &queue->gap;
	struct log_record *record = NULL;

	log_queue_roll(queue, now_ns, ending);
	if (queue->used > 0) {
		record = queue->slots[queue->first].record;
		before = &queue->slots[queue->first].before;
		queue->first = (queue->first + 1) % LOG_QUEUE_LINES;
		queue->used--;
	} else if (before->lost == 0 && before->suppressed == 0) {
		return false;
	}
	gap->lost += before->lost;
	gap->suppressed += before->suppressed;
	*before = (struct log_gap){ 0 };
	*ret_record = record;
	return true;
}

int64_t
log_queue_due_ns(const struct log_queue *queue)
{
	return queue->window_suppressed > 0 ? queue->window_ns + LOG_WINDOW_NS : 0;
}

size_t
log_queue_clear(struct log_queue *queue)
{
	size_t count = queue->used;

	for (; queue->used > 0; queue->used--) {
		log_record_free(queue->slots[queue->first].record);
		queue->first = (queue->first + 1) % LOG_QUEUE_LINES;
	}
	queue->gap = (struct log_gap){ 0 };
	queue->window_suppressed = 0;
	return count;
}
