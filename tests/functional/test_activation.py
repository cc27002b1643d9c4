# SPDX-License-Identifier: BSD-2-Clause
"""Sockets that a service manager owns: taken by name or address, checked, never harmed."""

import fcntl
import os
import signal
import socket
import struct

import pytest

from harness import (
    PROJECT,
    exchange,
    free_port,
    parse_metrics,
    receive_exactly,
    scaled,
    settings,
    wait_until,
)
from harness.activation import (
    datagram_socket,
    listening_socket,
    passing,
    tcp_address,
    udp_address,
)
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


def _connected():
    with listening_socket() as sock:
        return socket.create_connection(sock.getsockname())


@pytest.mark.parametrize("kind", [_datagram, _connected, _not_listening, _foreign_family, _regular_file])
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
        assert daemon.wait_exit() == 78
        lines = [line for line in daemon.log.lines() if "wrong" in line and "4" in line]
        assert lines, f"number and name are told:\n{daemon.log.text()}"


# What the unit has set, and how a test reads it; the kernel tells the backlog in tcpi_sacked.
_UNIT = {
    "backlog": 7,
    "nodelay": 0,
    "dscp": 0x28,
    "mss": 1000,
    "keepalive": 77,
}


def _set_as_a_unit(sock):
    sock.listen(_UNIT["backlog"])
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, _UNIT["dscp"])
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, _UNIT["mss"])
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _UNIT["keepalive"])


def _read_back(sock):
    info = struct.unpack_from("8B6I", sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104))
    return {
        "backlog": info[13],
        "nodelay": sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY),
        "dscp": sock.getsockopt(socket.IPPROTO_IP, socket.IP_TOS),
        "mss": sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG),
        "keepalive": sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
    }


def test_passed_socket_keeps_what_the_file_does_not_name(launch):
    with listening_socket() as sock:
        _set_as_a_unit(sock)
        daemon = launch(
            passing([sock], "echo"), listeners=[{"name": "echo", "address": tcp_address(sock)}]
        )
        assert _read_back(sock) == _UNIT
        assert daemon.local.post("/reload").status == 200
        assert _read_back(sock) == _UNIT
        assert daemon.is_served()


def test_passed_socket_keeps_what_the_packaged_file_says_nothing_of(launch):
    with listening_socket() as sock:
        _set_as_a_unit(sock)
        daemon = launch(passing([sock], "echo"), ready=False)
        text = (PROJECT / "etc" / "echod.conf").read_text().replace('"127.0.0.1:9862"', '""')
        daemon.configure(text.replace("/run/echod", str(daemon.directory)))
        daemon.spawn()
        wait_until(lambda: " is ready: " in daemon.log.text(), 10, "ready")
        assert _read_back(sock) == _UNIT


@pytest.mark.parametrize(
    "key, value, kernel",
    [
        ("backlog", 9, 9),
        ("nodelay", True, 1),
        ("dscp", 46, 46 << 2),
        ("mss", 1200, 1200),
        ("keepalive", "5s", 5),
    ],
)
def test_passed_socket_is_set_to_what_the_file_names(launch, key, value, kernel):
    with listening_socket() as sock:
        _set_as_a_unit(sock)
        listener = {"name": "echo", "address": tcp_address(sock)}
        daemon = launch(passing([sock], "echo"), listeners=[{**listener, key: value}])
        assert _read_back(sock) == {**_UNIT, key: kernel}
        daemon.configure(settings(listeners=[listener]))
        assert daemon.local.post("/reload").status == 200
        assert _read_back(sock) == {**_UNIT, key: kernel}, "nothing names what to go back to"


def test_passed_datagram_socket_keeps_its_receive_buffer(launch):
    with datagram_socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 50000)
        before = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        launch(passing([sock], "echo"), listeners=[{"name": "echo", "address": udp_address(sock)}])
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == before


@pytest.mark.parametrize("scheme", ["tcp", "udp"])
def test_passed_socket_of_the_other_kind_is_a_wrong_configuration(launch, scheme):
    with datagram_socket() if scheme == "tcp" else listening_socket() as sock:
        daemon = launch(
            passing([sock], "echo"),
            ready=False,
            listeners=[{"name": "echo", "address": f"{scheme}://127.0.0.1:{free_port()}"}],
        )
        daemon.spawn()
        assert daemon.wait_exit() == 78
        wanted = "ListenStream=" if scheme == "tcp" else "ListenDatagram="
        assert f"(use {wanted}, or another name)" in daemon.log.text()


@pytest.mark.parametrize("taken", [False, True])
def test_address_that_a_passed_socket_holds_is_told(launch, taken):
    with socket.socket() as sock:
        sock.bind(("0.0.0.0", 0))
        sock.listen()
        port = sock.getsockname()[1]
        listeners = [{"name": "echo", "address": f"tcp://127.0.0.1:{port}"}]
        if taken:
            listeners.insert(0, {"name": "other", "address": f"tcp://0.0.0.0:{port}"})
        daemon = launch(passing([sock], "other"), ready=False, listeners=listeners)
        daemon.spawn()
        assert daemon.wait_exit() == 69
        holder = "listeners.other" if taken else 'inherited descriptor 3 (name "other")'
        messages = [record["message"] for record in daemon.log.records()]
        assert [text for text in messages if f"{holder} holds tcp://0.0.0.0:{port}" in text]


@pytest.mark.parametrize("mode", ["--inetd", "--accept"])
def test_systemd_socket_activate_in_a_mode_for_single_connections_is_refused(launch, mode):
    tool = need("systemd-socket-activate")
    port = free_port()
    daemon = launch(
        {"prefix": [tool, mode, "-l", f"127.0.0.1:{port}"]},
        ready=False,
        listeners=[{"name": "echo", "address": "tcp://127.0.0.1:0"}],
    )
    daemon.spawn()

    def connected():
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=10)
        except ConnectionRefusedError:
            return None

    with wait_until(connected, 5, "systemd-socket-activate listens"):
        sentence = f"systemd-socket-activate without {mode})"
        wait_until(lambda: sentence in daemon.log.text(), 5, "a sentence says so")
    if mode == "--inetd":
        assert daemon.wait_exit() == 78
    else:
        daemon.kill()


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_UNIX])
def test_connection_as_standard_input_is_refused(launch, tmp_path, family):
    address = ("127.0.0.1", 0) if family == socket.AF_INET else str(tmp_path / "inetd.sock")
    with socket.socket(family) as sock:
        sock.bind(address)
        sock.listen()
        with socket.socket(family) as client:
            client.connect(sock.getsockname())
            with sock.accept()[0] as accepted:
                daemon = launch({"stdin": accepted}, ready=False)
                daemon.spawn()
                assert daemon.wait_exit() == 78
    assert "standard input is a socket" in daemon.log.text()


def test_pair_of_sockets_as_standard_input_is_fine(launch):
    one, two = socket.socketpair()
    with one, two:
        assert launch({"stdin": one}).is_served()


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
