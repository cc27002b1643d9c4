/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the daemon counts. The lists below name each counter once: the enum, the JSON keys, the
 * metric names, labels and help texts all come from them. A struct counters has one writer
 * (the thread that owns it) and any number of readers; totals are sums over many of them.
 */
#ifndef ECHOD_ENGINE_COUNTERS_H
#define ECHOD_ENGINE_COUNTERS_H

#include <stdatomic.h>
#include <stdint.h>

/* X(ID, word, what it means to an operator): the closed set of ways in which a connection ends. */
#define CLOSE_REASON_LIST(X) \
	X(CLIENT_FIN, client_fin, "the client closed, everything was echoed") \
	X(CLIENT_RESET, client_reset, "the client reset the connection") \
	X(IDLE_TIMEOUT, idle_timeout, "no byte either way for idle_timeout") \
	X(STALLED, stalled, "the client took none of its echo for stall_timeout") \
	X(TIMED_OUT, timed_out, "the client's machine did not answer any more") \
	X(LIFETIME, lifetime, "open for lifetime") \
	X(BYTE_LIMIT, byte_limit, "byte_limit bytes were echoed") \
	X(DRAIN, drain, "idle while the daemon drains or stops") \
	X(DRAIN_FORCED, drain_forced, "still busy when the daemon had to stop") \
	X(ADMIN, admin, "an operator closed it") \
	X(WRITE_ERROR, write_error, "the kernel refused a write") \
	X(READ_ERROR, read_error, "the kernel refused a read") \
	X(NO_MEMORY, no_memory, "the daemon was out of memory")

/* X(ID, word, meaning): why an accepted connection was closed before a worker saw it. */
#define REJECT_REASON_LIST(X) \
	X(LIMIT, limit, "limits.connections was reached") \
	X(LISTENER_LIMIT, listener_limit, "the listener's connections was reached") \
	X(NO_DESCRIPTORS, no_descriptors, "no descriptor was free")

/* X(errno): the errors of accept(2), and of waiting for it, that are told apart. */
#define ACCEPT_ERROR_LIST(X) \
	X(EMFILE), X(ENFILE), X(ENOBUFS), X(ENOMEM), X(ENOSPC), X(EINVAL), X(EPERM), X(EACCES), \
	    X(ECONNABORTED), X(EPROTO), X(ENETDOWN), X(ENETUNREACH), X(EHOSTDOWN), X(EHOSTUNREACH)

/* X(ID, word, meaning): why a datagram was not echoed. */
#define DATAGRAM_DROP_LIST(X) \
	X(SOURCE_PORT, source_port, "its source port is 0 or below min_source_port") \
	X(OWN_PORT, own_port, "it came from a port or a socket that the daemon serves itself") \
	X(REFLECTOR_PORT, reflector_port, "its source port is that of a service that answers") \
	X(SOURCE_MULTICAST, source_multicast, "its source is a multicast address") \
	X(SOURCE_BROADCAST, source_broadcast, "its source is a broadcast address") \
	X(SOURCE_SUBNET_BROADCAST, source_subnet_broadcast, \
	    "its source is the broadcast address of one of this machine's networks") \
	X(SOURCE_UNSPECIFIED, source_unspecified, "its source is no address") \
	X(SOURCE_MAPPED, source_mapped, "its source is an IPv4-mapped address in an IPv6 packet") \
	X(DESTINATION, destination, "it was not sent to a unicast address of this machine") \
	X(DENIED, denied, "its source is in deny") \
	X(NOT_ALLOWED, not_allowed, "its source is not in allow") \
	X(SOURCE_RATE, source_rate, "its source was over rate_per_source") \
	X(TOTAL_RATE, total_rate, "the listener was over rate_total") \
	X(BUDGET, budget, "its source had used up budget_per_source") \
	X(TRUNCATED, truncated, "it was larger than any datagram that is echoed") \
	X(UNNAMED, unnamed, "its UNIX socket has no name to answer to, or a relative one") \
	X(SEND_FULL, send_full, "the kernel had no room for the answer") \
	X(SEND_REFUSED, send_refused, "a firewall or a permission forbade the answer") \
	X(SEND_UNREACHABLE, send_unreachable, "nothing leads to its source") \
	X(SEND_ERROR, send_error, "the answer failed in another way")

/* X(errno): the errors of reading datagrams that are told apart. */
#define RECEIVE_ERROR_LIST(X) \
	X(ECONNREFUSED), X(EINVAL), X(EIO), X(ENOBUFS), X(ENOMEM), X(ENOSPC), X(EPERM), X(ESHUTDOWN)

