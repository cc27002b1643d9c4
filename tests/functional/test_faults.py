# SPDX-License-Identifier: BSD-2-Clause
"""Calls that fail while clients are served end single connections, and only those."""

import contextlib
import select
import socket
import threading
import time

import pytest

from harness import (
    KIB,
    MIB,
    exchange,
    fill,
    pattern,
    pause,
    receive_to_end,
    reset,
    seconds,
    wait_until,
)
from harness.faults import FOREVER, MOVERS
from harness.places import BOTH, launch_at, only_row
from harness.process import cpu_seconds, descriptors, steady_descriptors

SIZE = 100 * KIB


class _Client:
    """Sends data, takes it piece by piece, and half-closes."""

    def __init__(self, daemon, data):
        self.data = data
        self.sock, address = daemon.open_socket()
        self.sock.setblocking(False)
        self.sock.connect_ex(address)
        self.sent = 0
        self.got = bytearray()

    def run(self):
        """Returns True when all came back, False when the daemon ended it before."""
        end = time.monotonic() + seconds(5)
        with self.sock:
            try:
                while True:
                    assert time.monotonic() < end, f"hangs: {self.sent} sent, {len(self.got)} back"
                    if not self._step():
                        break
            except OSError:
                # reset, or already gone when it wants to half-close
                return False
        assert self.data.startswith(self.got)
        return len(self.got) == len(self.data)

    def _step(self):
        """Send as long as that works, then take one piece; False at the end of the stream."""
        writing = [self.sock] if self.sent < len(self.data) else []
        readable, writable, _ = select.select([self.sock], writing, [], 0.5)
        with contextlib.suppress(BlockingIOError):
            if writable:
                self.sent += self.sock.send(self.data[self.sent : self.sent + 16 * KIB])
                if self.sent == len(self.data):
                    self.sock.shutdown(socket.SHUT_WR)
                return True
            if readable:
                block = self.sock.recv(8 * KIB)
                self.got += block
                return bool(block)
        return True


@pytest.mark.parametrize("most", [1, 1000])
@pytest.mark.parametrize("place", BOTH)
def test_any_allocation_may_fail(launch, faults, place, most):
    """The n-th for each n to 300, alone or with all that follow: exact or ended, never stuck."""
    daemon = launch_at(launch, place, faults.options, limits={"output_high": "128KiB"})
    daemon.warm_up()
    before = len(steady_descriptors(daemon.pid))
    ended = 0
    for number in range(301):
        data = pattern(number, SIZE)
        # the most of each read has to wait in the daemon
        faults.set("send", times=0, most=1000)
        faults.set("alloc", "ENOMEM", skip=number, times=most)
        # one client takes a dozen: as many as it takes to come to that number
        for _ in range(100):
            ended += not _Client(daemon, data).run()
            daemon.clients.clear()
            if faults.left("alloc") < most:
                break
        faults.clear()
        assert _Client(daemon, data[: 10 * KIB]).run(), f"a fresh client after number {number}"
        daemon.clients.clear()
    assert faults.hits >= 301, "each number was come to"
    assert 0 < ended <= faults.hits
    wait_until(lambda: len(descriptors(daemon.pid)) <= before, 5, "descriptors are back")
    assert daemon.is_served()


@pytest.mark.parametrize("number", ["ENOMEM", "ENOSPC"])
@pytest.mark.parametrize("place", BOTH)
def test_a_selector_that_takes_no_more(launch, faults, place, number):
    """max_user_watches is reached: that costs the connections it was refused for."""
    daemon = launch_at(launch, place, faults.options, workers=1)
    regular = daemon.connect()
    exchange(regular)
    faults.set("epoll_ctl", number, workers=True, times=5)
    for _ in range(5):
        with daemon.connect() as sock:
            with contextlib.suppress(ConnectionError):
                assert receive_to_end(sock) == b""
    assert faults.hits == 5
    cpu = cpu_seconds(daemon.pid)
    exchange(regular)
    daemon.serve_one()
    pause(0.5, "a daemon at rest uses no CPU")
    assert cpu_seconds(daemon.pid) - cpu < 0.2
    assert daemon.control.closed("no_memory") == 5
    assert len(daemon.log.wait_for("connection closed", count=5, reason="no_memory")) == 5


