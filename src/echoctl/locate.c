/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "echoctl/locate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>

#define SOCKET_NAME "control.sock"
/* Over a UNIX socket nobody looks the host up; the daemon wants one that it knows. */
#define SOCKET_URL "http://localhost"

static int
locate_check(const char *path)
{
	struct sockaddr_un address;
	struct stat st;

	if (strlen(path) >= sizeof(address.sun_path))
		return ENAMETOOLONG;
	return stat(path, &st) < 0 ? errno : 0;
}

/* Take DIRECTORY (LENGTH bytes) FOLDER SOCKET_NAME as the next place. Returns 0 or -ENOMEM. */
static int
locate_add(
    struct echoctl_location *location, const char *directory, size_t length, const char *folder)
{
	struct echoctl_place *places;
	char *path;

	if (length == 0)
		return 0;
	if (asprintf(&path, "%.*s/%s" SOCKET_NAME, (int)length, directory, folder) < 0)
		return -ENOMEM;
	places = reallocarray(location->places, location->count + 1, sizeof(*places));
	if (places == NULL) {
		free(path);
		return -ENOMEM;
	}
	places[location->count] = (struct echoctl_place){ path, locate_check(path) };
	location->places = places;
	location->count++;
	return 0;
}

static int
locate_search(struct echoctl_location *location, const struct echoctl_surroundings *around)
{
	const char *directory = around->runtime_directory;
	int r = 0;

	while (directory != NULL && *directory != '\0' && r == 0) {
		size_t length = strcspn(directory, ":");

		r = locate_add(location, directory, length, "");
		directory += length + (directory[length] == ':');
	}
	if (r == 0 && around->run != NULL)
		r = locate_add(location, around->run, strlen(around->run), "echod/");
	if (r == 0 && around->xdg_runtime_dir != NULL)
		r = locate_add(
		    location, around->xdg_runtime_dir, strlen(around->xdg_runtime_dir), "echod/");
	if (r < 0)
		return r;
	for (size_t i = 0; i < location->count; i++) {
		if (location->places[i].error == 0) {
			location->socket = location->places[i].path;
			return 0;
		}
	}
	return -ENOENT;
}

/* "http://" goes before a URL without a scheme; a "/" at the end goes. */
static char *
locate_url(const char *url)
{
	size_t length = strlen(url);
	char *text;

	while (length > 0 && url[length - 1] == '/')
		length--;
	if (asprintf(
		&text, "%s%.*s", strstr(url, "://") != NULL ? "" : "http://", (int)length, url) < 0)
		return NULL;
	return text;
}

int
echoctl_locate(const char *socket, const char *url, const struct echoctl_surroundings *around,
    struct echoctl_location *ret_location)
{
	*ret_location = (struct echoctl_location){ .socket = socket };
	ret_location->url = locate_url(url != NULL ? url : SOCKET_URL);
	if (ret_location->url == NULL)
		return -ENOMEM;
	if (socket != NULL || url != NULL)
		return 0;
	return locate_search(ret_location, around);
}

void
echoctl_location_done(struct echoctl_location *location)
{
	for (size_t i = 0; i < location->count; i++)
		free(location->places[i].path);
	free(location->places);
	free(location->url);
	*location = (struct echoctl_location){ .count = 0 };
}
