/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The one table of directives. Parsing, range checks, defaults, -T, the comparison at a reload,
 * and the lint that compares etc/echod.conf and echod.conf(5) all read it.
 */
#include <config.h>

#include "base/clock.h"
#include "base/log.h"
#include "config/configuration.h"
#include "config/directive.h"

#define KIB INT64_C(1024)
#define GIB (INT64_C(1) << 30)
#define PIB (INT64_C(1) << 50)
#define HOUR (3600 * NS_PER_S)
#define YEAR (365 * 24 * HOUR)
#define PATH_BYTES 4095 /* PATH_MAX without its NUL */

/* One row each; STRUCT is the section's struct, KEY both the field and the key in the file. */
#define ROW(STRUCT, KEY, TYPE, EFFECT, DEFAULT, HELP) \
	.key = #KEY, .type = DIRECTIVE_##TYPE, .effect = DIRECTIVE_##EFFECT, \
	.offset = offsetof(struct STRUCT, KEY), .default_text = DEFAULT, .help = HELP
#define NUMBER(STRUCT, KEY, TYPE, EFFECT, MINIMUM, MAXIMUM, DEFAULT, HELP) \
	ROW(STRUCT, KEY, TYPE, EFFECT, DEFAULT, HELP), .minimum = MINIMUM, .maximum = MAXIMUM
#define WORD(STRUCT, KEY, EFFECT, WORDS, DEFAULT, HELP) \
	ROW(STRUCT, KEY, WORD, EFFECT, DEFAULT, HELP), .words = WORDS

static const struct directive_word log_levels[] = {
	{ "error", LOG_LEVEL_ERROR },
	{ "warning", LOG_LEVEL_WARNING },
	{ "notice", LOG_LEVEL_NOTICE },
	{ "info", LOG_LEVEL_INFO },
	{ "debug", LOG_LEVEL_DEBUG },
	{ NULL, 0 },
};

static const struct directive_word log_targets[] = {
	{ "auto", CONFIG_LOG_AUTO },
	{ "stderr", LOG_TARGET_STDERR },
	{ "journal", LOG_TARGET_JOURNAL },
	{ "syslog", LOG_TARGET_SYSLOG },
	{ "file", LOG_TARGET_FILE },
	{ NULL, 0 },
};

static const struct directive_word log_formats[] = {
	{ "text", LOG_FORMAT_TEXT },
	{ "json", LOG_FORMAT_JSON },
	{ NULL, 0 },
};

static const struct directive_word log_connections[] = {
	{ "off", CONFIG_LOG_CONNECTIONS_OFF },
	{ "errors", CONFIG_LOG_CONNECTIONS_ERRORS },
	{ "close", CONFIG_LOG_CONNECTIONS_CLOSE },
	{ "all", CONFIG_LOG_CONNECTIONS_ALL },
	{ NULL, 0 },
};

static const struct directive top_rows[] = {
	{ NUMBER(config, workers, COUNT, RESTART, 0, CONFIG_WORKERS_MAX, "0",
	    "Worker threads; 0 starts one per CPU.") },
};

