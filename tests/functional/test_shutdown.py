# SPDX-License-Identifier: BSD-2-Clause
"""A stop loses no byte, keeps its promises in time, and can be hurried."""

import re
import signal
import threading
import time

import pytest

from harness import (
    GIB,
    KIB,
    SANITIZED,
    StreamLoad,
    ended,
    exchange,
    fill,
    hold,
    pattern,
    pause,
    receive_exactly,
    receive_to_end,
    seconds,
    wait_until,
)
from harness.process import frozen_thread, worker_threads
from harness.stops import keep_promise, timed_end


def draining(daemon):
    wait_until(lambda: daemon.control.get("/readyz").status == 503, 5, "/readyz says 503")


def forced(daemon):
    """The number of connections that the daemon, in its last words, says it has cut."""
    last = daemon.log.find("^stopped")[-1]["message"]
    match = re.search(r"(\d+) cut", last)
    assert match, last
    return int(match[1])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_without_connections_at_once(launch, number):
    daemon = launch(shutdown={"timeout": "30s", "idle_grace": "5s"})
    begin = time.monotonic()
    daemon.signal(number)
    assert daemon.wait_exit() == 0
    assert time.monotonic() - begin < seconds(4)


def test_fifty_streams_get_all_their_bytes_back(launch):
    daemon = launch(shutdown={"timeout": "30s", "idle_grace": "2s"})
    with StreamLoad([daemon.connect() for _ in range(50)]) as load:
        wait_until(lambda: load.least_received > 20000, 20, "all streams flow")
        mark = load.received
        daemon.signal(signal.SIGTERM)
        draining(daemon)
        wait_until(lambda: load.received > mark + 50 * 40000, 20, "streams go on while draining")
        load.finish()
    assert daemon.wait_exit() == 0


def test_idle_connections_end_in_good_order(launch):
    daemon = launch(shutdown={"timeout": "30s", "idle_grace": "300ms"})
    clients = [daemon.connect() for _ in range(10)]
    for sock in clients:
        exchange(sock)
    daemon.signal(signal.SIGTERM)
    for sock in clients:
        assert receive_to_end(sock) == b""
    assert daemon.process.poll() is None, "it waits for our FIN"
    daemon.close_clients()
    assert daemon.wait_exit() == 0
    lines = daemon.log.find(reason="drain")
    assert len(lines) == 10
    assert not daemon.log.find(reason="drain_forced")


def test_client_that_keeps_its_end_open_does_not_hold_up_the_exit(launch):
    daemon = launch(
        limits={"linger_timeout": "500ms"}, shutdown={"timeout": "30s", "idle_grace": "100ms"}
    )
    sock = daemon.connect()
    exchange(sock)
    begin = time.monotonic()
    daemon.signal(signal.SIGTERM)
    assert daemon.wait_exit() == 0
    assert time.monotonic() - begin < seconds(4)


def test_deadline_forces_and_counts(launch):
    daemon = launch(shutdown={"timeout": "1s", "idle_grace": "30s"})
    busy = [daemon.connect() for _ in range(7)]
    for sock in busy:
        exchange(sock)
    begin = time.monotonic()
    daemon.signal(signal.SIGTERM)
    assert daemon.wait_exit() == 0
    assert 0.9 < time.monotonic() - begin < seconds(4)
    assert forced(daemon) == 7


def test_deadline_flushes_what_was_received(launch):
    """Data that the kernel acknowledged comes back even when the deadline cuts the stream."""
    daemon = launch(shutdown={"timeout": "1s", "idle_grace": "30s"})
    sock = daemon.connect()
    data = b"0123456789" * KIB
    sock.sendall(data)
    daemon.signal(signal.SIGTERM)
    assert receive_to_end(sock) == data
    assert daemon.wait_exit() == 0


