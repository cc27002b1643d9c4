# SPDX-License-Identifier: BSD-2-Clause
"""Workers are stopped together, phases follow each other in time, and the start counts well."""

import contextlib
import re
import resource
import signal
import subprocess
import sys
import threading
import time

import pytest

from harness import (
    PROJECT,
    SANITIZED,
    exchange,
    hold,
    pattern,
    pause,
    receive_to_end,
    scaled,
    seconds,
    wait_until,
)
from harness.control_client import ControlClient
from harness.process import frozen_thread, is_over, standing_still, worker_threads
from harness.stops import keep_promise, timed_end

# Connects and resets for as long as it is left to run.
STORM = """
import socket, struct, sys
address = ("127.0.0.1", int(sys.argv[1]))
reset = struct.pack("ii", 1, 0)
while True:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
    try:
        sock.connect(address)
    except OSError:
        pass
    sock.close()
"""


def port_of(daemon):
    return int(daemon.addresses["echo"].rpartition(":")[2])


def last_words(daemon):
    """How many connections the daemon says it served, drained and cut."""
    last = daemon.log.find("^stopped")[-1]["message"]
    return [int(number) for number in re.findall(r"\d+", last)]


def draining(daemon):
    wait_until(lambda: daemon.control.get("/readyz").status == 503, 5, "/readyz says 503")


def in_force(daemon):
    """Directive -> value."""
    return {row["key"]: row["value"] for row in daemon.local.document("/config")["directives"]}


def connect_many(daemon, count):
    """That many idle clients; the first of them has been served, and all have been taken."""
    clients = [daemon.connect() for _ in range(count)]
    exchange(clients[0])
    daemon.wait_connections(count, 30)
    return clients


