/* SPDX-License-Identifier: BSD-2-Clause */
#include <config.h>

#include "control/control_socket.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

#define BACKLOG 128
#define RETRY_NS (20 * NS_PER_MS)

/* One try. *ret_step names what failed. */
static int
control_socket_try(const struct address *address, const char **ret_step)
{
	int fd = socket(address->u.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int one = 1, error;

	*ret_step = "make a socket for";
	if (fd < 0)
		return -errno;
	*ret_step = "set the options of";
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0)
		goto fail;
	*ret_step = "bind";
	if (bind(fd, &address->u.sa, address->length) < 0)
		goto fail;
	*ret_step = "listen on";
	if (listen(fd, BACKLOG) < 0)
		goto fail;
	return fd;
fail:
	error = errno;
	close(fd);
	return -error;
}

int
control_socket_open(
    const struct control_config *cfg, int64_t patience_ns, struct error_list *errors)
{
	int64_t deadline_ns = clock_now_ns() + patience_ns;
	struct timespec pause = { .tv_nsec = RETRY_NS };
	const char *step;
	int r;

	for (;;) {
		r = control_socket_try(&cfg->http_address, &step);
		if (r != -EADDRINUSE || clock_now_ns() >= deadline_ns)
			break;
		(void)nanosleep(&pause, NULL);
	}
	if (r < 0)
		error_list_add(
		    errors, "control.http: cannot %s %s: %s", step, cfg->http, strerror(-r));
	return r;
}