static const struct directive listener_rows[] = {
	{ ROW(listener_config, name, NAME, LIVE, NULL,
	    "Name in logs and metrics, and FileDescriptorName= of an inherited socket.") },
	{ .key = "address",
	    .type = DIRECTIVE_ADDRESS,
	    .effect = DIRECTIVE_LIVE,
	    .offset = offsetof(struct listener_config, address_text),
	    .address_offset = offsetof(struct listener_config, address),
	    .help = "Where to listen: tcp:// or udp:// with HOST:PORT, unix: or unixgram: with "
		    "/PATH or @NAME; HOST is numeric or *." },
	{ ROW(listener_config, enabled, BOOLEAN, LIVE, "true",
	    "Whether the listener is served; false keeps its settings without a socket.") },
	{ NUMBER(listener_config, backlog, COUNT, LIVE, 1, 65535, "4096",
	      "Connections that the kernel may queue; net.core.somaxconn caps it."),
	    .suits = DIRECTIVE_STREAM },
	{ ROW(listener_config, v6only, BOOLEAN, RESTART, "false",
	      "Whether an IPv6 listener refuses IPv4 clients."),
	    .suits = DIRECTIVE_IPV6 },
	{ ROW(listener_config, freebind, BOOLEAN, RESTART, "false",
	      "Whether to bind an address that the machine does not have yet."),
	    .suits = DIRECTIVE_IP },
	{ ROW(listener_config, nodelay, BOOLEAN, NEW_CONNECTIONS, "true",
	      "Whether small echoes leave at once (TCP_NODELAY)."),
	    .suits = DIRECTIVE_TCP },
	{ NUMBER(listener_config, dscp, COUNT, NEW_CONNECTIONS, 0, 63, "0",
	      "Differentiated services code point of what is sent."),
	    .suits = DIRECTIVE_IP },
	{ NUMBER(listener_config, mss, COUNT, NEW_CONNECTIONS, 88, 65495, "0",
	      "Largest TCP segment in bytes; 0 leaves it to the kernel."),
	    .suits = DIRECTIVE_TCP, .zero = true },
	{ NUMBER(listener_config, keepalive, DURATION, NEW_CONNECTIONS, 0, 32767 * NS_PER_S, "2m",
	      "Silence after which TCP asks whether the peer is still there; 0s for never."),
	    .suits = DIRECTIVE_TCP },
	{ NUMBER(listener_config, mode, MODE, LIVE, 0, 0777, "0660",
	      "Permission bits of a UNIX socket's file."),
	    .suits = DIRECTIVE_FILE },
	{ NUMBER(listener_config, group, STRING, LIVE, 0, 255, "",
	      "Group that owns a UNIX socket's file; empty for the daemon's own."),
	    .suits = DIRECTIVE_FILE },
	{ NUMBER(listener_config, connections, COUNT, LIVE, 0, 1000000, "0",
	      "Most connections at a time on this listener; 0 leaves it to limits.connections."),
	    .suits = DIRECTIVE_STREAM },
	{ NUMBER(listener_config, idle_timeout, DURATION, LIVE, 0, YEAR, "10m",
	      "Time without traffic after which a connection is closed; 0s for never."),
	    .suits = DIRECTIVE_STREAM },
	{ NUMBER(listener_config, lifetime, DURATION, LIVE, 0, YEAR, "0s",
	      "Longest life of a connection; 0s for no limit."),
	    .suits = DIRECTIVE_STREAM },
	{ NUMBER(listener_config, byte_limit, SIZE, NEW_CONNECTIONS, 0, PIB, "0B",
	      "Most bytes taken from a connection before it is closed; 0B for no limit."),
	    .suits = DIRECTIVE_STREAM },
	{ NUMBER(listener_config, min_source_port, COUNT, LIVE, 0, 65535, "1024",
	      "Lowest source port that is answered; lower ones belong to services that could "
	      "answer back."),
	    .suits = DIRECTIVE_UDP },
	{ NUMBER(listener_config, rate_per_source, COUNT, LIVE, 0, 10000000, "200",
	      "Datagrams echoed per second to one source, an IPv4 address or an IPv6 /64; 0 for no "
	      "limit."),
	    .suits = DIRECTIVE_UDP },
	{ NUMBER(listener_config, burst_per_source, COUNT, LIVE, 1, 10000000, "400",
	      "Datagrams echoed at once to one source that was quiet before rate_per_source "
	      "counts."),
	    .suits = DIRECTIVE_UDP },
	{ NUMBER(listener_config, rate_total, COUNT, LIVE, 0, 100000000, "50000",
	      "Datagrams echoed per second over all sources of the listener; 0 for no limit."),
	    .suits = DIRECTIVE_DATAGRAM },
	{ NUMBER(listener_config, budget_per_source, COUNT, LIVE, 0, 1000000000, "10000",
	      "Echoes to one source after each of which one datagram is dropped, which ends a loop "
	      "between two services however slow; 0 for none."),
	    .suits = DIRECTIVE_DATAGRAM },
	{ NUMBER(listener_config, allow, NETWORKS, LIVE, 0, 256, "( )",
	      "Networks whose datagrams are echoed, all others being denied; empty for all."),
	    .suits = DIRECTIVE_UDP },
	{ NUMBER(listener_config, deny, NETWORKS, LIVE, 0, 256, "( )",
	      "Networks whose datagrams are dropped, even where allow names them too."),
	    .suits = DIRECTIVE_UDP },
};

static const struct directive limits_rows[] = {
	{ NUMBER(limits_config, connections, COUNT, LIVE, 1, 1000000, "10000",
	    "Most connections at a time over all listeners; one more is closed at once.") },
	{ NUMBER(limits_config, output_high, SIZE, LIVE, 4 * KIB, GIB, "256KiB",
	    "Bytes waiting for a peer at which reading from it stops.") },
	{ NUMBER(limits_config, output_low, SIZE, LIVE, 0, GIB, "64KiB",
	    "Bytes waiting for a peer at which reading goes on; must be below output_high.") },
	{ NUMBER(limits_config, stall_timeout, DURATION, LIVE, 0, YEAR, "60s",
	    "Time without progress of waiting output after which a peer is cut; 0s for never.") },
	{ NUMBER(limits_config, linger_timeout, DURATION, LIVE, NS_PER_MS, 600 * NS_PER_S, "5s",
	    "Time that a closing connection waits for the peer's end after ours.") },
};