@pytest.fixture
def many():
    """How many connections this process and the daemon may have, 15 000 if possible."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield min(scaled(15000, 3000), hard - 500)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextlib.contextmanager
def storm(port, count=3):
    """Processes that connect to a port and reset, again and again."""
    command = [sys.executable, "-c", STORM, str(port)]
    processes = [subprocess.Popen(command) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


# many connections


@pytest.mark.parametrize("number, timeout", [(signal.SIGQUIT, 0), (signal.SIGTERM, 1)])
def test_stop_closes_and_counts_every_idle_connection(launch, many, number, timeout):
    """At once, and when shutdown.timeout has passed."""

    def stop():
        daemon = launch(
            limits={"connections": many},
            log={"connections": "off"},
            # longer than a busy machine needs for that many clients
            shutdown={"timeout": "1s", "idle_grace": "5m"},
        )
        connect_many(daemon, many)
        elapsed = timed_end(daemon, number)
        assert daemon.wait_exit() == 0
        assert not daemon.log.find("hangs")
        assert last_words(daemon) == [many, 0, many]
        daemon.close_clients()
        return elapsed

    keep_promise(stop, timeout)


def test_every_idle_connection_is_drained_and_counted(launch, many):
    daemon = launch(
        limits={"connections": many, "linger_timeout": "100ms"},
        log={"connections": "off"},
        shutdown={"timeout": "30s", "idle_grace": "100ms"},
    )
    connect_many(daemon, many)
    daemon.signal(signal.SIGTERM)
    assert daemon.wait_exit(30) == 0
    assert last_words(daemon) == [many, many, 0]


@pytest.mark.parametrize("number, timeout", [(signal.SIGQUIT, 0), (signal.SIGTERM, 1)])
def test_connects_and_resets_do_not_hold_up_the_exit(launch, number, timeout):
    accepted = "echod_connections_accepted_total"

    def stop():
        daemon = launch(
            limits={"connections": 2000},
            log={"connections": "off"},
            shutdown={"timeout": "1s", "idle_grace": "100ms"},
        )
        with storm(port_of(daemon)):
            wait_until(lambda: daemon.control.metrics().value(accepted) > 500, 10, "it rages")
            elapsed = timed_end(daemon, number)
        assert daemon.wait_exit() == 0
        assert not daemon.log.find("hangs")
        return elapsed

    keep_promise(stop, timeout)


@contextlib.contextmanager
def asked(daemon, targets):
    """A client for each target, which asks the control port for it again and again."""
    over = threading.Event()

    def ask(target):
        while not over.is_set():
            with contextlib.suppress(OSError, ValueError):
                daemon.control.get(target)

    threads = [threading.Thread(target=ask, args=(target,), daemon=True) for target in targets]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join(seconds(10))


def test_control_clients_that_keep_asking_do_not_hold_up_the_exit(launch):
    def stop():
        daemon = launch(shutdown={"timeout": "1s", "idle_grace": "30s"})
        connect_many(daemon, 300)
        with asked(daemon, ["/metrics", "/connections?limit=1000", "/stats", "/"]):
            elapsed = timed_end(daemon, signal.SIGTERM)
        assert daemon.wait_exit() == 0
        return elapsed

    keep_promise(stop, 1)


# a worker that hangs


@pytest.mark.skipif(SANITIZED, reason="a leak checker has to stop the thread that hangs")
@pytest.mark.parametrize("number, timeout", [(signal.SIGQUIT, 0), (signal.SIGTERM, 1)])
def test_only_the_worker_that_hangs_is_named(launch, many, number, timeout):
    def stop():
        daemon = launch(
            workers=4,
            limits={"connections": 2000},
            log={"connections": "off"},
            shutdown={"timeout": "1s", "idle_grace": "30s"},
        )
        connect_many(daemon, 2000)
        held = daemon.control.stats()["workers"][1]["connections"]
        daemon.outlives.add(daemon.directory / "control.sock")
        with frozen_thread(worker_threads(daemon.pid)[1]):
            elapsed = timed_end(daemon, number)
        assert daemon.wait_exit() == 70
        accused = daemon.log.find("hangs")
        assert [line["message"].split(" hangs")[0] for line in accused] == ["worker 1"]
        left = int(re.search(r"(\d+) connections are left behind", accused[0]["message"])[1])
        assert left == held
        assert last_words(daemon) == [2000, 0, 2000 - left]
        daemon.close_clients()
        return elapsed

    keep_promise(stop, timeout)


@pytest.mark.skipif(SANITIZED, reason="a leak checker has to stop the thread that hangs")
def test_control_port_is_served_while_a_worker_is_waited_for(launch):
    """The workers that have ended are not asked any more, and the others not missed."""
    daemon = launch(workers=2, shutdown={"timeout": "60s", "idle_grace": "60s"})
    connect_many(daemon, 2)
    daemon.outlives.add(daemon.directory / "control.sock")
    answered = 0
    with frozen_thread(worker_threads(daemon.pid)[0]):
        daemon.signal(signal.SIGQUIT)
        daemon.log.wait_for("ending at once")
        with contextlib.suppress(OSError):
            while daemon.control.get("/stats").status == 200:
                answered += 1
        wait_until(lambda: is_over(daemon.pid), 10, "the process ends")
    assert daemon.wait_exit() == 70
    assert answered > 0


def test_wall_clock_is_not_waited_for(launch, faults):
    """The kernel's own clock is an hour behind what the daemon reads: as after a step back."""
    faults.set("clock_gettime", value=3600)

    def stop():
        daemon = launch(faults.options, workers=2)
        connect_many(daemon, 2)
        daemon.outlives.add(daemon.directory / "control.sock")
        with frozen_thread(worker_threads(daemon.pid)[0]):
            elapsed = timed_end(daemon, signal.SIGQUIT)
        assert daemon.wait_exit() == 70
        return elapsed

    keep_promise(stop)


# the process stands still


def test_standing_still_does_not_cut_what_is_being_flushed(launch):
    """shutdown.timeout has passed and the process stops: the rest is flushed when it goes on."""
    daemon = launch(
        limits={"stall_timeout": "60s"}, shutdown={"timeout": "1s", "idle_grace": "30s"}
    )
    sock = daemon.connect_narrow()
    sent = daemon.queue_some(sock)
    daemon.signal(signal.SIGTERM)
    daemon.log.wait_for("shutdown.timeout has passed")
    with standing_still(daemon.pid):
        pause(1, "longer than the flush may take")
    assert receive_to_end(sock) == pattern(0, sent)
    sock.close()
    assert daemon.wait_exit() == 0


