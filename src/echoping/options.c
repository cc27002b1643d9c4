/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "echoping/options.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "client/option_value.h"
#include "echoping/payload.h"

#define DATAGRAM_SIZE_MAX 65507
#define SIZE_DEFAULT 56
#define PING_COUNT_DEFAULT 10
#define LOAD_DURATION_DEFAULT (10 * NS_PER_S)
#define TIMEOUT_DEFAULT (5 * NS_PER_S)
/* A lost datagram occupies the pipeline until then. */
#define DATAGRAM_LOAD_TIMEOUT_DEFAULT (1 * NS_PER_S)
/* Deep enough that the rate alone decides when a message is sent. */
#define OPEN_LOOP_PIPELINE_DEFAULT 1024
/* Connections times pipeline: 8 bytes each. */
#define IN_FLIGHT_MAX (4 << 20)

/* What stands in for a value until it is given or defaults, where 0 is a value. */
#define COUNT_UNSET UINT64_MAX
#define DURATION_UNSET (-1)

enum option_take {
	TAKE_NUMBER,   /* a whole number for a uint64_t */
	TAKE_DURATION, /* for an int64_t */
	TAKE_SIZE,
	TAKE_INT, /* the same for an int */
	TAKE_SOURCE,
	TAKE_PMTU,
	TAKE_FLAG, /* no value: sets a bool; the rest sets what the row has as `least` */
	TAKE_FAMILY,
	TAKE_OUTPUT,
	TAKE_ACTION,
};

/* Options without a letter. */
enum option_word {
	WORD_JSON = 256,
	WORD_JSON_LINES,
	WORD_CSV,
	WORD_BURST,
	WORD_CHURN,
	WORD_IDLE,
	WORD_SAMPLE,
	WORD_DSCP,
	WORD_TTL,
	WORD_NO_RECONNECT,
	WORD_SPREAD,
	WORD_TIMESTAMPS,
	WORD_UNTIL_UP,
};

#define FIELD(name) offsetof(struct echoping_options, name)

static const struct option_row {
	const char *name;
	int letter; /* or enum option_word */
	enum option_take take;
	size_t field;        /* offset in struct echoping_options */
	int64_t least, most; /* of the value */
	bool load;           /* only the load form has it, so it makes one */
} rows[] = {
	{ "connections", 'c', TAKE_NUMBER, FIELD(connections), 1, 1000000, true },
	{ "size", 's', TAKE_SIZE, FIELD(size), 1, INT64_C(16) << 20, false },
	{ "pipeline", 'p', TAKE_NUMBER, FIELD(pipeline), 1, 65536, true },
	{ "duration", 'd', TAKE_DURATION, FIELD(duration_ns), 0, 365 * 86400 * NS_PER_S, true },
	{ "count", 'n', TAKE_NUMBER, FIELD(count), 0, INT64_C(1) << 40, false },
	{ "rate", 'r', TAKE_NUMBER, FIELD(rate), 1, 100000000, true },
	{ "threads", 't', TAKE_NUMBER, FIELD(threads), 1, 256, true },
	{ "interval", 'i', TAKE_DURATION, FIELD(interval_ns), NS_PER_MS, 86400 * NS_PER_S, false },
	{ "timeout", 'w', TAKE_DURATION, FIELD(timeout_ns), NS_PER_MS, 3600 * NS_PER_S, false },
	{ "ipv4", '4', TAKE_FAMILY, FIELD(family), AF_INET, 0, false },
	{ "ipv6", '6', TAKE_FAMILY, FIELD(family), AF_INET6, 0, false },
	{ "source", 'I', TAKE_SOURCE, FIELD(socket.source), 0, 0, false },
	{ "dscp", WORD_DSCP, TAKE_INT, FIELD(socket.dscp), 0, 63, false },
	{ "ttl", WORD_TTL, TAKE_INT, FIELD(socket.ttl), 1, 255, false },
	{ "pmtudisc", 'M', TAKE_PMTU, FIELD(socket.pmtu), 0, 0, false },
	{ "no-reconnect", WORD_NO_RECONNECT, TAKE_FLAG, FIELD(no_reconnect), 0, 0, false },
	{ "timestamps", WORD_TIMESTAMPS, TAKE_FLAG, FIELD(timestamps), 0, 0, false },
	{ "spread", WORD_SPREAD, TAKE_FLAG, FIELD(spread), 0, 0, false },
	{ "until-up", WORD_UNTIL_UP, TAKE_FLAG, FIELD(until_up), 0, 0, false },
	{ "print-time", 'D', TAKE_FLAG, FIELD(stamps), 0, 0, false },
	{ "quiet", 'q', TAKE_FLAG, FIELD(quiet), 0, 0, false },
	{ "version", 'V', TAKE_ACTION, FIELD(action), ECHOPING_VERSION, 0, false },
	{ "help", 'h', TAKE_ACTION, FIELD(action), ECHOPING_HELP, 0, false },
	{ "json", WORD_JSON, TAKE_OUTPUT, FIELD(output), ECHOPING_JSON, 0, false },
	{ "json-lines", WORD_JSON_LINES, TAKE_OUTPUT, FIELD(output), ECHOPING_JSON_LINES, 0,
	    false },
	{ "csv", WORD_CSV, TAKE_OUTPUT, FIELD(output), ECHOPING_CSV, 0, false },
	{ "burst", WORD_BURST, TAKE_FLAG, FIELD(burst), 0, 0, true },
	{ "churn", WORD_CHURN, TAKE_FLAG, FIELD(churn), 0, 0, true },
	{ "idle", WORD_IDLE, TAKE_NUMBER, FIELD(idle), 0, 1000000, true },
	{ "sample", WORD_SAMPLE, TAKE_NUMBER, FIELD(sample), 1, 65536, true },
};

