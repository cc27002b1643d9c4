# SPDX-License-Identifier: BSD-2-Clause
"""Listeners that cannot accept, may not, or are about to go; and what they hand down."""

import contextlib
import ctypes
import datetime
import errno
import fcntl
import os
import resource
import signal
import socket
import sys
import termios
import threading
import time

import pytest

from harness import (
    abstract_name,
    exchange,
    free_port,
    hold,
    pause,
    receive_exactly,
    receive_to_end,
    seconds,
    settings,
    wait_until,
)
from harness.activation import listening_socket, passing, tcp_address
from harness.namespaces import wired
from harness.process import cpu_seconds, frozen_thread, standing_still, worker_threads

_TWO = [
    {"name": "echo", "address": "tcp://127.0.0.1:0"},
    {"name": "other", "address": "tcp://127.0.0.1:0"},
]


def port_of(daemon, name="echo"):
    return int(daemon.addresses[name].rpartition(":")[2])


def errors_of(daemon, name="echo"):
    return {
        key: number
        for key, number in daemon.control.listener(name)["accept_errors"].items()
        if number > 0
    }


def begin_connect(daemon, name="echo"):
    """A client whom nobody need accept; the kernel may."""
    sock, address = daemon.open_socket(name)
    sock.setblocking(False)
    sock.connect_ex(address)
    return sock


# --- the set of reasons to pause ---


def test_drain_while_descriptors_are_short_stays_one(launch):
    with listening_socket(256) as inherited:
        daemon = launch(
            passing([inherited], "echo"),
            listeners=[{"name": "echo", "address": tcp_address(inherited)}],
        )
        most = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)[1]
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (64, most))
        clients = [begin_connect(daemon) for _ in range(100)]
        daemon.log.wait_for("cannot accept")
        assert daemon.local.post("/drain").status == 200
        wait_until(lambda: not daemon.control.listener("echo")["accepting"], 5, "it is drained")
        for sock in clients:
            sock.close()
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (most, most))
        with daemon.connect() as late:
            late.sendall(b"hello")
            before = daemon.control.totals()["connections_accepted"]
            hold(
                lambda: daemon.control.totals()["connections_accepted"] == before
                and not daemon.control.listener("echo")["accepting"],
                0.8,
                "nobody is served while it is drained",
            )
            assert daemon.local.post("/undrain").status == 200
            assert receive_exactly(late, 5) == b"hello"
        assert daemon.control.listener("echo")["accepting"]


def test_a_drain_taken_back_while_descriptors_are_short_serves_later(launch, faults):
    with listening_socket(256) as inherited:
        options = passing([inherited], "echo")
        options.update(faults.options)
        daemon = launch(
            options, listeners=[{"name": "echo", "address": tcp_address(inherited)}]
        )
        faults.set("accept4", "EMFILE", port=port_of(daemon))
        with daemon.connect() as sock:
            daemon.log.wait_for("cannot accept")
            assert daemon.local.post("/drain").status == 200
            assert daemon.local.post("/undrain").status == 200
            listener = dict(daemon.config["listeners"][0], idle_timeout="1h")
            daemon.configure({**daemon.config, "listeners": [listener]})
            assert daemon.local.post("/reload").status == 200
            sock.sendall(b"hello")
            hold(
                lambda: daemon.control.totals()["connections_accepted"] == 0, 0.5, "still short"
            )
            faults.clear()
            assert receive_exactly(sock, 5) == b"hello"


# --- accept(2) that fails ---


def assert_backs_off(daemon, word, text):
    """One line, little CPU, few tries, counted by name, and the other listener is served."""
    before, begin = cpu_seconds(daemon.pid), time.monotonic()
    daemon.log.wait_for(f"listener echo cannot accept.*{text}", level="warning")
    wait_until(lambda: errors_of(daemon).get(word, 0) > 4, 10, "it is tried again")
    hold(lambda: daemon.is_served("other"), 1, "the other listener serves")
    elapsed = time.monotonic() - begin
    cpu = (cpu_seconds(daemon.pid) - before) / elapsed
    assert cpu < 0.5, f"{100 * cpu:.0f} % CPU"
    errors = errors_of(daemon)
    assert set(errors) == {word} and errors[word] < 200 + 40 * elapsed, errors
    assert len(daemon.log.find("cannot accept")) == 1, "one line an episode"


