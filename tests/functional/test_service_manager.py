# SPDX-License-Identifier: BSD-2-Clause
"""What a service manager hears, in which order, and when it hears nothing."""

import contextlib
import signal
import socket
import time

import pytest

from harness import StreamLoad, exchange, free_port, hold, pause, seconds, settings, wait_until
from harness.notify import FakeManager
from harness.process import frozen_thread, worker_threads


@pytest.fixture
def notify_path(tmp_path):
    return tmp_path / "notify"


def managed(manager, **env):
    return {"env": {"NOTIFY_SOCKET": manager.path, **env}}


def test_ready_means_that_a_client_can_connect(launch, notify_path):
    ports = [free_port(), free_port()]
    replies = []

    def connect():
        for port in ports:
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=seconds(5)) as sock:
                    exchange(sock)
                replies.append("served")
            except OSError as error:
                replies.append(str(error))

    with FakeManager(notify_path, on_ready=connect) as manager:
        launch(
            managed(manager),
            listeners=[
                {"name": f"echo{n}", "address": f"tcp://127.0.0.1:{port}"}
                for n, port in enumerate(ports)
            ],
        )
        manager.wait_for("READY")
        assert replies == ["served", "served"]
        assert len(manager.having("READY")) == 1


def test_start_that_fails_is_never_ready(launch, notify_path):
    with FakeManager(notify_path) as manager, socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = "tcp://127.0.0.1:%d" % other.getsockname()[1]
        daemon = launch(
            managed(manager), ready=False, listeners=[{"name": "echo", "address": address}]
        )
        daemon.spawn()
        assert daemon.wait_exit() == 69
        assert not manager.having("READY")


def now_usec():
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000


@pytest.mark.parametrize("good", [True, False], ids=["good", "bad"])
def test_reload_is_announced_and_ends_with_ready(launch, notify_path, good):
    with FakeManager(notify_path) as manager:
        daemon = launch(managed(manager))
        manager.wait_for("READY")
        daemon.configure(settings(limits={"connections": 77}) if good else "nonsense = 1;\n")
        before = now_usec()
        daemon.signal(signal.SIGHUP)
        message = manager.wait_for("RELOADING")
        assert message["RELOADING"] == "1"
        assert before <= int(message["MONOTONIC_USEC"]) <= now_usec()
        manager.wait_for("READY", count=2)
        assert manager.order("READY", "RELOADING") == ["READY", "RELOADING", "READY"]
        state = daemon.control.metrics().value("echod_config_last_reload_successful")
        assert state == (1 if good else 0)


def test_status_tells_live_figures(launch, notify_path):
    with FakeManager(notify_path) as manager:
        daemon = launch(managed(manager))
        manager.wait_for("STATUS")
        clients = [daemon.connect() for _ in range(17)]
        for sock in clients:
            exchange(sock)
        wait_until(
            lambda: any("17" in message["STATUS"] for message in manager.having("STATUS")),
            15,
            "STATUS with 17 connections",
        )


def test_stop_is_announced_and_extended_while_draining(launch, notify_path):
    with FakeManager(notify_path) as manager:
        daemon = launch(managed(manager), shutdown={"timeout": "60s", "idle_grace": "60s"})
        sock = daemon.connect()
        exchange(sock)
        daemon.signal(signal.SIGTERM)
        manager.wait_for("STOPPING")
        message = manager.wait_for("EXTEND_TIMEOUT_USEC", 10, count=2)
        assert int(message["EXTEND_TIMEOUT_USEC"]) >= 1000000
        sock.close()
        assert daemon.wait_exit() == 0
        order = manager.order("READY", "STOPPING", "EXTEND_TIMEOUT_USEC")
        assert order[:2] == ["READY", "STOPPING"]
        assert len(manager.having("STOPPING")) == 1


def test_process_is_never_renamed(launch, notify_path):
    with FakeManager(notify_path) as manager:
        daemon = launch(managed(manager))
        manager.wait_for("READY")
        daemon.process.terminate()
        daemon.wait_exit()
        assert not manager.having("MAINPID")


def test_watchdog_is_fed_in_time(launch, notify_path):
    with FakeManager(notify_path) as manager:
        launch(managed(manager, WATCHDOG_USEC=2000000))
        manager.wait_for("WATCHDOG", 10, count=5)
        times = [message.when for message in manager.having("WATCHDOG")]
        gaps = [later - earlier for earlier, later in zip(times, times[1:])]
        assert max(gaps) < 2, f"gaps of {gaps} s: the manager would have killed it"
        assert min(gaps) > 0.2, f"gaps of {gaps} s are a waste"


def test_watchdog_stops_for_a_hung_worker(launch, notify_path):
    """Nothing is told for as long as one worker does not move, and all goes on afterwards."""
    with FakeManager(notify_path) as manager:
        daemon = launch(managed(manager, WATCHDOG_USEC=1000000), workers=2)
        clients = [daemon.connect() for _ in range(2)]
        for sock in clients:
            exchange(sock)
        manager.wait_for("WATCHDOG", 10, count=3)
        with frozen_thread(worker_threads(daemon.pid)[0]):
            pause(seconds(1), "a message may still be on its way")
            count = len(manager.having("WATCHDOG"))
            hold(lambda: len(manager.having("WATCHDOG")) == count, 3, "no WATCHDOG=1")
            assert daemon.control.get("/livez").status == 200, "the main loop is alive"
        manager.wait_for("WATCHDOG", 10, count=count + 2)
        for sock in clients:
            exchange(sock)


