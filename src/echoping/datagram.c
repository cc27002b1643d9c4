/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A UDP socket of a load. Each datagram carries its number and is matched by it. Anything that
 * comes back and is not a complete, equal datagram of this socket is a mismatch.
 */
#include <config.h>

#include "echoping/load.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/clock.h"
#include "echoping/window.h"

/* Datagrams read and sent with one call, before the other sockets get their turn. */
#define DATAGRAM_BATCH 32
/* Most room in a socket for echoes that come at once. */
#define DATAGRAM_ROOM_MAX (8 << 20)
/* How long to look for a second echo in the end. */
#define DATAGRAM_LINGER_NS (20 * NS_PER_MS)

struct echoping_datagram {
	struct echoping_link link;
	struct echoping_window window;
	uint32_t held;  /* so many are begun, but the socket did not take them yet */
	uint32_t burst; /* so many may still begin; with --burst */
	int64_t starts_ns[DATAGRAM_BATCH]; /* when the time of each of these begins */
	int64_t echo_ns;                   /* when the last echo came, or the run began */
	int64_t ended_ns; /* when nothing was out any more and nothing to be sent; 0 before */
};

/* What sendmmsg(2) takes. */
struct datagram_batch {
	union echoping_head heads[DATAGRAM_BATCH];
	struct iovec parts[DATAGRAM_BATCH][2];
	struct mmsghdr messages[DATAGRAM_BATCH];
};

static struct echoping_datagram *
datagram_of(struct echoping_link *link)
{
	return (struct echoping_datagram *)(void *)link;
}

static int
datagram_init(struct echoping_link *link)
{
	const struct echoping_options *options = link->worker->options;
	/* all may come back at once, and each is accounted with some overhead */
	uint64_t bytes = options->pipeline * (options->size + 1024);
	int room = bytes < DATAGRAM_ROOM_MAX ? (int)bytes : DATAGRAM_ROOM_MAX;
	int r = echoping_window_init(&datagram_of(link)->window, (uint32_t)(2 * options->pipeline));

	if (r < 0)
		return r;
	datagram_of(link)->echo_ns = clock_now_ns();
	if (options->pipeline > 1)
		(void)setsockopt(link->fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	echoping_worker_watch(link, EPOLLIN);
	return link->retired ? -ENOMEM : 0;
}

/* Move what the window counted to the results. */
static void
datagram_settle(struct echoping_datagram *datagram, int64_t now_ns)
{
	const struct echoping_worker *worker = datagram->link.worker;
	struct echoping_results *results = worker->results;
	struct echoping_outage *outage = &datagram->link.outage;
	struct echoping_window *window = &datagram->window;
	/* where others came back meanwhile, it is loss, not an outage; in the end none come */
	bool silent = worker->sending && datagram->echo_ns < now_ns - worker->options->timeout_ns;

	if (window->lost > 0)
		echoping_worker_note(&datagram->link, "no echo within the timeout");
	if (window->lost > 0 && (silent || outage->begin_ns != 0))
		echoping_outage_extend(
		    outage, datagram->echo_ns, window->lost, "no echo within the timeout");
	results->lost += window->lost;
	results->duplicates += window->duplicates;
	results->late += window->late;
	results->reordered += window->reordered;
	window->lost = window->duplicates = window->late = window->reordered = 0;
}

/* End this link; datagrams that are out or held count as lost. */
static void
datagram_retire(struct echoping_datagram *datagram)
{
	datagram_settle(datagram, clock_now_ns());
	datagram->link.worker->results->lost += datagram->window.outstanding + datagram->held;
	datagram->held = 0;
	echoping_worker_retire(&datagram->link);
}

static void
datagram_done(struct echoping_link *link)
{
	echoping_window_done(&datagram_of(link)->window);
}

static void
datagram_fail(struct echoping_datagram *datagram, int error)
{
	echoping_worker_note(&datagram->link, strerror(error));
	datagram_retire(datagram);
}

/*
 * Handle a refused port, which an ICMP error reports for an earlier datagram. Before the first echo
 * it means that there is no server; later, that the server restarts and some datagrams are lost.
 * Returns whether to go on.
 */
static bool
datagram_refused(struct echoping_datagram *datagram)
{
	struct echoping_results *results = datagram->link.worker->results;

	results->refused = true;
	if (results->received > 0) {
		echoping_outage_extend(
		    &datagram->link.outage, clock_now_ns(), 0, strerror(ECONNREFUSED));
		return true;
	}
	datagram_fail(datagram, ECONNREFUSED);
	return false;
}

/*
 * Return how many more may begin. The next burst begins when all of the last one is back or lost.
 */
static uint32_t
datagram_room(struct echoping_datagram *datagram)
{
	const struct echoping_options *options = datagram->link.worker->options;
	const uint32_t out = (uint32_t)datagram->window.outstanding + datagram->held;

	if (!options->burst)
		return (uint32_t)options->pipeline - out;
	if (out == 0)
		datagram->burst = (uint32_t)options->pipeline;
	return datagram->burst;
}

/* Begin as many as may begin and one call can send; returns whether there is any to be sent. */
static bool
datagram_begin(struct echoping_datagram *datagram, int64_t now_ns)
{
	uint32_t room = datagram_room(datagram);

	while (
	    datagram->held < DATAGRAM_BATCH && room > 0 &&
	    echoping_worker_take(&datagram->link, now_ns, &datagram->starts_ns[datagram->held])) {
		datagram->held++;
		room--;
	}
	datagram->burst = room;
	return datagram->held > 0;
}

/* Compose the held datagrams with the numbers that are next in the window. */
static void
datagram_compose(const struct echoping_datagram *datagram, struct datagram_batch *batch)
{
	const struct echoping_worker *worker = datagram->link.worker;
	/* one call sends them all */
	const int64_t stamp_ns = worker->options->timestamps ? clock_wall_ns() : 0;

	for (uint32_t i = 0; i < datagram->held; i++) {
		echoping_payload_compose(worker->payload, datagram->link.number,
		    datagram->window.next + i, stamp_ns, worker->options->size, &batch->heads[i],
		    batch->parts[i]);
		batch->messages[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = batch->parts[i],
							   .msg_iovlen = 2 } };
	}
}

