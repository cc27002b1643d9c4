/* SPDX-License-Identifier: BSD-2-Clause */
/* What one directive alone cannot show. A value that was refused already is not judged again. */
#include <config.h>

#include "config/configuration.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "config/directives.h"

/* "FILE:LINE: PATH: " or "FILE:LINE" of an origin can be long; a path is at most PATH_MAX. */
#define PLACE_MAX 4200

static const char *const suits_text[] = {
	[DIRECTIVE_ANY] = "any listener",
	[DIRECTIVE_STREAM] = "a tcp:// or unix: address",
	[DIRECTIVE_IP] = "a tcp:// or udp:// address",
	[DIRECTIVE_IPV6] = "an IPv6 address",
	[DIRECTIVE_TCP] = "a tcp:// address",
	[DIRECTIVE_UDP] = "a udp:// address",
	[DIRECTIVE_DATAGRAM] = "a udp:// or unixgram: address",
	[DIRECTIVE_UNIX] = "a unix: or unixgram: address",
};

/* Write "FILE:LINE: ", nothing for a default. */
static char *
format_prefix(const struct config_origin *origin, char *buffer, size_t size)
{
	buffer[0] = '\0';
	if (origin->file != NULL)
		(void)snprintf(buffer, size, "%s:%u: ", origin->file, origin->line);
	return buffer;
}

/* Write " (WHAT at FILE:LINE)", nothing for a default. */
static char *
format_other(const struct config_origin *origin, const char *what, char *buffer, size_t size)
{
	buffer[0] = '\0';
	if (origin->file != NULL)
		(void)snprintf(buffer, size, " (%s at %s:%u)", what, origin->file, origin->line);
	return buffer;
}

static size_t
row_of(enum config_section section, const char *key)
{
	const struct directive_table *table = directive_table(section);

	return (size_t)(directive_find(table, key) - table->rows);
}

static const struct config_origin *
listener_origin(const struct listener_config *lis, const char *key)
{
	return &lis->origins[row_of(CONFIG_LISTENERS, key)];
}

static const struct config_origin *
section_origin(const struct config *config, enum config_section section, const char *key)
{
	return &config->origins[section][row_of(section, key)];
}

/* A file is one socket, whatever its kind; ports and abstract names are counted by transport. */
static bool
same_socket(const struct address *a, const struct address *b)
{
	if (address_is_path(a) && address_is_path(b))
		return strcmp(a->u.un.sun_path, b->u.un.sun_path) == 0;
	return address_equal(a, b);
}

static bool
same_place(const struct listener_config *a, const struct listener_config *b)
{
	if (!a->enabled || !b->enabled || a->address_text == NULL || b->address_text == NULL)
		return false;
	if (address_is_ip(&a->address) && address_port(&a->address) == 0)
		return false;
	return same_socket(&a->address, &b->address);
}

static void
check_pair(const struct config *config, size_t first, size_t second, struct error_list *errors)
{
	const struct listener_config *a = &config->listeners[first],
				     *b = &config->listeners[second];
	char prefix[PLACE_MAX], other[PLACE_MAX];
	const struct config_origin *origin;

	if (a->name != NULL && b->name != NULL && strcmp(a->name, b->name) == 0) {
		origin = listener_origin(b, "name");
		error_list_add(errors, "%slisteners[%zu].name: \"%s\" is used twice%s",
		    format_prefix(origin, prefix, sizeof(prefix)), second, b->name,
		    format_other(listener_origin(a, "name"), "first", other, sizeof(other)));
	}
	if (same_place(a, b)) {
		origin = listener_origin(b, "address");
		error_list_add(errors, "%slisteners[%zu].address: \"%s\" is used twice%s",
		    format_prefix(origin, prefix, sizeof(prefix)), second, b->address_text,
		    format_other(listener_origin(a, "address"), "first", other, sizeof(other)));
	}
}

/* Keys that were given for an address on which they would do nothing. */
static void
check_suits(const struct config *config, size_t index, struct error_list *errors)
{
	const struct directive_table *table = directive_table(CONFIG_LISTENERS);
	const struct listener_config *lis = &config->listeners[index];
	char prefix[PLACE_MAX];

	if (lis->address_text == NULL)
		return;
	for (size_t i = 0; i < table->count; i++) {
		const struct directive *row = &table->rows[i];

		if (lis->origins[i].file == NULL || directive_suits_address(row, &lis->address))
			continue;
		error_list_add(errors,
		    "%slisteners[%zu].%s: is for %s only, not for \"%s\" (remove it)",
		    format_prefix(&lis->origins[i], prefix, sizeof(prefix)), index, row->key,
		    suits_text[row->suits], lis->address_text);
	}
	if (lis->address.wildcard && lis->v6only)
		error_list_add(errors,
		    "%slisteners[%zu].v6only: contradicts the host * (write %s://[::]:%u)",
		    format_prefix(listener_origin(lis, "v6only"), prefix, sizeof(prefix)), index,
		    address_transport_name(lis->address.transport), address_port(&lis->address));
}

