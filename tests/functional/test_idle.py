# SPDX-License-Identifier: BSD-2-Clause
"""Idle means idle: what waits to be read and what the client takes is traffic, nothing else is."""

import signal
import socket
import time

import pytest

from harness import (
    KIB,
    MIB,
    SLOW_FACTOR,
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
from harness.places import BOTH, launch_at, only_row
from harness.process import standing_still


def narrow(daemon):
    """A client whose kernel takes little ahead of it."""
    sock, address = daemon.open_socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * KIB)
    sock.connect(address)
    return sock


def take_slowly(sock, total, rate, most):
    """Read at that rate for a time; returns what came."""
    got = bytearray()
    begin = time.monotonic()
    while len(got) < total and time.monotonic() - begin < most:
        got += sock.recv(min(2 * KIB, total - len(got)))
        wait = begin + len(got) / rate - time.monotonic()
        pause(max(0, wait), "a reader that is slow")
    return bytes(got)


@pytest.mark.parametrize("stall", ["60s", "0s"])
@pytest.mark.parametrize("place", BOTH)
def test_who_takes_its_echo_slowly_is_not_idle(launch, place, stall):
    idle = seconds(2)
    daemon = launch_at(
        launch,
        place,
        keys={"idle_timeout": f"{1000 * idle:.0f}ms"},
        limits={"stall_timeout": stall},
    )
    sock = narrow(daemon)
    sent = fill(sock, 16 * MIB)
    early = take_slowly(sock, sent, 40 * KIB / SLOW_FACTOR, 3 * idle)
    assert len(early) < sent, "not slow enough to prove anything"
    assert only_row(daemon)["state"] == "open"
    rest = receive_exactly(sock, sent - len(early))
    assert early + rest == bytes(sent)
    exchange(sock, pattern(0, KIB))
    assert daemon.control.closed("idle_timeout") == 0


@pytest.mark.parametrize("place", BOTH)
def test_who_takes_slowly_from_the_kernel_alone_is_not_idle(launch, place):
    """The daemon has sent all of it: only the kernel knows that it goes on."""
    idle = seconds(2)
    daemon = launch_at(launch, place, keys={"idle_timeout": f"{1000 * idle:.0f}ms"})
    sock = narrow(daemon)
    data = pattern(0, 256 * KIB)
    sent = 0
    # as much as the kernel holds without the daemon
    while sent < len(data) and only_row_pending(daemon) == 0:
        sent += sock.send(data[sent : sent + 16 * KIB])
        wait_until(lambda: (only_row(daemon) or {}).get("bytes_in") == sent, 5, "all is read")
    early = take_slowly(sock, sent, 20 * KIB / SLOW_FACTOR, 2.5 * idle)
    rest = receive_exactly(sock, sent - len(early))
    assert early + rest == data[:sent]
    exchange(sock, b"and later")
    assert daemon.control.closed("idle_timeout") == 0


def only_row_pending(daemon):
    return (only_row(daemon) or {"pending_bytes": 0})["pending_bytes"]


# The more clients, the longer it takes until the first has its next turn.
@pytest.mark.parametrize("clients, idle", [(24, 1), (700, 4)])
@pytest.mark.parametrize("place", BOTH)
def test_a_stopped_process_ends_nobody_who_has_sent(launch, place, clients, idle):
    """As a debugger, a freezer or a suspended machine stops it: longer than idle_timeout."""
    daemon = launch_at(
        launch, place, keys={"idle_timeout": f"{idle}s"}, log={"connections": "off"}
    )
    socks = [daemon.connect() for _ in range(scaled(clients, 24))]
    data = pattern(3, 3 * KIB)
    for sock in socks:
        exchange(sock)
    with standing_still(daemon.pid):
        for sock in socks:
            sock.sendall(data)
        pause(1.1 * idle + 1.1, "more than idle_timeout passes")
    for sock in socks:
        assert receive_exactly(sock, len(data)) == data
    assert daemon.control.closed("idle_timeout") == 0
    for sock in socks:
        exchange(sock)


