/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "config/config_groups.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/socket_file.h"
#include "base/text.h"

static bool
find_known(const struct config *before, const char *group, gid_t *ret_gid)
{
	if (before == NULL)
		return false;
	if (*before->control.socket != '\0' && strcmp(before->control.group, group) == 0) {
		*ret_gid = before->control.gid;
		return true;
	}
	for (size_t i = 0; i < before->listener_count; i++) {
		const struct listener_config *lis = &before->listeners[i];

		if (lis->enabled && strcmp(lis->group, group) == 0) {
			*ret_gid = lis->gid;
			return true;
		}
	}
	return false;
}

/* Find GROUP, the value of KEY, which stands at ORIGIN. */
static int
find_group(const char *group, const struct config *before, const struct config_origin *origin,
    const char *key, gid_t *ret_gid, struct error_list *errors)
{
	char shown[160];
	int r;

	if (*group == '\0' || find_known(before, group, ret_gid))
		return 0;
	r = socket_file_find_group(group, ret_gid);
	if (r == 0)
		return 0;
	(void)text_escape_string(group, shown, sizeof(shown));
	if (r == -ENOENT)
		return config_add_error(errors, origin,
		    "%s: \"%s\" is no group of this machine (create it, or write one that there "
		    "is)",
		    key, shown);
	(void)config_add_error(
	    errors, origin, "%s: \"%s\" cannot be looked up: %s", key, shown, strerror(-r));
	return r;
}

int
config_find_groups(struct config *config, const struct config *before, struct error_list *errors)
{
	struct control_config *control = &config->control;
	const struct listener_config *last = NULL;
	int first = 0, r = 0;

	for (size_t i = 0; i < config->listener_count; i++) {
		struct listener_config *lis = &config->listeners[i];
		char key[64];

		if (!lis->enabled)
			continue;
		/* many listeners have one group: it is looked up once */
		if (last != NULL && strcmp(last->group, lis->group) == 0) {
			lis->gid = last->gid;
			continue;
		}
		(void)snprintf(key, sizeof(key), "listeners[%zu].group", i);
		r = find_group(lis->group, before, config_listener_origin(lis, "group"), key,
		    &lis->gid, errors);
		if (first == 0)
			first = r;
		last = r == 0 ? lis : NULL;
	}
	if (*control->socket != '\0')
		r = find_group(control->group, before,
		    config_origin_of(config, CONFIG_CONTROL, "group"), "control.group",
		    &control->gid, errors);
	return first != 0 ? first : r;
}
