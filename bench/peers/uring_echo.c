/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Peer of the bench: io_uring, one thread. Multishot accept and multishot receive into provided
 * buffers; each connection sends one buffer at a time and hands it back when all of it has left.
 * usage: uring_echo PORT
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include <liburing.h>

#define ENTRIES 4096
#define BUFFERS 256 /* a power of 2 */
#define BUFFER_BYTES 65536
#define NONE (-1)

/* The low bits of a request's user data; the rest is its connection. */
enum request { REQUEST_ACCEPT, REQUEST_RECEIVE, REQUEST_SEND, REQUEST_MASK };

struct connection {
	int fd;
	int first, last;     /* buffers to send, NONE for none */
	unsigned int offset; /* bytes of the first one that left */
	bool receiving, sending, ended;
	STAILQ_ENTRY(connection) next_starved;
};

struct server {
	struct io_uring ring;
	struct io_uring_buf_ring *buffers;
	char *bytes;
	unsigned int lengths[BUFFERS];
	int nexts[BUFFERS];
	STAILQ_HEAD(, connection) starved; /* found no buffer to receive into */
};

static struct io_uring_sqe *
server_request(struct server *srv)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&srv->ring);

	if (sqe == NULL) {
		io_uring_submit(&srv->ring);
		sqe = io_uring_get_sqe(&srv->ring);
	}
	if (sqe == NULL)
		errx(1, "the submission queue stays full");
	return sqe;
}

static void
connection_receive(struct server *srv, struct connection *conn)
{
	struct io_uring_sqe *sqe = server_request(srv);

	io_uring_prep_recv_multishot(sqe, conn->fd, NULL, 0, 0);
	sqe->user_data = (uintptr_t)conn | REQUEST_RECEIVE;
	sqe->flags |= IOSQE_BUFFER_SELECT;
	conn->receiving = true;
}

static void
connection_send(struct server *srv, struct connection *conn)
{
	struct io_uring_sqe *sqe = server_request(srv);
	char *bytes = srv->bytes + (size_t)conn->first * BUFFER_BYTES + conn->offset;

	io_uring_prep_send(
	    sqe, conn->fd, bytes, srv->lengths[conn->first] - conn->offset, MSG_NOSIGNAL);
	sqe->user_data = (uintptr_t)conn | REQUEST_SEND;
	conn->sending = true;
}

static void
server_give_buffer(struct server *srv, int buffer)
{
	struct connection *conn = STAILQ_FIRST(&srv->starved);

	io_uring_buf_ring_add(srv->buffers, srv->bytes + (size_t)buffer * BUFFER_BYTES,
	    BUFFER_BYTES, (unsigned short)buffer, io_uring_buf_ring_mask(BUFFERS), 0);
	io_uring_buf_ring_advance(srv->buffers, 1);
	if (conn == NULL)
		return;
	STAILQ_REMOVE_HEAD(&srv->starved, next_starved);
	connection_receive(srv, conn);
}

static void
connection_drop_first(struct server *srv, struct connection *conn)
{
	int buffer = conn->first;

	conn->first = srv->nexts[buffer];
	conn->offset = 0;
	server_give_buffer(srv, buffer);
}

static void
connection_on_receive(struct server *srv, struct connection *conn, const struct io_uring_cqe *cqe)
{
	int buffer = (int)(cqe->flags >> IORING_CQE_BUFFER_SHIFT);

	conn->receiving = (cqe->flags & IORING_CQE_F_MORE) != 0;
	if (cqe->res > 0) {
		srv->lengths[buffer] = (unsigned int)cqe->res;
		srv->nexts[buffer] = NONE;
		if (conn->first == NONE)
			conn->first = buffer;
		else
			srv->nexts[conn->last] = buffer;
		conn->last = buffer;
		if (!conn->sending)
			connection_send(srv, conn);
		if (!conn->receiving)
			connection_receive(srv, conn);
	} else if (cqe->res == -ENOBUFS) {
		STAILQ_INSERT_TAIL(&srv->starved, conn, next_starved);
		conn->receiving = true;
	} else {
		conn->ended = true;
	}
}

