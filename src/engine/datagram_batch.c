/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "engine/datagram_batch.h"

#include <errno.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

/* The largest UDP payload, and room that shows when something was larger. */
#define BUFFER_SIZE 65536

/* Of one segmented send: the payload that IPv6 can carry, and the kernel's bound of segments. */
#define RUN_BYTES_MAX 65487
#define RUN_SEGMENTS_MAX 64

/* Room for what we ask for, and for what an inherited socket may have been told to add. */
#define CONTROL_SIZE 512

/* After so long a size of segments that was refused is tried again: it was one way of many. */
#define REFUSAL_NS NS_PER_S

/* Once a read brought so much, the next ones are of few: the worker has others to serve. */
#define LARGE_BYTES ((size_t)512 << 10)
#define LARGE_COUNT 8

union control {
	struct cmsghdr header; /* for its alignment */
	unsigned char bytes[CONTROL_SIZE];
};

/* Datagrams of one source that are sent in one go: consecutive buffers of batch->parts. */
struct run {
	size_t index; /* of the first in batch->received: where they go to */
	size_t first_part;
	size_t parts;
	size_t segment;
	size_t bytes;
	uint64_t count;
	bool closed; /* the last datagram is shorter, or empty: none can follow */
};

struct datagram_batch {
	struct datagram_batch_hooks hooks;
	unsigned char *buffers;
	struct datagram_received received[DATAGRAM_BATCH_SIZE];
	struct iovec parts[DATAGRAM_BATCH_SIZE];
	size_t part_count;
	struct run runs[DATAGRAM_BATCH_SIZE];
	size_t run_count;
	bool ip;
	struct datagram_local pinned; /* AF_UNSPEC: control messages tell where each went to */
	/* Larger segments were refused: by a device, or by the size that fits on the way. */
	size_t segment_max;
	int64_t refused_ns; /* when; 0: not */
	unsigned read_size; /* datagrams to ask for next */
	/* What the kernel takes, on the way in and on the way out. */
	struct iovec buffer_vectors[DATAGRAM_BATCH_SIZE];
	struct mmsghdr questions[DATAGRAM_BATCH_SIZE];
	union control question_controls[DATAGRAM_BATCH_SIZE];
	struct mmsghdr answers[DATAGRAM_BATCH_SIZE];
	union control answer_controls[DATAGRAM_BATCH_SIZE];
};

/* Make room for a datagram; the kernel's answer overwrites some of it. */
static void
batch_make_question(struct datagram_batch *batch, size_t index)
{
	batch->questions[index].msg_hdr = (struct msghdr){
		.msg_name = &batch->received[index].source,
		.msg_namelen = sizeof(batch->received[index].source),
		.msg_iov = &batch->buffer_vectors[index],
		.msg_iovlen = 1,
	};
	/* without room for them the kernel discards descriptors that a UNIX client attaches */
	if (batch->ip) {
		batch->questions[index].msg_hdr.msg_control = &batch->question_controls[index];
		batch->questions[index].msg_hdr.msg_controllen = sizeof(
		    batch->question_controls[index]);
	}
}

struct datagram_batch *
datagram_batch_new(
    bool ip, const struct datagram_local *pinned, const struct datagram_batch_hooks *hooks)
{
	struct datagram_batch *batch = calloc(1, sizeof(*batch));

	if (batch == NULL)
		return NULL;
	batch->hooks = *hooks;
	batch->ip = ip;
	batch->pinned = *pinned;
	batch->segment_max = ip ? RUN_BYTES_MAX : 0;
	batch->read_size = DATAGRAM_BATCH_SIZE;
	/* only what is written to takes memory: as a rule a page of each */
	batch->buffers = malloc((size_t)DATAGRAM_BATCH_SIZE * BUFFER_SIZE);
	if (batch->buffers == NULL) {
		free(batch);
		return NULL;
	}
	for (size_t i = 0; i < DATAGRAM_BATCH_SIZE; i++) {
		batch->buffer_vectors[i] = (struct iovec){ batch->buffers + i * BUFFER_SIZE,
			BUFFER_SIZE };
		batch_make_question(batch, i);
	}
	return batch;
}

void
datagram_batch_free(struct datagram_batch *batch)
{
	if (batch == NULL)
		return;
	free(batch->buffers);
	free(batch);
}