static const char short_options[] = "c:s:p:d:n:r:t:i:w:I:M:46DqVh";

/* Fill the table of getopt_long(3), which ends with a row of zeros. */
static void
options_list(struct option *ret_table)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		ret_table[i] = (struct option){ rows[i].name,
			rows[i].take < TAKE_FLAG ? required_argument : no_argument, NULL,
			rows[i].letter };
}

/* A whole number in the range of the option; 0 with an error added otherwise. */
static uint64_t
options_number(const struct option_row *row, const char *text, struct error_list *errors)
{
	/* strtoull(3) would also take spaces and a sign; what is too large it makes the largest */
	bool digits = *text != '\0' && text[strspn(text, "0123456789")] == '\0';
	uint64_t number = digits ? strtoull(text, NULL, 10) : 0;
	char range[80];

	if (digits && number >= (uint64_t)row->least && number <= (uint64_t)row->most)
		return number;
	(void)snprintf(range, sizeof(range), "is not a whole number from %" PRId64 " to %" PRId64,
	    row->least, row->most);
	option_value_refuse(errors, row->name, text, range);
	return 0;
}

/* A bare number is bytes. Narrower limits of the transport are checked later. */
static size_t
options_size(const struct option_row *row, const char *text, struct error_list *errors)
{
	const char *error;
	int64_t bytes;

	if (*text != '\0' && text[strspn(text, "0123456789")] == '\0')
		return (size_t)options_number(row, text, errors);
	if (units_parse_size(text, &bytes, &error) == 0) {
		if (bytes >= row->least && bytes <= row->most)
			return (size_t)bytes;
		error = "is not from 1B to 16MiB";
	}
	option_value_refuse(errors, row->name, text, error);
	return 0;
}

/* An address of this machine, without a port. */
static struct address
options_source(const struct option_row *row, const char *text, struct error_list *errors)
{
	const struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV };
	struct address address = { .length = 0 };
	struct addrinfo *found;

	if (getaddrinfo(text, "0", &hints, &found) != 0) {
		option_value_refuse(errors, row->name, text,
		    "is no address (write one of this machine's, such as 192.0.2.1)");
		return address;
	}
	memcpy(&address.u, found->ai_addr, found->ai_addrlen);
	address.length = found->ai_addrlen;
	freeaddrinfo(found);
	return address;
}

/* The words of ping(8), and of ip(7) what they stand for. */
static int
options_pmtu(const struct option_row *row, const char *text, struct error_list *errors)
{
	static const struct {
		const char *word;
		int value;
	} words[] = {
		{ "do", IP_PMTUDISC_DO },
		{ "want", IP_PMTUDISC_WANT },
		{ "dont", IP_PMTUDISC_DONT },
		{ "probe", IP_PMTUDISC_PROBE },
	};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strcmp(words[i].word, text) == 0)
			return words[i].value;
	option_value_refuse(errors, row->name, text, "is not do, want, dont or probe");
	return -1;
}