@pytest.mark.parametrize("env", [{}, {"WATCHDOG_USEC": 400000, "WATCHDOG_PID": 1}])
def test_watchdog_that_was_not_asked_for(launch, notify_path, env):
    with FakeManager(notify_path) as manager:
        launch(managed(manager, **env))
        manager.wait_for("READY")
        hold(lambda: not manager.having("WATCHDOG"), 1.5, "no WATCHDOG=1")


def test_manager_that_does_not_listen_disturbs_nobody(launch, notify_path):
    """A full notification socket: with a watchdog every 100 ms it is full in a second or two."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as deaf:
        deaf.bind(str(notify_path))
        options = {"env": {"NOTIFY_SOCKET": str(notify_path), "WATCHDOG_USEC": 200000}}
        daemon = launch(options)
        with StreamLoad([daemon.connect() for _ in range(5)]) as load:
            hold(lambda: daemon.control.get("/livez").status == 200, 4, "the control port answers")
            assert daemon.is_served()
            load.finish()


class DeafManager:
    """Has a full socket from the start, and hears nothing until it reads."""

    def __init__(self, address):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.settimeout(0.1)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as filler:
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    filler.sendto(b"FILLER=1", address)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def hear(self, last):
        """Read until a message with that key comes; the keys in their order, fillers left out."""
        keys = []

        def heard():
            with contextlib.suppress(TimeoutError):
                while last not in keys[-1:]:
                    keys.append(self.socket.recv(4096).decode().partition("=")[0])
            return last in keys

        wait_until(heard, 10, f"{last} among {keys}")
        return [key for key in keys if key != "FILLER"]


@pytest.fixture(params=["path", "abstract"])
def deaf(request, notify_path):
    address = str(notify_path) if request.param == "path" else f"\0{notify_path}"
    with DeafManager(address) as manager:
        manager.env = {"NOTIFY_SOCKET": address.replace("\0", "@")}
        yield manager


def slowest(daemon, act):
    """How long the slowest of some clients had to wait while that was done."""
    waits = []

    def serve():
        begun = time.monotonic()
        daemon.serve_one()
        waits.append(time.monotonic() - begun)
        return len(waits) >= 20

    act()
    wait_until(serve, 20, "twenty clients")
    return max(waits)


def test_ready_that_nobody_reads_delays_nothing_and_is_not_lost(launch, deaf):
    begun = time.monotonic()
    daemon = launch({"env": deaf.env})
    assert time.monotonic() - begun < seconds(0.9)
    assert daemon.is_served()
    assert deaf.hear("READY")[-1] == "READY"


def test_reload_under_a_deaf_manager_stops_nobody(launch, deaf):
    daemon = launch({"env": deaf.env})
    assert slowest(daemon, lambda: daemon.signal(signal.SIGHUP)) < seconds(0.3)
    wait_until(lambda: daemon.log.find(message="reloaded"), 5, "the reload")
    keys = [key for key in deaf.hear("READY") + deaf.hear("READY") if key != "STATUS"]
    assert keys == ["READY", "RELOADING", "READY"]


def test_stop_under_a_deaf_manager_is_told_in_order(launch, deaf):
    daemon = launch({"env": {**deaf.env, "WATCHDOG_USEC": 200000}}, shutdown={"timeout": "60s"})
    sock = daemon.connect()
    exchange(sock)
    for number in range(3):
        daemon.configure(settings(limits={"connections": 1000 + number}))
        assert daemon.local.post("/reload").status == 200
    daemon.signal(signal.SIGTERM)
    wait_until(lambda: daemon.log.find(message="stopping"), 5, "the stop")
    keys = deaf.hear("STOPPING")
    assert [key for key in keys if key not in ("STATUS", "WATCHDOG", "EXTEND_TIMEOUT_USEC")] == [
        "READY", "RELOADING", "READY", "STOPPING"
    ]
    # of what is told again and again, the latest is enough
    assert keys.count("WATCHDOG") <= 2 and keys.count("STATUS") <= 2
    sock.close()
    assert daemon.wait_exit() == 0


def test_watchdog_that_is_due_while_stopping_asks_nobody(launch, tmp_path):
    """Stopped in each part of a watchdog's interval, so that it is due once the workers are gone."""
    for part in range(6):
        with FakeManager(tmp_path / f"notify{part}") as manager:
            daemon = launch(managed(manager, WATCHDOG_USEC=24000))
            manager.wait_for("WATCHDOG")
            pause(part * 0.002, "a part of the watchdog's interval")
            daemon.signal(signal.SIGTERM)
            assert daemon.wait_exit() == 0


def test_without_a_manager_nothing_is_missed(launch):
    daemon = launch({"env": {"WATCHDOG_USEC": 200000}})
    assert daemon.is_served()
    assert not daemon.log.find(level="error")


def test_notification_socket_that_is_gone_is_no_reason_to_end(launch, notify_path):
    with FakeManager(notify_path) as manager:
        daemon = launch(managed(manager, WATCHDOG_USEC=200000))
        manager.wait_for("WATCHDOG")
    notify_path.unlink()
    hold(daemon.is_served, 1, "service goes on")
