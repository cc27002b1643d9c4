/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "echoping/options.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "echoping/payload.h"
#include "client/option_value.h"

#define STREAM_SIZE_MAX (INT64_C(16) << 20)
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

enum {
	OPTION_JSON = 256,
	OPTION_CSV,
	OPTION_BURST,
	OPTION_CHURN,
	OPTION_IDLE,
	OPTION_SAMPLE,
};

static const char short_options[] = "c:s:p:d:n:r:t:i:w:46qVh";
static const struct option long_options[] = {
	{ "connections", required_argument, NULL, 'c' },
	{ "size", required_argument, NULL, 's' },
	{ "pipeline", required_argument, NULL, 'p' },
	{ "duration", required_argument, NULL, 'd' },
	{ "count", required_argument, NULL, 'n' },
	{ "rate", required_argument, NULL, 'r' },
	{ "threads", required_argument, NULL, 't' },
	{ "interval", required_argument, NULL, 'i' },
	{ "timeout", required_argument, NULL, 'w' },
	{ "ipv4", no_argument, NULL, '4' },
	{ "ipv6", no_argument, NULL, '6' },
	{ "quiet", no_argument, NULL, 'q' },
	{ "version", no_argument, NULL, 'V' },
	{ "help", no_argument, NULL, 'h' },
	{ "json", no_argument, NULL, OPTION_JSON },
	{ "csv", no_argument, NULL, OPTION_CSV },
	{ "burst", no_argument, NULL, OPTION_BURST },
	{ "churn", no_argument, NULL, OPTION_CHURN },
	{ "idle", required_argument, NULL, OPTION_IDLE },
	{ "sample", required_argument, NULL, OPTION_SAMPLE },
	{ NULL, 0, NULL, 0 },
};

/* The command line as far as it is read: options, and what was given at all. */
struct command_line {
	struct echoping_options options;
	struct error_list *errors;
	bool load;       /* something was given that only the load form has */
	bool has_size;   /* -s */
	bool has_count;  /* -n */
	bool has_length; /* -d */
	bool has_pace;   /* -i */
	bool has_wait;   /* -w */
};

static void
options_refuse(struct command_line *line, int option, const char *text, const char *what)
{
	option_value_refuse(line->errors, option_name(long_options, option), text, what);
}

/* A whole number from LEAST to MOST; 0 with an error added otherwise. */
static uint64_t
options_number(
    struct command_line *line, int option, const char *text, uint64_t least, uint64_t most)
{
	uint64_t number = 0;
	char range[80];

	for (const char *p = text; *p != '\0'; p++) {
		if (*p < '0' || *p > '9' || __builtin_mul_overflow(number, 10, &number) ||
		    __builtin_add_overflow(number, (uint64_t)(*p - '0'), &number)) {
			number = UINT64_MAX;
			break;
		}
	}
	if (*text != '\0' && number >= least && number <= most)
		return number;
	(void)snprintf(range, sizeof(range), "is not a whole number from %" PRIu64 " to %" PRIu64,
	    least, most);
	options_refuse(line, option, text, range);
	return 0;
}

static uint32_t
options_number32(
    struct command_line *line, int option, const char *text, uint32_t least, uint32_t most)
{
	return (uint32_t)options_number(line, option, text, least, most);
}

static int64_t
options_duration(
    struct command_line *line, int option, const char *text, int64_t least_ns, int64_t most_ns)
{
	return option_value_duration(
	    line->errors, option_name(long_options, option), text, least_ns, most_ns);
}

/* A bare number is bytes. The limits depend on the transport and are checked later. */
static size_t
options_size(struct command_line *line, const char *text)
{
	const char *error;
	int64_t bytes;

	if (*text != '\0' && text[strspn(text, "0123456789")] == '\0')
		return (size_t)options_number(line, 's', text, 1, (uint64_t)STREAM_SIZE_MAX);
	if (units_parse_size(text, &bytes, &error) < 0) {
		options_refuse(line, 's', text, error);
		return 0;
	}
	if (bytes < 1 || bytes > STREAM_SIZE_MAX) {
		options_refuse(line, 's', text, "is not from 1B to 16MiB");
		return 0;
	}
	return (size_t)bytes;
}

