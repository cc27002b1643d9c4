/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "engine/datagram/batch.h"

#include <errno.h>
#include <netinet/udp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/address.h"
#include "base/clock.h"
#include "engine/datagram/broadcasts.h"

/* Most messages that are read or sent at a time. */
#define BATCH_SIZE 32

/* More than the largest UDP payload: what does not fit is marked as truncated. */
#define BUFFER_SIZE 65536

/* Room for what we ask for, and for what an inherited socket may have been told to add. */
#define CONTROL_SIZE 512

/* After a read of so many bytes the next asks for few messages: the worker has others to serve. */
#define LARGE_BYTES ((size_t)512 << 10)
#define LARGE_COUNT 8

/* Limits of one segmented message: the payload that IPv6 can carry, and the kernel's own. */
#define RUN_BYTES_MAX 65487
#define RUN_SEGMENTS_MAX 64

/* How long segments of a size that was refused are not tried: another route may take them. */
#define REFUSAL_NS NS_PER_S

/* The port of a connect(2) that only asks for a route. */
#define SOME_PORT 9

union control {
	struct cmsghdr header; /* for its alignment */
	unsigned char bytes[CONTROL_SIZE];
};

/* Datagrams to one source that are sent as one message: consecutive vectors of the batch. */
struct run {
	const struct received *to; /* the first of them */
	size_t first_vector;
	size_t vector_count;
	size_t segment; /* bytes of each datagram but the last */
	size_t bytes;
	uint64_t count; /* datagrams */
	bool closed;    /* the last datagram is shorter, or empty: none can follow */
};

struct batch {
	int fd;
	bool ip;
	struct datagram_local pinned; /* AF_UNSPEC: control messages tell where each went to */
	struct received received[BATCH_SIZE];
	unsigned read_size; /* messages to ask for next */
	struct run runs[BATCH_SIZE];
	size_t run_count;
	/* Larger segments were refused by a device or by the path MTU. */
	size_t segment_max;
	int64_t refused_ns;            /* when; 0: they were not */
	struct counters *counters;     /* of the flush under way */
	struct broadcasts *broadcasts; /* the same */
	/*
	 * The arrays that the kernel works on. They describe where to read to; once something was
	 * read, its entries are free to describe what is sent back.
	 */
	struct iovec vectors[BATCH_SIZE];
	size_t vector_count; /* to be sent */
	struct mmsghdr messages[BATCH_SIZE];
	union control controls[BATCH_SIZE];
	unsigned spent; /* entries that have to be prepared before the next read */
	unsigned char buffers[BATCH_SIZE][BUFFER_SIZE]; /* as a rule one page of each is touched */
};

/*
 * Whether ADDRESS is a unicast address of this machine: bind(2) refuses those of others, and
 * connect(2) a broadcast address without SO_BROADCAST. Nothing is sent.
 */
static bool
batch_is_own_unicast(struct address address)
{
	int fd = socket(address.u.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool own;

	if (fd < 0)
		return false;
	/* the port is at the same place for IPv6 */
	address.u.in.sin_port = 0;
	own = bind(fd, &address.u.sa, address.length) == 0;
	address.u.in.sin_port = htons(SOME_PORT);
	own = own && connect(fd, &address.u.sa, address.length) == 0;
	close(fd);
	return own;
}

/* The one address that ADDRESS stands for; AF_UNSPEC where there may be more. */
static struct datagram_local
batch_one_local(const struct address *address)
{
	struct datagram_local local = { .family = AF_UNSPEC };

	if (address->u.sa.sa_family == AF_INET) {
		struct in_addr host = address->u.in.sin_addr;

		if (host.s_addr == htonl(INADDR_ANY) || IN_MULTICAST(ntohl(host.s_addr)))
			return local;
		local.family = AF_INET;
		local.u.in = (struct in_pktinfo){ .ipi_addr = host, .ipi_spec_dst = host };
	} else if (address->u.sa.sa_family == AF_INET6) {
		const struct in6_addr *host = &address->u.in6.sin6_addr;

		/* a link-local one is told with its interface, and a mapped one as IPv4 */
		if (IN6_IS_ADDR_UNSPECIFIED(host) || IN6_IS_ADDR_MULTICAST(host) ||
		    IN6_IS_ADDR_LINKLOCAL(host) || IN6_IS_ADDR_V4MAPPED(host))
			return local;
		local.family = AF_INET6;
		local.u.in6 = (struct in6_pktinfo){ .ipi6_addr = *host };
	}
	return local;
}

struct datagram_local
batch_pin_socket(int fd)
{
	const struct datagram_local many = { .family = AF_UNSPEC };
	struct datagram_local local;
	struct address address;
	int off = 0, transparent = 0;
	socklen_t size = sizeof(transparent);

	if (address_of_socket(fd, &address) < 0)
		return many;
	local = batch_one_local(&address);
	if (local.family == AF_UNSPEC || !batch_is_own_unicast(address))
		return many;
	/* a socket that was passed in may be handed what went to others */
	if (getsockopt(fd, IPPROTO_IP, IP_TRANSPARENT, &transparent, &size) < 0 || transparent != 0)
		return many;
	(void)setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &off, sizeof(off));
	if (local.family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &off, sizeof(off));
	return local;
}