@pytest.mark.parametrize("place", BOTH)
def test_a_process_stopped_while_it_drains_reads_first(launch, place):
    """The same for idle_grace, which is shorter than the stop was."""
    grace = seconds(1)
    daemon = launch_at(
        launch,
        place,
        shutdown={"timeout": "30s", "idle_grace": f"{1000 * grace:.0f}ms"},
        log={"connections": "off"},
    )
    socks = [daemon.connect() for _ in range(24)]
    for sock in socks:
        exchange(sock)
    daemon.local.post("/drain")
    with standing_still(daemon.pid):
        for sock in socks:
            sock.sendall(b"in the meantime")
        pause(2 * grace, "more than idle_grace passes")
    for sock in socks:
        assert receive_exactly(sock, 15) == b"in the meantime"
    # what was just read is fresh: nobody is ended for some time
    for sock in socks:
        exchange(sock)
    assert daemon.control.closed("drain") == 0
    daemon.signal(signal.SIGTERM)
    daemon.close_clients()
    assert daemon.wait_exit() == 0


@pytest.mark.parametrize("place", BOTH)
def test_an_order_to_drain_that_waited_with_the_bytes(launch, place):
    """TERM and fresh bytes both waited for a stopped process: all of it is echoed."""
    daemon = launch_at(launch, place, shutdown={"timeout": "30s", "idle_grace": "500ms"})
    socks = [daemon.connect() for _ in range(24)]
    for sock in socks:
        exchange(sock)
    with standing_still(daemon.pid):
        daemon.signal(signal.SIGTERM)
        for sock in socks:
            sock.sendall(b"in the meantime")
        pause(1.5, "three times idle_grace pass")
    for sock in socks:
        assert receive_to_end(sock) == b"in the meantime"
        sock.close()
    assert daemon.wait_exit() == 0


def idle_for(sock):
    """How long until the daemon ends the connection."""
    begin = time.monotonic()
    assert receive_to_end(sock) == b""
    return time.monotonic() - begin


@pytest.mark.parametrize("before", [0, 5, 16 * MIB])
@pytest.mark.parametrize("place", BOTH)
def test_really_idle_is_ended_in_time(launch, place, before):
    """A client that never sent, one that did, and one that had waiting echo once."""
    idle = 1.5
    daemon = launch_at(launch, place, keys={"idle_timeout": f"{1000 * idle:.0f}ms"})
    sock = narrow(daemon)
    if before == 5:
        exchange(sock)
    elif before:
        sent = fill(sock, before)
        assert only_row_pending(daemon) > 0
        assert receive_exactly(sock, sent) == bytes(sent)
    took = idle_for(sock)
    assert idle - 0.2 < took < idle + 0.6 * SLOW_FACTOR
    sock.close()
    wait_until(lambda: daemon.control.closed("idle_timeout") == 1, 5, "with its reason")


@pytest.mark.parametrize("half_close", [False, True])
@pytest.mark.parametrize("size", [500, 16 * MIB])
@pytest.mark.parametrize("place", BOTH)
def test_who_never_reads_is_ended_without_a_stall_timeout(launch, place, size, half_close):
    """The window is closed, its probes are acknowledged, and idle_timeout is all there is."""
    daemon = launch_at(
        launch,
        place,
        keys={"idle_timeout": "1s"},
        limits={"stall_timeout": "0s", "linger_timeout": "1s"},
    )
    sock = narrow(daemon)
    fill(sock, size)
    if half_close:
        sock.shutdown(socket.SHUT_WR)
    # at most: idle once to be seen as such, once for the flush, then the wait for the client's FIN
    wait_until(lambda: only_row(daemon) is None, 1 + 1 + 1 + 1.5, "it is ended")
    # the client's FIN is seen first, unless it stands behind bytes that nobody can read yet
    closed = daemon.control.totals()["connections_closed"]
    assert closed["idle_timeout"] + (closed["client_fin"] if half_close else 0) == 1, closed


def test_a_pause_ends_with_the_reading(launch):
    """A paused connection that begins to flush reads no more: nothing is paused then."""
    daemon = launch(
        listeners=[{"name": "echo", "address": "tcp://127.0.0.1:0", "lifetime": "3s"}],
        limits={"stall_timeout": "60s"},
    )
    sock = daemon.connect_narrow()
    sent = daemon.queue_some(sock)
    # exactly to the mark: nothing is left to read when its time is over
    while not (row := only_row(daemon))["read_paused"]:
        sent += sock.send(bytes(min(16 * KIB, 256 * KIB - row["pending_bytes"])))
        wait_until(lambda: only_row(daemon)["bytes_in"] == sent, 5, "all of it is read")
    assert only_row(daemon)["state"] == "open", "too slow for the lifetime"
    wait_until(lambda: only_row(daemon)["state"] == "flushing", 5, "its time is over")
    row = only_row(daemon)
    assert row["pending_bytes"] > 0
    assert row["read_paused"] is False
    assert row["paused_seconds"] > 0
    assert len(receive_to_end(sock)) == sent
