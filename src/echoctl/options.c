/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "echoctl/options.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>

#include "base/address.h"
#include "base/clock.h"
#include "base/text.h"
#include "client/option_value.h"

/* A name with so many edits is still taken for a typing mistake. */
#define NEAR 2
#define NUMBER_DIGITS_MAX 19 /* fits in 64 bits with a sign */

struct verb_words {
	const char *name;
	const char *operand; /* "ID", "LEVEL"; in brackets: may be left out; NULL: takes none */
	const char *options; /* letters of those that only some verbs have */
	const char *help;
};

static const struct verb_words verbs[ECHOCTL_VERBS] = {
	[ECHOCTL_STATUS] = { "status", NULL, "W", "what runs, how it is, what it does" },
	[ECHOCTL_STATS] = { "stats", NULL, "W", "all figures, one a line" },
	[ECHOCTL_CONNECTIONS] = { "connections", NULL, "lpSkonOW", "who is connected" },
	[ECHOCTL_CONNECTION] = { "connection", "ID", "W", "all about one connection" },
	[ECHOCTL_PEERS] = { "peers", NULL, "lpSkonOPW", "connections and bytes by address" },
	[ECHOCTL_SOURCES] = { "sources", NULL, "lnW", "who sends datagrams" },
	[ECHOCTL_EVENTS] = { "events", NULL, "lprnfW", "who was closed or refused of late" },
	[ECHOCTL_TOP] = { "top", NULL, "i", "connections, sources and rates, live; q leaves" },
	[ECHOCTL_METRICS] = { "metrics", NULL, "", "the counters as Prometheus reads them" },
	[ECHOCTL_CONFIG] = { "config", NULL, "W", "the configuration in force, with origins" },
	[ECHOCTL_HEALTH] = { "health", NULL, "", "fail unless clients are served" },
	[ECHOCTL_RELOAD] = { "reload", NULL, "", "read the configuration again" },
	[ECHOCTL_DRAIN] = { "drain", NULL, "",
	    "take no more clients, finish with the present ones" },
	[ECHOCTL_UNDRAIN] = { "undrain", NULL, "", "take clients again" },
	[ECHOCTL_STOP] = { "stop", NULL, "w", "drain, then end the daemon" },
	[ECHOCTL_CLOSE] = { "close", "ID", "", "close one connection" },
	[ECHOCTL_LOG_LEVEL] = { "log-level", "LEVEL", "", "error, warning, notice, info or debug" },
	[ECHOCTL_LOG_REOPEN] = { "log-reopen", NULL, "", "open the log file again" },
	[ECHOCTL_DAEMON_VERSION] = { "version", NULL, "",
	    "the versions of echoctl and of the daemon" },
	[ECHOCTL_HELP_ON] = { "help", "[VERB]", "", "this text, or what one verb takes" },
};

#define ANY ECHOCTL_VERBS
#define WORDS_MAX 6

/* The values of what takes one of a few words; the first row for a verb is its own. */
static const struct choice {
	int option; /* letter; 0: the operand */
	enum echoctl_verb verb;
	const char *words[WORDS_MAX];
} choices[] = {
	{ 'S', ANY, { "open", "flushing", "lingering" } },
	{ 'k', ECHOCTL_PEERS, { "connections", "bytes_in", "bytes_out", "pending" } },
	{ 'k', ANY, { "age", "idle", "bytes_in", "bytes_out", "pending" } },
	{ 'o', ANY, { "asc", "desc" } },
	{ 0, ECHOCTL_LOG_LEVEL, { "error", "warning", "notice", "info", "debug" } },
};