/* Take from the control messages where it went to, and the size of coalesced datagrams. */
static void
received_read_control(struct datagram_received *received, struct msghdr *header)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c != NULL; c = CMSG_NXTHDR(header, c)) {
		int segment = 0;

		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			received->local.family = AF_INET;
			memcpy(&received->local.u.in, CMSG_DATA(c), sizeof(received->local.u.in));
			/*
			 * One that waited before IP_PKTINFO was set tells only what its header
			 * said; as a source the kernel takes that only where it is ours.
			 */
			if (received->local.u.in.ipi_ifindex == 0)
				received->local.u.in.ipi_spec_dst = received->local.u.in.ipi_addr;
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO &&
			   received->local.family == AF_UNSPEC) {
			/* an IPv4 packet on a dual-stack socket has both, of which the other counts
			 */
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
datagram_batch_receive(struct datagram_batch *batch, int fd)
{
	size_t bytes = 0;
	int count;

	batch->part_count = batch->run_count = 0;
	do
		count = recvmmsg(fd, batch->questions, batch->read_size, MSG_DONTWAIT, NULL);
	while (count < 0 && errno == EINTR);
	if (count < 0)
		return -errno;
	for (int i = 0; i < count; i++) {
		struct datagram_received *received = &batch->received[i];
		struct msghdr *header = &batch->questions[i].msg_hdr;

		received->source_length = header->msg_namelen;
		received->local = batch->pinned;
		received->truncated = (header->msg_flags & MSG_TRUNC) != 0;
		received->length = received->segment = batch->questions[i].msg_len;
		received_read_control(received, header);
		batch_make_question(batch, (size_t)i);
		bytes += received->length;
	}
	batch->read_size = bytes >= LARGE_BYTES * (size_t)batch->read_size / DATAGRAM_BATCH_SIZE
			       ? LARGE_COUNT
			       : DATAGRAM_BATCH_SIZE;
	return count;
}

const struct datagram_received *
datagram_batch_at(const struct datagram_batch *batch, size_t index)
{
	return &batch->received[index];
}

uint64_t
datagram_received_count(const struct datagram_received *received)
{
	if (received->length == received->segment)
		return 1;
	return (received->length + received->segment - 1) / received->segment;
}

void
datagram_batch_cut(struct datagram_batch *batch, size_t index, uint64_t at)
{
	struct datagram_received *received = &batch->received[index];
	unsigned char *bytes = batch->buffer_vectors[index].iov_base;
	size_t first = (size_t)at * received->segment, next = first + received->segment;

	if (next < received->length) {
		memmove(bytes + first, bytes + next, received->length - next);
		received->length -= received->segment;
	} else {
		received->length = first;
	}
}

static bool
received_same_way(const struct datagram_received *a, const struct datagram_received *b)
{
	if (a->source_length != b->source_length || a->local.family != b->local.family ||
	    memcmp(&a->source, &b->source, a->source_length) != 0)
		return false;
	if (a->local.family == AF_INET)
		return memcmp(&a->local.u.in, &b->local.u.in, sizeof(a->local.u.in)) == 0;
	return a->local.family == AF_INET6 &&
	       memcmp(&a->local.u.in6, &b->local.u.in6, sizeof(a->local.u.in6)) == 0;
}

/* Whether LENGTH bytes in datagrams of SEGMENT bytes, from RECEIVED, may follow in RUN. */
static bool
run_takes(const struct datagram_batch *batch, const struct run *run,
    const struct datagram_received *received, size_t length, uint64_t count, size_t segment)
{
	if (run->closed || length == 0 || segment > run->segment ||
	    (segment < run->segment && count > 1))
		return false;
	return run->segment <= batch->segment_max && run->bytes + length <= RUN_BYTES_MAX &&
	       run->count + count <= RUN_SEGMENTS_MAX &&
	       received_same_way(&batch->received[run->index], received);
}

void
datagram_batch_pass(struct datagram_batch *batch, size_t index, uint64_t count)
{
	const struct datagram_received *received = &batch->received[index];
	struct run *run = &batch->runs[batch->run_count];
	size_t length = received->length, segment = received->segment;

	if (count < datagram_received_count(received))
		length = (size_t)count * segment;
	batch->parts[batch->part_count] = (struct iovec){ batch->buffer_vectors[index].iov_base,
		length };
	if (batch->run_count > 0 && run_takes(batch, run - 1, received, length, count, segment)) {
		run--;
	} else {
		*run = (struct run){ .index = index,
			.first_part = batch->part_count,
			.segment = segment,
			.closed = length == 0 };
		batch->run_count++;
	}
	batch->part_count++;
	run->parts++;
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
 * The answer leaves from the address that was asked. Through which interface, the routes decide: to
 * force the one it came in by would lose it where they say otherwise, and fill the table of
 * neighbours there for forged sources. Only a link-local address means nothing without.
 */
static void
batch_add_local(
    const struct datagram_batch *batch, struct msghdr *header, const struct datagram_local *local)
{
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

/* Make message AT send RUN, in segments when there are several. */
static void
batch_prepare(struct datagram_batch *batch, size_t at, const struct run *run)
{
	struct datagram_received *received = &batch->received[run->index];
	struct msghdr *header = &batch->answers[at].msg_hdr;

	*header = (struct msghdr){
		.msg_name = &received->source,
		.msg_namelen = received->source_length,
		.msg_iov = &batch->parts[run->first_part],
		.msg_iovlen = run->parts,
		.msg_control = &batch->answer_controls[at],
	};
	batch_add_local(batch, header, &received->local);
	if (run->count > 1) {
		uint16_t segment = (uint16_t)run->segment;

		header_add(header, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof(segment));
	}
	if (header->msg_controllen == 0)
		header->msg_control = NULL;
}

static enum datagram_drop
batch_drop_for(int error)
{
	switch (error) {
	case EAGAIN:
	case ENOBUFS:
	case ENOMEM:
		return DATAGRAM_SEND_FULL;
	case EPERM:
	case EACCES:
		return DATAGRAM_SEND_REFUSED;
	case ENETUNREACH:
	case EHOSTUNREACH:
	case ENETDOWN:
	case ECONNREFUSED:
	case ENOENT:
		return DATAGRAM_SEND_UNREACHABLE;
	default:
		return DATAGRAM_SEND_ERROR;
	}
}

/* Returns whether the kernel took it. */
static bool
batch_send_one(struct datagram_batch *batch, int fd, struct msghdr *header, struct iovec *part)
{
	ssize_t n;

	header->msg_iov = part;
	header->msg_iovlen = 1;
	do
		n = sendmsg(fd, header, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		batch->hooks.dropped(batch->hooks.context, batch_drop_for(errno), 1);
	else
		batch->hooks.sent(batch->hooks.context, 1, (uint64_t)n);
	return n >= 0;
}

/* Send each datagram of RUN for itself. Returns whether the kernel took any. */
static bool
batch_send_apart(struct datagram_batch *batch, int fd, const struct run *run)
{
	struct datagram_received *received = &batch->received[run->index];
	union control control;
	struct msghdr header = { .msg_name = &received->source,
		.msg_namelen = received->source_length,
		.msg_control = &control };
	bool taken = false;

	batch_add_local(batch, &header, &received->local);
	for (size_t i = 0; i < run->parts; i++) {
		const struct iovec *part = &batch->parts[run->first_part + i];

		for (size_t done = 0; done < part->iov_len; done += run->segment) {
			size_t left = part->iov_len - done;
			struct iovec piece = { (unsigned char *)part->iov_base + done,
				left < run->segment ? left : run->segment };

			taken |= batch_send_one(batch, fd, &header, &piece);
		}
	}
	return taken;
}

/* Whether ERROR may speak of the segments, and not of where they go to. */
static bool
batch_blames_segments(const struct run *run, int error)
{
	return run->count > 1 &&
	       (error == EMSGSIZE || error == EINVAL || error == EIO || error == EOPNOTSUPP);
}

/*
 * Segments were refused: too large for the way there, or on a device that cannot make their
 * checksums. If the same datagrams can be sent one by one, only smaller ones are tried from now on.
 */
static void
batch_retry_apart(struct datagram_batch *batch, int fd, const struct run *run, int error)
{
	if (!batch_send_apart(batch, fd, run))
		return;
	batch->segment_max = error == EIO || error == EOPNOTSUPP ? 0 : run->segment - 1;
	batch->refused_ns = clock_coarse_ns();
}

static bool
batch_must_part(const struct datagram_batch *batch, const struct run *run)
{
	return run->count > 1 && run->segment > batch->segment_max;
}

/* Send the runs from FIRST on that can be sent as they are. Returns how many are dealt with. */
static size_t
batch_send_runs(struct datagram_batch *batch, int fd, size_t first)
{
	const struct run *run = &batch->runs[first];
	size_t ready = 0;
	int count;

	while (first + ready < batch->run_count && !batch_must_part(batch, &run[ready]))
		ready++;
	if (ready == 0) {
		(void)batch_send_apart(batch, fd, run);
		return 1;
	}
	count = sendmmsg(fd, &batch->answers[first], (unsigned)ready, MSG_DONTWAIT | MSG_NOSIGNAL);
	for (int i = 0; i < count; i++)
		batch->hooks.sent(batch->hooks.context, run[i].count, run[i].bytes);
	if (count >= 0)
		return (size_t)count;
	if (errno == EINTR)
		return 0;
	/* the first of them is to blame */
	if (batch_blames_segments(run, errno))
		batch_retry_apart(batch, fd, run, errno);
	else
		batch->hooks.dropped(batch->hooks.context, batch_drop_for(errno), run->count);
	return 1;
}

void
datagram_batch_send(struct datagram_batch *batch, int fd)
{
	if (batch->refused_ns != 0 && clock_coarse_ns() - batch->refused_ns >= REFUSAL_NS) {
		batch->segment_max = RUN_BYTES_MAX;
		batch->refused_ns = 0;
	}
	for (size_t i = 0; i < batch->run_count; i++)
		batch_prepare(batch, i, &batch->runs[i]);
	for (size_t done = 0; done < batch->run_count;)
		done += batch_send_runs(batch, fd, done);
	batch->part_count = batch->run_count = 0;
}
