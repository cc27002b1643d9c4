/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "base/socket_file.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOCK_SUFFIX ".lock"
#define LOCK_TRIES 16
/* The number of fchmodat2(2), which headers of before Linux 6.6 do not know. */
#ifdef SYS_fchmodat2
#define FCHMODAT2 SYS_fchmodat2
#else
#define FCHMODAT2 452
#endif
#define GROUP_SIZE_MAX (16U << 20)

static bool
socket_file_is_same(int fd, int other)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && fstat(other, &b) == 0 && a.st_ino == b.st_ino &&
	       a.st_dev == b.st_dev;
}

/*
 * The holder removes the lock file when it leaves. So after flock(2) the name may stand for
 * another file, or none: only a lock on the file that the name still stands for counts.
 */
static int
socket_file_lock(const struct socket_file *held, struct socket_file *file)
{
	char lock_path[sizeof(((struct socket_file *)NULL)->path) + sizeof(LOCK_SUFFIX)];

	(void)snprintf(lock_path, sizeof(lock_path), "%s" LOCK_SUFFIX, file->path);
	for (int i = 0; i < LOCK_TRIES; i++) {
		struct stat locked, named;
		int fd = open(
		    lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);

		if (fd < 0)
			return -errno;
		if (held != NULL && socket_file_is_same(fd, held->lock_fd)) {
			/* flock(2) belongs to what was opened: a duplicate holds it too */
			close(fd);
			file->lock_fd = fcntl(held->lock_fd, F_DUPFD_CLOEXEC, 0);
			file->shared = true;
			return file->lock_fd < 0 ? -errno : 0;
		}
		if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
			int error = errno;

			close(fd);
			return error == EWOULDBLOCK ? -EADDRINUSE : -error;
		}
		if (fstat(fd, &locked) == 0 && lstat(lock_path, &named) == 0 &&
		    locked.st_ino == named.st_ino && locked.st_dev == named.st_dev) {
			file->lock_fd = fd;
			return 0;
		}
		close(fd);
	}
	return -EADDRINUSE;
}

/* Return whether a process listens at ADDRESS: only a refused connection proves that none does. */
static bool
socket_file_is_served(const struct address *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bool served = true;

	if (fd < 0)
		return true;
	if (connect(fd, &address->u.sa, address->length) < 0)
		served = errno != ECONNREFUSED && errno != ENOENT;
	close(fd);
	return served;
}

/* With the lock held: remove a stale file. *RET_FAULT is set where strerror() says too little. */
static int
socket_file_clear(const struct address *address, const char **ret_fault)
{
	const char *path = address->u.un.sun_path;
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode)) {
		*ret_fault = "the path exists and is not a socket; it was left as it is";
		return -EEXIST;
	}
	if (socket_file_is_served(address)) {
		*ret_fault = "another process serves it";
		return -EADDRINUSE;
	}
	return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}

static int
socket_file_claim(int fd, const struct address *address, struct socket_file *file, const char *who,
    struct error_list *errors)
{
	const char *fault = NULL;
	struct stat st;
	int r = socket_file_clear(address, &fault);

	if (r == 0 && (bind(fd, &address->u.sa, address->length) < 0 || lstat(file->path, &st) < 0))
		r = -errno;
	if (r < 0) {
		error_list_add(errors, "%s: cannot bind unix:%s: %s", who, file->path,
		    fault != NULL ? fault : strerror(-r));
		return r;
	}
	file->device = st.st_dev;
	file->inode = st.st_ino;
	return 0;
}

int
socket_file_bind(int fd, const struct address *address, const struct socket_file *held,
    const char *who, struct socket_file *ret_file, struct error_list *errors)
{
	struct socket_file file = SOCKET_FILE_NONE;
	int r;

	memcpy(file.path, address->u.un.sun_path, sizeof(file.path));
	r = socket_file_lock(held, &file);
	if (r == -ENOENT) {
		/* the lock is a file that is made: nothing but the folder can lack */
		error_list_add(errors,
		    "%s: cannot bind unix:%s: its folder does not exist (make it)", who, file.path);
		return r;
	}
	if (r < 0) {
		error_list_add(errors, "%s: cannot lock unix:%s" LOCK_SUFFIX ": %s", who, file.path,
		    r == -EADDRINUSE ? "another echod serves this path" : strerror(-r));
		return r;
	}
	r = socket_file_claim(fd, address, &file, who, errors);
	if (r < 0) {
		socket_file_remove(&file);
		return r;
	}
	*ret_file = file;
	return 0;
}

