# SPDX-License-Identifier: BSD-2-Clause
"""Sockets that a service manager owns: taken by name or address, checked, never harmed."""

import fcntl
import os
import signal
import socket

import pytest

from harness import exchange, free_port, parse_metrics, receive_exactly, scaled, wait_until
from harness.activation import listening_socket, passing, tcp_address
from harness.needs import need


def test_systemd_socket_activate_with_two_names(launch):
    tool = need("systemd-socket-activate")
    ports = {"first": free_port(), "second": free_port()}
    command = [tool, "--fdname=first:second"]
    for port in ports.values():
        command += ["-l", f"127.0.0.1:{port}"]
    for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LSAN_OPTIONS"):
        command += ["-E", name]
    daemon = launch(
        {"prefix": command},
        ready=False,
        listeners=[
            {"name": name, "address": f"tcp://127.0.0.1:{port}"} for name, port in ports.items()
        ],
    )
    daemon.spawn()

    def connected():
        try:
            return socket.create_connection(("127.0.0.1", ports["second"]), timeout=10)
        except ConnectionRefusedError:
            return None

    with wait_until(connected, 5, "systemd-socket-activate listens") as sock:
        exchange(sock, b"the connection that started it")
    daemon.wait_ready()
    assert daemon.origins == {"first": "inherited", "second": "inherited"}
    for name in ports:
        assert daemon.is_served(name)
        assert daemon.control.listener(name)["origin"] == "inherited"


def test_taken_by_name_whatever_the_configured_address(launch):
    with listening_socket() as sock:
        daemon = launch(
            passing([sock], "echo"),
            listeners=[{"name": "echo", "address": f"tcp://127.0.0.1:{free_port()}"}],
        )
        assert daemon.addresses["echo"] == tcp_address(sock)
        assert daemon.control.listener("echo")["origin"] == "inherited"
        assert daemon.is_served()


def test_names_decide_which_is_which(launch):
    with listening_socket() as one, listening_socket() as two:
        daemon = launch(
            passing([one, two], "b:a"),
            listeners=[
                {"name": "a", "address": f"tcp://127.0.0.1:{free_port()}"},
                {"name": "b", "address": f"tcp://127.0.0.1:{free_port()}"},
            ],
        )
        assert daemon.addresses == {"a": tcp_address(two), "b": tcp_address(one)}


@pytest.mark.parametrize("names", ["", "unknown", "echod.socket"])
def test_taken_by_address_when_no_name_fits(launch, names):
    with listening_socket() as sock:
        daemon = launch(
            passing([sock], names), listeners=[{"name": "echo", "address": tcp_address(sock)}]
        )
        assert daemon.origins == {"echo": "inherited"}
        assert daemon.is_served()


def test_listener_without_one_binds_as_usual(launch):
    with listening_socket() as sock:
        daemon = launch(
            passing([sock], "first"),
            listeners=[
                {"name": "first", "address": "tcp://127.0.0.1:0"},
                {"name": "second", "address": "tcp://127.0.0.1:0"},
            ],
        )
        assert daemon.origins == {"first": "inherited", "second": "bound"}
        assert daemon.control.listener("second")["origin"] == "bound"
        assert daemon.is_served("first") and daemon.is_served("second")


def test_one_that_matches_nothing_is_closed_with_a_warning(launch):
    with listening_socket() as sock:
        extra = listening_socket()
        address = extra.getsockname()
        daemon = launch(
            passing([sock, extra], "echo:stranger"),
            listeners=[{"name": "echo", "address": "tcp://127.0.0.1:0"}],
        )
        extra.close()
        assert [line for line in daemon.log.wait_mentions("stranger") if line["level"] == "warning"]
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address, timeout=1)
        assert daemon.is_served()


def _datagram():
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    return sock


def _not_listening():
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.bind(("127.0.0.1", 0))
    return sock


def _foreign_family():
    return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)


def _regular_file():
    return open(os.devnull, "rb")  # pylint: disable=consider-using-with


