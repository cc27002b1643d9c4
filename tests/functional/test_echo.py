# SPDX-License-Identifier: BSD-2-Clause
"""Every byte comes back, once and in order, over every kind of listener."""

import hashlib
import os
import random
import socket
import subprocess
import threading
import time

import pytest

from harness import (
    MIB,
    SANITIZED,
    abstract_name,
    exchange,
    exchange_large,
    hold,
    pattern,
    receive_exactly,
    receive_to_end,
    scaled,
    seconds,
    wait_until,
)


def test_twenty_clients_at_once(launch):
    daemon = launch()
    clients = [daemon.connect() for _ in range(20)]
    for sock in clients:
        sock.sendall(b"hello")
    assert [receive_exactly(sock, 5) for sock in clients] == [b"hello"] * 20


def test_half_close_returns_everything_and_ends_at_once(launch):
    daemon = launch()
    sock = daemon.connect()
    begin = time.monotonic()
    sock.sendall(b"hello")
    sock.shutdown(socket.SHUT_WR)
    assert receive_to_end(sock) == b"hello"
    assert time.monotonic() - begin < seconds(3), "waits for one of its timeouts"


def test_half_close_returns_what_no_buffer_holds(launch):
    daemon = launch()
    data = pattern(0, scaled(32 * MIB, 8 * MIB))
    sock = daemon.connect()

    def send():
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    received = receive_to_end(sock)
    sender.join(seconds(10))
    assert received == data


def test_half_close_returns_what_waits_in_the_daemon(launch):
    """Our FIN is read while the daemon still holds some of the echo."""
    daemon = launch(limits={"output_high": "1MiB"})
    sock = daemon.connect_narrow()
    sent = daemon.queue_some(sock)
    sock.shutdown(socket.SHUT_WR)
    wait_until(lambda: daemon.row(sock)["state"] == "flushing", 5, "our FIN is read")
    assert daemon.row(sock)["pending_bytes"] > 0
    assert receive_to_end(sock) == pattern(0, sent)
    daemon.wait_connections(0)
    assert daemon.control.closed("client_fin") == 1


def test_end_without_data_is_answered_with_end(launch):
    daemon = launch()
    sock = daemon.connect()
    sock.shutdown(socket.SHUT_WR)
    assert receive_to_end(sock) == b""
    sock.close()
    wait_until(lambda: daemon.control.closed("client_fin") == 1, 5, "closed as client_fin")


@pytest.mark.needs("nc")
def test_netcat_prints_hello_and_returns(launch):
    daemon = launch()
    port = daemon.addresses["echo"].rpartition(":")[2]
    result = subprocess.run(
        ["nc", "-N", "127.0.0.1", port],
        input=b"hello",
        capture_output=True,
        timeout=seconds(2),
        check=False,
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, b"hello", b"")


class _HashedTransfer:
    """Random bytes through one connection: digests of both ways, never all of it in memory."""

    def __init__(self, sock, length):
        self.sock = sock
        self.length = length
        self.received = 0
        self.digests = [hashlib.sha256(), hashlib.sha256()]
        self.error = None
        self.threads = [
            threading.Thread(target=self._guard, args=(work,), daemon=True)
            for work in (self._send, self._receive)
        ]
        for thread in self.threads:
            thread.start()

    def _guard(self, work):
        try:
            work()
        except OSError as error:
            self.error = error

    def _send(self):
        left = self.length
        while left:
            block = os.urandom(min(left, MIB))
            self.digests[0].update(block)
            self.sock.sendall(block)
            left -= len(block)
        self.sock.shutdown(socket.SHUT_WR)

    def _receive(self):
        buffer = bytearray(MIB)
        while count := self.sock.recv_into(buffer):
            self.digests[1].update(memoryview(buffer)[:count])
            self.received += count

    @property
    def running(self):
        return any(thread.is_alive() for thread in self.threads)


def test_gibibyte_over_four_connections_in_flat_memory(launch):
    daemon = launch()
    daemon.warm_up()
    before = daemon.resident()
    length = scaled(256 * MIB, 16 * MIB)
    transfers = [_HashedTransfer(daemon.connect(), length) for _ in range(4)]
    most = before

    def finished():
        nonlocal most
        most = max(most, daemon.resident())
        return not any(transfer.running for transfer in transfers)

    wait_until(finished, 90, "four transfers with half-close")
    for transfer in transfers:
        assert transfer.error is None
        assert transfer.received == length
        assert transfer.digests[0].digest() == transfer.digests[1].digest()
    assert SANITIZED or most - before < 4 * MIB, f"memory grew by {most - before} bytes"


