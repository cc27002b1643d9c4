/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "config/config_scope.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
config_scope_init(struct config_scope *scope)
{
	*scope = (struct config_scope){ .count = 1 };
}

void
config_scope_done(struct config_scope *scope)
{
	while (scope->count > 0)
		config_scope_pop(scope);
}

struct config_scope_level *
config_scope_top(struct config_scope *scope)
{
	return &scope->levels[scope->count - 1];
}

bool
config_scope_is_list(const struct config_scope *scope)
{
	char bracket = scope->levels[scope->count - 1].bracket;

	return bracket == '(' || bracket == '[';
}

int
config_scope_push(
    struct config_scope *scope, char bracket, const char *name, struct config_source_line where)
{
	if (scope->count == CONFIG_SCOPE_MAX)
		return -E2BIG;
	scope->levels[scope->count++] = (struct config_scope_level){
		.bracket = bracket,
		.name = name,
		.where = where,
	};
	return 0;
}

void
config_scope_pop(struct config_scope *scope)
{
	struct config_scope_level *level = &scope->levels[--scope->count];

	for (size_t i = 0; i < level->key_count; i++)
		free(level->keys[i].name);
	free(level->keys);
}

const struct config_scope_key *
config_scope_find(const struct config_scope *scope, const char *name)
{
	const struct config_scope_level *level = &scope->levels[scope->count - 1];

	for (size_t i = 0; i < level->key_count; i++) {
		if (strcmp(level->keys[i].name, name) == 0)
			return &level->keys[i];
	}
	return NULL;
}

int
config_scope_add(struct config_scope *scope, char *name, struct config_source_line where)
{
	struct config_scope_level *level = config_scope_top(scope);
	struct config_scope_key *keys;

	keys = reallocarray(level->keys, level->key_count + 1, sizeof(*keys));
	if (keys == NULL)
		return -ENOMEM;
	level->keys = keys;
	keys[level->key_count++] = (struct config_scope_key){ name, where };
	return 0;
}

char *
config_scope_format(const struct config_scope *scope, const char *name, char *buffer, size_t size)
{
	size_t used = 0;

	for (size_t i = 1; i <= scope->count && used < size; i++) {
		const struct config_scope_level *outer = &scope->levels[i - 1];
		const char *key = i < scope->count ? scope->levels[i].name : name;
		int n;

		if (outer->bracket == '(' || outer->bracket == '[')
			n = snprintf(buffer + used, size - used, "[%zu]", outer->index);
		else
			n = snprintf(buffer + used, size - used, "%s%s", used > 0 ? "." : "", key);
		used += n > 0 ? (size_t)n : 0;
	}
	return buffer;
}