# What accept(2) says, and under which name it is counted.
_ERRORS = {
    "EINVAL": "EINVAL",
    "EPERM": "EPERM",
    "EACCES": "EACCES",
    "ENETDOWN": "ENETDOWN",
    "EPROTO": "EPROTO",
    "ECONNABORTED": "ECONNABORTED",
    "ENOPROTOOPT": "other",
    "EIO": "other",
}


@pytest.mark.parametrize("error", _ERRORS)
def test_a_listener_that_fails_for_ever_backs_off(launch, faults, error):
    daemon = launch(faults.options, listeners=_TWO)
    faults.set("accept4", error, port=port_of(daemon))
    with daemon.connect() as sock:
        sock.sendall(b"hello")
        text = os.strerror(getattr(errno, error))
        assert_backs_off(daemon, _ERRORS[error], text)
        wait_until(
            lambda: not daemon.control.listener("echo")["accepting"], 5, "it says that it pauses"
        )
        faults.clear()
        assert receive_exactly(sock, 5) == b"hello", "it goes on where it stopped"
    line = daemon.log.wait_for("listener echo accepts connections again")[0]
    assert str(sum(errors_of(daemon).values())) in line["message"]
    assert daemon.control.listener("echo")["accepting"]


def test_an_inherited_socket_that_another_holder_shut_down(launch):
    with listening_socket() as inherited:
        daemon = launch(
            passing([inherited], "echo"),
            listeners=[dict(_TWO[0], address=tcp_address(inherited)), _TWO[1]],
        )
        daemon.serve_one()
        inherited.shutdown(socket.SHUT_RDWR)
        assert_backs_off(daemon, "EINVAL", "Invalid argument")


@pytest.mark.parametrize("error", ["EINVAL", "EPERM", "ECONNABORTED", "EMFILE"])
@pytest.mark.parametrize("signals", [[signal.SIGQUIT], [signal.SIGTERM], [signal.SIGTERM] * 2])
def test_a_stop_ends_while_a_listener_fails(launch, faults, error, signals):
    daemon = launch(faults.options, listeners=_TWO)
    faults.set("accept4", error, port=port_of(daemon))
    with daemon.connect():
        wait_until(lambda: sum(errors_of(daemon).values()) > 3, 10, "it fails")
        for number in signals:
            daemon.signal(number)
        assert daemon.wait_exit() == 0


def test_a_stop_ends_with_a_dead_inherited_socket(launch):
    with listening_socket() as inherited:
        daemon = launch(
            passing([inherited], "echo"),
            listeners=[{"name": "echo", "address": tcp_address(inherited)}],
        )
        inherited.shutdown(socket.SHUT_RDWR)
        wait_until(lambda: sum(errors_of(daemon).values()) > 3, 10, "it fails")
        daemon.signal(signal.SIGQUIT)
        assert daemon.wait_exit() == 0


# --- a selector that refuses ---


@pytest.mark.parametrize("error", ["ENOSPC", "ENOMEM"])
def test_a_refused_selector_is_tried_again(launch, faults, error):
    with listening_socket() as inherited:
        options = passing([inherited], "echo")
        options.update(faults.options)
        daemon = launch(
            options, listeners=[dict(_TWO[0], address=tcp_address(inherited)), _TWO[1]]
        )
        assert daemon.local.post("/drain").status == 200
        wait_until(lambda: not daemon.control.listener("echo")["accepting"], 5, "it is drained")
        faults.set("epoll_ctl", error, listening=True, port=port_of(daemon))
        assert daemon.local.post("/undrain").status == 200
        wait_until(lambda: errors_of(daemon).get(error, 0) > 3, 5, "it is tried again")
        assert not daemon.control.listener("echo")["accepting"]
        text = "cannot accept.*" + os.strerror(getattr(errno, error))
        assert len(daemon.log.find(text, level="warning")) == 1
        assert not daemon.log.find("libevent", level="warning")
        with daemon.connect() as sock:
            sock.sendall(b"hello")
            faults.clear()
            assert receive_exactly(sock, 5) == b"hello"
        daemon.log.wait_for("listener echo accepts connections again")
        assert daemon.control.listener("echo")["accepting"]


