# SPDX-License-Identifier: BSD-2-Clause
"""Clients that do not take their echo cost little memory and disturb nobody."""

import selectors
import socket
import threading
import time

from harness import (
    BackgroundClient,
    GIB,
    KIB,
    MIB,
    SANITIZED,
    ended,
    exchange,
    fill,
    pattern,
    pause,
    receive_exactly,
    receive_to_end,
    scaled,
    seconds,
    wait_until,
)


def check_growth(daemon, before, most=MIB):
    grown = daemon.resident() - before
    assert SANITIZED or grown < most, f"memory grew by {grown} bytes"


def test_client_that_never_reads_is_cheap_and_closed_as_stalled(launch):
    daemon = launch(limits={"stall_timeout": "2s"})
    daemon.warm_up()
    before = daemon.resident()
    sock = daemon.connect()
    with BackgroundClient.prober(daemon.connect()) as prober:
        sent = fill(sock, GIB)
        full = time.monotonic()
        check_growth(daemon, before)
        assert sent < GIB, "the daemon took everything although nothing was read"
        wait_until(lambda: daemon.control.closed("stalled") == 1, 6, "closed as stalled")
        assert time.monotonic() - full > 1, "closed before stall_timeout"
        check_growth(daemon, before)
    prober.check_steady()
    assert daemon.control.totals()["pending_bytes"] == 0
    daemon.log.wait_for(reason="stalled")


def test_one_byte_segments_never_read_are_cheap(launch):
    """They come when the daemon has to queue them: each must cost a byte there, not a buffer."""
    daemon = launch(limits={"stall_timeout": "60s"})
    daemon.warm_up()
    before = daemon.resident()
    sock = daemon.connect_narrow()
    sent = daemon.queue_some(sock)
    count = scaled(300000, 60000)
    data = pattern(sent, count)
    sock.setblocking(False)
    segments = 0
    refused_since = None
    end = time.monotonic() + seconds(20)
    while segments < count and time.monotonic() < end:
        try:
            segments += sock.send(data[segments : segments + 1])
            refused_since = None
        except BlockingIOError:
            refused_since = refused_since or time.monotonic()
            if time.monotonic() - refused_since > 0.5:
                break
            pause(0.001, "the daemon reads on")
    assert segments >= count // 10, f"only {segments} segments were taken"
    row = daemon.row(sock)
    assert row["pending_bytes"] > min(count // 2, 200 * KIB), "many of them wait in the daemon"
    check_growth(daemon, before)
    sock.settimeout(seconds(20))
    sock.shutdown(socket.SHUT_WR)
    assert receive_to_end(sock) == pattern(0, sent + segments)


def test_many_stalled_clients_stay_within_their_marks(launch):
    daemon = launch(limits={"stall_timeout": "60s", "output_high": "64KiB", "output_low": "16KiB"})
    daemon.warm_up()
    before = daemon.resident()
    clients = []
    for _ in range(10):
        sock = daemon.connect_narrow()
        fill(sock, 64 * MIB, 0.1)
        clients.append(sock)
    rows = daemon.control.connections()["connections"]
    assert len(rows) == 10
    assert all(row["pending_bytes"] <= 128 * KIB for row in rows)
    assert any(row["read_paused"] for row in rows)
    check_growth(daemon, before, 10 * 128 * KIB + MIB)


def test_reading_goes_on_when_the_client_takes_its_echo(launch):
    daemon = launch(limits={"stall_timeout": "60s"})
    sock = daemon.connect()
    sent = fill(sock, GIB)
    row = daemon.control.connections()["connections"][0]
    assert row["read_paused"] is True
    assert row["pending_bytes"] > 0
    assert row["pauses"] == daemon.control.totals()["read_pauses"] == 1
    assert receive_exactly(sock, sent) == bytes(sent)
    exchange(sock)
    wait_until(lambda: daemon.control.totals()["pending_bytes"] == 0, 5, "nothing pending")
    row = daemon.control.connections()["connections"][0]
    assert row["read_paused"] is False
    assert row["paused_seconds"] > 0
    assert row["bytes_in"] == row["bytes_out"] == sent + 5


def test_slow_reader_is_not_stalled(launch):
    daemon = launch(limits={"stall_timeout": "1s"})
    sock, address = daemon.open_socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 128 * KIB)
    sock.connect(address)
    data = pattern(1, 24 * MIB)

    def send():
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    received = bytearray()
    begin = time.monotonic()
    end = begin + seconds(30)
    while time.monotonic() < end:
        block = sock.recv(256 * KIB)
        if not block:
            break
        received += block
        wait = begin + len(received) / (8 * MIB) - time.monotonic()
        if wait > 0:
            pause(wait, "a reader that is slow")
    sender.join(seconds(5))
    assert time.monotonic() - begin > 2, "not slow enough to prove anything"
    assert received == data
    assert daemon.control.closed("stalled") == 0


def test_stalled_client_that_half_closed_is_closed_too(launch):
    daemon = launch(limits={"stall_timeout": "1s"})
    sock = daemon.connect()
    fill(sock, GIB)
    sock.shutdown(socket.SHUT_WR)
    wait_until(lambda: daemon.control.closed("stalled") == 1, 6, "closed as stalled")
    selector = selectors.DefaultSelector()
    selector.register(sock, selectors.EVENT_READ)
    assert selector.select(seconds(2)), "the client is told"
    assert ended(sock)
