/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Peer of the bench: libuv, one thread. What was read is written at once with uv_try_write; what
 * the socket refuses is copied, and nothing is read from it until it left.
 * usage: uv_echo PORT
 */
#include <err.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#define BUFFER_BYTES 65536

/* A write that waits, with its bytes behind it. */
struct remainder {
	uv_write_t request;
	char bytes[];
};

static void
connection_on_close(uv_handle_t *handle)
{
	free(handle);
}

static void
connection_close(uv_stream_t *stream)
{
	if (!uv_is_closing((uv_handle_t *)stream))
		uv_close((uv_handle_t *)stream, connection_on_close);
}

/* The bytes are used up inside the read callback, so that one buffer serves all. */
static void
connection_on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
	static char bytes[BUFFER_BYTES];

	(void)handle;
	(void)suggested;
	*buffer = uv_buf_init(bytes, sizeof(bytes));
}

static void connection_on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buffer);

static void
connection_on_written(uv_write_t *request, int status)
{
	uv_stream_t *stream = request->handle;

	free(request->data);
	if (status < 0)
		connection_close(stream);
	else if (!uv_is_closing((uv_handle_t *)stream))
		uv_read_start(stream, connection_on_alloc, connection_on_read);
}

static void
connection_on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buffer)
{
	uv_buf_t rest;
	struct remainder *remainder;
	int sent;

	if (got < 0) {
		connection_close(stream);
		return;
	}
	rest = uv_buf_init(buffer->base, (unsigned int)got);
	sent = got > 0 ? uv_try_write(stream, &rest, 1) : 0;
	if (sent == got)
		return;
	if (sent < 0 && sent != UV_EAGAIN) {
		connection_close(stream);
		return;
	}
	if (sent < 0)
		sent = 0;
	rest.len -= (size_t)sent;
	remainder = malloc(sizeof(*remainder) + rest.len);
	if (remainder == NULL)
		err(1, "malloc");
	memcpy(remainder->bytes, rest.base + sent, rest.len);
	rest.base = remainder->bytes;
	remainder->request.data = remainder;
	uv_read_stop(stream);
	if (uv_write(&remainder->request, stream, &rest, 1, connection_on_written) < 0) {
		free(remainder);
		connection_close(stream);
	}
}

static void
listener_on_connection(uv_stream_t *listener, int status)
{
	uv_tcp_t *tcp = malloc(sizeof(*tcp));

	if (status < 0 || tcp == NULL) {
		free(tcp);
		return;
	}
	uv_tcp_init(listener->loop, tcp);
	if (uv_accept(listener, (uv_stream_t *)tcp) < 0) {
		connection_close((uv_stream_t *)tcp);
		return;
	}
	uv_tcp_nodelay(tcp, 1);
	uv_read_start((uv_stream_t *)tcp, connection_on_alloc, connection_on_read);
}

int
main(int argc, char **argv)
{
	uv_loop_t *loop = uv_default_loop();
	struct sockaddr_in address;
	uv_tcp_t listener;

	signal(SIGPIPE, SIG_IGN);
	uv_ip4_addr("127.0.0.1", argc > 1 ? atoi(argv[1]) : 0, &address);
	uv_tcp_init(loop, &listener);
	if (uv_tcp_bind(&listener, (struct sockaddr *)&address, 0) < 0 ||
	    uv_listen((uv_stream_t *)&listener, 4096, listener_on_connection) < 0)
		errx(1, "port %s: cannot listen", argc > 1 ? argv[1] : "?");
	return uv_run(loop, UV_RUN_DEFAULT);
}
