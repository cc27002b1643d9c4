# SPDX-License-Identifier: BSD-2-Clause
"""Clients of an echo port: single exchanges, and a load that checks every byte."""

import contextlib
import random
import selectors
import socket
import struct
import threading
import time

from .pace import pause, seconds

# Not a power of two, so that a block that is lost, doubled or moved never fits by chance.
_PERIOD = 262139
_PATTERN = random.Random(20817).randbytes(_PERIOD)
_PATTERN2 = _PATTERN + _PATTERN


def pattern(start, length):
    """Bytes start to start + length of an endless stream that is the same for everyone."""
    start %= _PERIOD
    if start + length <= len(_PATTERN2):
        return _PATTERN2[start : start + length]
    whole, rest = divmod(start + length, _PERIOD)
    return (_PATTERN * whole + _PATTERN[:rest])[start:]


def receive_exactly(sock, length):
    """Read that many bytes; fewer only when the peer ends first."""
    blocks = []
    while length > 0:
        block = sock.recv(min(length, 1 << 20))
        if not block:
            break
        blocks.append(block)
        length -= len(block)
    return b"".join(blocks)


def receive_to_end(sock):
    """Read until the peer's FIN. A reset raises ConnectionResetError."""
    blocks = []
    while block := sock.recv(1 << 20):
        blocks.append(block)
    return b"".join(blocks)


def exchange(sock, data=b"hello"):
    """Send and read back; returns the seconds that took."""
    begin = time.monotonic()
    sock.sendall(data)
    reply = receive_exactly(sock, len(data))
    assert reply == data, f"sent {len(data)} bytes, got {len(reply)} back that differ"
    return time.monotonic() - begin


def exchange_large(sock, data):
    """As exchange(), for more than the buffers between here and there hold."""
    sender = threading.Thread(target=sock.sendall, args=(data,), daemon=True)
    sender.start()
    reply = receive_exactly(sock, len(data))
    sender.join(seconds(10))
    assert reply == data, f"sent {len(data)} bytes, got {len(reply)} back that differ"


def ended(sock):
    """Whether the peer has ended the connection, with FIN or reset; reads what is waiting."""
    sock.setblocking(False)
    try:
        while sock.recv(1 << 16):
            pass
        return True
    except BlockingIOError:
        return False
    except ConnectionError:
        return True
    finally:
        with contextlib.suppress(OSError):
            sock.settimeout(seconds(10))


