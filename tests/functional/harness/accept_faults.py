# SPDX-License-Identifier: BSD-2-Clause
"""Makes system calls of a daemon fail or dawdle, from one moment to another."""

import errno
import os
import shutil
import subprocess

import pytest

from .pace import SANITIZED, seconds

# Each call looks anew at the file, which has lines "CALL NUMBER PORT": accept4 and epoll_ctl fail
# with that errno; close, and accept4 as "slow", take that many milliseconds. All for listening
# sockets only, with a port for that of one.
_SOURCE = r"""
#include <dlfcn.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static int
number_for(const char *wanted, int fd)
{
	struct sockaddr_in6 address = { 0 };
	socklen_t length = sizeof(int);
	int listening = 0, number, port, found = 0;
	char call[16];
	struct stat st;
	FILE *file;

	if (stat(getenv("FAULTS"), &st) < 0 || st.st_size == 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) < 0 || !listening)
		return 0;
	length = sizeof(address);
	if (getsockname(fd, (struct sockaddr *)&address, &length) < 0)
		return 0;
	file = fopen(getenv("FAULTS"), "re");
	while (file != NULL && fscanf(file, "%15s %d %d", call, &number, &port) == 3)
		if (strcmp(call, wanted) == 0 && (port == 0 || port == ntohs(address.sin6_port)))
			found = number;
	if (file != NULL)
		fclose(file);
	return found;
}

int
accept4(int fd, struct sockaddr *address, socklen_t *length, int flags)
{
	int (*real)(int, struct sockaddr *, socklen_t *, int) = dlsym(RTLD_NEXT, "accept4");
	int number = number_for("accept4", fd);

	usleep(1000 * number_for("slow", fd));
	if (number != 0) {
		errno = number;
		return -1;
	}
	return real(fd, address, length, flags);
}

int
epoll_ctl(int epfd, int operation, int fd, struct epoll_event *event)
{
	int (*real)(int, int, int, struct epoll_event *) = dlsym(RTLD_NEXT, "epoll_ctl");
	int number = operation == EPOLL_CTL_ADD ? number_for("epoll_ctl", fd) : 0;

	if (number != 0) {
		errno = number;
		return -1;
	}
	return real(epfd, operation, fd, event);
}

int
close(int fd)
{
	int (*real)(int) = dlsym(RTLD_NEXT, "close");

	usleep(1000 * number_for("close", fd));
	return real(fd);
}
"""


class Faults:
    """What goes wrong now. The options start a daemon that it can go wrong for."""

    def __init__(self, directory):
        compiler = shutil.which("cc")
        if not compiler:
            pytest.skip("needs a C compiler")
        if SANITIZED:
            pytest.skip("a sanitizer wants to be the first library")
        source, library = directory / "faults.c", directory / "faults.so"
        source.write_text(_SOURCE)
        command = [compiler, "-D_GNU_SOURCE", "-shared", "-fPIC", "-o", library, source, "-ldl"]
        subprocess.run(command, check=True, timeout=seconds(60))
        self._file = directory / "faults"
        self.set()
        self.options = {"env": {"LD_PRELOAD": str(library), "FAULTS": str(self._file)}}

    def set(self, call=None, number=0, port=0):
        """Have this go wrong, and nothing else; number is an errno's name or milliseconds."""
        if isinstance(number, str):
            number = getattr(errno, number)
        text = f"{call} {number} {port}\n" if call else ""
        temporary = self._file.with_suffix(".new")
        temporary.write_text(text)
        os.replace(temporary, self._file)
