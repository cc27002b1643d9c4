/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "config/configuration.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "config/directive.h"

/* Whether this build can send to the journal. */
#ifdef HAVE_SYSTEMD
#define CONFIG_HAS_JOURNAL true
#else
#define CONFIG_HAS_JOURNAL false
#endif

static const char *const suits_text[] = {
	[DIRECTIVE_ANY] = "any listener",
	[DIRECTIVE_STREAM] = "a tcp:// or unix: address",
	[DIRECTIVE_IP] = "a tcp:// or udp:// address",
	[DIRECTIVE_IPV6] = "an IPv6 address",
	[DIRECTIVE_TCP] = "a tcp:// address",
	[DIRECTIVE_UDP] = "a udp:// address",
	[DIRECTIVE_DATAGRAM] = "a udp:// or unixgram: address",
	[DIRECTIVE_FILE] = "a unix: or unixgram: path",
};

struct change_sink {
	void (*changed)(void *context, const char *key, const char *from, const char *to);
	void *context;
};

const struct config *
config_ref(const struct config *config)
{
	/* the count is no part of what is configured */
	struct config *counted = (void *)(uintptr_t)config;

	atomic_fetch_add_explicit(&counted->references, 1, memory_order_relaxed);
	return config;
}

void
config_unref(const struct config *given)
{
	struct config *config = (void *)(uintptr_t)given;

	if (config == NULL ||
	    atomic_fetch_sub_explicit(&config->references, 1, memory_order_acq_rel) > 1)
		return;
	for (size_t i = 0; i < config->listener_count; i++)
		directive_free_fields(directive_table(CONFIG_LISTENERS), &config->listeners[i]);
	for (enum config_section s = CONFIG_TOP; s < CONFIG_SECTIONS; s++) {
		void *base = directive_base(config, s);

		if (base != NULL)
			directive_free_fields(directive_table(s), base);
	}
	for (size_t i = 0; i < config->file_name_count; i++)
		free(config->file_names[i]);
	for (size_t i = 0; i < config->waiting_count; i++) {
		free(config->waiting[i].key);
		free(config->waiting[i].text);
	}
	free(config->waiting);
	free(config->listeners);
	free(config->file_names);
	free(config->path);
	free(config);
}

const char *
config_keep_file_name(struct config *config, const char *name)
{
	char **names;

	for (size_t i = 0; i < config->file_name_count; i++) {
		if (strcmp(config->file_names[i], name) == 0)
			return config->file_names[i];
	}
	names = reallocarray(config->file_names, config->file_name_count + 1, sizeof(*names));
	if (names == NULL)
		return NULL;
	config->file_names = names;
	names[config->file_name_count] = strdup(name);
	if (names[config->file_name_count] == NULL)
		return NULL;
	return names[config->file_name_count++];
}

struct config *
config_new_empty(void)
{
	struct config *config = calloc(1, sizeof(*config));

	if (config == NULL)
		return NULL;
	atomic_init(&config->references, 1);
	for (enum config_section s = CONFIG_TOP; s < CONFIG_SECTIONS; s++) {
		void *base = directive_base(config, s);

		if (base != NULL && directive_set_defaults(directive_table(s), base) < 0) {
			config_unref(config);
			return NULL;
		}
	}
	return config;
}

struct listener_config *
config_add_listener(struct config *config)
{
	const struct directive_table *table = directive_table(CONFIG_LISTENERS);
	size_t count = config->listener_count;
	struct listener_config *lis;

	/* the list grows at powers of two: not every allocator can do it without a copy */
	if ((count & (count - 1)) == 0) {
		lis = reallocarray(config->listeners, count == 0 ? 1 : count * 2, sizeof(*lis));
		if (lis == NULL)
			return NULL;
		config->listeners = lis;
	}
	lis = config->listeners + count;
	*lis = (struct listener_config){ 0 };
	if (directive_set_defaults(table, lis) < 0) {
		directive_free_fields(table, lis);
		return NULL;
	}
	config->listener_count++;
	return lis;
}

static int
add_default_listener(struct config *config, const char *name, const char *address)
{
	const struct directive_table *table = directive_table(CONFIG_LISTENERS);
	struct listener_config *lis = config_add_listener(config);
	struct error_list errors = ERROR_LIST_EMPTY;
	int r = -1;

	if (lis == NULL)
		return -1;
	if (directive_set(directive_find(table, "name"), lis, name, "", &errors) == 0 &&
	    directive_set(directive_find(table, "address"), lis, address, "", &errors) == 0)
		r = 0;
	error_list_done(&errors);
	return r;
}

struct config *
config_new_default(void)
{
	struct config *config = config_new_empty();

	if (config == NULL)
		return NULL;
	if (add_default_listener(config, "echo", "tcp://127.0.0.1:7007") < 0 ||
	    add_default_listener(config, "echo6", "tcp://[::1]:7007") < 0) {
		config_unref(config);
		return NULL;
	}
	return config;
}

