# SPDX-License-Identifier: BSD-2-Clause
"""Bulk data takes another way through the daemon than small messages: it has to be as exact."""

import hashlib
import random
import socket
import threading

import pytest

from harness import (
    KIB,
    MIB,
    abstract_name,
    ended,
    exchange,
    fill,
    pattern,
    receive_to_end,
    reset,
    scaled,
    wait_until,
)
from harness.config_text import LISTENER

UNIX = "local"


def both(launch, **changes):
    """A daemon with a TCP and a UNIX listener; splice serves the two in different ways."""
    local = {"name": UNIX, "address": f"unix:@{abstract_name()}"}
    return launch(listeners=[dict(LISTENER), local], **changes)


class _Sender(threading.Thread):
    """Sends data in pieces of the given sizes, then half-closes."""

    def __init__(self, sock, data, sizes):
        super().__init__(daemon=True)
        self.sock, self.data, self.sizes = sock, data, sizes
        self.error = None

    def run(self):
        try:
            at = 0
            while at < len(self.data):
                size = self.sizes()
                self.sock.sendall(self.data[at : at + size])
                at += size
            self.sock.shutdown(socket.SHUT_WR)
        except OSError as error:
            self.error = error


@pytest.mark.parametrize("name", ["echo", UNIX])
@pytest.mark.parametrize("low, high", [(1, 3), (4 * KIB, 4 * KIB), (1, 300 * KIB), (MIB, MIB)])
def test_pieces_of_any_size_come_back_exactly(launch, name, low, high):
    daemon = both(launch)
    total = 20_000 if high < KIB else scaled(24 * MIB, 4 * MIB)
    data = pattern(high, total)
    choice = random.Random(high)
    with daemon.connect(name) as sock:
        sender = _Sender(sock, data, lambda: choice.randint(low, high))
        sender.start()
        got = receive_to_end(sock)
        sender.join()
    assert sender.error is None
    assert hashlib.sha256(got).digest() == hashlib.sha256(data).digest()
    totals = daemon.control.totals()
    assert totals["received_bytes"] == totals["sent_bytes"] == len(data)


@pytest.mark.parametrize("name", ["echo", UNIX])
def test_slow_reader_gets_everything_in_order(launch, name):
    """Reading a little at a time keeps the socket full: each splice out comes up short."""
    daemon = both(launch)
    data = pattern(7, 16 * MIB)
    sock, address = daemon.open_socket(name)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * KIB)
    sock.connect(address)
    sender = _Sender(sock, data, lambda: 64 * KIB)
    sender.start()
    wait_until(lambda: daemon.control.totals()["read_pauses"] > 0, 10, "the sockets are full")
    got = bytearray()
    choice = random.Random(1)
    while piece := sock.recv(choice.choice([1, 100, 1000, 30_000])):
        got += piece
    sender.join()
    assert sender.error is None
    assert bytes(got) == data


def test_back_pressure_keeps_its_mark(launch):
    """What waits for a client is bounded by output_high, whatever came through the pipe."""
    daemon = both(launch, limits={"output_high": "64KiB", "output_low": "16KiB"})
    sock = daemon.connect_narrow()
    fill(sock, 64 * MIB)
    wait_until(lambda: (daemon.row(sock) or {}).get("read_paused"), 10, "reading is paused")
    # the mark, and at most one read of 4 KiB that came on top
    assert daemon.control.totals()["pending_bytes"] < 64 * KIB + 4 * KIB + 1
    reset(sock)


def test_byte_limit_cuts_bulk_to_the_byte(launch):
    limit = 1_234_567
    daemon = launch(listeners=[dict(LISTENER, byte_limit=f"{limit}B")])
    data = pattern(3, 4 * MIB)
    with daemon.connect() as sock:
        # the daemon reads no byte beyond the limit until its FIN: the sender need not get through
        sender = _Sender(sock, data, lambda: 256 * KIB)
        sender.start()
        got = receive_to_end(sock)
        sock.close()
        sender.join()
    assert got == data[:limit]
    totals = daemon.control.totals()
    assert totals["received_bytes"] == totals["sent_bytes"] == limit


@pytest.mark.parametrize("name", ["echo", UNIX])
def test_reset_in_the_middle_leaves_nothing_for_others(launch, name):
    """The pipe is shared: bytes of one that left must never reach another."""
    daemon = both(launch)
    good = daemon.connect(name)
    for number in range(scaled(40, 10)):
        sock = daemon.connect(name)
        sock.settimeout(0)
        try:
            sock.sendall(bytes([200 + number % 50]) * (4 * MIB))
        except BlockingIOError:
            pass
        if name == UNIX:
            sock.close()
        else:
            reset(sock)
        exchange(good, pattern(number, 40 * KIB))
    good.close()


def test_one_stream_does_not_starve_the_rest(launch):
    daemon = both(launch, workers=1)
    data = pattern(1, scaled(256 * MIB, 16 * MIB))
    with daemon.connect() as bulk, daemon.connect() as small:
        sender = _Sender(bulk, data, lambda: MIB)
        sender.start()
        reader = threading.Thread(target=receive_to_end, args=(bulk,), daemon=True)
        reader.start()
        times = []
        while reader.is_alive():
            times.append(exchange(small))
        sender.join()
        reader.join()
    assert len(times) > 10, "the small client hardly got through"


def test_end_of_bulk_is_an_end(launch):
    """The FIN right behind full pipes is seen, and is a client_fin."""
    daemon = both(launch)
    for size in (4 * KIB, 8 * KIB, 64 * KIB, MIB):
        data = pattern(size, size)
        with daemon.connect() as sock:
            sender = _Sender(sock, data, lambda size=size: size)
            sender.start()
            assert receive_to_end(sock) == data
            sender.join()
            assert ended(sock)
    wait_until(lambda: daemon.control.closed("client_fin") == 4, 10, "four clean ends")
