# SPDX-License-Identifier: BSD-2-Clause
"""What an echo costs in system calls: counted, not timed, so it holds on any machine."""

import collections
import re
import signal
import subprocess

import pytest

from harness import (
    MIB,
    SANITIZED,
    exchange,
    exchange_large,
    pattern,
    receive_exactly,
    seconds,
    wait_until,
)
from harness.process import worker_threads

pytestmark = [
    pytest.mark.skipif(SANITIZED, reason="a sanitizer makes calls of its own"),
    pytest.mark.needs("strace"),
]


class _Trace:
    """The system calls of one thread, or of a whole process, while it is watched."""

    def __init__(self, tid, path, *options):
        self.path = path
        self.process = subprocess.Popen(
            ["strace", "-q", *options, "-o", str(path), "-p", str(tid)],
            stderr=subprocess.DEVNULL,
        )

    def __enter__(self):
        # an attached strace has written the call that the worker waits in
        wait_until(lambda: self.path.exists() and self.path.stat().st_size > 0, 10, "strace attached")
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(seconds(10))

    def counts(self):
        """How often each call was made; those of the mailbox are one kind of their own."""
        calls = collections.Counter()
        for line in self.path.read_text().splitlines():
            line = re.sub(r"^\d+ +", "", line)
            if not (found := re.match(r"(\w+)\(", line)):
                continue
            mail = found[1] in ("read", "write") and re.search(r", \d+(, 8| <unf)|, 8\)", line)
            calls["mail" if mail else found[1]] += 1
        return calls


def traced(launch, tmp_path, work, clients=1):
    """Have WORK done to a daemon of one worker; returns how often each call was made."""
    daemon = launch(workers=1)
    socks = [daemon.connect() for _ in range(clients)]
    for sock in socks:
        exchange(sock)
    (tid,) = worker_threads(daemon.pid)
    with _Trace(tid, tmp_path / "strace") as trace:
        work(*socks)
    return trace.counts()


def test_small_message_takes_a_read_and_a_send(launch, tmp_path):
    """At 50 connections: one recv, one send, and a share of the wait."""
    rounds = 20
    clients = 50

    def work(*socks):
        for number in range(rounds):
            data = pattern(number, 128)
            for sock in socks:
                sock.sendall(data)
            for sock in socks:
                assert receive_exactly(sock, 128) == data

    calls = traced(launch, tmp_path, work, clients)
    messages = rounds * clients
    assert calls.pop("epoll_wait", 0) <= messages + 50
    assert calls.pop("recvfrom", 0) == messages
    assert calls.pop("sendto", 0) == messages
    # what the tick and the end of the trace may add
    assert sum(calls.values()) <= 5, dict(calls)


def test_a_connection_costs_two_calls_more_than_it_must(launch, tmp_path):
    """
    The least: accept4, setsockopt, epoll_ctl, recv, send, recv that finds the end, close. The
    wait of either thread and the word from one to the other are a matter of batches.
    """
    count = 100
    daemon = launch(workers=1, log={"connections": "off"})
    daemon.serve_one()
    data = pattern(0, 64)
    with _Trace(daemon.pid, tmp_path / "strace", "-f") as trace:
        for _ in range(count):
            with daemon.connect() as sock:
                exchange(sock, data)
        daemon.clients.clear()
        daemon.wait_connections(0)
    calls = trace.counts()
    # the request that asked for the count, and what else happens once
    waits = sum(calls.pop(name, 0) for name in ("epoll_wait", "mail", "futex", "restart_syscall"))
    assert waits < 20 * count
    assert sum(calls.values()) <= (7 + 2) * count + 60, dict(calls)


def test_a_mebibyte_is_moved_in_few_calls(launch, tmp_path):
    """All of it waits in the socket before the worker gets to run."""
    rounds = 8

    def work(sock):
        for number in range(rounds):
            exchange_large(sock, pattern(number, MIB))

    calls = traced(launch, tmp_path, work)
    waits = calls.pop("epoll_wait", 0)
    moved = sum(calls.values())
    # where the sender is slower than the worker, a turn finds less: count the turns
    turns = max(waits, rounds)
    assert moved <= 12 * turns, (dict(calls), waits)
    assert calls["splice"] > 0
