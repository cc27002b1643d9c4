/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "engine/datagram/drops.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/attributes.h"
#include "base/clock.h"
#include "base/log.h"

/* A line is due so long after drops began: before that there is little to tell. */
#define FIRST_NS (4 * NS_PER_S)

/* At most one line in a minute, but for what a timer may be early; fewer drops are forgotten. */
#define PERIOD_NS (60 * NS_PER_S - 500 * NS_PER_MS)

/* Fewer than this in a period are strays, which every network has. */
#define WORTH_A_LINE 10

/* Room for all reasons with their numbers. */
#define TEXT_MAX 1024

static const enum datagram_drop drop_reasons[] = {
#define X(ID, ...) DATAGRAM_##ID,
	DATAGRAM_DROP_LIST(X)
#undef X
};

#define REASON_COUNT ARRAY_SIZE(drop_reasons)

/* How many datagrams were dropped for one reason. */
struct drop_share {
	enum datagram_drop reason;
	uint64_t count;
};

/* What the operator has ordered, or what was sent to a whole network: no reason to look. */
static bool
drop_is_ordinary(enum datagram_drop reason)
{
	return reason == DATAGRAM_DENIED || reason == DATAGRAM_NOT_ALLOWED ||
	       reason == DATAGRAM_DESTINATION;
}

static int
drop_share_compare(const void *one, const void *two)
{
	const struct drop_share *a = one, *b = two;

	return (a->count < b->count) - (a->count > b->count);
}

/* Fill in SHARES, REASON_COUNT of them; returns the sum of those that are not ordinary. */
static uint64_t
drops_share_out(
    const struct drops *drops, const struct counters_sum *counted, struct drop_share *shares)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < REASON_COUNT; i++) {
		enum datagram_drop reason = drop_reasons[i];
		uint64_t count = counted->values[reason] - drops->before.values[reason];

		shares[i] = (struct drop_share){ reason, count };
		if (!drop_is_ordinary(reason))
			sum += count;
	}
	return sum;
}

/* Write SHARES, most first, as "N of them REASON, N REASON". */
static void
drops_print(const struct drop_share *shares, char *buffer, size_t size)
{
	size_t used = 0;

	for (size_t i = 0; i < REASON_COUNT && shares[i].count > 0 && used < size; i++)
		used += (size_t)snprintf(buffer + used, size - used,
		    i == 0 ? "%" PRIu64 " of them %s" : ", %" PRIu64 " %s", shares[i].count,
		    counter_info((enum counter)shares[i].reason)->value);
}

static void
drops_tell(const struct drops *drops, const char *listener, const struct counters_sum *counted,
    struct drop_share *shares, int64_t now_ns)
{
	int64_t seconds = (now_ns - drops->since_ns + NS_PER_S / 2) / NS_PER_S;
	uint64_t received = counted->values[COUNTER_DATAGRAMS_RECEIVED] -
			    drops->before.values[COUNTER_DATAGRAMS_RECEIVED];
	uint64_t dropped = 0;
	char text[TEXT_MAX];
	struct log_field fields[5];

	qsort(shares, REASON_COUNT, sizeof(*shares), drop_share_compare);
	drops_print(shares, text, sizeof(text));
	for (size_t i = 0; i < REASON_COUNT; i++)
		dropped += shares[i].count;
	fields[0] = LOG_TEXT("listener", listener);
	fields[1] = LOG_TEXT("reason", counter_info((enum counter)shares[0].reason)->value);
	fields[2] = LOG_NUMBER("dropped", dropped);
	fields[3] = LOG_NUMBER("received", received);
	fields[4] = LOG_NUMBER("seconds", seconds);
	log_fields(LOG_LEVEL_WARNING, fields, ARRAY_SIZE(fields),
	    "%s: %" PRIu64 " datagrams dropped in %" PRId64 " s, %s", listener, dropped, seconds,
	    text);
}

bool
drops_look(
    struct drops *drops, const char *listener, const struct counters_sum *counted, int64_t now_ns)
{
	struct drop_share shares[REASON_COUNT];
	uint64_t count = drops_share_out(drops, counted, shares);
	int64_t age_ns;
	bool due;

	/* they began after the look before */
	if (drops->since_ns == 0 && count > 0)
		drops->since_ns = drops->looked_ns != 0 ? drops->looked_ns : now_ns;
	drops->looked_ns = now_ns;
	age_ns = drops->since_ns != 0 ? now_ns - drops->since_ns : 0;
	due = count >= WORTH_A_LINE && age_ns >= FIRST_NS &&
	      (drops->told_ns == 0 || now_ns - drops->told_ns >= PERIOD_NS);
	if (due) {
		drops_tell(drops, listener, counted, shares, now_ns);
		drops->told_ns = now_ns;
	}
	/* what comes after a line belongs to the next one */
	if (due || drops->since_ns == 0 || age_ns >= PERIOD_NS) {
		drops->since_ns = due ? now_ns : 0;
		drops->before = *counted;
	}
	return due;
}