/*
 * Send all that is held with one call, so that it arrives together; returns whether to go on. The
 * kernel does not report the error that ends the call in the middle: either the next call fails at
 * once, too, or the error was a refusal of an earlier datagram, which the timeout then counts as
 * lost.
 */
static bool
datagram_send(struct echoping_datagram *datagram, int64_t now_ns)
{
	struct echoping_link *link = &datagram->link;
	struct datagram_batch batch;
	int sent;

	datagram_compose(datagram, &batch);
	sent = sendmmsg(link->fd, batch.messages, datagram->held, MSG_NOSIGNAL);
	for (int i = 0; i < sent; i++)
		(void)echoping_window_add(&datagram->window, datagram->starts_ns[i], now_ns);
	if (sent > 0) {
		datagram->held -= (uint32_t)sent;
		memmove(datagram->starts_ns, datagram->starts_ns + sent,
		    datagram->held * sizeof(datagram->starts_ns[0]));
	}
	if (sent > 0 || errno == EINTR)
		return true;
	if (errno != EAGAIN && errno != ECONNREFUSED)
		datagram_fail(datagram, errno);
	else if (errno == EAGAIN || datagram_refused(datagram))
		echoping_worker_watch(link, EPOLLIN | EPOLLOUT);
	return false;
}

static void
datagram_pump(struct echoping_link *link, int64_t now_ns)
{
	struct echoping_datagram *datagram = datagram_of(link);
	struct echoping_worker *worker = link->worker;

	/* what is held after this waits for EPOLLOUT */
	while (!(link->watched & EPOLLOUT) && datagram_begin(datagram, now_ns) &&
	       datagram_send(datagram, now_ns))
		;
	if (link->retired || worker->sending)
		return;
	worker->results->sent -= datagram->held;
	if (worker->options->rate > 0)
		worker->results->unsent += datagram->held;
	datagram->held = 0;
	if (datagram->window.outstanding == 0 && datagram->ended_ns == 0)
		datagram->ended_ns = now_ns;
}