@pytest.mark.parametrize("kind", [_datagram, _not_listening, _foreign_family, _regular_file])
def test_wrong_socket_is_refused_by_number_and_name(launch, kind):
    with listening_socket() as good, kind() as bad:
        daemon = launch(
            passing([good, bad], "fine:wrong"),
            ready=False,
            listeners=[
                {"name": "fine", "address": "tcp://127.0.0.1:0"},
                {"name": "wrong", "address": "tcp://127.0.0.1:0"},
            ],
        )
        daemon.spawn()
        assert daemon.wait_exit() > 0
        lines = [line for line in daemon.log.lines() if "wrong" in line and "4" in line]
        assert lines, f"number and name are told:\n{daemon.log.text()}"


def test_sockets_meant_for_another_process_are_left_alone(launch):
    with listening_socket() as sock:
        options = passing([sock], "echo")
        options["env"] = {"LISTEN_PID": "1"}
        daemon = launch(options)
        assert daemon.origins == {"echo": "bound"}
        assert daemon.addresses["echo"] != tcp_address(sock)
        assert daemon.is_served()


def test_blocking_socket_is_made_non_blocking_and_close_on_exec(launch):
    with listening_socket() as sock:
        assert not fcntl.fcntl(sock, fcntl.F_GETFL) & os.O_NONBLOCK
        daemon = launch(passing([sock], "echo"))
        assert fcntl.fcntl(sock, fcntl.F_GETFL) & os.O_NONBLOCK
        with open(f"/proc/{daemon.pid}/fdinfo/3", encoding="ascii") as info:
            flags = next(line for line in info if line.startswith("flags:"))
        assert int(flags.split()[1], 8) & os.O_CLOEXEC
        # A connection that is gone before it is accepted must not stop the main loop.
        for _ in range(20):
            daemon.connect().close()
        assert daemon.is_served()


def test_inherited_unix_socket_is_not_unlinked(launch, tmp_path):
    path = tmp_path / "echo.sock"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
        sock.listen()
        daemon = launch(
            passing([sock], "echo"), listeners=[{"name": "echo", "address": f"unix:{path}"}]
        )
        daemon.outlives.add(path)
        assert daemon.origins == {"echo": "inherited"}
        daemon.serve_one()
        daemon.process.terminate()
        assert daemon.wait_exit() == 0
        assert path.is_socket()


def test_reload_keeps_the_inherited_socket(launch):
    with listening_socket() as sock:
        listener = {"name": "echo", "address": tcp_address(sock)}
        daemon = launch(passing([sock], "echo"), listeners=[listener])
        listener["idle_timeout"] = "1h"
        daemon.configure({**daemon.config, "listeners": [listener]})
        daemon.signal(signal.SIGHUP)
        wait_until(
            lambda: sum(
                number
                for (name, _), number in parse_metrics(
                    daemon.control.get("/metrics").text
                ).items()
                if name == "echod_config_reloads_total"
            )
            == 1,
            5,
            "the reload is counted",
        )
        assert daemon.control.listener("echo")["origin"] == "inherited"
        assert daemon.is_served()


def _greeters(daemon, count):
    """Clients that connect and say hello at once."""
    result = []
    for _ in range(count):
        sock = daemon.connect()
        sock.sendall(b"hello")
        result.append(sock)
    return result


def test_restart_loses_no_queued_connection(launch):
    """Connections made while nobody accepts wait in the socket, and the next daemon has them."""
    with listening_socket(256) as sock:
        options = passing([sock], "echo")
        daemon = launch(options, limits={"linger_timeout": "500ms"})
        for round_number in range(3):
            served = [daemon.connect() for _ in range(10)]
            for client in served:
                exchange(client)
                client.close()
            daemon.process.send_signal(signal.SIGTERM)
            queued = _greeters(daemon, scaled(50, 20))
            assert daemon.wait_exit() == 0
            queued += _greeters(daemon, scaled(50, 20))
            daemon = launch(options, limits={"linger_timeout": "500ms"})
            for number, client in enumerate(queued):
                assert receive_exactly(client, 5) == b"hello", f"round {round_number}: {number}"
                client.close()
