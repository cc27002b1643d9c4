/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The file of a UNIX socket. PATH.lock, held with flock(2), decides who may replace a stale
 * file; the file's device and inode decide who may remove it.
 */
#ifndef ECHOD_BASE_SOCKET_FILE_H
#define ECHOD_BASE_SOCKET_FILE_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/address.h"
#include "base/attributes.h"
#include "base/error_list.h"

struct socket_file {
	int lock_fd; /* owned; -1: no file */
	bool shared; /* the lock, with a file that is gone: see socket_file_take_over() */
	dev_t device;
	ino_t inode;
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
};

#define SOCKET_FILE_NONE \
	{ \
		.lock_fd = -1 \
	}

/*
 * Bind FD to the path in ADDRESS; where HELD, a file of ours that is lost, has the lock, share it
 * (NULL: there is none). A socket that nobody serves is replaced; one that answers, or
 * that another echod has locked, is -EADDRINUSE; anything that is no socket is -EEXIST and stays
 * as it is. WHO starts the line in ERRORS.
 */
ATTR_MUSTCHECK int socket_file_bind(int fd, const struct address *address,
    const struct socket_file *held, const char *who, struct socket_file *ret_file,
    struct error_list *errors);

/* Return whether the path stands for another file than the one that was bound, or for none. */
bool socket_file_is_lost(const struct socket_file *file);

/* Let FILE, bound beside LOST, have the lock alone. Until then the lock stays when FILE goes. */
void socket_file_take_over(struct socket_file *file, struct socket_file *lost);

/* Find the id of GROUP, a name or a number. Returns 0, -ENOENT for a group nobody knows, or another
 * -errno. */
ATTR_MUSTCHECK int socket_file_find_group(const char *group, gid_t *ret_gid);

/*
 * Give the file permission bits MODE and group GROUP. Called between bind and listen, so that
 * nobody connects before, and when a reload changes them: only if the path still stands for the
 * file that was bound, whatever else lies there is left alone (-ESTALE). Returns 0, or -errno with
 * a line in ERRORS.
 */
ATTR_MUSTCHECK int socket_file_set_access(const struct socket_file *file, mode_t mode, gid_t group,
    const char *who, struct error_list *errors);

/* Remove the file if it is still the one that was bound, then the lock. */
void socket_file_remove(struct socket_file *file);

#endif
