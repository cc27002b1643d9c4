# SPDX-License-Identifier: BSD-2-Clause
"""What an echo costs in system calls: counted, not timed, so it holds on any machine."""

import collections
import re
import shutil
import signal
import subprocess

import pytest

from harness import MIB, SANITIZED, exchange, exchange_large, pattern, seconds, wait_until
from harness.process import worker_threads

pytestmark = [
    pytest.mark.skipif(SANITIZED, reason="a sanitizer makes calls of its own"),
    pytest.mark.skipif(not shutil.which("strace"), reason="needs strace"),
]


class _Trace:
    """The system calls of one worker while it is watched."""

    def __init__(self, tid, path):
        self.path = path
        self.process = subprocess.Popen(
            ["strace", "-q", "-o", str(path), "-p", str(tid)], stderr=subprocess.DEVNULL
        )

    def __enter__(self):
        # an attached strace has written the call that the worker waits in
        wait_until(lambda: self.path.exists() and self.path.stat().st_size > 0, 10, "strace attached")
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(seconds(10))

    def counts(self):
        calls = collections.Counter()
        for line in self.path.read_text().splitlines():
            if found := re.match(r"(?:<\.\.\. )?(\w+)(?:\(| resumed)", line):
                calls[found[1]] += 1
        return calls


def traced(launch, tmp_path, work):
    """Have WORK done to a daemon of one worker; returns how often each call was made."""
    daemon = launch(workers=1)
    with daemon.connect() as sock:
        exchange(sock)
        (tid,) = worker_threads(daemon.pid)
        with _Trace(tid, tmp_path / "strace") as trace:
            work(sock)
    return trace.counts()


def test_small_message_takes_a_read_and_a_send(launch, tmp_path):
    messages = 200

    def work(sock):
        for number in range(messages):
            exchange(sock, pattern(number, 128))

    calls = traced(launch, tmp_path, work)
    calls.pop("epoll_wait", None)
    assert calls.pop("ioctl", 0) <= messages + 5
    assert calls.pop("readv", 0) + calls.pop("read", 0) <= messages + 5
    assert calls.pop("sendto", 0) <= messages + 5
    # the end of the connection, and of the trace
    assert sum(calls.values()) <= 10, dict(calls)


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
