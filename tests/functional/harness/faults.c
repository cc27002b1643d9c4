/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Makes calls of the daemon fail: loaded in front of the C library, steered by faults.py through
 * a file that both have mapped. A fault is a slot with a count: it is taken as often as that.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* The same names in the same order as in faults.py. */
enum slot {
	WORKERS_ONLY, /* not 0: only threads of workers have faults */
	HITS,         /* how many faults were had */
	ALLOC_SKIP,   /* allocations that succeed first */
	ALLOC_FAIL,   /* allocations that fail then */
	EPOLL_ERRNO,
	EPOLL_FAIL, /* epoll_ctl(2) with EPOLL_CTL_ADD */
	PIPE_ERRNO,
	PIPE_FAIL, /* pipe2(2) */
	SPLICE_ERRNO,
	SPLICE_SKIP,
	SPLICE_FAIL, /* splice(2) */
	IO_MOST,     /* not 0: the most bytes that one call moves */
	SEND_MOST,   /* not 0: the most bytes that one send(2) takes */
	EINTR_EVERY, /* not 0: this many calls that move bytes or wait, then one that fails */
	SLOTS,
};

static _Atomic int64_t none[SLOTS];
static _Atomic int64_t *slots = none;

#define REAL(name) \
	({ \
		static _Atomic(__typeof__(&(name))) known; \
		__typeof__(&(name)) found = known; \
\
		if (found == NULL) \
			known = found = (__typeof__(&(name)))dlsym(RTLD_NEXT, #name); \
		found; \
	})

__attribute__((constructor)) static void
faults_open(void)
{
	const char *path = getenv("ECHOD_FAULTS");
	int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *memory;

	if (fd < 0)
		return;
	memory = mmap(NULL, sizeof(none), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (memory != MAP_FAILED)
		slots = memory;
}

static bool
faults_apply(void)
{
	char name[16] = "";

	if (slots[WORKERS_ONLY] == 0)
		return true;
	return prctl(PR_GET_NAME, name) == 0 && strncmp(name, "echod-w", 7) == 0;
}

/* Take one from a count that is left; false when none is. */
static bool
faults_take(enum slot slot)
{
	int64_t left = slots[slot];

	while (left > 0) {
		if (atomic_compare_exchange_weak(&slots[slot], &left, left - 1))
			return true;
	}
	return false;
}

/* Whether this call is to fail, the first ones of SKIP excepted (SLOTS: there are none). */
static bool
faults_due(enum slot count, enum slot skip)
{
	if (slots[count] <= 0 || !faults_apply())
		return false;
	if ((skip != SLOTS && faults_take(skip)) || !faults_take(count))
		return false;
	atomic_fetch_add(&slots[HITS], 1);
	return true;
}

static bool
faults_interrupt(void)
{
	static _Atomic int64_t calls;
	int64_t every = slots[EINTR_EVERY];

	if (every == 0 || !faults_apply() || atomic_fetch_add(&calls, 1) % every != 0)
		return false;
	atomic_fetch_add(&slots[HITS], 1);
	errno = EINTR;
	return true;
}

static size_t
faults_clip(enum slot slot, size_t length)
{
	int64_t most = slots[slot];

	return most > 0 && (uint64_t)most < length && faults_apply() ? (size_t)most : length;
}

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *memory, size_t size);

static bool
faults_no_memory(void)
{
	if (!faults_due(ALLOC_FAIL, ALLOC_SKIP))
		return false;
	errno = ENOMEM;
	return true;
}

void *
malloc(size_t size)
{
	return faults_no_memory() ? NULL : __libc_malloc(size);
}

void *
calloc(size_t count, size_t size)
{
	return faults_no_memory() ? NULL : __libc_calloc(count, size);
}

void *
realloc(void *memory, size_t size)
{
	return size > 0 && faults_no_memory() ? NULL : __libc_realloc(memory, size);
}

int
epoll_ctl(int epoll, int op, int fd, struct epoll_event *event)
{
	if (op == EPOLL_CTL_ADD && faults_due(EPOLL_FAIL, SLOTS)) {
		errno = (int)slots[EPOLL_ERRNO];
		return -1;
	}
	return REAL(epoll_ctl)(epoll, op, fd, event);
}

int
epoll_wait(int epoll, struct epoll_event *events, int most, int timeout)
{
	return faults_interrupt() ? -1 : REAL(epoll_wait)(epoll, events, most, timeout);
}

int
pipe2(int fds[2], int flags)
{
	if (faults_due(PIPE_FAIL, SLOTS)) {
		errno = (int)slots[PIPE_ERRNO];
		return -1;
	}
	return REAL(pipe2)(fds, flags);
}

ssize_t
splice(int in, off_t *in_offset, int out, off_t *out_offset, size_t length, unsigned flags)
{
	if (faults_due(SPLICE_FAIL, SPLICE_SKIP)) {
		errno = (int)slots[SPLICE_ERRNO];
		return -1;
	}
	if (faults_interrupt())
		return -1;
	return REAL(splice)(in, in_offset, out, out_offset, faults_clip(IO_MOST, length), flags);
}

ssize_t
recv(int fd, void *buffer, size_t length, int flags)
{
	return faults_interrupt() ? -1
				  : REAL(recv)(fd, buffer, faults_clip(IO_MOST, length), flags);
}

ssize_t
send(int fd, const void *buffer, size_t length, int flags)
{
	length = faults_clip(SEND_MOST, faults_clip(IO_MOST, length));
	return faults_interrupt() ? -1 : REAL(send)(fd, buffer, length, flags);
}

/* Fewer bytes than asked for are the first of the first that has any. */
static int
faults_clip_vector(const struct iovec *vector, int count, struct iovec *first)
{
	if (count < 1 || slots[IO_MOST] == 0 || !faults_apply())
		return 0;
	while (count > 1 && vector->iov_len == 0) {
		vector++;
		count--;
	}
	*first = *vector;
	first->iov_len = faults_clip(IO_MOST, vector->iov_len);
	return 1;
}

ssize_t
readv(int fd, const struct iovec *vector, int count)
{
	struct iovec first;

	if (faults_interrupt())
		return -1;
	return faults_clip_vector(vector, count, &first) ? REAL(readv)(fd, &first, 1)
							 : REAL(readv)(fd, vector, count);
}

ssize_t
writev(int fd, const struct iovec *vector, int count)
{
	struct iovec first;

	if (faults_interrupt())
		return -1;
	return faults_clip_vector(vector, count, &first) ? REAL(writev)(fd, &first, 1)
							 : REAL(writev)(fd, vector, count);
}