bool
socket_file_is_lost(const struct socket_file *file)
{
	struct stat st;

	return file->lock_fd >= 0 && (lstat(file->path, &st) < 0 || st.st_ino != file->inode ||
					 st.st_dev != file->device);
}

void
socket_file_take_over(struct socket_file *file, struct socket_file *lost)
{
	if (lost->lock_fd >= 0)
		close(lost->lock_fd);
	lost->lock_fd = -1;
	file->shared = false;
}

int
socket_file_find_group(const char *group, gid_t *ret_gid)
{
	struct group entry, *found = NULL;
	char *buffer = NULL;
	int r = ERANGE;

	/* a number needs nobody to look it up; -1 would leave the group as it is */
	if (*group != '\0' && group[strspn(group, "0123456789")] == '\0') {
		unsigned long long number = strtoull(group, NULL, 10);

		if (number >= (gid_t)-1)
			return -ENOENT;
		*ret_gid = (gid_t)number;
		return 0;
	}
	/* the names of all members have to fit */
	for (size_t size = 4096; r == ERANGE && size <= GROUP_SIZE_MAX; size *= 4) {
		free(buffer);
		buffer = malloc(size);
		r = buffer == NULL ? ENOMEM : getgrnam_r(group, &entry, buffer, size, &found);
	}
	if (r == 0 && found == NULL)
		r = ENOENT;
	if (r == 0)
		*ret_gid = found->gr_gid;
	free(buffer);
	return -r;
}

/* Change the file behind FD, an O_PATH descriptor that cannot be led astray by a new link. */
static int
socket_file_change(int fd, const struct socket_file *file, mode_t mode, gid_t group)
{
	char path[64];
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_ino != file->inode || st.st_dev != file->device)
		return -ESTALE;
	if (st.st_gid != group && fchownat(fd, "", (uid_t)-1, group, AT_EMPTY_PATH) < 0)
		return -errno;
	/* fchmodat(2) does not take an O_PATH descriptor, its name in /proc does */
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (chmod(path, mode) == 0)
		return 0;
	if (errno != ENOENT)
		return -errno;
	/* in a chroot without /proc it takes Linux 6.6 */
	return syscall(FCHMODAT2, fd, "", mode, AT_EMPTY_PATH) == 0 ? 0 : -ENOSYS;
}

int
socket_file_set_access(const struct socket_file *file, mode_t mode, gid_t group, const char *who,
    struct error_list *errors)
{
	int fd = open(file->path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	int r = fd < 0 ? -errno : socket_file_change(fd, file, mode, group);

	if (fd >= 0)
		close(fd);
	if (r == -ESTALE || r == -ENOENT)
		error_list_add(errors,
		    "%s: %s is not the socket that was bound any more: somebody replaced or "
		    "removed it (restart to bind it again)",
		    who, file->path);
	else if (r == -ENOSYS)
		error_list_add(errors,
		    "%s: cannot set mode %04o of %s: it takes /proc, which is not mounted here, or "
		    "Linux 6.6",
		    who, (unsigned)mode, file->path);
	else if (r < 0)
		error_list_add(errors, "%s: cannot set mode %04o and group %u of %s: %s", who,
		    (unsigned)mode, (unsigned)group, file->path, strerror(-r));
	return r;
}

void
socket_file_remove(struct socket_file *file)
{
	char lock_path[sizeof(file->path) + sizeof(LOCK_SUFFIX)];
	struct stat st;

	if (file->lock_fd < 0)
		return;
	if (lstat(file->path, &st) == 0 && file->inode != 0 && st.st_ino == file->inode &&
	    st.st_dev == file->device)
		(void)unlink(file->path);
	(void)snprintf(lock_path, sizeof(lock_path), "%s" LOCK_SUFFIX, file->path);
	if (!file->shared)
		(void)unlink(lock_path);
	close(file->lock_fd);
	file->lock_fd = -1;
}
