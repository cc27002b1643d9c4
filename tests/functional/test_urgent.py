# SPDX-License-Identifier: BSD-2-Clause
"""Urgent bytes are bytes: they come back in their place, TCP and UNIX, small and in bulk."""

import random
import select
import socket
import threading

import pytest

from harness import (
    KIB,
    MIB,
    exchange,
    pattern,
    receive_exactly,
    receive_to_end,
    scaled,
    seconds,
    wait_until,
)
from harness.activation import listening_socket, passing, tcp_address
from harness.places import PLACES, launch_at


def send_urgent(sock, data):
    """Send all of it, the last byte as urgent; a UNIX socket of an old kernel has no such thing."""
    try:
        while data:
            data = data[sock.send(data, socket.MSG_OOB) :]
    except OSError as error:
        if sock.family == socket.AF_UNIX:
            pytest.skip(f"no urgent bytes here: {error}")
        raise


@pytest.mark.parametrize("place", PLACES)
def test_an_urgent_byte_between_two_words(launch, place):
    daemon = launch_at(launch, place)
    sock = daemon.connect()
    sock.sendall(b"GET")
    send_urgent(sock, b" ")
    sock.sendall(b"/index")
    sock.shutdown(socket.SHUT_WR)
    assert receive_to_end(sock) == b"GET /index"
    wait_until(lambda: daemon.control.closed("client_fin") == 1, 5, "it is over")
    totals = daemon.control.totals()
    assert totals["received_bytes"] == totals["sent_bytes"] == 10


@pytest.mark.parametrize("place", PLACES)
def test_urgent_at_the_ends_and_many(launch, place):
    """First of all, last of all, several in a row: read one by one, and all at once."""
    for step_by_step in (True, False):
        daemon = launch_at(launch, place)
        sock = daemon.connect()
        whole = b""
        for number in range(20):
            data = pattern(number, 1 + number % 3)
            send_urgent(sock, data)
            whole += data
            if number % 5 == 0:
                sock.sendall(b"plain")
                whole += b"plain"
            if step_by_step:
                assert receive_exactly(sock, len(whole)) == whole
                whole = b""
        sock.shutdown(socket.SHUT_WR)
        assert receive_to_end(sock) == whole


@pytest.mark.parametrize("place", PLACES)
def test_an_urgent_byte_while_the_daemon_ends(launch, place):
    """One that arrives when all is thrown away does not keep the connection."""
    daemon = launch_at(launch, place, keys={"byte_limit": "5B"})
    sock = daemon.connect()
    exchange(sock, b"hello")
    assert receive_to_end(sock) == b""
    send_urgent(sock, b"x")
    sock.close()
    wait_until(lambda: daemon.control.closed("byte_limit") == 1, 4, "it is over")


@pytest.mark.parametrize("most", [300, 30 * KIB, 500 * KIB])
@pytest.mark.parametrize("place", PLACES)
def test_urgent_bytes_in_a_stream(launch, place, most):
    """At any place of bulk data, which goes through a pipe in the kernel."""
    daemon = launch_at(launch, place, workers=1)
    sock = daemon.connect()
    data = pattern(most, scaled(8 * MIB, 2 * MIB) if most > KIB else 300 * KIB)
    choice = random.Random(most)
    failed = []

    def send():
        at = 0
        try:
            while at < len(data):
                size = choice.randint(1, most)
                sock.sendall(data[at : at + size])
                at += size
                if at < len(data) and choice.random() < 0.7:
                    while not sock.send(data[at : at + 1], socket.MSG_OOB):
                        select.select([], [sock], [])
                    at += 1
            sock.shutdown(socket.SHUT_WR)
        except OSError as error:
            failed.append(error)

    if place.startswith("unix"):
        send_urgent(daemon.connect(), b"x")
    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    got = receive_to_end(sock)
    sender.join(seconds(10))
    assert not failed
    assert got == data


def test_urgent_bytes_of_who_came_before_the_start(launch):
    """Linux hands options on when a handshake ends: those in the backlog have none of ours."""
    with listening_socket() as listener:
        early = socket.create_connection(listener.getsockname())
        address = tcp_address(listener)
        daemon = launch(passing([listener], "echo"), listeners=[{"name": "echo", "address": address}])
    late = daemon.connect()
    for sock in (early, late):
        sock.settimeout(seconds(10))
        sock.sendall(b"GET")
        exchanged = receive_exactly(sock, 3)
        send_urgent(sock, b"U")
        sock.sendall(b"/index")
        sock.shutdown(socket.SHUT_WR)
        assert exchanged + receive_to_end(sock) == b"GETU/index"
        sock.close()