def test_client_that_never_reads_does_not_hold_up_the_exit(launch):
    daemon = launch(
        limits={"stall_timeout": "60s", "linger_timeout": "500ms"},
        shutdown={"timeout": "1s", "idle_grace": "100ms"},
    )
    fill(daemon.connect(), GIB)
    begin = time.monotonic()
    daemon.signal(signal.SIGTERM)
    assert daemon.wait_exit() == 0
    assert time.monotonic() - begin < seconds(5)
    assert forced(daemon) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_second_signal_ends_at_once(launch, number):
    daemon = launch(shutdown={"timeout": "60s", "idle_grace": "60s"})
    sock = daemon.connect()
    exchange(sock)
    daemon.signal(signal.SIGTERM)
    draining(daemon)
    hold(lambda: daemon.process.poll() is None, 0.5, "it drains")
    begin = time.monotonic()
    daemon.signal(number)
    assert daemon.wait_exit() == 0
    assert time.monotonic() - begin < seconds(4)
    assert forced(daemon) == 1


def test_quit_ends_at_once(launch):
    daemon = launch(shutdown={"delay": "60s", "timeout": "60s", "idle_grace": "60s"})
    clients = [daemon.connect() for _ in range(5)]
    for sock in clients:
        exchange(sock)
    begin = time.monotonic()
    daemon.signal(signal.SIGQUIT)
    assert daemon.wait_exit() == 0
    assert time.monotonic() - begin < seconds(4)
    for sock in clients:
        assert ended(sock)


def test_delay_goes_on_accepting_but_is_not_ready(launch):
    daemon = launch(shutdown={"delay": "2s", "timeout": "30s"})
    daemon.signal(signal.SIGTERM)
    draining(daemon)
    reply = daemon.control.get("/readyz")
    assert (reply.status, reply.text.strip()) == (503, "draining")
    assert daemon.control.get("/livez").status == 200
    sock = daemon.connect()
    exchange(sock)
    assert daemon.control.metrics().value("echod_draining") == 1
    assert daemon.control.stats()["process"]["draining"] is True
    wait_until(lambda: not daemon.is_served(), 6, "the listener closes after the delay")
    daemon.close_clients()
    assert daemon.wait_exit() == 0


def test_signal_during_the_delay_ends_at_once(launch):
    daemon = launch(shutdown={"delay": "60s"})
    daemon.signal(signal.SIGTERM)
    draining(daemon)
    begin = time.monotonic()
    daemon.signal(signal.SIGTERM)
    assert daemon.wait_exit() == 0
    assert time.monotonic() - begin < seconds(4)


def test_control_port_answers_to_the_last_step(launch):
    daemon = launch(shutdown={"timeout": "30s", "idle_grace": "30s"})
    sock = daemon.connect()
    exchange(sock)
    daemon.signal(signal.SIGTERM)
    draining(daemon)
    wait_until(lambda: not daemon.is_served(), 5, "the listener is closed")
    assert daemon.control.connections()["total"] == 1
    assert daemon.control.get("/livez").status == 200
    exchange(sock)
    sock.close()
    assert daemon.wait_exit() == 0


def test_waiting_connections_are_served_before_the_end(launch):
    """What stands in the backlog when TERM comes was accepted by the kernel in our name."""
    daemon = launch(shutdown={"timeout": "30s", "idle_grace": "1s"})
    daemon.signal(signal.SIGSTOP)
    waiting = [daemon.connect() for _ in range(500)]
    for sock in waiting:
        sock.sendall(b"hello")
    daemon.signal(signal.SIGTERM)
    daemon.signal(signal.SIGCONT)
    for sock in waiting:
        assert receive_exactly(sock, 5) == b"hello"
        assert receive_to_end(sock) == b""
    daemon.close_clients()
    assert daemon.wait_exit() == 0


