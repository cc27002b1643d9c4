/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "engine/datagram_batch.h"

#include <errno.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>

/* The largest UDP payload, and room that shows when something was larger. */
#define BUFFER_SIZE 65536

/* Room for what we ask for, and for what an inherited socket may have been told to add. */
#define CONTROL_SIZE 512

/* Once a read brought so much, the next ones are of few: the worker has others to serve. */
#define LARGE_BYTES ((size_t)512 << 10)
#define LARGE_COUNT 8

union control {
	struct cmsghdr header; /* for its alignment */
	unsigned char bytes[CONTROL_SIZE];
};

struct datagram_batch {
	unsigned char *buffers;
	struct datagram_received received[DATAGRAM_BATCH_SIZE];
	bool ip;
	struct datagram_local pinned; /* AF_UNSPEC: control messages tell where each went to */
	unsigned read_size;           /* datagrams to ask for next */
	/* What the kernel takes. */
	struct iovec vectors[DATAGRAM_BATCH_SIZE];
	struct mmsghdr questions[DATAGRAM_BATCH_SIZE];
	union control controls[DATAGRAM_BATCH_SIZE];
};

/* Make room for a datagram; the kernel's answer overwrites some of it. */
static void
batch_make_question(struct datagram_batch *batch, size_t index)
{
	batch->questions[index].msg_hdr = (struct msghdr){
		.msg_name = &batch->received[index].source,
		.msg_namelen = sizeof(batch->received[index].source),
		.msg_iov = &batch->vectors[index],
		.msg_iovlen = 1,
	};
	/* without room for them the kernel discards descriptors that a UNIX client attaches */
	if (batch->ip) {
		batch->questions[index].msg_hdr.msg_control = &batch->controls[index];
		batch->questions[index].msg_hdr.msg_controllen = sizeof(batch->controls[index]);
	}
}

struct datagram_batch *
datagram_batch_new(bool ip, const struct datagram_local *pinned)
{
	struct datagram_batch *batch = calloc(1, sizeof(*batch));

	if (batch == NULL)
		return NULL;
	batch->ip = ip;
	batch->pinned = *pinned;
	batch->read_size = DATAGRAM_BATCH_SIZE;
	/* only what is written to takes memory: as a rule a page of each */
	batch->buffers = malloc((size_t)DATAGRAM_BATCH_SIZE * BUFFER_SIZE);
	if (batch->buffers == NULL) {
		free(batch);
		return NULL;
	}
	for (size_t i = 0; i < DATAGRAM_BATCH_SIZE; i++) {
		batch->received[i].bytes = batch->buffers + i * BUFFER_SIZE;
		batch->vectors[i] = (struct iovec){ batch->received[i].bytes, BUFFER_SIZE };
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
	size_t first = (size_t)at * received->segment, next = first + received->segment;

	if (next < received->length) {
		memmove(received->bytes + first, received->bytes + next, received->length - next);
		received->length -= received->segment;
	} else {
		received->length = first;
	}
}