/* Options that only the load form has. */
static bool
options_take_load(struct command_line *line, int option, const char *text)
{
	struct echoping_options *options = &line->options;

	switch (option) {
	case 'c':
		options->connections = options_number32(line, option, text, 1, 1000000);
		break;
	case 'p':
		options->pipeline = options_number32(line, option, text, 1, 65536);
		break;
	case 'd':
		options->duration_ns = options_duration(
		    line, option, text, 0, 365 * 86400 * NS_PER_S);
		line->has_length = true;
		break;
	case 'r':
		options->rate = options_number(line, option, text, 1, 100000000);
		break;
	case 't':
		options->threads = options_number32(line, option, text, 1, 256);
		break;
	case OPTION_IDLE:
		options->idle = options_number32(line, option, text, 0, 1000000);
		break;
	case OPTION_SAMPLE:
		options->sample = options_number32(line, option, text, 1, 65536);
		break;
	case OPTION_BURST:
		options->burst = true;
		break;
	case OPTION_CHURN:
		options->churn = true;
		break;
	default:
		return false;
	}
	line->load = true;
	return true;
}

static void
options_take_output(struct command_line *line, enum echoping_output output)
{
	if (line->options.output != ECHOPING_HUMAN && line->options.output != output)
		error_list_add(line->errors, "--json and --csv do not go together");
	line->options.output = output;
}

/* Returns whether getopt knew the option. */
static bool
options_take(struct command_line *line, int option, const char *text)
{
	struct echoping_options *options = &line->options;

	switch (option) {
	case 's':
		options->size = options_size(line, text);
		line->has_size = true;
		break;
	case 'n':
		options->count = options_number(line, option, text, 0, UINT64_C(1) << 40);
		line->has_count = true;
		break;
	case 'i':
		options->interval_ns = options_duration(
		    line, option, text, NS_PER_MS, 86400 * NS_PER_S);
		line->has_pace = true;
		break;
	case 'w':
		options->timeout_ns = options_duration(
		    line, option, text, NS_PER_MS, 3600 * NS_PER_S);
		line->has_wait = true;
		break;
	case '4':
		options->family = AF_INET;
		break;
	case '6':
		options->family = AF_INET6;
		break;
	case 'q':
		options->quiet = true;
		break;
	case OPTION_JSON:
		options_take_output(line, ECHOPING_JSON);
		break;
	case OPTION_CSV:
		options_take_output(line, ECHOPING_CSV);
		break;
	default:
		return options_take_load(line, option, text);
	}
	return true;
}

static void
options_check_size(struct command_line *line)
{
	const struct echoping_options *options = &line->options;

	if (options->target.transport != ADDRESS_UDP || options->size == 0)
		return;
	if (options->size < ECHOPING_DATAGRAM_MIN || options->size > DATAGRAM_SIZE_MAX)
		error_list_add(line->errors,
		    "--size: a datagram has from %d bytes, which are its number, to %d",
		    ECHOPING_DATAGRAM_MIN, DATAGRAM_SIZE_MAX);
}

/* What is not given gets its default here, because many depend on something else. */
static void
options_complete(struct command_line *line)
{
	struct echoping_options *options = &line->options;
	bool udp = options->target.transport == ADDRESS_UDP;

	options->action = line->load ? ECHOPING_LOAD : ECHOPING_PING;
	if (!line->has_size)
		options->size = SIZE_DEFAULT;
	if (!line->has_pace)
		options->interval_ns = NS_PER_S;
	if (!line->has_wait)
		options->timeout_ns = udp && line->load ? DATAGRAM_LOAD_TIMEOUT_DEFAULT
							: TIMEOUT_DEFAULT;
	if (!line->has_count && !line->load)
		options->count = PING_COUNT_DEFAULT;
	if (!line->has_length && !(line->has_count && options->count > 0))
		options->duration_ns = LOAD_DURATION_DEFAULT;
	if (options->pipeline == 0)
		options->pipeline = options->rate > 0 && !options->churn
					? OPEN_LOOP_PIPELINE_DEFAULT
					: 1;
}