@pytest.mark.parametrize("number", [signal.SIGQUIT, signal.SIGTERM])
def test_standing_still_is_no_hanging(launch, number):
    """The signal is served and the process stopped, for longer than workers are waited for."""
    for _ in range(3):
        daemon = launch(workers=4, shutdown={"timeout": "100ms", "idle_grace": "30s"})
        connect_many(daemon, 200)
        daemon.signal(number)
        with contextlib.suppress(AssertionError), standing_still(daemon.pid):
            pause(0.7, "longer than a worker is waited for")
        assert daemon.wait_exit() == 0
        assert not daemon.log.find("hangs")


# phases


def test_stop_after_a_drain_does_not_wait_again(launch):
    daemon = launch(shutdown={"delay": "1500ms", "timeout": "30s"})
    assert daemon.local.post("/drain").status == 200
    wait_until(lambda: not daemon.is_served(), 5, "the listener closes after the delay")
    daemon.close_clients()
    daemon.wait_connections(0)
    begin = time.monotonic()
    daemon.signal(signal.SIGTERM)
    assert daemon.wait_exit() == 0
    assert time.monotonic() - begin < seconds(1)


def test_stop_during_the_delay_of_a_drain_waits_for_the_rest_of_it(launch):
    daemon = launch(shutdown={"delay": "3s", "timeout": "30s"})
    begin = time.monotonic()
    assert daemon.local.post("/drain").status == 200
    hold(daemon.is_served, 1, "accepting goes on")
    daemon.signal(signal.SIGTERM)
    hold(daemon.is_served, 1, "accepting goes on")
    daemon.close_clients()
    assert daemon.wait_exit() == 0
    assert 2.9 < time.monotonic() - begin < 3 + seconds(1)


def test_stop_after_an_undrain_waits_for_a_delay_of_its_own(launch):
    daemon = launch(shutdown={"delay": "1s", "timeout": "30s"})
    assert daemon.local.post("/drain").status == 200
    wait_until(lambda: not daemon.is_served(), 5, "the listener closes after the delay")
    assert daemon.local.post("/undrain").status == 200
    daemon.close_clients()
    begin = time.monotonic()
    daemon.signal(signal.SIGTERM)
    assert daemon.wait_exit() == 0
    assert time.monotonic() - begin > 0.9


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT])
@pytest.mark.parametrize("state", ["drain-delay", "drained", "stop-delay", "stop-drain"])
def test_second_signal_ends_at_once_in_every_state(launch, state, number):
    delayed = state in ("drain-delay", "stop-delay")
    daemon = launch(
        shutdown={"delay": "60s" if delayed else "0s", "timeout": "60s", "idle_grace": "60s"}
    )
    exchange(daemon.connect())
    if state.startswith("drain"):
        assert daemon.local.post("/drain").status == 200
    if state == "drained":
        wait_until(lambda: not daemon.is_served(), 5, "the listener is closed")
    if state.startswith("stop") or number == signal.SIGTERM:
        daemon.signal(signal.SIGTERM)
        daemon.log.wait_for("^stopping")
    begin = time.monotonic()
    daemon.signal(number)
    assert daemon.wait_exit() == 0
    assert time.monotonic() - begin < seconds(4)
    assert last_words(daemon)[2] == 1


def test_answer_to_stop_arrives(launch):
    for _ in range(5):
        daemon = launch()
        assert daemon.local.post("/stop").json == {"ok": True}
        assert daemon.wait_exit() == 0


# reload and log


def test_reloads_that_are_due_together_are_one(launch):
    """The first may begin at once; the last file is in force in the end."""
    daemon = launch()
    begin = time.monotonic()
    for limit in range(101, 121):
        config = dict(daemon.config, limits={"connections": limit})
        daemon.configure(config)
        daemon.signal(signal.SIGHUP)
    elapsed = time.monotonic() - begin
    wait_until(
        lambda: in_force(daemon)["limits.connections"] == "120",
        10,
        "the last file is in force",
    )
    pause(0.5, "another reload may still be due")
    # a busy machine takes seconds to send them, so that not all of them are due together
    assert len(daemon.log.find("^reloaded")) <= 4 + int(elapsed)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1])