static const char short_options[] = "s:u:jt:wfi:l:p:P:r:S:k:o:n:O:WVh";
static const struct option long_options[] = {
	{ "socket", required_argument, NULL, 's' },
	{ "url", required_argument, NULL, 'u' },
	{ "json", no_argument, NULL, 'j' },
	{ "timeout", required_argument, NULL, 't' },
	{ "wait", no_argument, NULL, 'w' },
	{ "interval", required_argument, NULL, 'i' },
	{ "listener", required_argument, NULL, 'l' },
	{ "peer", required_argument, NULL, 'p' },
	{ "prefix", required_argument, NULL, 'P' },
	{ "reason", required_argument, NULL, 'r' },
	{ "follow", no_argument, NULL, 'f' },
	{ "state", required_argument, NULL, 'S' },
	{ "sort", required_argument, NULL, 'k' },
	{ "order", required_argument, NULL, 'o' },
	{ "limit", required_argument, NULL, 'n' },
	{ "offset", required_argument, NULL, 'O' },
	{ "wide", no_argument, NULL, 'W' },
	{ "version", no_argument, NULL, 'V' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

/* Options that become a query, in its order. */
static const char filter_options[ECHOCTL_FILTERS + 1] = "lprSkonO";

/* The command line as far as it is read. */
struct command_line {
	struct echoctl_options options;
	struct error_list *errors;
	bool given[UCHAR_MAX + 1]; /* by the letter of an option */
};

static bool
options_is_number(const char *text)
{
	size_t length = strspn(text, "0123456789");

	return length > 0 && length <= NUMBER_DIGITS_MAX && text[length] == '\0';
}

static void
options_check_socket(struct error_list *errors, const char *path)
{
	struct sockaddr_un address;

	if (*path == '\0')
		option_value_refuse(errors, "socket", path, "is no path");
	else if (strlen(path) >= sizeof(address.sun_path))
		option_value_refuse(
		    errors, "socket", path, "is longer than the path of a socket can be");
}

static void
options_check_url(struct error_list *errors, const char *url)
{
	const char *scheme = strstr(url, "://");
	bool known = strncasecmp(url, "http://", 7) == 0 || strncasecmp(url, "https://", 8) == 0;

	if (*url == '\0' || (scheme != NULL && !known) || strpbrk(url, "?#") != NULL)
		option_value_refuse(errors, "url", url, "is not of the form http://HOST:PORT");
}

/* Take a length of at most MOST bits at TEXT, and return what follows; NULL when it is none. */
static const char *
options_skip_length(const char *text, unsigned most)
{
	size_t digits = strspn(text, "0123456789");

	if (digits == 0 || digits > 3 || strtoul(text, NULL, 10) > most)
		return NULL;
	return text + digits;
}

static void
options_check_prefix(struct error_list *errors, const char *text)
{
	const char *rest = options_skip_length(text, 32);

	if (rest != NULL && *rest == ',')
		rest = options_skip_length(rest + 1, 128);
	if (rest == NULL || *rest != '\0')
		option_value_refuse(errors, "prefix", text,
		    "is not a length for IPv4, 0 to 32, or that and one for IPv6, such as 24,64");
}

static void
options_check_peer(struct error_list *errors, const char *text)
{
	struct network network;
	const char *reason;

	if (network_parse(text, &network, &reason) < 0)
		option_value_refuse(errors, "peer", text, reason);
}

/* The daemon takes it as it is. */
static void
options_take_filter(struct command_line *line, int option, const char *text)
{
	line->options.filters[strchr(filter_options, option) - filter_options] =
	    (struct echoctl_filter){ option_name(long_options, option), text };
}

static void
options_take(struct command_line *line, int option, const char *text)
{
	struct echoctl_options *options = &line->options;

	line->given[(unsigned char)option] = true;
	switch (option) {
	case 's':
		options->socket = text;
		options_check_socket(line->errors, text);
		break;
	case 'u':
		options->url = text;
		options_check_url(line->errors, text);
		break;
	case 'j':
		options->json = true;
		break;
	case 't':
		options->timeout_ns = option_value_duration(
		    line->errors, "timeout", text, NS_PER_MS, 24 * 3600 * NS_PER_S);
		break;
	case 'w':
		options->wait = true;
		break;
	case 'W':
		options->wide = true;
		break;
	case 'f':
		options->follow = true;
		break;
	case 'P':
		options->prefix = text;
		options_check_prefix(line->errors, text);
		break;
	case 'i':
		options->interval_ns = option_value_duration(
		    line->errors, "interval", text, 100 * NS_PER_MS, 3600 * NS_PER_S);
		break;
	case 'n':
	case 'O':
		/* digits go to the daemon unchanged: it checks the range */
		if (!options_is_number(text))
			option_value_refuse(line->errors, option_name(long_options, option), text,
			    "is not a whole number");
		options_take_filter(line, option, text);
		break;
	case 'p':
		options_check_peer(line->errors, text);
		/* fall through */
	default:
		options_take_filter(line, option, text);
	}
}

static void
options_take_verb(struct command_line *line, const char *name)
{
	const char *nearest = NULL;
	size_t least = NEAR + 1;
	char escaped[64];

	for (int verb = 0; verb < ECHOCTL_VERBS; verb++) {
		size_t distance = text_distance(name, verbs[verb].name);

		if (distance == 0) {
			line->options.verb = (enum echoctl_verb)verb;
			return;
		}
		/* for short names two edits are most of the word */
		if (distance < least && distance < strlen(verbs[verb].name) - 1) {
			least = distance;
			nearest = verbs[verb].name;
		}
	}
	text_escape_string(name, escaped, sizeof(escaped));
	if (nearest != NULL)
		error_list_add(
		    line->errors, "unknown verb \"%s\": did you mean \"%s\"?", escaped, nearest);
	else
		error_list_add(line->errors, "unknown verb \"%s\"", escaped);
}

/* Return the choice for OPTION of VERB, or NULL where any text will do. */
static const struct choice *
options_find_choice(int option, enum echoctl_verb verb)
{
	for (size_t i = 0; i < ARRAY_SIZE(choices); i++)
		if (choices[i].option == option &&
		    (choices[i].verb == verb || choices[i].verb == ANY))
			return &choices[i];
	return NULL;
}

/* Add an error unless TEXT is one of the words of CHOICE; NAME is what it is the value of. */
static void
options_check_choice(
    struct error_list *errors, const struct choice *choice, const char *name, const char *text)
{
	char list[128] = "", escaped[64];
	size_t used = 0;

	for (size_t i = 0; i < WORDS_MAX && choice->words[i] != NULL; i++) {
		bool last = i + 1 == WORDS_MAX || choice->words[i + 1] == NULL;

		if (strcmp(text, choice->words[i]) == 0)
			return;
		used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s",
		    i == 0 ? ""
		    : last ? " or "
			   : ", ",
		    choice->words[i]);
	}
	text_escape_string(text, escaped, sizeof(escaped));
	error_list_add(errors, "%s: \"%s\" is not %s", name, escaped, list);
}

/* `help`: its operand is what to tell of. */
static void
options_take_help(struct command_line *line)
{
	struct echoctl_options *options = &line->options;

	options->action = ECHOCTL_HELP;
	options->verb = ECHOCTL_VERBS;
	if (options->operand != NULL)
		options_take_verb(line, options->operand);
}

/* Check the values that have to be one of a few words. */
static void
options_check_choices(struct command_line *line)
{
	const struct echoctl_options *options = &line->options;
	const struct choice *choice = options_find_choice(0, options->verb);

	if (choice != NULL && options->operand != NULL)
		options_check_choice(
		    line->errors, choice, verbs[options->verb].name, options->operand);
	for (size_t i = 0; i < ECHOCTL_FILTERS; i++) {
		const struct echoctl_filter *filter = &options->filters[i];
		char name[32];

		choice = options_find_choice(filter_options[i], options->verb);
		if (choice == NULL || filter->value == NULL)
			continue;
		(void)snprintf(name, sizeof(name), "--%s", filter->name);
		options_check_choice(line->errors, choice, name, filter->value);
	}
}

static void
options_take_operands(struct command_line *line, int count, char **operands)
{
	const struct verb_words *verb;
	char escaped[64];
	int most, least;

	if (count == 0) {
		error_list_add(line->errors, "no verb");
		return;
	}
	options_take_verb(line, operands[0]);
	if (line->options.verb == ECHOCTL_VERBS)
		return;
	verb = &verbs[line->options.verb];
	most = verb->operand != NULL ? 2 : 1;
	least = verb->operand != NULL && verb->operand[0] != '[' ? 2 : 1;
	line->options.operand = operands[1];
	text_escape_string(operands[count - 1], escaped, sizeof(escaped));
	if (count < least)
		error_list_add(line->errors, "%s: which %s?", verb->name, verb->operand);
	else if (count > most)
		error_list_add(line->errors, "%s: \"%s\" is too much", verb->name, escaped);
	else if (least == 2 && strcmp(verb->operand, "ID") == 0 && !options_is_number(operands[1]))
		error_list_add(line->errors, "%s: \"%s\" is not the number of a connection",
		    verb->name, escaped);
}

static void
options_check_together(struct command_line *line)
{
	const struct echoctl_options *options = &line->options;

	if (options->socket != NULL && options->url != NULL)
		error_list_add(line->errors, "--socket and --url do not go together");
	if (options->verb == ECHOCTL_VERBS)
		return;
	options_check_choices(line);
	if (options->json && options->verb == ECHOCTL_TOP)
		error_list_add(
		    line->errors, "top draws on a terminal: for --json there is connections");
	for (const struct option *o = long_options; o->name != NULL; o++) {
		int owner = 0;

		if (!line->given[o->val] || strchr(verbs[options->verb].options, o->val) != NULL)
			continue;
		while (owner < ECHOCTL_VERBS && strchr(verbs[owner].options, o->val) == NULL)
			owner++;
		/* an option that no verb owns goes with all */
		if (owner < ECHOCTL_VERBS)
			error_list_add(line->errors, "--%s belongs to the verb %s", o->name,
			    verbs[owner].name);
	}
}

int
echoctl_options_parse(
    int argc, char **argv, struct error_list *errors, struct echoctl_options *ret_options)
{
	struct command_line line = {
		.options = { .verb = ECHOCTL_VERBS, .interval_ns = NS_PER_S },
		.errors = errors,
	};
	size_t before = error_list_count(errors);
	int option;

	while ((option = getopt_long(argc, argv, short_options, long_options, NULL)) != -1) {
		if (option == '?')
			return -EINVAL;
		if (option == 'h' || option == 'V') {
			*ret_options = line.options;
			ret_options->action = option == 'h' ? ECHOCTL_HELP : ECHOCTL_VERSION;
			return 0;
		}
		options_take(&line, option, optarg);
	}
	options_take_operands(&line, argc - optind, argv + optind);
	options_check_together(&line);
	if (line.options.verb == ECHOCTL_HELP_ON)
		options_take_help(&line);
	if (error_list_count(errors) > before)
		return -EINVAL;
	*ret_options = line.options;
	return 0;
}

struct echoctl_filter *
echoctl_options_filter(struct echoctl_options *options, const char *name)
{
	for (size_t i = 0; i < ECHOCTL_FILTERS; i++)
		if (options->filters[i].value != NULL &&
		    strcmp(options->filters[i].name, name) == 0)
			return &options->filters[i];
	return NULL;
}

/* What the help says of an option; the first row for a verb is its own. */
static const struct option_help {
	int option;
	enum echoctl_verb verb;
	const char *form, *help;
} helps[] = {
	{ 's', ANY, "-s, --socket PATH", "ask at this UNIX socket" },
	{ 'u', ANY, "-u, --url URL", "ask here, such as http://127.0.0.1:9862: read only" },
	{ 'j', ECHOCTL_EVENTS, "-j, --json",
	    "print the answer as it came; with --follow a line for each" },
	{ 'j', ANY, "-j, --json", "print the answer as it came" },
	{ 't', ANY, "-t, --timeout TIME", "wait so long for an answer [10s; stop --wait 90s]" },
	{ 'V', ANY, "-V, --version", "print the version and exit" },
	{ 'h', ANY, "-h, --help", "print this text and exit" },
	{ 'f', ANY, "-f, --follow", "go on with those that come" },
	{ 'P', ANY, "-P, --prefix N[,M]", "by network: lengths for IPv4 and IPv6, such as 24,64" },
	{ 'l', ANY, "-l, --listener NAME", "only those of this listener" },
	{ 'p', ANY, "-p, --peer CIDR", "only those from there, such as 192.0.2.0/24" },
	{ 'r', ANY, "-r, --reason REASON", "only those for this reason, such as idle_timeout" },
	{ 'S', ANY, "-S, --state STATE", "only those that are open, flushing or lingering" },
	{ 'k', ECHOCTL_PEERS, "-k, --sort KEY", "connections, bytes_in, bytes_out or pending" },
	{ 'k', ANY, "-k, --sort KEY", "age, idle, bytes_in, bytes_out or pending" },
	{ 'o', ANY, "-o, --order ORDER", "asc or desc" },
	{ 'n', ECHOCTL_EVENTS, "-n, --limit N", "the last N [100; with --follow 10]" },
	{ 'n', ANY, "-n, --limit N", "so many at most [100]" },
	{ 'O', ANY, "-O, --offset N", "leave out the first N" },
	{ 'w', ANY, "-w, --wait", "return when the daemon is gone" },
	{ 'i', ANY, "-i, --interval TIME", "from one sample to the next [1s]" },
	{ 'W', ANY, "-W, --wide", "show all, however wide the terminal is" },
};

/* Whether all verbs have OPTION. */
static bool
help_is_common(int option)
{
	for (int verb = 0; verb < ECHOCTL_VERBS; verb++)
		if (strchr(verbs[verb].options, option) != NULL)
			return false;
	return true;
}

/* Print what is said of OPTION for VERB, or with ECHOCTL_VERBS for all. */
static void
help_print_option(int option, enum echoctl_verb verb, FILE *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(helps); i++) {
		if (helps[i].option != option || (helps[i].verb != verb && helps[i].verb != ANY))
			continue;
		(void)fprintf(out, "  %-19s  %s\n", helps[i].form, helps[i].help);
		return;
	}
}