static void
options_take(struct echoping_options *options, const struct option_row *row, const char *text,
    struct error_list *errors)
{
	void *field = (char *)options + row->field;

	switch (row->take) {
	case TAKE_FLAG:
		*(bool *)field = true;
		break;
	case TAKE_NUMBER:
		*(uint64_t *)field = options_number(row, text, errors);
		break;
	case TAKE_INT:
		*(int *)field = (int)options_number(row, text, errors);
		break;
	case TAKE_SOURCE:
		options->socket.source = options_source(row, text, errors);
		break;
	case TAKE_PMTU:
		*(int *)field = options_pmtu(row, text, errors);
		break;
	case TAKE_DURATION:
		*(int64_t *)field = option_value_duration(
		    errors, row->name, text, row->least, row->most);
		break;
	case TAKE_SIZE:
		options->size = options_size(row, text, errors);
		break;
	case TAKE_FAMILY:
		options->family = (int)row->least;
		break;
	case TAKE_OUTPUT:
		if (options->output != ECHOPING_HUMAN && options->output != row->least)
			error_list_add(errors, "--json, --json-lines and --csv do not go together");
		options->output = (enum echoping_output)row->least;
		break;
	case TAKE_ACTION:
		options->action = (enum echoping_action)row->least;
		break;
	}
	if (row->load)
		options->action = ECHOPING_LOAD;
}

/* What is not given gets its default here, because many depend on something else. */
static void
options_complete(struct echoping_options *options)
{
	bool load = options->action == ECHOPING_LOAD;
	bool datagrams = echoping_target_is_datagram(&options->targets[0]);

	if (options->size == 0)
		options->size = SIZE_DEFAULT;
	if (options->interval_ns == 0 && (!load || options->output == ECHOPING_JSON_LINES))
		options->interval_ns = NS_PER_S;
	if (options->timeout_ns == 0)
		options->timeout_ns = datagrams && load ? DATAGRAM_LOAD_TIMEOUT_DEFAULT
							: TIMEOUT_DEFAULT;
	if (options->count == COUNT_UNSET)
		options->count = load || options->until_up ? 0 : PING_COUNT_DEFAULT;
	if (options->duration_ns == DURATION_UNSET)
		options->duration_ns = options->count > 0 ? 0 : LOAD_DURATION_DEFAULT;
	if (options->pipeline == 0)
		options->pipeline = options->rate > 0 && !options->churn
					? OPEN_LOOP_PIPELINE_DEFAULT
					: 1;
}

/* The options of a run are for one transport. */
static bool
options_differ_in_transport(const struct echoping_options *options)
{
	for (size_t i = 1; i < options->target_count; i++)
		if (options->targets[i].transport != options->targets[0].transport)
			return true;
	return false;
}