/* X(ID, key, metric, kind, help): the counters without a label but listener. */
#define PLAIN_COUNTER_LIST(X) \
	X(CONNECTIONS_ACCEPTED, connections_accepted, "echod_connections_accepted_total", COUNTER, \
	    "Connections accepted and handed to a worker.") \
	X(RECEIVED_BYTES, received_bytes, "echod_received_bytes_total", COUNTER, \
	    "Bytes read from clients to be echoed.") \
	X(SENT_BYTES, sent_bytes, "echod_sent_bytes_total", COUNTER, \
	    "Echoed bytes that the kernel took.") \
	X(READ_PAUSES, read_pauses, "echod_read_pauses_total", COUNTER, \
	    "Times that reading stopped because a client did not take its echo.") \
	X(PENDING_BYTES, pending_bytes, "echod_pending_bytes", GAUGE, \
	    "Bytes read and not yet taken by the kernel.") \
	X(DATAGRAMS_RECEIVED, datagrams_received, "echod_datagrams_received_total", COUNTER, \
	    "Datagrams read.") \
	X(DATAGRAMS_SENT, datagrams_sent, "echod_datagrams_sent_total", COUNTER, \
	    "Datagrams echoed.")

/* Every counter there is, one cell each in a struct counters. */
enum counter {
#define X(ID, ...) COUNTER_##ID,
	PLAIN_COUNTER_LIST(X)
#undef X
#define X(ID, ...) COUNTER_CLOSED_##ID,
	    CLOSE_REASON_LIST(X)
#undef X
#define X(ID, ...) COUNTER_REJECTED_##ID,
		REJECT_REASON_LIST(X)
#undef X
#define X(ID) COUNTER_ACCEPT_##ID
		    ACCEPT_ERROR_LIST(X),
#undef X
	COUNTER_ACCEPT_OTHER,
#define X(ID, ...) COUNTER_DROPPED_##ID,
	DATAGRAM_DROP_LIST(X)
#undef X
#define X(ID) COUNTER_RECEIVE_##ID
	    RECEIVE_ERROR_LIST(X),
#undef X
	COUNTER_RECEIVE_OTHER,
	COUNTER_COUNT,
};

/* A reason is the number of the counter that counts it. */
enum close_reason {
#define X(ID, ...) CLOSE_##ID = COUNTER_CLOSED_##ID,
	CLOSE_REASON_LIST(X)
#undef X
	    CLOSE_NONE = COUNTER_COUNT, /* not ending yet */
};

enum datagram_drop {
#define X(ID, ...) DATAGRAM_##ID = COUNTER_DROPPED_##ID,
	DATAGRAM_DROP_LIST(X)
#undef X
	    DATAGRAM_PASS = COUNTER_COUNT, /* echoed */
};

enum counter_kind {
	COUNTER_KIND_COUNTER, /* only grows */
	COUNTER_KIND_GAUGE,   /* goes both ways */
};

/* One row of the table behind the lists. Rows of one family follow each other. */
struct counter_info {
	const char *key;    /* JSON member; of the family when there is a label */
	const char *metric; /* Prometheus name */
	const char *label;  /* "reason", "errno" or NULL */
	const char *value;  /* the label's value, NULL without a label */
	enum counter_kind kind;
	const char *help;
	int error; /* with the label "errno"; 0: all others, and the last of its family */
};

/* Cells of one owner. Readers may see a sum that is a moment old, never a torn one. */
struct counters {
	_Atomic uint64_t cells[COUNTER_COUNT];
};

/* A sum of many owners' cells, for one reader. */
struct counters_sum {
	uint64_t values[COUNTER_COUNT];
};

/*
 * Add N (two's complement, so that gauges can go down) to counter ID, below COUNTER_COUNT: a reason
 * counts under its own number, CLOSE_NONE and DATAGRAM_PASS have no counter.
 * The owner only: no locked instruction.
 */
static inline void
counters_add(struct counters *counters, unsigned id, uint64_t n)
{
	uint64_t value = atomic_load_explicit(&counters->cells[id], memory_order_relaxed);

	atomic_store_explicit(&counters->cells[id], value + n, memory_order_relaxed);
}

/* Add COUNTERS to SUM. Any thread. */
void counters_sum(const struct counters *counters, struct counters_sum *sum);

/* Return the table's row for ID. */
const struct counter_info *counter_info(enum counter id);

/* Return the word for REASON as in logs, JSON and metrics, "none" for CLOSE_NONE. */
const char *close_reason_name(enum close_reason reason);

/* Return the counter for ERROR (an errno value) of the family whose last one is OTHER. */
enum counter error_counter(enum counter other, int error);

#endif
