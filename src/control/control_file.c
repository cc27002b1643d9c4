/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "control/control_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

#define WHO "control.socket"
#define NAME "/control.sock"
#define FOLDER_MODE 0755
/* A full backlog refuses at once those who cannot wait, as curl does: it is to be hard to fill. */
#define BACKLOG 1024
#define RETRY_NS (20 * NS_PER_MS)

bool
control_file_is_auto(const struct control_config *cfg)
{
	return strcmp(cfg->socket, "auto") == 0;
}

int
control_file_path(const struct control_config *cfg, char *buffer, size_t size)
{
	const char *runtime = secure_getenv("RUNTIME_DIRECTORY");
	const char *home = secure_getenv("XDG_RUNTIME_DIR");
	int n;

	if (!control_file_is_auto(cfg))
		n = snprintf(buffer, size, "%s", cfg->socket);
	else if (runtime != NULL && runtime[0] == '/')
		n = snprintf(buffer, size, "%.*s" NAME, (int)strcspn(runtime, ":"), runtime);
	else if (geteuid() == 0)
		n = snprintf(buffer, size, "/run/echod" NAME);
	else if (home != NULL && home[0] == '/')
		n = snprintf(buffer, size, "%s/echod" NAME, home);
	else
		return -ENOENT;
	return (size_t)n < size ? 0 : -ENAMETOOLONG;
}

/* Where this fails without a word, the bind says why. */
static void
control_file_make_folder(const char *path)
{
	char folder[sizeof(((struct socket_file *)NULL)->path)];
	const char *slash = strrchr(path, '/');

	if (slash == path)
		return;
	(void)snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path), path);
	/* the umask must not keep the group out; one that was there already stays as it is */
	if (mkdir(folder, FOLDER_MODE) == 0)
		(void)chmod(folder, FOLDER_MODE);
}

/* Bind FD, let in whom CFG says, and only then listen. */
static int
control_file_serve(int fd, const struct control_config *cfg, const struct address *address,
    struct socket_file *ret_file, struct error_list *errors)
{
	gid_t group = getegid();
	int r = *cfg->group != '\0' ? socket_file_find_group(cfg->group, &group) : 0;

	if (r < 0) {
		error_list_add(errors, "control.group: cannot use group \"%s\": %s", cfg->group,
		    r == -ENOENT ? "there is no such group" : strerror(-r));
		return r;
	}
	r = socket_file_bind(fd, address, WHO, ret_file, errors);
	if (r == 0)
		r = socket_file_set_access(ret_file, (mode_t)cfg->mode, group, WHO, errors);
	if (r == 0 && listen(fd, BACKLOG) < 0) {
		r = -errno;
		error_list_add(
		    errors, WHO ": cannot listen on %s: %s", ret_file->path, strerror(-r));
	}
	return r;
}

/* One try. */
static int
control_file_try(const struct control_config *cfg, const struct address *address,
    struct socket_file *ret_file, struct error_list *errors)
{
	struct socket_file file = SOCKET_FILE_NONE;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), r;

	if (fd < 0) {
		r = -errno;
		error_list_add(errors, WHO ": cannot make a socket: %s", strerror(-r));
		return r;
	}
	r = control_file_serve(fd, cfg, address, &file, errors);
	if (r < 0) {
		socket_file_remove(&file);
		close(fd);
		return r;
	}
	*ret_file = file;
	return fd;
}

/* The last try alone is told. */
static int
control_file_insist(const struct control_config *cfg, const struct address *address,
    int64_t patience_ns, struct socket_file *ret_file, struct error_list *errors)
{
	int64_t deadline_ns = clock_now_ns() + patience_ns;
	struct timespec pause = { .tv_nsec = RETRY_NS };

	for (;;) {
		struct error_list tries = ERROR_LIST_EMPTY;
		int fd = control_file_try(cfg, address, ret_file, &tries);
		bool again = fd == -EADDRINUSE && clock_now_ns() < deadline_ns;

		if (fd < 0 && !again)
			error_list_add(errors, "%s", error_list_first(&tries));
		error_list_done(&tries);
		if (!again)
			return fd;
		(void)nanosleep(&pause, NULL);
	}
}

int
control_file_open(const struct control_config *cfg, int64_t patience_ns,
    struct socket_file *ret_file, struct error_list *errors)
{
	struct address address = { .transport = ADDRESS_UNIX };
	char *path = address.u.un.sun_path;
	int r = control_file_path(cfg, path, sizeof(address.u.un.sun_path));

	if (r < 0) {
		error_list_add(errors, WHO ": %s",
		    r == -ENOENT ? "no place for it: neither RUNTIME_DIRECTORY nor XDG_RUNTIME_DIR "
				   "is set"
				 : "the path is too long");
		return r;
	}
	address.u.un.sun_family = AF_UNIX;
	address.length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path) + 1);
	control_file_make_folder(path);
	return control_file_insist(cfg, &address, patience_ns, ret_file, errors);
}