static void
datagram_judge(
    struct echoping_datagram *datagram, const unsigned char *data, size_t length, int64_t now_ns)
{
	struct echoping_link *link = &datagram->link;
	struct echoping_worker *worker = link->worker;
	uint64_t sequence;
	int64_t start_ns;

	if (echoping_payload_open(worker->payload, link->number, data, length,
		worker->options->timestamps, worker->options->size, &sequence) < 0) {
		worker->results->mismatched++;
		echoping_worker_note(link, "a datagram came back different");
		return;
	}
	switch (echoping_window_receive(&datagram->window, sequence, &start_ns)) {
	case ECHOPING_MATCHED:
		datagram->echo_ns = now_ns;
		echoping_outage_end(&link->outage, now_ns, &worker->results->outages);
		echoping_worker_receive(worker, start_ns, now_ns);
		break;
	case ECHOPING_UNKNOWN:
		worker->results->mismatched++;
		echoping_worker_note(link, "a datagram came that was never sent");
		break;
	case ECHOPING_DUPLICATE:
	case ECHOPING_LATE:
		break;
	}
}

/*
 * Read what is there with one call and judge each; returns the time. No more is asked for than is
 * out, because a call that got as many as it asked for ends without another look at the socket.
 * Any others come with the next event.
 */
static int64_t
datagram_receive(struct echoping_datagram *datagram)
{
	struct echoping_link *link = &datagram->link;
	const size_t size = link->worker->options->size;
	unsigned char *buffer = link->worker->buffer;
	struct mmsghdr messages[DATAGRAM_BATCH];
	struct iovec parts[DATAGRAM_BATCH];
	size_t most = ECHOPING_PAYLOAD_PIECE / size;
	int64_t now_ns;
	int count;

	if (most > DATAGRAM_BATCH)
		most = DATAGRAM_BATCH;
	if (most > datagram->window.outstanding)
		most = datagram->window.outstanding > 0 ? datagram->window.outstanding : 1;
	for (size_t i = 0; i < most; i++) {
		parts[i] = (struct iovec){ buffer + i * size, size };
		messages[i] = (struct mmsghdr){ .msg_hdr = {
						    .msg_iov = &parts[i], .msg_iovlen = 1 } };
	}
	/* MSG_TRUNC: the whole length even of what is longer than it should be */
	count = recvmmsg(link->fd, messages, (unsigned)most, MSG_DONTWAIT | MSG_TRUNC, NULL);
	if (count < 0 && errno == ECONNREFUSED)
		(void)datagram_refused(datagram);
	else if (count < 0 && errno != EAGAIN && errno != EINTR)
		datagram_fail(datagram, errno);
	now_ns = clock_now_ns();
	for (int i = 0; i < count; i++)
		datagram_judge(datagram, parts[i].iov_base, messages[i].msg_len, now_ns);
	return now_ns;
}

static void
datagram_on_event(struct echoping_link *link, uint32_t events)
{
	int64_t now_ns;

	if (events & EPOLLOUT)
		echoping_worker_watch(link, EPOLLIN);
	if (link->retired)
		return;
	now_ns = datagram_receive(datagram_of(link));
	if (!link->retired)
		datagram_pump(link, now_ns);
}

static void
datagram_on_tick(struct echoping_link *link, int64_t now_ns)
{
	struct echoping_datagram *datagram = datagram_of(link);

	echoping_window_expire(&datagram->window, now_ns - link->worker->options->timeout_ns);
	datagram_settle(datagram, now_ns);
	datagram_pump(link, now_ns);
	if (!link->retired && datagram->ended_ns != 0 &&
	    now_ns - datagram->ended_ns >= DATAGRAM_LINGER_NS)
		datagram_retire(datagram);
}

const struct echoping_link_kind echoping_datagram_kind = {
	.size = sizeof(struct echoping_datagram),
	.init = datagram_init,
	.done = datagram_done,
	.pump = datagram_pump,
	.on_event = datagram_on_event,
	.on_tick = datagram_on_tick,
};