static void
help_print_common_options(enum echoctl_verb verb, FILE *out)
{
	for (const struct option *o = long_options; o->name != NULL; o++)
		if (help_is_common(o->val))
			help_print_option(o->val, verb, out);
}

/* Print the options that VERB has, but for those in EXCEPT. */
static void
help_print_verb_options(enum echoctl_verb verb, const char *except, FILE *out)
{
	for (const struct option *o = long_options; o->name != NULL; o++)
		if (strchr(verbs[verb].options, o->val) != NULL && strchr(except, o->val) == NULL)
			help_print_option(o->val, verb, out);
}

static void
help_print_one(enum echoctl_verb verb, FILE *out)
{
	const struct verb_words *info = &verbs[verb];

	(void)fprintf(out, "Usage: echoctl [OPTION ...] %s%s%s\n%s\n\n", info->name,
	    info->operand != NULL ? " " : "", info->operand != NULL ? info->operand : "",
	    info->help);
	help_print_verb_options(verb, "", out);
	help_print_common_options(verb, out);
}

static void
help_print_all(FILE *out)
{
	const char *gap = "";

	(void)fputs("Usage: echoctl [OPTION ...] VERB\n"
		    "See and steer a running echod.\n"
		    "\n",
	    out);
	for (int verb = 0; verb < ECHOCTL_VERBS; verb++) {
		const struct verb_words *info = &verbs[verb];
		char words[32];

		(void)snprintf(words, sizeof(words), "%s%s%s", info->name,
		    info->operand != NULL ? " " : "", info->operand != NULL ? info->operand : "");
		(void)fprintf(out, "  %-16s  %s\n", words, info->help);
	}
	(void)fputc('\n', out);
	help_print_common_options(ECHOCTL_VERBS, out);
	(void)fputc('\n', out);
	for (int verb = 0; verb < ECHOCTL_VERBS; verb++) {
		if (strchr(verbs[verb].options, 'W') == NULL)
			continue;
		(void)fprintf(out, "%s%s", gap, verbs[verb].name);
		gap = ", ";
	}
	(void)fputs(":\n", out);
	help_print_option('W', ECHOCTL_VERBS, out);
	for (int verb = 0; verb < ECHOCTL_VERBS; verb++) {
		const char *options = verbs[verb].options;

		if (options[strspn(options, "W")] == '\0')
			continue;
		(void)fprintf(out, "%s:\n", verbs[verb].name);
		help_print_verb_options((enum echoctl_verb)verb, "W", out);
	}
	(void)fputs(
	    "\n"
	    "Without -s and -u the first of these sockets that exists is asked:\n"
	    "$RUNTIME_DIRECTORY/control.sock, /run/echod/control.sock,\n"
	    "$XDG_RUNTIME_DIR/echod/control.sock.\n"
	    "Exit: 0 done, 1 refused or failed check, 64 usage, 69 unreachable. See echoctl(1).\n",
	    out);
}

void
echoctl_options_print_help(enum echoctl_verb verb, FILE *out)
{
	if (verb == ECHOCTL_VERBS)
		help_print_all(out);
	else
		help_print_one(verb, out);
}