static void
check_listeners(const struct config *config, struct error_list *errors)
{
	char prefix[PLACE_MAX];
	bool enabled = false;

	for (size_t i = 0; i < config->listener_count; i++) {
		for (size_t j = 0; j < i; j++)
			check_pair(config, j, i, errors);
		check_suits(config, i, errors);
		enabled |= config->listeners[i].enabled;
	}
	if (config->listener_count > 0 && !enabled)
		error_list_add(errors,
		    "%slisteners: none is enabled (write enabled = true in at least one)",
		    format_prefix(&config->origins[CONFIG_LISTENERS][0], prefix, sizeof(prefix)));
}

static void
check_marks(const struct config *config, struct error_list *errors)
{
	const struct config_origin *low = section_origin(config, CONFIG_LIMITS, "output_low");
	const struct config_origin *high = section_origin(config, CONFIG_LIMITS, "output_high");
	const struct config_origin *here = low->file != NULL ? low : high;
	char prefix[PLACE_MAX], other[PLACE_MAX], text[2][UNITS_TEXT_MAX];

	if (config->limits.output_low < config->limits.output_high || low->refused || high->refused)
		return;
	format_prefix(here, prefix, sizeof(prefix));
	units_format_size(config->limits.output_low, text[0], sizeof(text[0]));
	units_format_size(config->limits.output_high, text[1], sizeof(text[1]));
	if (here == low)
		error_list_add(errors,
		    "%slimits.output_low: \"%s\" is not below limits.output_high, \"%s\"%s", prefix,
		    text[0], text[1], format_other(high, "set", other, sizeof(other)));
	else
		error_list_add(errors,
		    "%slimits.output_high: \"%s\" is not above limits.output_low, \"%s\" by "
		    "default",
		    prefix, text[1], text[0]);
}

static void
check_log(const struct config *config, struct error_list *errors)
{
	const struct config_origin *target = section_origin(config, CONFIG_LOG, "target");
	const struct config_origin *file = section_origin(config, CONFIG_LOG, "file");
	bool to_file = config->log.target == CONFIG_LOG_FILE;
	const char *name = config->log.file;
	char prefix[PLACE_MAX];

	if (target->refused || file->refused)
		return;
	if (to_file && *name == '\0')
		error_list_add(errors,
		    "%slog.target: \"file\" needs log.file (write file = \"/PATH\")",
		    format_prefix(target, prefix, sizeof(prefix)));
	else if (!to_file && *name != '\0')
		error_list_add(errors,
		    "%slog.file: is used by target \"file\" only (write target = \"file\")",
		    format_prefix(file, prefix, sizeof(prefix)));
	else if (to_file && *name != '/')
		error_list_add(errors,
		    "%slog.file: is not an absolute path (write file = \"/PATH\")",
		    format_prefix(file, prefix, sizeof(prefix)));
}

/* A door of the control port on the ADDRESS of a listener could never be bound. */
static void
check_door(const struct config *config, const char *key, const char *text,
    const struct address *address, struct error_list *errors)
{
	const struct config_origin *origin = section_origin(config, CONFIG_CONTROL, key);
	char prefix[PLACE_MAX], other[PLACE_MAX];

	for (size_t i = 0; i < config->listener_count; i++) {
		const struct listener_config *lis = &config->listeners[i];

		if (!lis->enabled || lis->address_text == NULL ||
		    !same_socket(&lis->address, address))
			continue;
		error_list_add(errors,
		    "%scontrol.%s: \"%s\" is the address of listeners[%zu] too%s",
		    format_prefix(origin, prefix, sizeof(prefix)), key, text, i,
		    format_other(listener_origin(lis, "address"), "set", other, sizeof(other)));
	}
}

static void
check_control_socket(const struct config *config, struct error_list *errors)
{
	const struct config_origin *origin = section_origin(config, CONFIG_CONTROL, "socket");
	const char *path = config->control.socket, *reason;
	char prefix[PLACE_MAX], shown[160],
	    url[sizeof("unix:") + sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	struct address address;

	if (origin->refused || *path == '\0' || strcmp(path, "auto") == 0)
		return;
	(void)snprintf(url, sizeof(url), "unix:%s", path);
	if (*path != '/' || address_parse(url, &address, &reason) < 0)
		error_list_add(errors,
		    "%scontrol.socket: \"%s\" is not an absolute path (write \"/PATH\", \"auto\" "
		    "or \"\")",
		    format_prefix(origin, prefix, sizeof(prefix)),
		    text_escape_string(path, shown, sizeof(shown)));
	else
		check_door(config, "socket", path, &address, errors);
}

static void
check_control(const struct config *config, struct error_list *errors)
{
	const struct control_config *control = &config->control;

	if (*control->http != '\0' && address_port(&control->http_address) != 0 &&
	    !section_origin(config, CONFIG_CONTROL, "http")->refused)
		check_door(config, "http", control->http, &control->http_address, errors);
	check_control_socket(config, errors);
}

void
config_check(const struct config *config, struct error_list *errors)
{
	check_listeners(config, errors);
	check_marks(config, errors);
	check_log(config, errors);
	check_control(config, errors);
}