def test_a_start_without_its_selector_is_none(launch, faults):
    daemon = launch(faults.options, ready=False)
    faults.set("epoll_ctl", "ENOSPC", listening=True)
    daemon.spawn()
    assert daemon.wait_exit() == 71
    assert "listeners.echo: cannot serve tcp://127.0.0.1:0: No space" in daemon.log.text()
    assert "is ready" not in daemon.log.text()


def test_a_reload_without_its_selector_changes_nothing(launch, faults):
    daemon = launch(faults.options)
    faults.set("epoll_ctl", "ENOSPC", listening=True)
    more = {"name": "more", "address": f"tcp://127.0.0.1:{free_port()}"}
    daemon.configure({**daemon.config, "listeners": [*daemon.config["listeners"], more]})
    assert daemon.local.post("/reload").status == 422
    assert [row["name"] for row in daemon.control.stats()["listeners"]] == ["echo"]
    assert daemon.is_served()


# --- what has ended must not keep others out ---


def blink(daemon, times):
    """One client that connects and closes, never more than one alive."""
    _, address = daemon.open_socket()
    for _ in range(times):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                sock.connect(address)


@pytest.mark.parametrize("place", ["limits", "listener"])
@pytest.mark.parametrize("limit", [64, 5000])
def test_connections_that_ended_do_not_fill_a_limit(launch, tmp_path, place, limit):
    """Workers that begin nothing for a while are not handed all that comes."""
    listener = {"name": "echo", "address": f"unix:{tmp_path}/echo.sock", "backlog": 65535}
    changes = {"limits": {"connections": 6000}}
    if place == "limits":
        changes["limits"]["connections"] = limit
    else:
        listener["connections"] = limit
    daemon = launch(listeners=[listener], **changes)
    with contextlib.ExitStack() as stack:
        for tid in worker_threads(daemon.pid):
            stack.enter_context(frozen_thread(tid))
        for _ in range(4 * limit // 200 + 1):
            blink(daemon, 200)
            assert daemon.control.rejected() == 0
        assert daemon.control.totals()["connections"] <= min(limit // 4, 512)

    def is_served():
        with contextlib.suppress(BlockingIOError):  # the backlog is full
            return daemon.is_served()

    wait_until(is_served, 10, "the workers have caught up")
    for _ in range(100):
        assert daemon.is_served()
    assert daemon.control.rejected() == 0


def test_two_flooded_listeners_share_what_workers_may_have(launch, tmp_path):
    """A listener whose own limit lets little wait is served beside one that lets much."""
    daemon = launch(
        listeners=[
            {"name": "echo", "address": f"unix:{tmp_path}/echo.sock"},
            {"name": "small", "address": f"unix:{tmp_path}/small.sock", "connections": 3},
        ],
        limits={"connections": 5000},
    )
    over = threading.Event()

    def flood():
        while not over.is_set():
            blink(daemon, 100)

    flooding = threading.Thread(target=flood, daemon=True)
    flooding.start()
    for _ in range(50):
        daemon.serve_one("small")
    over.set()
    flooding.join(seconds(10))


# --- what connections inherit ---

_PIDFD_GETFD = 438


def sockets_of(daemon):
    """The daemon's connected stream sockets, as this process's own."""
    libc = ctypes.CDLL(None, use_errno=True)
    pidfd = os.pidfd_open(daemon.pid)
    result = []
    for name in os.listdir(f"/proc/{daemon.pid}/fd"):
        fd = libc.syscall(_PIDFD_GETFD, pidfd, int(name), 0)
        if fd < 0:  # gone since it was listed
            continue
        try:
            sock = socket.socket(fileno=fd)
        except OSError:
            os.close(fd)
            continue
        if sock.type == socket.SOCK_STREAM and not sock.getsockopt(
            socket.SOL_SOCKET, socket.SO_ACCEPTCONN
        ):
            result.append(sock)
    os.close(pidfd)
    return result


def options_of(daemon):
    """Keep-alive, its idle time, interval and number of probes."""
    with daemon.connect() as client:
        exchange(client)
        name = client.getsockname()
        sock = next(s for s in sockets_of(daemon) if s.getpeername() == name)
        tcp = [socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT]
        values = [sock.getsockopt(socket.IPPROTO_TCP, option) for option in tcp]
        return [bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)), *values]