static void
options_check_together(const struct echoping_options *options, struct error_list *errors)
{
	const struct echoping_socket_options *socket_options = &options->socket;
	const bool datagrams = echoping_target_is_datagram(&options->targets[0]);
	const bool ip = options->targets[0].transport == ADDRESS_TCP ||
			options->targets[0].transport == ADDRESS_UDP;
	const sa_family_t source = socket_options->source.length > 0
				       ? socket_options->source.u.sa.sa_family
				       : AF_UNSPEC;
	const struct {
		bool broken;
		const char *rule;
	} rules[] = {
		{ options->action == ECHOPING_LOAD && options->interval_ns > 0 &&
			(options->output == ECHOPING_JSON || options->output == ECHOPING_CSV),
		    "--interval of a load prints as it goes: --json-lines, not --json or --csv" },
		{ options->action == ECHOPING_LOAD &&
			(options->stamps || options->spread || options->until_up),
		    "--print-time, --spread and --until-up belong to the ping form" },
		{ options->action == ECHOPING_LOAD && options->target_count > 1,
		    "more than one address (a load has one target)" },
		{ options_differ_in_transport(options), "several addresses have one transport" },
		{ options->timestamps && !datagrams,
		    "--timestamps is for datagrams: udp ADDRESS or unixgram PATH" },
		{ options->timestamps && options->size < ECHOPING_STAMP_SIZE,
		    "--timestamps: a datagram with one has 32 bytes or more" },
		{ options->spread && !ip, "--spread is for TCP and UDP, which have ports" },
		{ options->spread && options->no_reconnect,
		    "--spread makes a connection for each probe: no --no-reconnect" },
		{ !ip && (source != AF_UNSPEC || socket_options->dscp >= 0 ||
			     socket_options->ttl >= 0 || socket_options->pmtu >= 0),
		    "--source, --dscp, --ttl and --pmtudisc are for TCP and UDP" },
		{ source != AF_UNSPEC && options->family != AF_UNSPEC && source != options->family,
		    "--source: its family is not the one that -4 or -6 asks for" },
		{ datagrams && options->churn,
		    "--churn needs connections, which datagrams have not" },
		{ options->sample > 1 && (datagrams || options->churn),
		    "--sample is for streams: not for datagrams, not with --churn" },
		{ datagrams && options->idle > 0,
		    "--idle needs connections, which datagrams have not" },
		{ options->churn && options->pipeline > 1,
		    "--churn sends one message a connection: no --pipeline" },
		{ options->burst && !datagrams, "--burst is for datagrams: udp ADDRESS" },
		{ options->burst && options->rate > 0,
		    "--burst waits for the echoes of the last one: no --rate" },
		{ options->burst && options->pipeline == 1,
		    "--burst needs a --pipeline of 2 or more, which it sends" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
		if (rules[i].broken)
			error_list_add(errors, "%s", rules[i].rule);
}

/* Numbers whose bounds depend on other options. */
static void
options_check_numbers(const struct echoping_options *options, struct error_list *errors)
{
	if (echoping_target_is_datagram(&options->targets[0]) &&
	    (options->size < ECHOPING_DATAGRAM_MIN || options->size > DATAGRAM_SIZE_MAX))
		error_list_add(errors,
		    "--size: a datagram has from %d bytes, which are its number, to %d",
		    ECHOPING_DATAGRAM_MIN, DATAGRAM_SIZE_MAX);
	if (options->threads > options->connections)
		error_list_add(errors, "--threads: %" PRIu64 " threads for %" PRIu64 " connections",
		    options->threads, options->connections);
	if (options->connections * options->pipeline > IN_FLIGHT_MAX)
		error_list_add(errors,
		    "more than %d messages in flight: fewer "
		    "--connections or a smaller --pipeline",
		    IN_FLIGHT_MAX);
}

/* Whether WORD is one for a transport that stands before the addresses. */
static bool
options_is_transport(const char *word)
{
	return strcmp(word, "tcp") == 0 || strcmp(word, "udp") == 0 || strcmp(word, "unix") == 0 ||
	       strcmp(word, "unixgram") == 0;
}

static void
options_take_operands(
    struct echoping_options *options, int count, char **operands, struct error_list *errors)
{
	const char *word = NULL;

	if (count > 1 && options_is_transport(operands[0])) {
		word = operands[0];
		count--;
		operands++;
	}
	if (count < 1)
		error_list_add(errors, "no address (write HOST:PORT, udp HOST:PORT or unix PATH)");
	if (count > ECHOPING_TARGETS_MAX)
		error_list_add(errors, "%d addresses: at most %d", count, ECHOPING_TARGETS_MAX);
	for (int i = 0; i < count && i < ECHOPING_TARGETS_MAX; i++) {
		/* as nc has it */
		if (i > 0 && operands[i][strspn(operands[i], "0123456789")] == '\0')
			error_list_add(errors, "\"%s\" is no address (a port is written HOST:PORT)",
			    operands[i]);
		else if (echoping_target_parse(word, operands[i], errors,
			     &options->targets[options->target_count]) == 0)
			options->target_count++;
	}
	for (size_t i = 0; i < options->target_count; i++)
		options->targets[i].socket = options->socket;
	if (options->socket.source.length > 0 && options->family == AF_UNSPEC)
		options->family = options->socket.source.u.sa.sa_family;
}

int
echoping_options_parse(
    int argc, char **argv, struct error_list *errors, struct echoping_options *ret_options)
{
	struct option table[ARRAY_SIZE(rows) + 1] = { { NULL, 0, NULL, 0 } };
	struct echoping_options options = {
		.family = AF_UNSPEC,
		.count = COUNT_UNSET,
		.duration_ns = DURATION_UNSET,
		.connections = 1,
		.threads = 1,
		.sample = 1,
		.socket = { .dscp = -1, .ttl = -1, .pmtu = -1 },
	};
	size_t before = error_list_count(errors);
	int letter;

	options_list(table);
	while ((letter = getopt_long(argc, argv, short_options, table, NULL)) != -1) {
		const struct option_row *row = rows;

		if (letter == '?')
			return -EINVAL;
		while (row->letter != letter)
			row++;
		options_take(&options, row, optarg, errors);
		if (row->take == TAKE_ACTION) {
			*ret_options = options;
			return 0;
		}
	}
	options_take_operands(&options, argc - optind, argv + optind, errors);
	if (error_list_count(errors) == before) {
		options_complete(&options);
		options_check_together(&options, errors);
		options_check_numbers(&options, errors);
	}
	if (error_list_count(errors) > before)
		return -EINVAL;
	*ret_options = options;
	return 0;
}

void
echoping_options_print_help(FILE *out)
{
	(void)fputs(
	    "Usage: echoping [OPTION ...] [tcp|udp|unix|unixgram] ADDRESS...\n"
	    "Measure an echo service and verify the bytes that it sends back.\n"
	    "ADDRESS is HOST, HOST:PORT, [IPV6]:PORT, a PATH, @NAME, or a URL of these.\n"
	    "\n"
	    "Ping, one probe after the other:\n"
	    "  -n, --count N        probes to send, 0 for no end [10]\n"
	    "  -i, --interval TIME  from one probe to the next [1s]\n"
	    "      --spread         each probe from another port, for paths that depend on it\n"
	    "      --until-up       wait for the first echo, however long it takes\n"
	    "  -D, --print-time     the time of day before each line\n"
	    "\n"
	    "Load, when any of these is given:\n"
	    "  -c, --connections N  connections to keep busy [1]\n"
	    "  -p, --pipeline N     messages in flight on each [1; with --rate 1024]\n"
	    "  -d, --duration TIME  how long to send [10s, or no limit with -n]\n"
	    "  -r, --rate N         send N messages a second, whatever comes back\n"
	    "  -t, --threads N      threads to share the connections [1]\n"
	    "      --burst          the pipeline at once, again when it is back (udp)\n"
	    "      --churn          a new connection for each message\n"
	    "      --idle N         N more connections that stay silent\n"
	    "      --sample N       verify one message of N, count the others [1]\n"
	    "  -i, --interval TIME  a line of figures every so often\n"
	    "  and -n, --count N    messages in all, 0 for no such limit [0]\n"
	    "\n"
	    "Both:\n"
	    "  -s, --size SIZE      bytes of a message, such as 1000 or 64KiB [56]\n"
	    "  -w, --timeout TIME   no echo for so long is a loss [5s; a load over udp 1s]\n"
	    "  -4, --ipv4           IPv4 addresses only\n"
	    "  -6, --ipv6           IPv6 addresses only\n"
	    "  -I, --source ADDRESS send from this address of this machine\n"
	    "      --dscp N         mark the packets, 0 to 63\n"
	    "      --ttl N          hops that a packet may take\n"
	    "  -M, --pmtudisc WORD  do, want, dont or probe, as ping has them\n"
	    "      --no-reconnect   a connection that ends is an error, and not made anew\n"
	    "      --timestamps     number and time of sending in each datagram, to be read\n"
	    "  -q, --quiet          the figures only\n"
	    "      --json           the figures as one JSON object\n"
	    "      --json-lines     one for each probe or interval, and one for the whole\n"
	    "      --csv            the figures as CSV, a header and one row\n"
	    "  -V, --version        print the version and exit\n"
	    "  -h, --help           print this text and exit\n"
	    "\n"
	    "Exit: 0 all echoed and equal, 1 loss, 2 mismatch, 64 usage, 69 unreachable,\n"
	    "71 refused by this machine. See echoping(1).\n",
	    out);
}
