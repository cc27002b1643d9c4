/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stands in front of the C library and makes calls of the daemon fail, dawdle, move less or answer
 * otherwise, from one moment to another. Each call has one row of a table in a file, named by the
 * environment variable ECHOD_FAULTS, which both we and faults.py have mapped. faults.py reads the
 * two lists below, so a new call is one line in CALLS and one function.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
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
#include <time.h>
#include <unistd.h>

/* alloc is any of malloc(3), calloc(3), realloc(3); of epoll_ctl(2) it is EPOLL_CTL_ADD. */
#define CALLS(X) \
	X(accept4) \
	X(alloc) \
	X(clock_gettime) \
	X(close) \
	X(epoll_ctl) \
	X(epoll_wait) \
	X(getgrnam_r) \
	X(monotonic) \
	X(pipe2) \
	X(pthread_create) \
	X(readv) \
	X(recv) \
	X(recvmmsg) \
	X(sched_getaffinity) \
	X(send) \
	X(splice) \
	X(writev)

/*
 * 0 in any of them: it is not used. A fault without error and delay_ms does what most and value
 * say: clock_gettime(2) is VALUE seconds ahead on the wall clock, monotonic is that of
 * CLOCK_MONOTONIC, and sched_getaffinity(2) finds
 * VALUE CPUs under a kernel that knows MOST. For what moves bytes, most is in force whatever times
 * says.
 */
#define FIELDS(X) \
	X(times)     /* how many calls it is still to happen to; negative: for ever */ \
	X(skip)      /* calls that go well first */ \
	X(every)     /* then it happens to one in so many, the first of them included */ \
	X(workers)   /* to threads of workers only */ \
	X(listening) /* to calls about listening sockets only */ \
	X(port)      /* to calls about sockets of that port only */ \
	X(error)     /* the errno to fail with; without one the call is made */ \
	X(delay_ms)  /* how long the call takes before that */ \
	X(most)      /* the most bytes that one call moves */ \
	X(value)     /* what a call that asks something is told */ \
	X(hits)      /* counted here: how often it has happened */

#define NUMBER(name) CALL_##name,
enum call { CALLS(NUMBER) CALL_COUNT };

struct fault {
#define MEMBER(name) _Atomic int64_t name;
	FIELDS(MEMBER)
};

static struct fault none[CALL_COUNT];
static struct fault *faults = none;

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
	REAL(close)(fd);
	if (memory != MAP_FAILED)
		faults = memory;
}

/* Take one from a count that is left; false when none is. */
static bool
faults_take(_Atomic int64_t *count)
{
	int64_t left = *count;

	while (left > 0) {
		if (atomic_compare_exchange_weak(count, &left, left - 1))
			return true;
	}
	return false;
}

static bool
faults_is_worker(void)
{
	char name[16] = "";

	return prctl(PR_GET_NAME, name) == 0 && strncmp(name, "echod-w", 7) == 0;
}

/* Whether a fault is for this thread and for this descriptor (-1: the call is about none). */
static bool
faults_apply(const struct fault *fault, int fd)
{
	struct sockaddr_in6 address = { 0 };
	socklen_t length = sizeof(int);
	int listening = 0;

	if (fault->workers != 0 && !faults_is_worker())
		return false;
	if (fault->listening != 0 &&
	    (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) < 0 || !listening))
		return false;
	if (fault->port == 0)
		return true;
	length = sizeof(address);
	/* IPv4 has its port at the same place */
	return getsockname(fd, (struct sockaddr *)&address, &length) == 0 &&
	       fault->port == ntohs(address.sin6_port);
}

/* Whether it happens to this call. */
static bool
faults_due(enum call call, int fd)
{
	static _Atomic int64_t calls[CALL_COUNT];
	struct fault *fault = &faults[call];
	int before = errno;
	bool due;

	if (fault->times == 0)
		return false;
	due = faults_apply(fault, fd) && !faults_take(&fault->skip) &&
	      (fault->every == 0 || atomic_fetch_add(&calls[call], 1) % fault->every == 0) &&
	      (fault->times < 0 || faults_take(&fault->times));
	if (due)
		fault->hits++;
	errno = before;
	return due;
}

/* Dawdle if that is due. Returns whether the call is to fail, with errno set. */
static bool
faults_fail(enum call call, int fd)
{
	struct fault *fault = &faults[call];
	struct timespec delay;

	if (!faults_due(call, fd))
		return false;
	delay.tv_sec = fault->delay_ms / 1000;
	delay.tv_nsec = fault->delay_ms % 1000 * 1000000;
	(void)nanosleep(&delay, NULL);
	if (fault->error == 0)
		return false;
	errno = (int)fault->error;
	return true;
}

/* How many of LENGTH bytes the call moves at most. */
static size_t
faults_clip(enum call call, int fd, size_t length)
{
	int64_t most = faults[call].most;

	return most > 0 && (uint64_t)most < length && faults_apply(&faults[call], fd) ? (size_t)most
										      : length;
}

