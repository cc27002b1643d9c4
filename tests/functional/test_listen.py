# SPDX-License-Identifier: BSD-2-Clause
"""echod --listen: addresses on the command line, and no file."""

import contextlib
import os
import signal
import socket
import subprocess

import pytest

from harness import BINARY, environment, exchange, run_echod, seconds, wait_until
from harness.control_client import ControlClient
from harness.namespaces import own_network

PORT = 7


@contextlib.contextmanager
def listening(directory, *addresses):
    """A daemon that serves them in a network of its own; that, and its control socket."""
    with own_network() as network, served(directory, network, addresses) as control:
        yield network, control


@contextlib.contextmanager
def served(directory, network, addresses):
    command = [*network.prefix, str(BINARY)]
    for address in addresses:
        command += ["--listen", address]
    with open(directory / "stderr", "wb") as stderr:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stderr=stderr, env=environment(directory)
        )
    control = ControlClient(str(directory / "control.sock"))

    def ready():
        assert process.poll() is None, (directory / "stderr").read_text()
        with contextlib.suppress(OSError):
            return control.get("/readyz").status == 200

    try:
        wait_until(ready, 10, "ready")
        yield control
        process.send_signal(signal.SIGTERM)
        assert process.wait(seconds(10)) == 0
    finally:
        process.kill()
        process.wait()


def names(control):
    return {row["name"]: row["address"] for row in control.stats()["listeners"]}


def connect(network, family, address, kind=socket.SOCK_STREAM):
    with network.entered():
        sock = socket.socket(family, kind)
    sock.settimeout(seconds(5))
    sock.connect(address)
    return sock


def test_every_transport_is_served(as_root, tmp_path):
    path = f"{tmp_path}/echo.sock"
    addresses = ["tcp://*:7", "udp://*:7", f"unix:{path}", f"unix:@{path}"]
    with listening(tmp_path, *addresses) as (network, control):
        for family, address, kind in (
            (socket.AF_INET, ("127.0.0.1", PORT), socket.SOCK_STREAM),
            (socket.AF_INET6, ("::1", PORT), socket.SOCK_STREAM),
            (socket.AF_INET, ("127.0.0.1", PORT), socket.SOCK_DGRAM),
            (socket.AF_UNIX, path, socket.SOCK_STREAM),
            (socket.AF_UNIX, f"\0{path}", socket.SOCK_STREAM),
        ):
            with connect(network, family, address, kind) as sock:
                exchange(sock)
        assert list(names(control)) == ["tcp-7", "udp-7", "unix-echo.sock", "unix-echo.sock-2"]


def test_reload_keeps_what_was_listened_on(as_root, tmp_path):
    with listening(tmp_path, "tcp://127.0.0.1:7") as (network, control):
        with connect(network, socket.AF_INET, ("127.0.0.1", PORT)) as sock:
            exchange(sock)
            reply = control.post("/reload")
            assert (reply.status, reply.json["changed"]) == (200, [])
            exchange(sock)
        with connect(network, socket.AF_INET, ("127.0.0.1", PORT)) as sock:
            exchange(sock)
        assert names(control) == {"tcp-7": "tcp://127.0.0.1:7"}


def test_dump_shows_where_it_comes_from(tmp_path):
    result = run_echod(tmp_path, "--listen", "tcp://*:7", "--listen", "unix:/run/e.sock", "-T")
    assert (result.returncode, result.stderr) == (0, "")
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    given = [line for line in lines if "--listen" in line]
    assert given == [
        'name = "tcp-7"; # --listen:1',
        'address = "tcp://*:7"; # --listen:1',
        'name = "unix-e.sock"; # --listen:2',
        'address = "unix:/run/e.sock"; # --listen:2',
    ]
    path = tmp_path / "dump.conf"
    path.write_text(result.stdout)
    assert run_echod(tmp_path, "-t", "-c", path).returncode == 0


def test_names_are_told_apart(tmp_path):
    arguments = []
    for host in "127.0.0.1", "127.0.0.2", "127.0.0.3":
        arguments += ["--listen", f"tcp://{host}:7"]
    # what looks like a name that was made, and bytes that no name has
    arguments += ["--listen", "unix:@a b/c d", "--listen", "unix:@" + "x" * 100]
    result = run_echod(tmp_path, *arguments, "-T")
    found = [line.split('"')[1] for line in result.stdout.splitlines() if "\tname =" in line]
    assert found == ["tcp-7", "tcp-7-2", "tcp-7-3", "unix-c_d", "unix-" + "x" * 50]


def test_check_says_that_it_is_good(tmp_path):
    result = run_echod(tmp_path, "--listen", "tcp://*:7", "-t")
    assert (result.returncode, result.stdout) == (0, "--listen: the configuration is good\n")


@pytest.mark.parametrize("action", ["-t", "-T", None])
@pytest.mark.parametrize(
    "values, messages",
    [
        (["echo"], ['--listen echo: "echo" is not an address (write ']),
        ([""], ['--listen : "" is not an address (write ']),
        (["tcp://*:7", "tcp://*:x"], ['--listen tcp://*:x: "tcp://*:x" has no valid port']),
        (["x", "y"], ['--listen x: "x" is not an address', '--listen y: "y" is not an address']),
        (["tcp://[::1]:7", "tcp://[::1]:7"], ['--listen tcp://[::1]:7: "tcp://[::1]:7" is used']),
        (["tcp://127.0.0.1:9862"], ["--listen tcp://127.0.0.1:9862: control.http: "]),
        (["unix:/a\nb"], ["--listen unix:/a\\x0ab: has a control character (remove it)"]),
        (['unix:"; }; x = ('], ["--listen unix:\"; }; x = (: "]),
    ],
)
def test_mistakes_name_the_value(tmp_path, values, messages, action):
    arguments = [word for value in values for word in ("--listen", value)]
    result = run_echod(tmp_path, *arguments, *filter(None, [action]))
    assert (result.returncode, result.stdout) == (64, "")
    lines = result.stderr.splitlines()
    assert len(lines) == len(messages)
    for line, message in zip(lines, messages):
        assert line.startswith(message)


def test_file_and_listen_do_not_mix(tmp_path):
    result = run_echod(tmp_path, "-c", os.devnull, "--listen", "tcp://*:7")
    assert (result.returncode, result.stdout) == (64, "")
    assert "--listen is for a start without a file (remove -c" in result.stderr