def reset(sock):
    """Close with RST instead of FIN."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def fill(sock, most, patience=0.3):
    """Send zeros without reading until nothing more goes; returns how many bytes went."""
    sock.setblocking(False)
    block = bytes(1 << 18)
    total = 0
    last = time.monotonic()
    try:
        while total < most and time.monotonic() - last < patience:
            try:
                total += sock.send(block[: most - total])
                last = time.monotonic()
            except BlockingIOError:
                pause(0.005, "the daemon reads on")
    finally:
        sock.settimeout(seconds(10))
    return total


class BackgroundClient:
    """A client in a thread of its own: it does act(socket) every interval, until that is zero.

    act returns how many bytes it took; they add up in taken. moments are when it returned. When it
    raises, error has that and the client has ended.
    """

    def __init__(self, sock, act, interval):
        self.taken = 0
        self.moments = []
        self.error = None
        self._sock = sock
        self._act = act
        self._interval = interval
        self._over = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self.moments.append(time.monotonic())
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over = time.monotonic()
        self._stop.set()
        self._thread.join(seconds(10))

    def _run(self):
        try:
            while not self._stop.wait(self._interval):
                count = self._act(self._sock)
                if not count:
                    break
                self.taken += count
                self.moments.append(time.monotonic())
        except (OSError, AssertionError) as error:
            self.error = error

    @classmethod
    def prober(cls, sock):
        """Round trips of a well-behaved client, one after the other."""

        def act(sock):
            exchange(sock)
            return 5

        return cls(sock, act, 0.005)

    @classmethod
    def nibbler(cls, sock):
        """Takes its echo a few bytes at a time until the connection ends."""
        return cls(sock, lambda sock: len(sock.recv(2000)), 0.02)

    def check_steady(self):
        """Nothing went wrong, and something was done in each half second until the end."""
        assert self.error is None
        begin, length = self.moments[0], seconds(0.5)
        busy = {int((moment - begin) / length) for moment in self.moments[1:]}
        idle = set(range(int((self._over - begin) / length))) - busy
        assert not idle, f"nothing was done in these intervals of {length:g} s: {sorted(idle)}"


class _Stream:
    """One connection of a load: how much went out, how much of it came back."""

    def __init__(self, number, sock):
        self.number = number
        self.sock = sock
        self.sent = 0
        self.received = 0
        self.next_send = 0.0
        self.closing = False
        self.done = False


class StreamLoad:
    """Keeps many connections busy from one thread of its own and compares every byte.

    Each connection sends a block, waits until it is back, and after a short interval sends the
    next. finish() half-closes all of them, reads to the end and fails the test on any loss.
    """

    def __init__(self, sockets, block=4096, interval=0.01):
        self.block = block
        self.interval = interval
        self.failures = []
        self._streams = [_Stream(number, sock) for number, sock in enumerate(sockets)]
        self._finishing = threading.Event()
        self._abandoned = threading.Event()
        self._selector = selectors.DefaultSelector()
        self._thread = threading.Thread(target=self._run, daemon=True)
        for stream in self._streams:
            stream.sock.setblocking(False)
            self._selector.register(stream.sock, selectors.EVENT_READ, stream)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._abandoned.set()
        self._thread.join(seconds(10))
        self._selector.close()

    @property
    def received(self):
        return sum(stream.received for stream in self._streams)

    @property
    def least_received(self):
        return min(stream.received for stream in self._streams)

    @property
    def open(self):
        return sum(not stream.done for stream in self._streams)

    def finish(self, deadline=20):
        """Half-close all, wait until all has come back, check that nothing is missing."""
        self._finishing.set()
        self._thread.join(seconds(deadline))
        assert not self._thread.is_alive(), f"{self.open} streams did not end"
        self.check()
        for stream in self._streams:
            assert stream.received == stream.sent, (
                f"stream {stream.number}: {stream.sent} bytes sent, {stream.received} back"
            )

    def check(self):
        assert not self.failures, f"{len(self.failures)} failures, first: {self.failures[0]}"

    def _fail(self, stream, text):
        self.failures.append(f"stream {stream.number} at byte {stream.received}: {text}")
        self._end(stream)

    def _end(self, stream):
        if not stream.done:
            stream.done = True
            self._selector.unregister(stream.sock)

    def _run(self):
        while not self._abandoned.is_set() and self.open:
            for key, _ in self._selector.select(self.interval / 2):
                self._receive(key.data)
            now = time.monotonic()
            for stream in self._streams:
                if not stream.done and not stream.closing and now >= stream.next_send:
                    self._send(stream, now)

    def _receive(self, stream):
        try:
            block = stream.sock.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError as error:
            self._fail(stream, str(error))
            return
        if block:
            if block != pattern(stream.number * 997 + stream.received, len(block)):
                self._fail(stream, "bytes differ")
            stream.received += len(block)
        elif stream.closing:
            self._end(stream)
        else:
            self._fail(stream, "ended by the daemon")

    def _send(self, stream, now):
        try:
            if self._finishing.is_set():
                stream.closing = True
                stream.sock.shutdown(socket.SHUT_WR)
                return
            if stream.received < stream.sent:
                return
            data = pattern(stream.number * 997 + stream.sent, self.block)
            stream.sent += stream.sock.send(data)
            stream.next_send = now + self.interval
        except BlockingIOError:
            pass
        except OSError as error:
            self._fail(stream, str(error))
