# SPDX-License-Identifier: BSD-2-Clause
"""A root directory with the daemon and its libraries, and nothing else: no /proc, /dev or /sys."""

import os
import pathlib
import re
import shutil
import socket
import stat
import subprocess

import pytest

from harness import BINARY, exchange
from harness.needs import need
from harness.pace import SANITIZED

# Starts the daemon without standard input and output.
CLOSED = ["sh", "-c", 'exec "$@" <&- >&-', "sh"]


@pytest.fixture
def jail(as_root, tmp_path):
    need("chroot", "ldd")
    if SANITIZED:
        pytest.skip("a sanitizer reads /proc")
    root = tmp_path / "jail"
    binary = os.path.abspath(BINARY)
    libraries = subprocess.run(["ldd", binary], capture_output=True, text=True, check=True).stdout
    for name in [binary, *re.findall(r"(/\S+) \(0x", libraries)]:
        place = root / name.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(name, place)
    return root


def begin(launch, jail, path, prefix=(), **keys):
    """A daemon in there, with a UNIX socket at PATH, as it is called inside."""
    listeners = [
        {"name": "echo", "address": "tcp://127.0.0.1:0"},
        {"name": "local", "address": f"unix:{path}", **keys},
    ]
    daemon = launch({"prefix": [*prefix, "chroot", str(jail)]}, ready=False, listeners=listeners)
    inside = jail / str(daemon.config_path).lstrip("/")
    inside.parent.mkdir(parents=True)
    shutil.copy(daemon.config_path, inside)
    return daemon.start()


def test_serves_with_nothing_but_its_libraries(launch, jail):
    daemon = begin(launch, jail, "/echo.sock", mode="0662")
    assert daemon.is_served()
    path = jail / "echo.sock"
    assert stat.S_IMODE(path.stat().st_mode) == 0o662
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(path))
        exchange(sock)
    process = daemon.control.stats()["process"]
    assert process["resident_bytes"] is None and process["open_fds"] is None
    assert daemon.control.metrics().value("process_max_fds") > 0


def test_closed_standard_streams_are_taken_by_no_socket(launch, jail):
    daemon = begin(launch, jail, "/echo.sock", CLOSED)
    assert daemon.is_served()
    for number in (0, 1):
        place = pathlib.Path(f"/proc/{daemon.pid}/fd/{number}").readlink()
        assert str(place) == str(jail)