@pytest.mark.parametrize("verb", ["/drain", "/stop"])
def test_log_is_opened_again_while_draining(launch, tmp_path, number, verb):
    path = tmp_path / "echod.log"
    old = tmp_path / "echod.log.1"
    daemon = launch(
        {"log": path},
        log={"target": "file", "file": str(path)},
        shutdown={"timeout": "60s", "idle_grace": "60s"},
    )
    sock = daemon.connect()
    exchange(sock)
    assert daemon.local.post(verb).status == 200
    draining(daemon)
    path.rename(old)
    daemon.signal(number)
    wait_until(path.exists, 5, "the log is opened again")
    if number == signal.SIGHUP:
        daemon.log.wait_for("not reloading", level="warning")
    assert not daemon.log.find("^reloaded")
    daemon.local.post("/undrain")
    sock.close()


# workers


@pytest.mark.parametrize("count, kernel", [(65, 128), (1024, 1024), (3, 4096), (2000, 8192)])
def test_workers_are_as_many_as_cpus_up_to_the_maximum(launch, faults, count, kernel):
    """It may use that many under a kernel that knows so many."""
    faults.set("sched_getaffinity", value=count, most=kernel)
    daemon = launch(faults.options, workers=0)
    assert daemon.control.stats()["process"]["workers"] == min(count, 64)
    assert len(worker_threads(daemon.pid)) == min(count, 64)


def test_thread_that_cannot_be_had_names_the_limits(launch, faults):
    """The log has the first, the workers the others."""
    faults.set("pthread_create", "EAGAIN", skip=5)
    daemon = launch(faults.options, ready=False, workers=8)
    daemon.spawn()
    assert daemon.wait_exit() == 71
    text = daemon.stderr_path.read_text()
    assert "cannot start worker 5 of 8: Resource temporarily unavailable" in text
    assert re.search(r"RLIMIT_NPROC, ulimit -u, is (\d+|unlimited)", text)
    assert re.search(r"pids.max, TasksMax=, is (\d+|unlimited)", text)


@pytest.mark.parametrize("verb", ["/drain", "/stop", "/undrain", "/reload"])
def test_verb_is_refused_once_a_start_has_failed(launch, faults, verb):
    """It waits at the control socket while the start fails, and is answered while all is freed."""
    faults.set("pthread_create", "EAGAIN", skip=5, delay_ms=1000)
    daemon = launch(faults.options, ready=False, workers=8)
    daemon.spawn()
    daemon.log.wait_for("control socket listening")
    reply = ControlClient(str(daemon.directory / "control.sock")).post(verb)
    assert reply.status == 409, reply.text
    assert daemon.wait_exit() == 71


def test_real_limit_of_processes_is_named(launch, as_root, open_directory):
    """An ordinary user with few threads left; root has no such limit."""
    command = "setpriv --reuid=54817 --regid=54817 --clear-groups --bounding-set=-all".split()
    prefix = ["prlimit", "--nproc=4:4", *command, "--"]
    daemon = launch({"prefix": prefix}, ready=False, workers=8)
    daemon.directory = open_directory
    daemon.config_path = open_directory / "echod.conf"
    daemon.configure(daemon.config)
    daemon.config_path.chmod(0o644)
    daemon.spawn()
    assert daemon.wait_exit() == 71
    text = daemon.stderr_path.read_text()
    assert re.search(r"cannot start worker \d of 8: .*RLIMIT_NPROC, ulimit -u, is 4 ", text), text


def test_unit_has_room_for_all_workers():
    """Besides them: the main thread, the log's, and those of an echoctl that reloads."""
    unit = (PROJECT / "systemd" / "echod.service.in").read_text()
    config = (PROJECT / "src" / "config" / "configuration.h").read_text()
    tasks = int(re.search(r"^TasksMax=(\d+)$", unit, re.MULTILINE)[1])
    workers = int(re.search(r"CONFIG_WORKERS_MAX (\d+)", config)[1])
    assert tasks >= workers + 2 + 16