static void
connection_on_send(struct server *srv, struct connection *conn, int sent)
{
	conn->sending = false;
	if (sent < 0) {
		/* the receive ends by this, too */
		shutdown(conn->fd, SHUT_RDWR);
		while (conn->first != NONE)
			connection_drop_first(srv, conn);
		return;
	}
	conn->offset += (unsigned int)sent;
	if (conn->offset == srv->lengths[conn->first])
		connection_drop_first(srv, conn);
	if (conn->first != NONE)
		connection_send(srv, conn);
}

static void
listener_accept(struct server *srv, int listener)
{
	struct io_uring_sqe *sqe = server_request(srv);

	io_uring_prep_multishot_accept(sqe, listener, NULL, NULL, SOCK_CLOEXEC);
	sqe->user_data = REQUEST_ACCEPT;
}

static void
listener_on_accept(struct server *srv, int fd)
{
	struct connection *conn = calloc(1, sizeof(*conn));

	if (conn == NULL)
		err(1, "calloc");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
	conn->fd = fd;
	conn->first = NONE;
	connection_receive(srv, conn);
}

static void
server_on_completion(struct server *srv, const struct io_uring_cqe *cqe, int listener)
{
	struct connection *conn = (struct connection *)(cqe->user_data & ~(uint64_t)REQUEST_MASK);

	if (conn == NULL) {
		if (cqe->res >= 0)
			listener_on_accept(srv, cqe->res);
		if ((cqe->flags & IORING_CQE_F_MORE) == 0)
			listener_accept(srv, listener);
		return;
	}
	if ((cqe->user_data & REQUEST_MASK) == REQUEST_RECEIVE)
		connection_on_receive(srv, conn, cqe);
	else
		connection_on_send(srv, conn, cqe->res);
	if (conn->ended && !conn->receiving && !conn->sending && conn->first == NONE) {
		close(conn->fd);
		free(conn);
	}
}

static void
server_init(struct server *srv)
{
	struct io_uring_params params = { .flags = IORING_SETUP_SINGLE_ISSUER |
						   IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE,
		.cq_entries = 4 * ENTRIES };
	struct io_uring_buf_reg registration = { .ring_entries = BUFFERS };
	void *memory;

	if (io_uring_queue_init_params(ENTRIES, &srv->ring, &params) < 0)
		errx(1, "the kernel offers no io_uring of this kind");
	if (posix_memalign(&memory, 4096, BUFFERS * sizeof(struct io_uring_buf)) != 0)
		errx(1, "no memory");
	srv->buffers = memory;
	registration.ring_addr = (uintptr_t)memory;
	srv->bytes = malloc((size_t)BUFFERS * BUFFER_BYTES);
	if (srv->bytes == NULL || io_uring_register_buf_ring(&srv->ring, &registration, 0) < 0)
		errx(1, "the kernel takes no ring of buffers");
	io_uring_buf_ring_init(srv->buffers);
	STAILQ_INIT(&srv->starved);
	for (int i = 0; i < BUFFERS; i++)
		server_give_buffer(srv, i);
}

int
main(int argc, char **argv)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons((uint16_t)(argc > 1 ? atoi(argv[1]) : 0)) };
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	static struct server srv;

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(listener, 4096) < 0)
		err(1, "port %s", argc > 1 ? argv[1] : "?");
	server_init(&srv);
	listener_accept(&srv, listener);
	for (;;) {
		struct io_uring_cqe *cqe;
		unsigned int head, count = 0;

		io_uring_submit_and_wait(&srv.ring, 1);
		io_uring_for_each_cqe(&srv.ring, head, cqe)
		{
			server_on_completion(&srv, cqe, listener);
			count++;
		}
		io_uring_cq_advance(&srv.ring, count);
	}
}
