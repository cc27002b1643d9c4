/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "echoping/window.h"

#include <errno.h>
#include <stdlib.h>

#define WINDOW_LEAST 1024

enum slot_state { SLOT_FREE, SLOT_OUT, SLOT_BACK, SLOT_GIVEN_UP };

/* Slot i holds the newest number that is i modulo the capacity. */
struct echoping_slot {
	int64_t start_ns;
	int64_t sent_ns;
	enum slot_state state;
};

static struct echoping_slot *
window_slot(struct echoping_window *window, uint64_t sequence)
{
	return &window->slots[sequence & window->mask];
}

int
echoping_window_init(struct echoping_window *window, uint32_t least)
{
	uint64_t capacity = WINDOW_LEAST;
	struct echoping_slot *slots;

	while (capacity < least)
		capacity *= 2;
	slots = calloc(capacity, sizeof(*slots));
	if (slots == NULL)
		return -ENOMEM;
	*window = (struct echoping_window){ .slots = slots, .mask = capacity - 1 };
	return 0;
}

void
echoping_window_done(struct echoping_window *window)
{
	free(window->slots);
}

static void
window_give_up(struct echoping_window *window, struct echoping_slot *slot)
{
	slot->state = SLOT_GIVEN_UP;
	window->outstanding--;
	window->lost++;
}

/* Keep `oldest` true: expiry and overrun look only there. */
static void
window_advance(struct echoping_window *window)
{
	while (
	    window->oldest < window->next && window_slot(window, window->oldest)->state != SLOT_OUT)
		window->oldest++;
}

uint64_t
echoping_window_add(struct echoping_window *window, int64_t start_ns, int64_t sent_ns)
{
	uint64_t sequence = window->next;
	struct echoping_slot *slot = window_slot(window, sequence);

	if (slot->state == SLOT_OUT) {
		window_give_up(window, slot);
		window_advance(window);
	}
	*slot = (struct echoping_slot){ start_ns, sent_ns, SLOT_OUT };
	window->next++;
	window->outstanding++;
	return sequence;
}

enum echoping_verdict
echoping_window_receive(struct echoping_window *window, uint64_t sequence, int64_t *ret_start_ns)
{
	struct echoping_slot *slot;

	if (sequence >= window->next)
		return ECHOPING_UNKNOWN;
	if (window->next - sequence > window->mask + 1) {
		window->late++;
		return ECHOPING_LATE;
	}
	slot = window_slot(window, sequence);
	if (slot->state == SLOT_BACK) {
		window->duplicates++;
		return ECHOPING_DUPLICATE;
	}
	if (slot->state != SLOT_OUT) {
		slot->state = SLOT_BACK;
		window->late++;
		return ECHOPING_LATE;
	}
	slot->state = SLOT_BACK;
	window->outstanding--;
	if (sequence < window->top)
		window->reordered++;
	else
		window->top = sequence + 1;
	if (sequence == window->oldest)
		window_advance(window);
	*ret_start_ns = slot->start_ns;
	return ECHOPING_MATCHED;
}

void
echoping_window_expire(struct echoping_window *window, int64_t before_ns)
{
	window_advance(window);
	while (window->oldest < window->next) {
		struct echoping_slot *slot = window_slot(window, window->oldest);

		if (slot->sent_ns >= before_ns)
			break;
		window_give_up(window, slot);
		window_advance(window);
	}
}
