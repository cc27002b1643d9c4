/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "engine/datagram_sender.h"

#include <errno.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

/* Of one segmented send: the payload that IPv6 can carry, and the kernel's bound of segments. */
#define RUN_BYTES_MAX 65487
#define RUN_SEGMENTS_MAX 64

/* After so long a size of segments that was refused is tried again: it was one way of many. */
#define REFUSAL_NS NS_PER_S

/* What an answer says of its address and its segments. */
union control {
	struct cmsghdr header; /* for its alignment */
	unsigned char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(uint16_t))];
};

/* Datagrams to one source that are sent in one go: consecutive sender->parts. */
struct run {
	const struct datagram_received *to; /* the first of them */
	size_t first_part;
	size_t parts;
	size_t segment;
	size_t bytes;
	uint64_t count;
	bool closed; /* the last datagram is shorter, or empty: none can follow */
};

struct datagram_sender {
	struct datagram_sender_hooks hooks;
	bool pinned;
	struct iovec parts[DATAGRAM_BATCH_SIZE];
	size_t part_count;
	struct run runs[DATAGRAM_BATCH_SIZE];
	size_t run_count;
	/* Larger segments were refused: by a device, or by the size that fits on the way. */
	size_t segment_max;
	int64_t refused_ns; /* when; 0: not */
	/* What the kernel takes. */
	struct mmsghdr answers[DATAGRAM_BATCH_SIZE];
	union control controls[DATAGRAM_BATCH_SIZE];
};

struct datagram_sender *
datagram_sender_new(bool ip, bool pinned, const struct datagram_sender_hooks *hooks)
{
	struct datagram_sender *sender = calloc(1, sizeof(*sender));

	if (sender == NULL)
		return NULL;
	sender->hooks = *hooks;
	sender->pinned = pinned;
	sender->segment_max = ip ? RUN_BYTES_MAX : 0;
	return sender;
}

