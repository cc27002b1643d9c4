# SPDX-License-Identifier: BSD-2-Clause
"""Limits in time, bytes, connections and descriptors."""

import re
import resource
import time

import pytest

from harness import (
    KIB,
    MIB,
    PROJECT,
    ended,
    exchange,
    hold,
    pattern,
    pause,
    receive_exactly,
    receive_to_end,
    reset,
    seconds,
    settings,
    wait_until,
)
from harness.process import cpu_seconds, soft_descriptor_limit


def one_listener(**keys):
    return [{"name": "echo", "address": "tcp://127.0.0.1:0", **keys}]


def wait_closed(daemon, reason, count=1):
    wait_until(lambda: daemon.control.closed(reason) == count, 5, f"{count} closed as {reason}")


@pytest.mark.needs("prlimit")
def test_default_that_nobody_chose_is_lowered_to_what_fits(launch):
    daemon = launch({"prefix": ["prlimit", "--nofile=600:600"]}, ready=False)
    config = settings()
    del config["limits"]
    daemon.configure(config)
    daemon.start()
    (warning,) = daemon.log.find("limits.connections is ", level="warning")
    most = int(re.search(r"is (\d+) instead of its default, 10000: .* is 600 ", warning["message"])[1])
    assert daemon.control.metrics().value("echod_connections_limit") == most
    assert 0 < most < 600
    answer = daemon.local.post("/reload").json
    assert answer == {"changed": [], "needs_restart": []}
    daemon.configure({**config, "limits": {"connections": 10000}})
    reply = daemon.local.post("/reload")
    assert reply.status == 422 and "but the hard limit is 600 " in reply.text
    clients = [daemon.connect() for _ in range(most)]
    for sock in clients:
        exchange(sock)
    daemon.wait_connections(most)


@pytest.mark.needs("prlimit")
def test_packaged_file_starts_under_a_low_hard_limit(launch):
    """As in a container, where 4096 are usual."""
    daemon = launch({"prefix": ["prlimit", "--nofile=4096:4096"]}, ready=False)
    text = (PROJECT / "etc" / "echod.conf").read_text()
    text = text.replace("tcp://*:7", "tcp://127.0.0.1:0").replace('"127.0.0.1:9862"', '""')
    daemon.configure(text.replace("/run/echod", str(daemon.directory)))
    daemon.spawn()
    wait_until(lambda: " is ready: " in daemon.log.text(), 10, "ready")
    assert "limits.connections is " in daemon.log.text()


def test_idle_timeout_ends_in_good_order(launch):
    daemon = launch(listeners=one_listener(idle_timeout="1s"))
    sock = daemon.connect()
    exchange(sock)
    begin = time.monotonic()
    assert receive_to_end(sock) == b""
    assert 0.8 < time.monotonic() - begin < seconds(3)
    sock.close()
    wait_closed(daemon, "idle_timeout")


def test_traffic_holds_off_the_idle_timeout(launch):
    daemon = launch(listeners=one_listener(idle_timeout="1s"))
    sock = daemon.connect()
    hold(lambda: exchange(sock) >= 0, 2.5, "the connection is served")
    assert daemon.control.closed("idle_timeout") == 0


def test_lifetime_ends_a_busy_connection(launch):
    daemon = launch(listeners=one_listener(lifetime="1s"))
    sock = daemon.connect()
    begin = time.monotonic()
    with pytest.raises((AssertionError, ConnectionError)):
        hold(lambda: exchange(sock, b"x") >= 0, 10)
    assert 0.8 < time.monotonic() - begin < seconds(3)
    sock.close()
    wait_closed(daemon, "lifetime")


def test_byte_limit_echoes_exactly_that_many_then_fin(launch):
    limit = 100 * KIB
    daemon = launch(listeners=one_listener(byte_limit="100KiB"))
    sock = daemon.connect()
    data = pattern(0, 3 * limit)
    sock.sendall(data)
    assert receive_to_end(sock) == data[:limit], "exactly the limit, then FIN and not a reset"
    sock.close()
    wait_closed(daemon, "byte_limit")
    totals = daemon.control.totals()
    assert totals["sent_bytes"] == totals["received_bytes"] == limit


def test_less_than_the_byte_limit_is_no_matter(launch):
    daemon = launch(listeners=one_listener(byte_limit="100KiB"))
    sock = daemon.connect()
    exchange(sock, pattern(0, 100 * KIB - 1))
    assert not ended(sock)


def test_linger_is_bounded(launch):
    daemon = launch(listeners=one_listener(byte_limit="1KiB"), limits={"linger_timeout": "1s"})
    sock = daemon.connect()
    sock.sendall(bytes(KIB))
    begin = time.monotonic()
    assert len(receive_to_end(sock)) == KIB
    assert daemon.control.totals()["connections"] == 1, "waits for our FIN"
    wait_closed(daemon, "byte_limit")
    assert 0.5 < time.monotonic() - begin < seconds(4)


def test_global_limit_rejects_and_recovers(launch):
    daemon = launch(limits={"connections": 5})
    clients = [daemon.connect() for _ in range(5)]
    for sock in clients:
        exchange(sock)
    extra = daemon.connect()
    wait_until(lambda: ended(extra), 5, "the sixth is turned away")
    assert daemon.control.totals()["connections_rejected"]["limit"] == 1
    for sock in clients:
        exchange(sock)
    clients[0].close()
    daemon.wait_connections(4)
    exchange(daemon.connect())
    assert daemon.control.rejected() == 1