static void
options_check_together(struct command_line *line)
{
	const struct echoping_options *options = &line->options;
	bool udp = options->target.transport == ADDRESS_UDP;

	if (line->load && line->has_pace)
		error_list_add(
		    line->errors, "--interval belongs to the ping form (a load has --rate)");
	if (udp && options->churn)
		error_list_add(line->errors, "--churn needs connections, which udp has not");
	if (options->sample > 1 && (udp || options->churn))
		error_list_add(
		    line->errors, "--sample is for streams: not with udp, not with --churn");
	if (udp && options->idle > 0)
		error_list_add(line->errors, "--idle needs connections, which udp has not");
	if (options->churn && options->pipeline > 1)
		error_list_add(
		    line->errors, "--churn sends one message a connection: no --pipeline");
	if (options->burst && !udp)
		error_list_add(line->errors, "--burst is for datagrams: udp ADDRESS");
	if (options->burst && options->rate > 0)
		error_list_add(
		    line->errors, "--burst waits for the echoes of the last one: no --rate");
	if (options->burst && options->pipeline == 1)
		error_list_add(
		    line->errors, "--burst needs a --pipeline of 2 or more, which it sends");
	if (options->threads > options->connections)
		error_list_add(line->errors,
		    "--threads: %" PRIu32 " threads for %" PRIu32 " connections", options->threads,
		    options->connections);
	if ((uint64_t)options->connections * options->pipeline > IN_FLIGHT_MAX)
		error_list_add(line->errors,
		    "more than %d messages in flight: fewer "
		    "--connections or a smaller --pipeline",
		    IN_FLIGHT_MAX);
}

static void
options_take_operands(struct command_line *line, int count, char **operands)
{
	const char *word = count > 1 ? operands[0] : NULL;

	if (count < 1 || count > 2) {
		error_list_add(line->errors, "%s",
		    count < 1 ? "no address (write HOST:PORT, udp HOST:PORT or unix PATH)"
			      : "more than one address");
		return;
	}
	(void)!echoping_target_parse(
	    word, operands[count - 1], line->errors, &line->options.target);
}

int
echoping_options_parse(
    int argc, char **argv, struct error_list *errors, struct echoping_options *ret_options)
{
	struct command_line line = {
		.options = { .connections = 1, .threads = 1, .sample = 1, .family = AF_UNSPEC },
		.errors = errors,
	};
	size_t before = error_list_count(errors);
	int option;

	while ((option = getopt_long(argc, argv, short_options, long_options, NULL)) != -1) {
		if (option == 'h' || option == 'V') {
			*ret_options = line.options;
			ret_options->action = option == 'h' ? ECHOPING_HELP : ECHOPING_VERSION;
			return 0;
		}
		if (!options_take(&line, option, optarg))
			return -EINVAL;
	}
	options_take_operands(&line, argc - optind, argv + optind);
	if (error_list_count(errors) == before) {
		options_complete(&line);
		options_check_size(&line);
		options_check_together(&line);
	}
	if (error_list_count(errors) > before)
		return -EINVAL;
	*ret_options = line.options;
	return 0;
}

void
echoping_options_print_help(FILE *out)
{
	(void)fputs(
	    "Usage: echoping [OPTION ...] [tcp|udp|unix] ADDRESS\n"
	    "Measure an echo service and verify the bytes that it sends back.\n"
	    "ADDRESS is HOST, HOST:PORT, [IPV6]:PORT, a PATH, @NAME, or a URL of these.\n"
	    "\n"
	    "Ping, one probe after the other:\n"
	    "  -n, --count N        probes to send, 0 for no end [10]\n"
	    "  -i, --interval TIME  from one probe to the next [1s]\n"
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
	    "  and -n, --count N    messages in all, 0 for no such limit [0]\n"
	    "\n"
	    "Both:\n"
	    "  -s, --size SIZE      bytes of a message, such as 1000 or 64KiB [56]\n"
	    "  -w, --timeout TIME   no echo for so long is a loss [5s; a load over udp 1s]\n"
	    "  -4, --ipv4           IPv4 addresses only\n"
	    "  -6, --ipv6           IPv6 addresses only\n"
	    "  -q, --quiet          the figures only\n"
	    "      --json           the figures as one JSON object\n"
	    "      --csv            the figures as CSV, a header and one row\n"
	    "  -V, --version        print the version and exit\n"
	    "  -h, --help           print this text and exit\n"
	    "\n"
	    "Exit: 0 all echoed and equal, 1 loss, 2 mismatch, 64 usage, 69 unreachable,\n"
	    "71 refused by this machine. See echoping(1).\n",
	    out);
}
