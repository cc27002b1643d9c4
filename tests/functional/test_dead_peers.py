# SPDX-License-Identifier: BSD-2-Clause
"""Clients that are gone without a word, and bytes that stay in the kernel's buffers for ever."""

import fcntl
import socket
import struct
import termios
import time

import pytest

from harness import KIB, exchange, pattern, pause, receive_exactly, seconds, wait_until
from harness.namespaces import wired
from harness.places import PLACES, TCP, launch_at, only_row
from harness.process import standing_still

PORT = 20009
HOSTS = {"tcp4": "10.77.0.2", "tcp6": "fd77::2"}


@pytest.fixture
def wire(as_root):
    with wired() as networks:
        yield networks


def launch_far(launch, server, stall, **keys):
    listener = {"name": "echo", "address": f"tcp://*:{PORT}", "idle_timeout": "0s", **keys}
    daemon = launch(
        {"prefix": server.prefix},
        listeners=[listener],
        limits={"stall_timeout": stall},
        log={"connections": "errors"},
    )
    daemon.control = daemon.local
    return daemon


def unacknowledged(sock):
    """Bytes that the kernel has sent or will send, and the other one has not confirmed."""
    return struct.unpack("i", fcntl.ioctl(sock, termios.TIOCOUTQ, bytes(4)))[0]


def connect_far(daemon, client, host):
    with client.entered():
        sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    daemon.clients.append(sock)
    sock.settimeout(seconds(10))
    sock.connect((host, PORT))
    return sock


# How a client's machine goes: its wire is cut, or nobody there has its address any more.
def cut_the_wire(client, server):
    client.ip("link", "set", "veth0", "down")


def cut_both_ends(client, server):
    client.ip("link", "set", "veth0", "down")
    server.ip("link", "set", "veth0", "down")


def give_up_the_address(client, server):
    client.ip("address", "flush", "dev", "veth0")


GOINGS = [cut_the_wire, cut_both_ends, give_up_the_address]


def wait_reason(daemon, reason, deadline):
    wait_until(lambda: only_row(daemon) is None, deadline, "the connection is ended")
    closed = {name: n for name, n in daemon.control.totals()["connections_closed"].items() if n}
    assert closed == {reason: 1}
    (record,) = daemon.log.wait_for("connection closed")
    assert record["reason"] == reason


@pytest.mark.parametrize("stall", ["2s", "0s"])
@pytest.mark.parametrize("going", GOINGS)
@pytest.mark.parametrize("kind", HOSTS)
def test_a_machine_that_is_gone_has_a_reason(launch, wire, kind, going, stall):
    """Keepalive finds out, also where idle_timeout is 0s; nothing was owed."""
    client, server = wire
    daemon = launch_far(launch, server, stall, keepalive="1s")
    sock = connect_far(daemon, client, HOSTS[kind])
    exchange(sock)
    going(client, server)
    wait_reason(daemon, "timed_out", 25)


@pytest.mark.parametrize("going", GOINGS)
@pytest.mark.parametrize("kind", HOSTS)
def test_a_machine_that_went_with_echo_under_way(launch, wire, kind, going):
    """The daemon waits for nothing: all is in the kernel's buffer, and stays there."""
    client, server = wire
    daemon = launch_far(launch, server, "2s")
    sock = connect_far(daemon, client, HOSTS[kind])
    exchange(sock)
    with standing_still(daemon.pid):
        sock.sendall(pattern(0, 500))
        wait_until(lambda: unacknowledged(sock) == 0, 5, "the server's machine has it")
        going(client, server)
    wait_reason(daemon, "stalled", 10)


@pytest.mark.parametrize("place", TCP)
def test_bytes_that_stay_in_the_kernel_are_stalled(launch, place):
    """The client's window is closed, its machine answers: 500 bytes at a time, none waits here."""
    daemon = launch_at(
        launch,
        place,
        keys={"idle_timeout": "0s"},
        limits={"stall_timeout": "2s"},
        log={"connections": "errors"},
    )
    sock, address = daemon.open_socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * KIB)
    sock.connect(address)
    data = pattern(0, 500)
    for number in range(80):
        sock.sendall(data)
        wait_until(
            lambda number=number: (only_row(daemon) or {}).get("bytes_in") == 500 * (number + 1),
            5,
            "it is read",
        )
    row = only_row(daemon)
    assert row["pending_bytes"] == 0
    assert row["bytes_out"] == 80 * 500
    begin = time.monotonic()
    wait_reason(daemon, "stalled", 6)
    assert time.monotonic() - begin > 1


def test_a_short_stall_timeout_misses_nobody(launch):
    """A look soon after one byte, then bytes so soon after it that they change no order."""
    daemon = launch_at(
        launch, "tcp4", keys={"idle_timeout": "0s"}, limits={"stall_timeout": "300ms"}
    )
    for _ in range(30):
        sock, address = daemon.open_socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2 * KIB)
        sock.connect(address)
        exchange(sock)
        pause(0.09, "less than a third of stall_timeout")
        sock.sendall(pattern(0, 9000))
    daemon.wait_connections(0)


@pytest.mark.parametrize("place", PLACES)
def test_who_takes_from_the_kernel_in_time_is_not_stalled(launch, place):
    """
    A client that takes a little now and then for several stall_timeouts. TCP_USER_TIMEOUT of the
    kernel would not do: its clock goes on while a small window opens and closes.
    """
    daemon = launch_at(
        launch, place, keys={"idle_timeout": "0s"}, limits={"stall_timeout": "2s"}
    )
    sock, address = daemon.open_socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * KIB)
    sock.connect(address)
    data = pattern(0, 120 * KIB)
    sock.sendall(data)
    got = b""
    for _ in range(60):
        got += sock.recv(500)
        pause(0.1, "a twentieth of stall_timeout passes")
    assert got + receive_exactly(sock, len(data) - len(got)) == data
    exchange(sock)


@pytest.mark.parametrize("place", TCP)
def test_an_idle_client_whose_machine_answers_is_kept(launch, place):
    daemon = launch_at(
        launch,
        place,
        keys={"idle_timeout": "0s", "keepalive": "1s"},
        limits={"stall_timeout": "1s"},
    )
    sock = daemon.connect()
    exchange(sock)
    pause(5, "some keepalive intervals pass")
    exchange(sock)