def test_what_waits_in_the_daemon_is_flushed_during_the_drain(launch):
    daemon = launch(limits={"stall_timeout": "60s"}, shutdown={"timeout": "30s"})
    sock = daemon.connect_narrow()
    sent = daemon.queue_some(sock)
    daemon.signal(signal.SIGTERM)
    draining(daemon)
    assert receive_to_end(sock) == pattern(0, sent)
    sock.close()
    assert daemon.wait_exit() == 0


def test_signals_in_a_storm(launch):
    daemon = launch()
    for _ in range(50):
        daemon.signal(signal.SIGUSR1)
        daemon.signal(signal.SIGHUP)
        daemon.signal(signal.SIGPIPE)
    assert daemon.is_served()
    daemon.signal(signal.SIGTERM)
    assert daemon.wait_exit() == 0


def receive_slowly(sock, rate):
    """As receive_to_end(), but no more than that many bytes a second."""
    blocks = []
    while block := sock.recv(rate // 50):
        blocks.append(block)
        pause(0.02, "a reader that is slow")
    return b"".join(blocks)


@pytest.mark.parametrize("idle_grace", ["200ms", "30s"])
def test_slow_reader_gets_all_that_the_kernel_has(launch, idle_grace):
    """What left the daemon before the deadline, FIN included, is not taken back by a reset."""
    daemon = launch(
        limits={"stall_timeout": "60s", "linger_timeout": "30s"},
        shutdown={"timeout": "1s", "idle_grace": idle_grace},
    )
    sock = daemon.connect()
    data = pattern(0, 1500000)
    sender = threading.Thread(target=sock.sendall, args=(data,), daemon=True)
    sender.start()
    head = receive_exactly(sock, 64 * KIB)
    sender.join(seconds(10))
    wait_until(lambda: daemon.row(sock)["bytes_out"] == len(data), 5, "the kernel has it all")
    begin = time.monotonic()
    daemon.signal(signal.SIGTERM)
    assert head + receive_slowly(sock, 650000) == data
    assert time.monotonic() - begin > 1.5, "it was not slow enough to be told apart"
    assert daemon.wait_exit() == 0


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1, signal.SIGTERM])
def test_signal_at_any_moment_of_the_end_changes_nothing(launch, number):
    for _ in range(5):
        daemon = launch()
        daemon.signal(signal.SIGTERM)
        while daemon.process.poll() is None:
            daemon.signal(number)
        assert daemon.wait_exit() == 0


@pytest.mark.skipif(SANITIZED, reason="a leak checker has to stop the thread that hangs")
@pytest.mark.parametrize("number, timeout", [(signal.SIGTERM, 1), (signal.SIGQUIT, 0)])
@pytest.mark.parametrize("served", [True, False], ids=["with-clients", "idle"])
def test_hung_worker_does_not_hold_up_the_exit(launch, number, timeout, served):
    def stop():
        daemon = launch(workers=2, shutdown={"timeout": "1s", "idle_grace": "100ms"})
        for sock in [daemon.connect() for _ in range(4 if served else 0)]:
            exchange(sock)
        # an end that frees nothing leaves the file too; the next start replaces it
        daemon.outlives.add(daemon.directory / "control.sock")
        with frozen_thread(worker_threads(daemon.pid)[0]):
            elapsed = timed_end(daemon, number)
        assert daemon.wait_exit() == 70
        return elapsed

    keep_promise(stop, timeout)


@pytest.mark.parametrize("number, timeout", [(signal.SIGTERM, 1), (signal.SIGQUIT, 0)])
def test_busy_connections_do_not_hold_up_the_exit(launch, number, timeout):
    def stop():
        daemon = launch(shutdown={"timeout": "1s", "idle_grace": "30s"})
        with StreamLoad([daemon.connect() for _ in range(20)], interval=0.001) as load:
            wait_until(lambda: load.least_received > 20000, 20, "all streams flow")
            elapsed = timed_end(daemon, number)
        assert daemon.wait_exit() == 0
        return elapsed

    keep_promise(stop, timeout)