@pytest.mark.parametrize("origin", ["bound", "inherited"])
def test_keepalive_reaches_the_kernel(launch, origin):
    with contextlib.ExitStack() as stack:
        listener = dict(_TWO[0])
        options = {}
        if origin == "inherited":
            inherited = stack.enter_context(listening_socket())
            listener["address"] = tcp_address(inherited)
            options = passing([inherited], "echo")
        daemon = launch(options, listeners=[listener])
        if origin == "bound":  # a default changes nothing of a passed socket
            assert options_of(daemon) == [True, 120, 30, 3]
        for keepalive, expected in (
            ("4s", [True, 4, 1, 3]),
            ("1ms", [True, 1, 1, 3]),
            ("0s", [False, 1, 1, 3]),
            ("32767s", [True, 32767, 8192, 3]),
        ):
            daemon.configure(settings(listeners=[dict(listener, keepalive=keepalive)]))
            assert daemon.local.post("/reload").status == 200
            assert options_of(daemon) == expected


@pytest.mark.parametrize("kind", ["tcp", "unix", "inherited tcp", "inherited unix"])
def test_urgent_bytes_are_bytes(launch, tmp_path, kind):
    with contextlib.ExitStack() as stack:
        listener = dict(_TWO[0])
        options = {}
        if kind.endswith("unix"):
            listener["address"] = f"unix:{tmp_path}/echo.sock"
        if kind == "inherited tcp":
            inherited = stack.enter_context(listening_socket())
            listener["address"] = tcp_address(inherited)
        if kind == "inherited unix":
            inherited = stack.enter_context(socket.socket(socket.AF_UNIX))
            inherited.bind(f"{tmp_path}/echo.sock")
            inherited.listen()
        if kind.startswith("inherited"):
            options = passing([inherited], "echo")
        daemon = launch(options, listeners=[listener])
        if kind == "inherited unix":
            daemon.outlives.add(tmp_path / "echo.sock")
        client = daemon.connect()
        client.sendall(b"GET ")
        try:
            client.send(b"!", socket.MSG_OOB)
        except OSError:
            pytest.skip("this kernel has no urgent data there")
        client.sendall(b"/index")
        client.shutdown(socket.SHUT_WR)
        assert receive_to_end(client) == b"GET !/index"


@pytest.fixture
def wire(as_root):
    """Two networks with a wire between them, the client's and the daemon's."""
    with wired() as networks:
        yield networks


def test_a_dead_peer_leaves(launch, wire):
    client, server = wire
    daemon = launch(
        {"prefix": server.prefix},
        listeners=[
            {
                "name": "echo",
                "address": "tcp://10.77.0.2:20007",
                "idle_timeout": "0s",
                "keepalive": "1s",
            }
        ],
        limits={"stall_timeout": "0s"},
    )
    daemon.control = daemon.local
    with client.entered():
        sock = socket.create_connection(("10.77.0.2", 20007), timeout=seconds(10))
    with sock:
        exchange(sock)
        hold(lambda: daemon.control.totals()["connections"] == 1, 2.5, "a living one stays")
        client.ip("link", "set", "veth0", "down")
        daemon.wait_connections(0)