struct batch *
batch_new(int fd, bool ip)
{
	struct batch *batch = malloc(sizeof(*batch));

	if (batch == NULL)
		return NULL;
	memset(batch, 0, offsetof(struct batch, buffers));
	batch->fd = fd;
	batch->ip = ip;
	if (ip)
		batch->pinned = batch_pin_socket(fd);
	batch->read_size = batch->spent = BATCH_SIZE;
	batch->segment_max = ip ? RUN_BYTES_MAX : 0;
	for (size_t i = 0; i < BATCH_SIZE; i++)
		batch->received[i].bytes = batch->buffers[i];
	return batch;
}

/* Describe where the kernel shall put the message number INDEX. */
static void
batch_prepare_read(struct batch *batch, size_t index)
{
	struct received *received = &batch->received[index];
	struct msghdr *header = &batch->messages[index].msg_hdr;

	batch->vectors[index] = (struct iovec){ received->bytes, BUFFER_SIZE };
	*header = (struct msghdr){
		.msg_name = &received->source,
		.msg_namelen = sizeof(received->source),
		.msg_iov = &batch->vectors[index],
		.msg_iovlen = 1,
	};
	/* where there is no room for control messages, the kernel discards descriptors that a UNIX
	 * client attaches */
	if (batch->ip) {
		header->msg_control = &batch->controls[index];
		header->msg_controllen = sizeof(batch->controls[index]);
	}
}

/* Take from the control messages where it went to, and the size of coalesced datagrams. */
static void
received_read_control(struct received *received, struct msghdr *header)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c != NULL; c = CMSG_NXTHDR(header, c)) {
		int segment = 0;

		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			received->local.family = AF_INET;
			memcpy(&received->local.u.in, CMSG_DATA(c), sizeof(received->local.u.in));
			/*
			 * A datagram that waited before IP_PKTINFO was set has only the address of
			 * its header. An answer may leave from there only if the address is ours,
			 * which the kernel checks.
			 */
			if (received->local.u.in.ipi_ifindex == 0)
				received->local.u.in.ipi_spec_dst = received->local.u.in.ipi_addr;
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO &&
			   received->local.family == AF_UNSPEC) {
			/* a dual-stack socket tells both of an IPv4 packet: IP_PKTINFO counts */
			received->local.family = AF_INET6;
			memcpy(&received->local.u.in6, CMSG_DATA(c), sizeof(received->local.u.in6));
		} else if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) {
			memcpy(&segment, CMSG_DATA(c), sizeof(segment));
			if (segment > 0)
				received->segment = (size_t)segment;
		}
	}
}

int
batch_receive(struct batch *batch, struct received **ret_first)
{
	size_t bytes = 0;
	int count;

	while (batch->spent > 0)
		batch_prepare_read(batch, --batch->spent);
	count = recvmmsg(batch->fd, batch->messages, batch->read_size, MSG_DONTWAIT, NULL);
	if (count < 0)
		return -errno;
	batch->spent = (unsigned)count;
	for (int i = 0; i < count; i++) {
		struct received *received = &batch->received[i];
		struct msghdr *header = &batch->messages[i].msg_hdr;

		received->source_length = header->msg_namelen;
		received->local = batch->pinned;
		received->truncated = (header->msg_flags & MSG_TRUNC) != 0;
		received->length = received->segment = batch->messages[i].msg_len;
		received_read_control(received, header);
		bytes += received->length;
	}
	batch->read_size = bytes >= LARGE_BYTES * (size_t)batch->read_size / BATCH_SIZE
			       ? LARGE_COUNT
			       : BATCH_SIZE;
	*ret_first = batch->received;
	return count;
}

uint64_t
received_count(const struct received *received)
{
	if (received->length == received->segment)
		return 1;
	return (received->length + received->segment - 1) / received->segment;
}