static const struct directive log_rows[] = {
	{ WORD(log_config, level, LIVE, log_levels, "info", "Least important level to log.") },
	{ WORD(log_config, target, LIVE, log_targets, "auto",
	    "Where the log goes; auto is the journal under systemd, else stderr.") },
	{ WORD(log_config, format, LIVE, log_formats, "text",
	    "Form of a line on stderr, in syslog and in a file.") },
	{ NUMBER(log_config, file, STRING, LIVE, 0, PATH_BYTES, "",
	    "Absolute path of the log file, for target file.") },
	{ NUMBER(log_config, mode, MODE, LIVE, 0, 0777, "0640",
	    "Permission bits of a log file that is made; one that is there keeps its own.") },
	{ WORD(log_config, connections, LIVE, log_connections, "errors",
	    "Which connections get a line of their own.") },
	{ NUMBER(log_config, rate_limit, COUNT, LIVE, 0, 1000000, "200",
	    "Most lines per second; the rest is counted. 0 for no limit.") },
};

static const struct directive control_rows[] = {
	{ ROW(control_config, http, HOST_PORT, RESTART, "127.0.0.1:9862",
	      "Address of the control port, HOST:PORT; empty for none."),
	    .address_offset = offsetof(struct control_config, http_address) },
	{ NUMBER(control_config, http_hosts, HOSTS, LIVE, 0, 32, "( )",
	    "Names and addresses that clients may call the control port by, besides localhost.") },
	{ NUMBER(control_config, socket, STRING, RESTART, 0, 107, "auto",
	    "Path of the control socket; auto for the usual place, empty for none.") },
	{ NUMBER(control_config, mode, MODE, RESTART, 0, 0777, "0660",
	    "Permission bits of the control socket's file.") },
	{ NUMBER(control_config, group, STRING, RESTART, 0, 255, "",
	    "Group that owns the control socket's file; empty for the daemon's own.") },
	{ NUMBER(control_config, clients, COUNT, LIVE, 1, 1024, "64",
	    "Most clients of the control port, and of the control socket, at a time.") },
	{ NUMBER(control_config, timeout, DURATION, LIVE, 100 * NS_PER_MS, 600 * NS_PER_S, "5s",
	    "Time for one request to the control port, start to end.") },
};

static const struct directive shutdown_rows[] = {
	{ NUMBER(shutdown_config, delay, DURATION, LIVE, 0, 24 * HOUR, "0s",
	    "Time to go on accepting after a stop was asked for and /readyz turned 503.") },
	{ NUMBER(shutdown_config, timeout, DURATION, LIVE, 0, 24 * HOUR, "30s",
	    "Time for open connections to end by themselves before the rest is cut.") },
	{ NUMBER(shutdown_config, idle_grace, DURATION, LIVE, 0, 24 * HOUR, "1s",
	    "Time without traffic after which a drain closes a connection.") },
};

static const struct directive_table tables[CONFIG_SECTIONS] = {
	[CONFIG_TOP] = { "", 0, top_rows, ARRAY_SIZE(top_rows) },
	[CONFIG_LISTENERS] = { "listeners", 0, listener_rows, ARRAY_SIZE(listener_rows) },
	[CONFIG_LIMITS] = { "limits", offsetof(struct config, limits), limits_rows,
	    ARRAY_SIZE(limits_rows) },
	[CONFIG_LOG] = { "log", offsetof(struct config, log), log_rows, ARRAY_SIZE(log_rows) },
	[CONFIG_CONTROL] = { "control", offsetof(struct config, control), control_rows,
	    ARRAY_SIZE(control_rows) },
	[CONFIG_SHUTDOWN] = { "shutdown", offsetof(struct config, shutdown), shutdown_rows,
	    ARRAY_SIZE(shutdown_rows) },
};

_Static_assert(
    ARRAY_SIZE(listener_rows) <= CONFIG_SECTION_MAX, "the table of origins is too small");

const struct directive_table *
directive_table(enum config_section section)
{
	return &tables[section];
}

void *
directive_base(const struct config *config, enum config_section section)
{
	/* one function for readers and for the builder, as strchr(3) does it */
	return section == CONFIG_LISTENERS ? NULL
					   : (char *)(uintptr_t)config + tables[section].offset;
}