int
config_add_error(
    struct error_list *errors, const struct config_origin *origin, const char *format, ...)
{
	char *message = NULL;
	va_list ap;

	if (error_list_is_full(errors)) {
		errors->surplus++;
		return -EINVAL;
	}
	va_start(ap, format);
	if (vasprintf(&message, format, ap) < 0)
		message = NULL;
	va_end(ap);
	if (origin->file != NULL)
		error_list_add(errors, "%s:%u: %s", origin->file, origin->line,
		    message != NULL ? message : "out of memory");
	else
		error_list_add(errors, "%s", message != NULL ? message : "out of memory");
	free(message);
	return -EINVAL;
}

char *
config_format_place(const struct config_origin *origin, const char *what, char *buffer, size_t size)
{
	buffer[0] = '\0';
	if (origin->file != NULL)
		(void)snprintf(buffer, size, " (%s at %s:%u)", what, origin->file, origin->line);
	return buffer;
}

/* Return the place of KEY in the ORIGINS of SECTION. */
static const struct config_origin *
origin_of(const struct config_origin *origins, enum config_section section, const char *key)
{
	const struct directive_table *table = directive_table(section);

	return &origins[directive_find(table, key) - table->rows];
}

const struct config_origin *
config_listener_origin(const struct listener_config *lis, const char *key)
{
	return origin_of(lis->origins, CONFIG_LISTENERS, key);
}

bool
config_listener_names(const struct listener_config *lis, const char *key)
{
	return config_listener_origin(lis, key)->file != NULL;
}

const struct config_origin *
config_origin_of(const struct config *config, enum config_section section, const char *key)
{
	return origin_of(config->origins[section], section, key);
}

/* Keys that were given for an address on which they would do nothing. */
static void
check_suits(const struct config *config, size_t index, struct error_list *errors)
{
	const struct directive_table *table = directive_table(CONFIG_LISTENERS);
	const struct listener_config *lis = &config->listeners[index];

	if (lis->address_text == NULL)
		return;
	for (size_t i = 0; i < table->count; i++) {
		const struct directive *row = &table->rows[i];

		if (lis->origins[i].file != NULL && !directive_suits_address(row, &lis->address))
			config_add_error(errors, &lis->origins[i],
			    "listeners[%zu].%s: is for %s only, not for \"%s\" (remove it)", index,
			    row->key, suits_text[row->suits], lis->address_text);
	}
	if (lis->address.wildcard && lis->v6only)
		config_add_error(errors, config_listener_origin(lis, "v6only"),
		    "listeners[%zu].v6only: contradicts the host * (write %s://[::]:%u)", index,
		    address_transport_name(lis->address.transport), address_port(&lis->address));
}

static void
check_listeners(const struct config *config, struct error_list *errors)
{
	bool enabled = false;

	for (size_t i = 0; i < config->listener_count; i++) {
		check_suits(config, i, errors);
		enabled |= config->listeners[i].enabled;
	}
	if (config->listener_count > 0 && !enabled)
		config_add_error(errors, &config->origins[CONFIG_LISTENERS][0],
		    "listeners: none is enabled (write enabled = true in at least one)");
}

static void
check_marks(const struct config *config, struct error_list *errors)
{
	const struct config_origin *low = config_origin_of(config, CONFIG_LIMITS, "output_low");
	const struct config_origin *high = config_origin_of(config, CONFIG_LIMITS, "output_high");
	char other[CONFIG_PLACE_MAX], low_text[UNITS_TEXT_MAX], high_text[UNITS_TEXT_MAX];

	if (config->limits.output_low < config->limits.output_high || low->refused || high->refused)
		return;
	units_format_size(config->limits.output_low, low_text, sizeof(low_text));
	units_format_size(config->limits.output_high, high_text, sizeof(high_text));
	if (low->file != NULL)
		config_add_error(errors, low,
		    "limits.output_low: \"%s\" is not below limits.output_high, \"%s\"%s", low_text,
		    high_text,
		    high->file == NULL ? " by default"
				       : config_format_place(high, "set", other, sizeof(other)));
	else
		config_add_error(errors, high,
		    "limits.output_high: \"%s\" is not above limits.output_low, \"%s\" by default",
		    high_text, low_text);
}

