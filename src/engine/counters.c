/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "engine/counters.h"

#include <errno.h>
#include <stddef.h>

static const struct counter_info counter_table[COUNTER_COUNT] = {
#define X(ID, key, metric, kind, help) \
	[COUNTER_##ID] = { #key, metric, NULL, NULL, COUNTER_KIND_##kind, help },
	PLAIN_COUNTER_LIST(X)
#undef X
#define X(ID, word, meaning) \
	[COUNTER_CLOSED_##ID] = { "connections_closed", "echod_connections_closed_total", \
		"reason", #word, COUNTER_KIND_COUNTER, "Connections that ended, by reason." },
	    CLOSE_REASON_LIST(X)
#undef X
#define X(ID, word, meaning) \
	[COUNTER_REJECTED_##ID] = { "connections_rejected", "echod_connections_rejected_total", \
		"reason", #word, COUNTER_KIND_COUNTER, \
		"Connections closed before a worker saw them, by reason." },
		REJECT_REASON_LIST(X)
#undef X
#define X(ID, word) \
	[COUNTER_ACCEPT_##ID] = { "accept_errors", "echod_accept_errors_total", "errno", #word, \
		COUNTER_KIND_COUNTER, "Errors of accept(2), and of waiting for it, by errno." },
		    ACCEPT_ERROR_LIST(X)
#undef X
#define X(ID, word, meaning) \
	[COUNTER_DROPPED_##ID] = { "datagrams_dropped", "echod_datagrams_dropped_total", "reason", \
		#word, COUNTER_KIND_COUNTER, "Datagrams that were not echoed, by reason." },
			DATAGRAM_DROP_LIST(X)
#undef X
#define RECEIVE_ROW(word) \
	{ \
		"datagram_receive_errors", "echod_datagram_receive_errors_total", "errno", word, \
		    COUNTER_KIND_COUNTER, \
		    "Errors of reading datagrams or waiting for them, by errno." \
	}
#define X(ID) [COUNTER_RECEIVE_##ID] = RECEIVE_ROW(#ID),
			    RECEIVE_ERROR_LIST(X)
#undef X
				[COUNTER_RECEIVE_OTHER] = RECEIVE_ROW("other"),
};

static const char *const close_reason_words[CLOSE_REASON_COUNT] = {
#define X(ID, word, meaning) [CLOSE_##ID] = #word,
	CLOSE_REASON_LIST(X)
#undef X
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
	return reason < CLOSE_REASON_COUNT ? close_reason_words[reason] : "none";
}

enum counter
close_reason_counter(enum close_reason reason)
{
	return (enum counter)(COUNTER_CLOSED_CLIENT_FIN + (int)reason);
}

enum counter
reject_reason_counter(enum reject_reason reason)
{
	return (enum counter)(COUNTER_REJECTED_LIMIT + (int)reason);
}

enum counter
datagram_drop_counter(enum datagram_drop drop)
{
	return (enum counter)(COUNTER_DROPPED_SOURCE_PORT + (int)drop);
}

enum counter
accept_error_counter(int error)
{
	switch (error) {
#define OTHER 0 /* no errno: its row is the default's */
#define X(ID, word) \
	case ID: \
		return COUNTER_ACCEPT_##ID;
		ACCEPT_ERROR_LIST(X)
#undef X
#undef OTHER
	default:
		return COUNTER_ACCEPT_OTHER;
	}
}

enum counter
receive_error_counter(int error)
{
	switch (error) {
#define X(ID) \
	case ID: \
		return COUNTER_RECEIVE_##ID;
		RECEIVE_ERROR_LIST(X)
#undef X
	default:
		return COUNTER_RECEIVE_OTHER;
	}
}