def unsent(daemon):
    """Bytes that the daemon's kernels hold for its clients."""
    total = 0
    for sock in sockets_of(daemon):
        queued = bytearray(4)
        fcntl.ioctl(sock, termios.TIOCOUTQ, queued)
        total += int.from_bytes(queued, sys.byteorder)
        sock.close()
    return total


def test_bytes_left_in_the_kernel_count_as_stalled(launch):
    """The client's window is closed, and the daemon itself has nothing left to send."""
    daemon = launch(limits={"stall_timeout": "1s"}, listeners=[dict(_TWO[0], idle_timeout="0s")])
    sock, address = daemon.open_socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect(address)
    sent = 0

    def window_is_closed():
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            if unsent(daemon) == 0:
                return False
        return True

    while not window_is_closed():
        sock.sendall(bytes(500))
        sent += 500
        wait_until(lambda: (daemon.row(sock) or {}).get("bytes_in") == sent, 5, "all is read")
        assert daemon.row(sock)["pending_bytes"] == 0 and sent < 1 << 20
    daemon.wait_connections(0)


# --- the close of a listener ---


def test_a_stop_has_one_deadline_for_all_backlogs(launch, faults):
    """Eight listeners, each of which would take half a second to empty."""
    rows = [{"name": f"l{number}", "address": "tcp://127.0.0.1:0"} for number in range(8)]
    daemon = launch(faults.options, listeners=rows, limits={"connections": 5000})
    with standing_still(daemon.pid):
        clients = [begin_connect(daemon, row["name"]) for _ in range(300) for row in rows]
        faults.set("accept4", delay_ms=2)
        daemon.signal(signal.SIGTERM)
    daemon.log.wait_for("draining", deadline=10)
    for sock in clients:
        sock.close()
    assert daemon.wait_exit() == 0
    times = [
        datetime.datetime.fromisoformat(record["time"])
        for record in daemon.log.find("listener closed|draining")
    ]
    assert (times[-1] - times[0]).total_seconds() < seconds(0.8)


def _storm(daemon, over, failures, counts):
    """Connect and wait for the end; who got in must not be reset."""
    while not over.is_set():
        sock, address = daemon.open_socket()
        with sock:
            sock.settimeout(0.3)
            try:
                sock.connect(address)
            except OSError:
                continue
            counts.append(1)
            try:
                while sock.recv(1):
                    pass
            except TimeoutError:
                pass
            except OSError as error:
                failures.append(error)


@pytest.mark.parametrize("kind", ["tcp4", "tcp6", "unix", "abstract"])
@pytest.mark.parametrize("way", ["stop", "reload", "drain"])
def test_who_got_in_is_served_when_a_listener_closes(launch, faults, tmp_path, kind, way):
    """The time between the last accept(2) and the close is stretched."""
    address = {
        "tcp4": "tcp://127.0.0.1:0",
        "tcp6": "tcp://[::1]:0",
        "unix": f"unix:{tmp_path}/echo.sock",
        "abstract": f"unix:@{abstract_name()}",
    }[kind]
    daemon = launch(
        faults.options,
        listeners=[{"name": "echo", "address": address, "idle_timeout": "100ms"}],
    )
    faults.set("close", listening=True, delay_ms=300)
    over, failures, counts = threading.Event(), [], []
    clients = [
        threading.Thread(target=_storm, args=(daemon, over, failures, counts), daemon=True)
        for _ in range(4)
    ]
    for thread in clients:
        thread.start()
    try:
        wait_until(lambda: len(counts) > 20, 10, "a storm")
        if way == "stop":
            daemon.signal(signal.SIGTERM)
            assert daemon.wait_exit() == 0
        elif way == "reload":
            daemon.configure(settings(listeners=[dict(_TWO[0], name="new")]))
            assert daemon.local.post("/reload").status == 200
        else:
            assert daemon.local.post("/drain").status == 200
            daemon.log.wait_for("listener closed")
            pause(0.6, "it closes")
    finally:
        over.set()
        for thread in clients:
            thread.join(seconds(10))
    assert not failures, f"{len(failures)} of {len(counts)}, the first: {failures[0]}"