def test_listener_limit_rejects_only_there(launch):
    daemon = launch(
        listeners=[
            {"name": "small", "address": "tcp://127.0.0.1:0", "connections": 2},
            {"name": "large", "address": "tcp://127.0.0.1:0"},
        ]
    )
    for sock in [daemon.connect("small") for _ in range(2)]:
        exchange(sock)
    extra = daemon.connect("small")
    wait_until(lambda: ended(extra), 5, "the third is turned away")
    for sock in [daemon.connect("large") for _ in range(5)]:
        exchange(sock)
    small, large = (daemon.control.listener(name) for name in ("small", "large"))
    assert small["connections_rejected"]["listener_limit"] == 1
    assert sum(large["connections_rejected"].values()) == 0
    assert (small["connections_accepted"], large["connections_accepted"]) == (2, 5)


def test_reset_by_the_client(launch):
    daemon = launch()
    sock = daemon.connect()
    exchange(sock)
    reset(sock)
    wait_closed(daemon, "client_reset")
    assert daemon.is_served()


def test_resets_in_the_middle_of_traffic(launch):
    daemon = launch()
    for number in range(100):
        sock = daemon.connect()
        sock.setblocking(False)
        for _ in range(number % 5):
            try:
                sock.send(bytes(MIB))
            except BlockingIOError:
                break
        reset(sock)
    daemon.wait_connections(0)
    closed = daemon.control.totals()["connections_closed"]
    assert sum(closed.values()) == daemon.control.totals()["connections_accepted"]
    assert daemon.is_served()


def test_soft_descriptor_limit_is_raised(launch):
    def lower():
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (128, hard))

    daemon = launch(options={"preexec_fn": lower}, limits={"connections": 1000})
    assert soft_descriptor_limit(daemon.pid) >= 1000


def test_start_refuses_a_limit_it_cannot_meet(launch):
    def lower():
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))

    daemon = launch(options={"preexec_fn": lower}, ready=False, limits={"connections": 5000})
    daemon.spawn()
    assert daemon.wait_exit() in (71, 78)
    text = daemon.log.text()
    assert "64" in text and "5000" in text, f"both numbers are named:\n{text}"


class _Exhaustion:
    """200 clients at a daemon that may have 64 descriptors."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.errors = self._count()
        self.clients = []
        for _ in range(200):
            sock, address = daemon.open_socket()
            sock.setblocking(False)
            sock.connect_ex(address)
            self.clients.append(sock)

    def _count(self):
        return sum(self.daemon.control.totals()["accept_errors"].values())

    def release(self):
        """Close them all; returns the seconds until a new client is served."""
        begin = time.monotonic()
        for sock in self.clients:
            sock.close()
        while not self.daemon.is_served():
            assert time.monotonic() - begin < seconds(5), "service does not resume"
        return time.monotonic() - begin

    def new_errors(self):
        return self._count() - self.errors


def test_descriptor_exhaustion_pauses_and_resumes(launch):
    daemon = launch()
    regulars = [daemon.connect() for _ in range(5)]
    for sock in regulars:
        exchange(sock)
    daemon.limit_descriptors(64)
    delays = []
    for episode in range(1, 4):
        exhaustion = _Exhaustion(daemon)
        begin = time.monotonic()
        cpu = cpu_seconds(daemon.pid)
        pause(1, "let it be short of descriptors")
        cpu = cpu_seconds(daemon.pid) - cpu
        elapsed = time.monotonic() - begin
        assert cpu / elapsed < 0.05, f"{100 * cpu / elapsed:.1f} % CPU while short of descriptors"
        for sock in regulars:
            exchange(sock)
        delays.append(exhaustion.release())
        elapsed += delays[-1]
        errors = exhaustion.new_errors()
        assert 0 < errors < 20 * elapsed, f"{errors} errors in {elapsed:.1f} s"
        lines = daemon.log.find("cannot accept", level="warning")
        assert len(lines) == episode, f"one line an episode: {lines}"
        daemon.wait_connections(len(regulars))
        pause(1.2, "an episode is over after a second without an error")
    # it looks each 100 ms; a busy machine makes one episode longer, a daemon that is late all
    assert min(delays) < seconds(0.3), f"resumed after {delays} s"
    for sock in regulars:
        exchange(sock)


def test_waiting_clients_hear_soon_that_there_is_no_descriptor(launch):
    daemon = launch()
    daemon.limit_descriptors(64)
    exhaustion = _Exhaustion(daemon)

    def answered(sock):
        sock.setblocking(False)
        try:
            sock.send(b"x")
            return sock.recv(1) is not None
        except BlockingIOError:
            return False
        except OSError:
            return True

    for sock in exhaustion.clients:
        sock.settimeout(seconds(5))
    served = [sock for sock in exhaustion.clients[:20]]
    for sock in served:
        sock.sendall(b"hello")
        assert receive_exactly(sock, 5) == b"hello"
    wait_until(
        lambda: all(answered(sock) for sock in exhaustion.clients[20:]),
        3,
        "each of 200 clients is served or turned away",
    )


def test_one_clients_error_is_nobody_elses(launch, faults):
    """An error that is one connection's own neither pauses listeners nor costs good clients."""
    faults.set("accept4", "EPROTO", skip=2, every=3)
    daemon = launch(
        faults.options,
        listeners=[
            {"name": "echo", "address": "tcp://127.0.0.1:0"},
            {"name": "other", "address": "tcp://127.0.0.1:0"},
        ],
    )
    for number in range(100):
        daemon.serve_one("other" if number % 2 else "echo")
    errors = daemon.control.totals()["accept_errors"]
    assert 20 <= errors["EPROTO"] == sum(errors.values()), errors
    assert not daemon.log.find("^(listener .*)?cannot accept"), "no listener pauses"
    clients = [daemon.connect(name) for name in ("echo", "other") for _ in range(100)]
    for sock in clients:
        exchange(sock)
    totals = daemon.control.totals()
    assert totals["connections_accepted"] == 300
    assert sum(totals["connections_rejected"].values()) == 0