void
received_cut(struct received *received, uint64_t at)
{
	size_t first = (size_t)at * received->segment, next = first + received->segment;

	if (next < received->length) {
		memmove(received->bytes + first, received->bytes + next, received->length - next);
		received->length -= received->segment;
	} else {
		received->length = first;
	}
}

/* Whether answers to A and B have the same destination and leave from the same address. */
static bool
received_same_way(const struct received *a, const struct received *b)
{
	return a->source_length == b->source_length &&
	       memcmp(&a->source, &b->source, a->source_length) == 0 &&
	       memcmp(&a->local, &b->local, sizeof(a->local)) == 0;
}

/* Whether the COUNT datagrams of RECEIVED, LENGTH bytes in all, may follow in RUN. */
static bool
batch_may_join(const struct batch *batch, const struct run *run, const struct received *received,
    size_t length, uint64_t count)
{
	if (run->closed || length == 0 || received->segment > run->segment ||
	    (received->segment < run->segment && count > 1))
		return false;
	return run->segment <= batch->segment_max && run->bytes + length <= RUN_BYTES_MAX &&
	       run->count + count <= RUN_SEGMENTS_MAX && received_same_way(run->to, received);
}

void
batch_add(struct batch *batch, const struct received *received, uint64_t count)
{
	struct run *run = &batch->runs[batch->run_count];
	size_t length = received->length;

	if (count < received_count(received))
		length = (size_t)count * received->segment;
	if (batch->run_count > 0 && batch_may_join(batch, run - 1, received, length, count)) {
		run--;
	} else {
		*run = (struct run){ .to = received,
			.first_vector = batch->vector_count,
			.segment = received->segment,
			.closed = length == 0 };
		batch->run_count++;
	}
	batch->vectors[batch->vector_count++] = (struct iovec){ received->bytes, length };
	run->vector_count++;
	run->bytes += length;
	run->count += count;
	run->closed = run->closed || run->bytes < run->segment * run->count;
}

static void
header_add(struct msghdr *header, int level, int type, const void *data, size_t length)
{
	struct cmsghdr *c = (void *)((unsigned char *)header->msg_control + header->msg_controllen);

	c->cmsg_level = level;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(length);
	memcpy(CMSG_DATA(c), data, length);
	header->msg_controllen += CMSG_SPACE(length);
}

/*
 * Make HEADER send to where RUN came from, with CONTROL for control messages. The answer leaves
 * from the address that was asked; the routes decide through which interface. To force the
 * interface that the question came in by would lose the answer where the routes say otherwise, and
 * fill the neighbour table there for forged sources. Only a link-local address needs its interface.
 */
static void
batch_address(
    const struct batch *batch, struct msghdr *header, const struct run *run, union control *control)
{
	const struct datagram_local *local = &run->to->local;

	*header = (struct msghdr){ .msg_name = (void *)(uintptr_t)&run->to->source,
		.msg_namelen = run->to->source_length,
		.msg_control = control };
	if (batch->pinned.family != AF_UNSPEC)
		return;
	if (local->family == AF_INET) {
		struct in_pktinfo info = { .ipi_spec_dst = local->u.in.ipi_spec_dst };

		header_add(header, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
	} else if (local->family == AF_INET6) {
		struct in6_pktinfo info = local->u.in6;

		if (!IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr))
			info.ipi6_ifindex = 0;
		header_add(header, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof(info));
	}
}

/* Describe run number INDEX to the kernel, in segments when it is of several datagrams. */
static void
batch_prepare_send(struct batch *batch, size_t index)
{
	const struct run *run = &batch->runs[index];
	struct msghdr *header = &batch->messages[index].msg_hdr;

	batch_address(batch, header, run, &batch->controls[index]);
	header->msg_iov = &batch->vectors[run->first_vector];
	header->msg_iovlen = run->vector_count;
	if (run->count > 1) {
		uint16_t segment = (uint16_t)run->segment;

		header_add(header, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof(segment));
	}
}

static void
batch_count_sent(struct batch *batch, uint64_t count, uint64_t bytes)
{
	counters_add(batch->counters, COUNTER_DATAGRAMS_SENT, count);
	counters_add(batch->counters, COUNTER_SENT_BYTES, bytes);
}