void
datagram_sender_free(struct datagram_sender *sender)
{
	free(sender);
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
run_takes(const struct datagram_sender *sender, const struct run *run,
    const struct datagram_received *received, size_t length, uint64_t count, size_t segment)
{
	if (run->closed || length == 0 || segment > run->segment ||
	    (segment < run->segment && count > 1))
		return false;
	return run->segment <= sender->segment_max && run->bytes + length <= RUN_BYTES_MAX &&
	       run->count + count <= RUN_SEGMENTS_MAX && received_same_way(run->to, received);
}

void
datagram_sender_add(
    struct datagram_sender *sender, const struct datagram_received *received, uint64_t count)
{
	struct run *run = &sender->runs[sender->run_count];
	size_t length = received->length, segment = received->segment;

	if (count < datagram_received_count(received))
		length = (size_t)count * segment;
	sender->parts[sender->part_count] = (struct iovec){ received->bytes, length };
	if (sender->run_count > 0 && run_takes(sender, run - 1, received, length, count, segment)) {
		run--;
	} else {
		*run = (struct run){ .to = received,
			.first_part = sender->part_count,
			.segment = segment,
			.closed = length == 0 };
		sender->run_count++;
	}
	sender->part_count++;
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
sender_add_local(
    const struct datagram_sender *sender, struct msghdr *header, const struct datagram_local *local)
{
	if (sender->pinned)
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
sender_prepare(struct datagram_sender *sender, size_t at, const struct run *run)
{
	struct msghdr *header = &sender->answers[at].msg_hdr;

	*header = (struct msghdr){
		.msg_name = (void *)(uintptr_t)&run->to->source,
		.msg_namelen = run->to->source_length,
		.msg_iov = &sender->parts[run->first_part],
		.msg_iovlen = run->parts,
		.msg_control = &sender->controls[at],
	};
	sender_add_local(sender, header, &run->to->local);
	if (run->count > 1) {
		uint16_t segment = (uint16_t)run->segment;

		header_add(header, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof(segment));
	}
	if (header->msg_controllen == 0)
		header->msg_control = NULL;
}

static enum datagram_drop
sender_drop_for(int error)
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
sender_send_one(struct datagram_sender *sender, int fd, struct msghdr *header, struct iovec *part)
{
	ssize_t n;

	header->msg_iov = part;
	header->msg_iovlen = 1;
	do
		n = sendmsg(fd, header, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		sender->hooks.dropped(sender->hooks.context, sender_drop_for(errno), 1);
	else
		sender->hooks.sent(sender->hooks.context, 1, (uint64_t)n);
	return n >= 0;
}

/* Send each datagram of RUN for itself. Returns whether the kernel took any. */
static bool
sender_send_apart(struct datagram_sender *sender, int fd, const struct run *run)
{
	union control control;
	struct msghdr header = { .msg_name = (void *)(uintptr_t)&run->to->source,
		.msg_namelen = run->to->source_length,
		.msg_control = &control };
	bool taken = false;

	sender_add_local(sender, &header, &run->to->local);
	for (size_t i = 0; i < run->parts; i++) {
		const struct iovec *part = &sender->parts[run->first_part + i];

		for (size_t done = 0; done < part->iov_len; done += run->segment) {
			size_t left = part->iov_len - done;
			struct iovec piece = { (unsigned char *)part->iov_base + done,
				left < run->segment ? left : run->segment };

			taken |= sender_send_one(sender, fd, &header, &piece);
		}
	}
	return taken;
}

/* Whether ERROR may speak of the segments, and not of where they go to. */
static bool
sender_blames_segments(const struct run *run, int error)
{
	return run->count > 1 &&
	       (error == EMSGSIZE || error == EINVAL || error == EIO || error == EOPNOTSUPP);
}

/*
 * Segments were refused: too large for the way there, or on a device that cannot make their
 * checksums. If the same datagrams can be sent one by one, only smaller ones are tried from now on.
 */
static void
sender_retry_apart(struct datagram_sender *sender, int fd, const struct run *run, int error)
{
	if (!sender_send_apart(sender, fd, run))
		return;
	sender->segment_max = error == EIO || error == EOPNOTSUPP ? 0 : run->segment - 1;
	sender->refused_ns = clock_coarse_ns();
}

static bool
sender_must_part(const struct datagram_sender *sender, const struct run *run)
{
	return run->count > 1 && run->segment > sender->segment_max;
}

/* Send the runs from FIRST on that can be sent as they are. Returns how many are dealt with. */
static size_t
sender_send_runs(struct datagram_sender *sender, int fd, size_t first)
{
	const struct run *run = &sender->runs[first];
	size_t ready = 0;
	int count;

	while (first + ready < sender->run_count && !sender_must_part(sender, &run[ready]))
		ready++;
	if (ready == 0) {
		(void)sender_send_apart(sender, fd, run);
		return 1;
	}
	count = sendmmsg(fd, &sender->answers[first], (unsigned)ready, MSG_DONTWAIT | MSG_NOSIGNAL);
	for (int i = 0; i < count; i++)
		sender->hooks.sent(sender->hooks.context, run[i].count, run[i].bytes);
	if (count >= 0)
		return (size_t)count;
	if (errno == EINTR)
		return 0;
	/* the first of them is to blame */
	if (sender_blames_segments(run, errno))
		sender_retry_apart(sender, fd, run, errno);
	else
		sender->hooks.dropped(sender->hooks.context, sender_drop_for(errno), run->count);
	return 1;
}

void
datagram_sender_flush(struct datagram_sender *sender, int fd)
{
	if (sender->refused_ns != 0 && clock_coarse_ns() - sender->refused_ns >= REFUSAL_NS) {
		sender->segment_max = RUN_BYTES_MAX;
		sender->refused_ns = 0;
	}
	for (size_t i = 0; i < sender->run_count; i++)
		sender_prepare(sender, i, &sender->runs[i]);
	for (size_t done = 0; done < sender->run_count;)
		done += sender_send_runs(sender, fd, done);
	sender->part_count = sender->run_count = 0;
}
