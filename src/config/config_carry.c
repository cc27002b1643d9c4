/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "config/config_carry.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/directive.h"

/* A table's struct in the running configuration, and in the next one. */
struct pair {
	const char *path; /* "limits", "listeners.echo" */
	const struct directive_table *table;
	const void *was;
	void *is;
	const struct config_origin *was_origins;
	struct config_origin *is_origins;
};

static int
note_waiting(struct config *next, const struct pair *pair, const struct directive *row)
{
	struct config_waiting *list = reallocarray(
	    next->waiting, next->waiting_count + 1, sizeof(*list));
	struct config_waiting *waiting;
	char text[DIRECTIVE_TEXT_MAX];

	if (list == NULL)
		return -ENOMEM;
	next->waiting = list;
	waiting = &list[next->waiting_count];
	*waiting = (struct config_waiting){ .base = pair->is, .row = row };
	if (asprintf(
		&waiting->key, "%s%s%s", pair->path, *pair->path != '\0' ? "." : "", row->key) < 0)
		return -ENOMEM;
	waiting->text = strdup(directive_format(row, pair->is, text, sizeof(text)));
	if (waiting->text == NULL) {
		free(waiting->key);
		return -ENOMEM;
	}
	next->waiting_count++;
	return 0;
}

/* The value of what runs takes the place of the one that was read, and its origin with it. */
static int
carry_row(struct config *next, const struct pair *pair, const struct directive *row,
    struct error_list *errors)
{
	struct config_origin *origin = &pair->is_origins[row - pair->table->rows];
	char text[DIRECTIVE_TEXT_MAX];
	int r = note_waiting(next, pair, row);

	if (r < 0)
		return r;
	*origin = pair->was_origins[row - pair->table->rows];
	if (origin->file != NULL) {
		origin->file = config_keep_file_name(next, origin->file);
		if (origin->file == NULL)
			return -ENOMEM;
	}
	directive_format(row, pair->was, text, sizeof(text));
	return directive_set(row, pair->is, text, "", errors);
}

static int
carry_table(struct config *next, const struct pair *pair, struct error_list *errors)
{
	int r = 0;

	for (size_t i = 0; i < pair->table->count && r == 0; i++) {
		const struct directive *row = &pair->table->rows[i];

		if (row->effect == DIRECTIVE_RESTART && !directive_equal(row, pair->was, pair->is))
			r = carry_row(next, pair, row, errors);
	}
	return r;
}

/* Whether IS will be served by the socket of WAS; a rename keeps it, but port 0 has many. */
static bool
keeps_socket(const struct listener_config *was, const struct listener_config *is)
{
	if (!was->enabled || !is->enabled || !address_equal(&was->address, &is->address))
		return false;
	return !address_is_ip(&is->address) || address_port(&is->address) != 0 ||
	       strcmp(was->name, is->name) == 0;
}

/*
 * Find whose socket IS keeps, from *HINT on: most listeners follow each other as they did, so that
 * the search ends where it begins.
 */
static const struct listener_config *
find_kept(const struct config *running, const struct listener_config *is, size_t *hint)
{
	for (size_t i = 0; i < running->listener_count; i++) {
		size_t index = (*hint + i) % running->listener_count;

		if (!keeps_socket(&running->listeners[index], is))
			continue;
		*hint = index + 1;
		return &running->listeners[index];
	}
	return NULL;
}

static int
carry_listeners(struct config *next, const struct config *running, struct error_list *errors)
{
	size_t hint = 0;
	int r = 0;

	for (size_t i = 0; i < next->listener_count && r == 0; i++) {
		struct listener_config *is = &next->listeners[i];
		const struct listener_config *was = find_kept(running, is, &hint);
		char path[sizeof("listeners.") + CONFIG_LISTENER_NAME_MAX];

		if (was == NULL)
			continue;
		(void)snprintf(path, sizeof(path), "listeners.%s", is->name);
		r = carry_table(next,
		    &(struct pair){ path, directive_table(CONFIG_LISTENERS), was, is, was->origins,
			is->origins },
		    errors);
	}
	return r;
}

int
config_carry_over(struct config *next, const struct config *running, struct error_list *errors)
{
	int r = carry_listeners(next, running, errors);

	for (enum config_section s = CONFIG_TOP; s < CONFIG_SECTIONS && r == 0; s++) {
		const struct directive_table *table = directive_table(s);

		if (s != CONFIG_LISTENERS)
			r = carry_table(next,
			    &(struct pair){ table->section, table, directive_base(running, s),
				directive_base(next, s), running->origins[s], next->origins[s] },
			    errors);
	}
	/* what was looked up for the group goes with it, as nothing of the socket changes before */
	next->control.gid = running->control.gid;
	if (r == -ENOMEM)
		error_list_add(errors, "out of memory");
	return r;
}

const char *
config_find_waiting(const struct config *config, const void *base, const struct directive *row)
{
	for (size_t i = 0; i < config->waiting_count; i++) {
		const struct config_waiting *waiting = &config->waiting[i];

		if (waiting->base == base && waiting->row == row)
			return waiting->text;
	}
	return NULL;
}