/* The same for a vector: fewer bytes are the first of the first part that has any. */
static int
faults_clip_vector(
    enum call call, int fd, const struct iovec **vector, int count, struct iovec *first)
{
	if (count < 1 || faults[call].most == 0 || !faults_apply(&faults[call], fd))
		return count;
	while (count > 1 && (*vector)->iov_len == 0) {
		(*vector)++;
		count--;
	}
	*first = **vector;
	first->iov_len = faults_clip(call, fd, first->iov_len);
	*vector = first;
	return 1;
}

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *memory, size_t size);

void *
malloc(size_t size)
{
	return faults_fail(CALL_alloc, -1) ? NULL : __libc_malloc(size);
}

void *
calloc(size_t count, size_t size)
{
	return faults_fail(CALL_alloc, -1) ? NULL : __libc_calloc(count, size);
}

void *
realloc(void *memory, size_t size)
{
	return size > 0 && faults_fail(CALL_alloc, -1) ? NULL : __libc_realloc(memory, size);
}

int
accept4(int fd, struct sockaddr *address, socklen_t *length, int flags)
{
	return faults_fail(CALL_accept4, fd) ? -1 : REAL(accept4)(fd, address, length, flags);
}

int
clock_gettime(clockid_t clock, struct timespec *ret_time)
{
	int r = REAL(clock_gettime)(clock, ret_time);

	if (r == 0 && clock == CLOCK_REALTIME && faults_due(CALL_clock_gettime, -1))
		ret_time->tv_sec += faults[CALL_clock_gettime].value;
	if (r == 0 && clock == CLOCK_MONOTONIC && faults_due(CALL_monotonic, -1))
		ret_time->tv_sec += faults[CALL_monotonic].value;
	return r;
}

int
close(int fd)
{
	return faults_fail(CALL_close, fd) ? -1 : REAL(close)(fd);
}

int
epoll_ctl(int epoll, int op, int fd, struct epoll_event *event)
{
	return op == EPOLL_CTL_ADD && faults_fail(CALL_epoll_ctl, fd)
		   ? -1
		   : REAL(epoll_ctl)(epoll, op, fd, event);
}

int
epoll_wait(int epoll, struct epoll_event *events, int most, int timeout)
{
	return faults_fail(CALL_epoll_wait, epoll) ? -1
						   : REAL(epoll_wait)(epoll, events, most, timeout);
}

int
getgrnam_r(
    const char *name, struct group *group, char *buffer, size_t size, struct group **ret_found)
{
	return faults_fail(CALL_getgrnam_r, -1)
		   ? errno
		   : REAL(getgrnam_r)(name, group, buffer, size, ret_found);
}

int
pipe2(int fds[2], int flags)
{
	return faults_fail(CALL_pipe2, -1) ? -1 : REAL(pipe2)(fds, flags);
}

int
pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *arg)
{
	return faults_fail(CALL_pthread_create, -1) ? errno
						    : REAL(pthread_create)(thread, attr, run, arg);
}

ssize_t
readv(int fd, const struct iovec *vector, int count)
{
	struct iovec first;

	if (faults_fail(CALL_readv, fd))
		return -1;
	count = faults_clip_vector(CALL_readv, fd, &vector, count, &first);
	return REAL(readv)(fd, vector, count);
}

ssize_t
recv(int fd, void *buffer, size_t length, int flags)
{
	if (faults_fail(CALL_recv, fd))
		return -1;
	return REAL(recv)(fd, buffer, faults_clip(CALL_recv, fd, length), flags);
}

int
recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *timeout)
{
	return faults_fail(CALL_recvmmsg, fd) ? -1
					      : REAL(recvmmsg)(fd, messages, count, flags, timeout);
}

int
sched_getaffinity(pid_t pid, size_t size, cpu_set_t *ret_set)
{
	const struct fault *fault = &faults[CALL_sched_getaffinity];

	if (!faults_due(CALL_sched_getaffinity, -1))
		return REAL(sched_getaffinity)(pid, size, ret_set);
	if (size * 8 < (size_t)fault->most) {
		errno = EINVAL;
		return -1;
	}
	memset(ret_set, 0, size);
	for (size_t cpu = 0; cpu < (size_t)fault->value; cpu++)
		CPU_SET_S(cpu, size, ret_set);
	return 0;
}

ssize_t
send(int fd, const void *buffer, size_t length, int flags)
{
	if (faults_fail(CALL_send, fd))
		return -1;
	return REAL(send)(fd, buffer, faults_clip(CALL_send, fd, length), flags);
}

ssize_t
splice(int in, off_t *in_offset, int out, off_t *out_offset, size_t length, unsigned flags)
{
	if (faults_fail(CALL_splice, in))
		return -1;
	return REAL(splice)(
	    in, in_offset, out, out_offset, faults_clip(CALL_splice, in, length), flags);
}

ssize_t
writev(int fd, const struct iovec *vector, int count)
{
	struct iovec first;

	if (faults_fail(CALL_writev, fd))
		return -1;
	count = faults_clip_vector(CALL_writev, fd, &vector, count, &first);
	return REAL(writev)(fd, vector, count);
}