static void
check_log(const struct config *config, struct error_list *errors)
{
	const struct config_origin *target = config_origin_of(config, CONFIG_LOG, "target");
	const struct config_origin *file = config_origin_of(config, CONFIG_LOG, "file");
	const struct config_origin *mode = config_origin_of(config, CONFIG_LOG, "mode");
	bool to_file = config->log.target == LOG_TARGET_FILE;
	const char *name = config->log.file;

	if (!mode->refused && (config->log.mode & 0200) == 0)
		config_add_error(errors, mode,
		    "log.mode: \"%04o\" keeps the daemon from its own file (write \"0640\", or "
		    "another with 2 for the owner)",
		    (unsigned)config->log.mode);
	if (target->refused || file->refused)
		return;
	if (config->log.target == LOG_TARGET_JOURNAL && !CONFIG_HAS_JOURNAL)
		config_add_error(errors, target,
		    "log.target: \"journal\" needs a build with libsystemd, which this is not "
		    "(write \"auto\", \"stderr\", \"syslog\" or \"file\")");
	if (to_file && *name == '\0')
		config_add_error(
		    errors, target, "log.target: \"file\" needs log.file (write file = \"/PATH\")");
	else if (!to_file && *name != '\0')
		config_add_error(errors, file,
		    "log.file: is used by target \"file\" only (write target = \"file\")");
	else if (to_file && *name != '/')
		config_add_error(
		    errors, file, "log.file: is not an absolute path (write file = \"/PATH\")");
}

bool
config_log_is_good(const struct config *config)
{
	const struct directive_table *table = directive_table(CONFIG_LOG);
	struct error_list errors = ERROR_LIST_EMPTY;
	bool good;

	check_log(config, &errors);
	good = error_list_count(&errors) == 0;
	error_list_done(&errors);
	for (size_t i = 0; i < table->count; i++)
		good &= !config->origins[CONFIG_LOG][i].refused;
	return good;
}

static void
check_control_socket(const struct config *config, struct error_list *errors)
{
	const struct config_origin *origin = config_origin_of(config, CONFIG_CONTROL, "socket");
	const char *path = config->control.socket;
	char shown[160];

	if (!origin->refused && *path != '\0' && *path != '/' && strcmp(path, "auto") != 0)
		config_add_error(errors, origin,
		    "control.socket: \"%s\" is not an absolute path (write \"/PATH\", \"auto\" or "
		    "\"\")",
		    text_escape_string(path, shown, sizeof(shown)));
}

void
config_check(const struct config *config, struct error_list *errors)
{
	check_listeners(config, errors);
	check_marks(config, errors);
	check_log(config, errors);
	check_control_socket(config, errors);
}

/*
 * Names are unique in a checked configuration. The search begins at *HINT, behind the last one that
 * was found: most listeners follow each other as they did.
 */
static const struct listener_config *
find_listener(const struct config *config, const char *name, size_t *hint)
{
	for (size_t i = 0; i < config->listener_count; i++) {
		size_t index = (*hint + i) % config->listener_count;
		const struct listener_config *lis = &config->listeners[index];

		if (lis->name == NULL || strcmp(lis->name, name) != 0)
			continue;
		*hint = index + 1;
		return lis;
	}
	return NULL;
}

static void
diff_table(const struct directive_table *table, const char *prefix, const void *old,
    const void *new, const struct change_sink *sink)
{
	char from[DIRECTIVE_TEXT_MAX], to[DIRECTIVE_TEXT_MAX], key[256];

	for (size_t i = 0; i < table->count; i++) {
		const struct directive *row = &table->rows[i];

		if (directive_equal(row, old, new))
			continue;
		directive_format(row, old, from, sizeof(from));
		directive_format(row, new, to, sizeof(to));
		(void)snprintf(
		    key, sizeof(key), "%s%s%s", prefix, *prefix != '\0' ? "." : "", row->key);
		sink->changed(sink->context, key, from, to);
	}
}

static void
diff_listeners(const struct config *old, const struct config *new, const struct change_sink *sink)
{
	size_t old_hint = 0, new_hint = 0;
	char key[256];

	for (size_t i = 0; i < old->listener_count; i++) {
		const struct listener_config *was = &old->listeners[i];
		const struct listener_config *is = find_listener(new, was->name, &new_hint);

		(void)snprintf(key, sizeof(key), "listeners.%s", was->name);
		if (is == NULL)
			sink->changed(sink->context, key, was->address_text, "");
		else
			diff_table(directive_table(CONFIG_LISTENERS), key, was, is, sink);
	}
	for (size_t i = 0; i < new->listener_count; i++) {
		const struct listener_config *is = &new->listeners[i];

		if (find_listener(old, is->name, &old_hint) != NULL)
			continue;
		(void)snprintf(key, sizeof(key), "listeners.%s", is->name);
		sink->changed(sink->context, key, "", is->address_text);
	}
}

void
config_diff(const struct config *old, const struct config *new,
    void (*changed)(void *context, const char *key, const char *from, const char *to),
    void *context)
{
	const struct change_sink sink = { changed, context };

	diff_listeners(old, new, &sink);
	for (enum config_section s = CONFIG_TOP; s < CONFIG_SECTIONS; s++) {
		const struct directive_table *table = directive_table(s);

		if (s != CONFIG_LISTENERS)
			diff_table(table, table->section, directive_base(old, s),
			    directive_base(new, s), &sink);
	}
}