@pytest.mark.parametrize(
    "address", ["tcp://127.0.0.1:0", "tcp://[::1]:0", "unix-path", "unix-abstract"]
)
def test_transport(launch, tmp_path, address):
    if address == "unix-path":
        address = f"unix:{tmp_path}/echo.sock"
    elif address == "unix-abstract":
        address = f"unix:@{abstract_name()}"
    daemon = launch(listeners=[{"name": "echo", "address": address}])
    sock = daemon.connect()
    exchange(sock)
    exchange_large(sock, pattern(3, 3 * MIB))
    sock.shutdown(socket.SHUT_WR)
    assert receive_to_end(sock) == b""


@pytest.mark.parametrize("host", ["*", "[::]"])
def test_wildcard_serves_both_families(launch, host):
    daemon = launch(listeners=[{"name": "echo", "address": f"tcp://{host}:0"}])
    port = int(daemon.addresses["echo"].rpartition(":")[2])
    for address in ("127.0.0.1", "::1"):
        with socket.create_connection((address, port), timeout=seconds(5)) as sock:
            exchange(sock)


def test_v6only_leaves_ipv4_alone(launch):
    daemon = launch(listeners=[{"name": "echo", "address": "tcp://[::]:0", "v6only": True}])
    port = int(daemon.addresses["echo"].rpartition(":")[2])
    with socket.create_connection(("::1", port), timeout=seconds(5)) as sock:
        exchange(sock)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=seconds(5))


def test_blocks_of_every_size(launch):
    daemon = launch()
    sock = daemon.connect()
    sizes = random.Random(4)
    position = 0
    for length in [1, 2, 3, 4095, 4096, 4097, 65535, 65536, 65537] + [
        sizes.randrange(1, 100000) for _ in range(200)
    ]:
        exchange(sock, pattern(position, length))
        position += length


def test_pipelined_blocks_come_back_in_order(launch):
    daemon = launch()
    sock = daemon.connect()
    data = pattern(11, 200000)
    for start in range(0, len(data), 1000):
        sock.sendall(data[start : start + 1000])
    assert receive_exactly(sock, len(data)) == data


def test_single_bytes_come_back_in_order(launch):
    daemon = launch()
    sock = daemon.connect()
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    data = pattern(5, 2000)
    for number in range(len(data)):
        sock.sendall(data[number : number + 1])
    assert receive_exactly(sock, len(data)) == data


def test_silent_connection_stays_open(launch):
    daemon = launch()
    sock = daemon.connect()
    exchange(sock)
    hold(lambda: daemon.control.totals()["connections"] == 1, 1, "the connection is open")
    exchange(sock)


def test_connections_are_spread_over_the_workers(launch):
    daemon = launch(workers=4)
    clients = [daemon.connect() for _ in range(20)]
    for sock in clients:
        exchange(sock)
    counts = [row["connections"] for row in daemon.control.stats()["workers"]]
    assert counts == [5, 5, 5, 5]


def test_least_loaded_worker_gets_the_connection(launch):
    daemon = launch(workers=2)
    clients = [daemon.connect() for _ in range(6)]
    for sock in clients:
        exchange(sock)
    rows = daemon.control.connections()["connections"]
    mine = {row["peer"]: row["worker"] for row in rows}
    workers = [mine["%s:%d" % sock.getsockname()] for sock in clients]
    for sock, worker in zip(clients, workers):
        if worker == workers[0]:
            sock.close()
    daemon.wait_connections(3)
    for _ in range(3):
        exchange(daemon.connect())
    assert [row["connections"] for row in daemon.control.stats()["workers"]] == [3, 3]


def test_many_short_connections(launch):
    daemon = launch()
    count = scaled(2000, 500)
    for _ in range(count):
        daemon.serve_one()
    daemon.wait_connections(0)
    totals = daemon.control.totals()
    assert totals["connections_accepted"] == count
    assert totals["connections_closed"]["client_fin"] == count
    assert totals["received_bytes"] == totals["sent_bytes"] == 5 * count
