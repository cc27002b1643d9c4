# SPDX-License-Identifier: BSD-2-Clause
"""echoping from outside, and servers for it that answer as a test wants."""

import contextlib
import json
import os
import pathlib
import socket
import subprocess
import threading

from . import BINARY, environment, no_reports, seconds

ECHOPING = pathlib.Path(os.environ.get("ECHOPING") or BINARY.with_name("echoping")).absolute()

OK, LOSS, MISMATCH, USAGE, UNREACHABLE, SYSTEM = 0, 1, 2, 64, 69, 71


def start_echoping(directory, *arguments, **popen):
    popen.setdefault("stdout", subprocess.PIPE)
    popen.setdefault("stderr", subprocess.PIPE)
    env = environment(directory, LC_ALL="C.UTF-8")
    command = [str(ECHOPING), *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, text=True, env=env, **popen)


def echoping(directory, *arguments, expect=OK, **popen):
    """Run to the end, hold it to the exit code, return standard output."""
    process = start_echoping(directory, *arguments, **popen)
    try:
        out, err = process.communicate(timeout=seconds(30))
    finally:
        process.kill()
    no_reports(directory)
    assert process.returncode == expect, f"exit {process.returncode}:\n{out}\n{err}"
    return out


def figures(directory, *arguments, **keywords):
    return json.loads(echoping(directory, *arguments, "--json", **keywords))


class _Server:
    """A socket and the threads that serve it."""

    def __init__(self, kind):
        self.socket = socket.socket(socket.AF_INET, kind)
        self.socket.bind(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.socket.getsockname()[1]
        self.stopping = False
        self.threads = []

    def start(self, function, *arguments):
        thread = threading.Thread(target=function, args=arguments, daemon=True)
        self.threads.append(thread)
        thread.start()

    def stop(self):
        self.stopping = True
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        for thread in self.threads:
            thread.join(seconds(5))


class StreamServer(_Server):
    """Runs talk(sock) for each connection."""

    def __init__(self, talk):
        super().__init__(socket.SOCK_STREAM)
        self.talk = talk
        self.socket.listen(128)
        self.start(self._accept)

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self.socket.accept()
                sock.settimeout(seconds(10))
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.start(self._serve, sock)

    def _serve(self, sock):
        with contextlib.suppress(OSError), sock:
            self.talk(sock)


class DatagramServer(_Server):
    """Answers each datagram with those that answer(data, number) returns; numbers from 1."""

    def __init__(self, answer):
        super().__init__(socket.SOCK_DGRAM)
        self.answer = answer
        self.socket.settimeout(0.05)
        self.start(self._serve)

    def _serve(self):
        number = 0
        while not self.stopping:
            with contextlib.suppress(OSError):
                data, peer = self.socket.recvfrom(65536)
                number += 1
                for reply in self.answer(data, number):
                    self.socket.sendto(reply, peer)


@contextlib.contextmanager
def serving():
    """start(server), which gives its address; all end with the block."""
    servers = []

    def start(server):
        servers.append(server)
        return server.address

    yield start
    for server in servers:
        server.stop()


def changing(change):
    """A talk that sends back change(data) for whatever it reads."""

    def talk(sock):
        while data := sock.recv(1 << 16):
            sock.sendall(change(data))

    return talk


def closing_one(number):
    """A talk that echoes on each connection but that one, counted from 1, which it closes."""
    count = 0

    def talk(sock):
        nonlocal count
        count += 1
        if count != number:
            changing(bytes)(sock)

    return talk
