/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "engine/counters.h"

#include <errno.h>
#include <stddef.h>

/* A row of a family with a label. */
#define ROW(KEY, LABEL, VALUE, HELP, ERROR) \
	{ \
		KEY, "echod_" KEY "_total", LABEL, VALUE, COUNTER_KIND_COUNTER, HELP, ERROR \
	}
#define ACCEPT_ROW(VALUE, ERROR) \
	ROW("accept_errors", "errno", VALUE, \
	    "Errors of accept(2), and of waiting for it, by errno.", ERROR)
#define RECEIVE_ROW(VALUE, ERROR) \
	ROW("datagram_receive_errors", "errno", VALUE, \
	    "Errors of reading datagrams or waiting for them, by errno.", ERROR)

static const struct counter_info counter_table[COUNTER_COUNT] = {
#define X(ID, key, metric, kind, help) \
	[COUNTER_##ID] = { #key, metric, NULL, NULL, COUNTER_KIND_##kind, help, 0 },
	PLAIN_COUNTER_LIST(X)
#undef X
#define X(ID, word, meaning) \
	[COUNTER_CLOSED_##ID] = ROW( \
	    "connections_closed", "reason", #word, "Connections that ended, by reason.", 0),
	    CLOSE_REASON_LIST(X)
#undef X
#define X(ID, word, meaning) \
	[COUNTER_REJECTED_##ID] = ROW("connections_rejected", "reason", #word, \
	    "Connections closed before a worker saw them, by reason.", 0),
		REJECT_REASON_LIST(X)
#undef X
#define X(ID) [COUNTER_ACCEPT_##ID] = ACCEPT_ROW(#ID, ID)
		    ACCEPT_ERROR_LIST(X),
#undef X
	[COUNTER_ACCEPT_OTHER] = ACCEPT_ROW("other", 0),
#define X(ID, word, meaning) \
	[COUNTER_DROPPED_##ID] = ROW("datagrams_dropped", "reason", #word, \
	    "Datagrams that were not echoed, by reason.", 0),
	DATAGRAM_DROP_LIST(X)
#undef X
#define X(ID) [COUNTER_RECEIVE_##ID] = RECEIVE_ROW(#ID, ID)
	    RECEIVE_ERROR_LIST(X),
#undef X
	[COUNTER_RECEIVE_OTHER] = RECEIVE_ROW("other", 0),
};

void
counters_sum(const struct counters *counters, struct counters_sum *sum)
{
	for (int i = 0; i < COUNTER_COUNT; i++)
		sum->values[i] += atomic_load_explicit(&counters->cells[i], memory_order_relaxed);
}

const struct counter_info *
counter_info(enum counter id)
{
	return &counter_table[id];
}

const char *
close_reason_name(enum close_reason reason)
{
	return reason != CLOSE_NONE ? counter_table[reason].value : "none";
}

enum counter
error_counter(enum counter other, int error)
{
	for (unsigned id = other - 1; counter_table[id].error != 0; id--) {
		if (counter_table[id].error == error)
			return (enum counter)id;
	}
	return other;
}
