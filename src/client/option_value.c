/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "client/option_value.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"

const char *
option_name(const struct option *table, int option)
{
	for (const struct option *o = table; o->name != NULL; o++) {
		if (o->val == option)
			return o->name;
	}
	return "?";
}

void
option_value_refuse(struct error_list *errors, const char *name, const char *text, const char *what)
{
	char escaped[64];

	text_escape_string(text, escaped, sizeof(escaped));
	error_list_add(errors, "--%s: \"%s\" %s", name, escaped, what);
}

/*
 * Read TEXT as seconds when it is a bare number, fraction or not, as ping(8) takes them. Returns
 * whether it is one. More digits than nanoseconds have are dropped.
 */
static bool
option_value_bare_seconds(const char *text, int64_t *ret_ns)
{
	size_t whole = strspn(text, "0123456789");
	size_t digits = text[whole] == '.' ? strspn(text + whole + 1, "0123456789") : 0;
	int64_t part_ns = 0, unit_ns = NS_PER_S, seconds;

	if (whole + digits == 0 || text[whole + (text[whole] == '.') + digits] != '\0')
		return false;
	for (size_t i = 0; i < digits && unit_ns > 1; i++) {
		unit_ns /= 10;
		part_ns += (text[whole + 1 + i] - '0') * unit_ns;
	}
	seconds = strtoll(text, NULL, 10);
	/* what is beyond any range stays beyond it */
	*ret_ns = seconds >= INT64_MAX / NS_PER_S ? INT64_MAX : seconds * NS_PER_S + part_ns;
	return true;
}

int64_t
option_value_duration(struct error_list *errors, const char *name, const char *text,
    int64_t least_ns, int64_t most_ns)
{
	char least[UNITS_TEXT_MAX], most[UNITS_TEXT_MAX], range[96];
	const char *error;
	int64_t ns;

	if (!option_value_bare_seconds(text, &ns) && units_parse_duration(text, &ns, &error) < 0) {
		option_value_refuse(errors, name, text, error);
		return 0;
	}
	if (ns >= least_ns && ns <= most_ns)
		return ns;
	(void)snprintf(range, sizeof(range), "is not from %s to %s",
	    units_format_duration(least_ns, least, sizeof(least)),
	    units_format_duration(most_ns, most, sizeof(most)));
	option_value_refuse(errors, name, text, range);
	return 0;
}

void
option_print_errors(const char *program, const struct error_list *errors)
{
	const char *line;

	for (size_t i = 0; (line = error_list_line(errors, i)) != NULL; i++)
		(void)fprintf(stderr, "%s: %s\n", program, line);
	if (errors->lost > 0)
		(void)fprintf(stderr, "%s: %s\n", program, strerror(ENOMEM));
}