/* Why nothing may be sent to where RUN came from. */
static enum datagram_drop
batch_refusal(const struct batch *batch, const struct run *run)
{
	struct in6_addr address = { .s6_addr = { [10] = 0xff, [11] = 0xff } };
	const struct received *to = run->to;

	if (to->source.sa.sa_family == AF_INET)
		memcpy(&address.s6_addr[12], &to->source.in.sin_addr, sizeof(in_addr_t));
	else if (to->source.sa.sa_family == AF_INET6)
		address = to->source.in6.sin6_addr;
	else
		return DATAGRAM_SEND_REFUSED;
	return broadcasts_learn(batch->broadcasts, &address, clock_now_ns())
		   ? DATAGRAM_SOURCE_SUBNET_BROADCAST
		   : DATAGRAM_SEND_REFUSED;
}

static void
batch_count_failed(struct batch *batch, const struct run *run, int error, uint64_t count)
{
	enum datagram_drop drop = DATAGRAM_SEND_ERROR;

	switch (error) {
	case EAGAIN:
	case ENOBUFS:
	case ENOMEM:
		drop = DATAGRAM_SEND_FULL;
		break;
	case EPERM:
		drop = DATAGRAM_SEND_REFUSED;
		break;
	case EACCES:
		drop = batch_refusal(batch, run);
		break;
	case ENETUNREACH:
	case EHOSTUNREACH:
	case ENETDOWN:
	case ECONNREFUSED:
	case ENOENT:
		drop = DATAGRAM_SEND_UNREACHABLE;
		break;
	}
	counters_add(batch->counters, drop, count);
}

/* Send each datagram of RUN as a message of its own. Returns whether the kernel took any. */
static bool
batch_send_apart(struct batch *batch, const struct run *run)
{
	union control control;
	struct iovec piece;
	struct msghdr header;
	bool taken = false;

	batch_address(batch, &header, run, &control);
	header.msg_iov = &piece;
	header.msg_iovlen = 1;
	for (size_t i = 0; i < run->vector_count; i++) {
		const struct iovec *vector = &batch->vectors[run->first_vector + i];

		for (size_t done = 0; done < vector->iov_len; done += run->segment) {
			size_t left = vector->iov_len - done;
			ssize_t n;

			piece.iov_base = (unsigned char *)vector->iov_base + done;
			piece.iov_len = left < run->segment ? left : run->segment;
			n = sendmsg(batch->fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
			if (n < 0)
				batch_count_failed(batch, run, errno, 1);
			else
				batch_count_sent(batch, 1, (uint64_t)n);
			taken |= n >= 0;
		}
	}
	return taken;
}

/* The kernel refused to send RUN with ERROR. */
static void
batch_retry(struct batch *batch, const struct run *run, int error)
{
	bool no_segments = error == EIO || error == EOPNOTSUPP;

	if (run->count == 1 || !(no_segments || error == EMSGSIZE || error == EINVAL)) {
		batch_count_failed(batch, run, error, run->count);
		return;
	}
	/*
	 * The segments may be to blame: they are larger than the path MTU, or the device cannot
	 * compute their checksums. Where the same datagrams can be sent one by one, that is so.
	 */
	if (!batch_send_apart(batch, run))
		return;
	batch->segment_max = no_segments ? 0 : run->segment - 1;
	batch->refused_ns = clock_coarse_ns();
}

/* Send runs from number FIRST on. Returns how many are dealt with, at least one. */
static size_t
batch_send_runs(struct batch *batch, size_t first)
{
	const struct run *run = &batch->runs[first];
	size_t ready = 0;
	int count;

	while (first + ready < batch->run_count &&
	       (run[ready].count == 1 || run[ready].segment <= batch->segment_max))
		ready++;
	if (ready == 0) {
		(void)batch_send_apart(batch, run);
		return 1;
	}
	count = sendmmsg(
	    batch->fd, &batch->messages[first], (unsigned)ready, MSG_DONTWAIT | MSG_NOSIGNAL);
	for (int i = 0; i < count; i++)
		batch_count_sent(batch, run[i].count, run[i].bytes);
	if (count > 0)
		return (size_t)count;
	/* sendmmsg(2) fails only when it could not send the first message */
	batch_retry(batch, run, errno);
	return 1;
}

void
batch_flush(struct batch *batch, struct counters *counters, struct broadcasts *broadcasts)
{
	batch->counters = counters;
	batch->broadcasts = broadcasts;
	if (batch->refused_ns != 0 && clock_coarse_ns() - batch->refused_ns >= REFUSAL_NS) {
		batch->segment_max = RUN_BYTES_MAX;
		batch->refused_ns = 0;
	}
	for (size_t i = 0; i < batch->run_count; i++)
		batch_prepare_send(batch, i);
	for (size_t done = 0; done < batch->run_count;)
		done += batch_send_runs(batch, done);
	batch->vector_count = batch->run_count = 0;
}