@pytest.mark.parametrize("place", BOTH)
def test_a_selector_that_refuses_to_wait_for_a_full_socket(launch, faults, place):
    """The connection is read already; what it cannot be watched for is its output."""
    daemon = launch_at(launch, place, faults.options, workers=1)
    sock, address = daemon.open_socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * KIB)
    sock.connect(address)
    # fill() may give up too early: while the machine is busy with something else
    wait_until(
        lambda: fill(sock, 16 * MIB) == 0 and only_row(daemon)["read_paused"],
        10,
        "only the output is watched",
    )
    # taking all of it makes the daemon read on, and add what it had deleted
    faults.set("epoll_ctl", "ENOSPC", workers=True)
    with contextlib.suppress(ConnectionError):
        receive_to_end(sock)
    faults.clear()
    wait_until(lambda: only_row(daemon) is None, 5, "it is ended")
    assert daemon.control.closed("no_memory") == 1 or faults.hits == 0
    assert daemon.is_served()


def stream(daemon, size=4 * MIB):
    """Whether a stream that is in bulk for some time comes back exactly."""
    sock = daemon.connect()
    data = pattern(size, size)

    def send():
        with contextlib.suppress(OSError):
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    try:
        got = receive_to_end(sock)
    except ConnectionResetError:
        got = b""
    sock.close()
    sender.join(seconds(10))
    assert got == data or data.startswith(got)
    return len(got) == len(data)


def pipes(daemon):
    return sum(name.startswith("pipe:") for name in descriptors(daemon.pid).values())


@pytest.mark.parametrize("skip", [0, 1, 2, 3, 4, 5, 10, 11])
@pytest.mark.parametrize("number", ["EIO", "ENOMEM"])
@pytest.mark.parametrize("place", BOTH)
def test_a_splice_that_fails_midway(launch, faults, place, number, skip):
    """It costs that stream; bytes that were in the pipe meet nobody else, and a pipe is had again."""
    daemon = launch_at(launch, place, faults.options, workers=1)
    before = pipes(daemon)
    assert stream(daemon)
    # more streams in bulk at the same time, which find the pipe gone
    others = [threading.Thread(target=stream, args=(daemon,), daemon=True) for _ in range(3)]
    for other in others:
        other.start()
    faults.set("pipe2", "EMFILE", workers=True, times=2)
    faults.set("splice", number, workers=True, skip=skip, times=1)
    results = [stream(daemon) for _ in range(3)]
    for other in others:
        other.join(seconds(10))
        assert not other.is_alive(), "a stream hangs"
    assert faults.left("splice") == 0
    faults.clear()
    assert sum(not result for result in results) <= 1
    wait_until(lambda: pipes(daemon) == before, 5, "the worker has a pipe again")
    faults.set("splice", "EIO", workers=True, skip=10000, times=1)
    assert stream(daemon)
    assert faults.still_good("splice") < 10000, "bulk goes through the pipe again"
    faults.clear()
    closed = daemon.control.totals()["connections_closed"]
    assert closed["read_error"] + closed["write_error"] + closed["no_memory"] == 1, closed


def test_a_worker_without_a_pipe_from_the_start(launch, faults):
    """There is none at first: streams are copied; later there is one."""
    faults.set("pipe2", "EMFILE", times=8)
    daemon = launch_at(launch, "tcp4", faults.options, workers=1)
    daemon.descriptors = {}
    assert stream(daemon)
    faults.clear()
    wait_until(lambda: pipes(daemon) >= 2, 5, "the worker has a pipe")
    assert stream(daemon)


@pytest.mark.parametrize("most, every", [(1, 0), (0, 3), (0, 7), (13, 3)])
@pytest.mark.parametrize("place", BOTH)
def test_short_and_interrupted_calls(launch, faults, place, most, every):
    """Reads and writes of a byte, and calls that a signal interrupts: nothing is lost."""
    daemon = launch_at(launch, place, faults.options, workers=1)
    for call in MOVERS:
        faults.set(call, "EINTR", FOREVER if every else 0, workers=True, every=every, most=most)
    if every:
        faults.set("epoll_wait", "EINTR", workers=True, every=every)
    sock = daemon.connect()
    sock.settimeout(seconds(60))
    data = pattern(most, MIB)
    sender = threading.Thread(target=sock.sendall, args=(data,), daemon=True)
    sender.start()
    got = bytearray()
    while len(got) < len(data):
        block = sock.recv(64 * KIB)
        assert block, f"ended after {len(got)} bytes"
        got += block
    assert got == data
    sender.join(seconds(10))
    sock.shutdown(socket.SHUT_WR)
    assert receive_to_end(sock) == b""
    assert every == 0 or faults.hits > 0
    faults.clear()
    reset(daemon.connect())
