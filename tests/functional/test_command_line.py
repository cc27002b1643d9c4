# SPDX-License-Identifier: BSD-2-Clause
"""Options, exit codes, and a start that cannot work."""

import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import time

import pytest

from harness import (
    BINARY,
    config_text,
    environment,
    free_port,
    no_reports,
    pause,
    run_echod,
    seconds,
    settings,
    wait_until,
)
from harness.process import descriptors


def test_help(tmp_path):
    result = run_echod(tmp_path, "-h")
    assert result.returncode == 0
    assert result.stderr == ""
    for option in ("--config", "--listen", "--test", "--dump", "--verbose", "--version", "--help"):
        assert option in result.stdout
    assert run_echod(tmp_path, "--help").stdout == result.stdout


def test_version(tmp_path):
    result = run_echod(tmp_path, "-V")
    assert result.returncode == 0
    assert re.match(r"echod \d+\.\d+", result.stdout)
    assert run_echod(tmp_path, "--version").stdout == result.stdout


@pytest.mark.parametrize("arguments", [["-x"], ["--nonsense"], ["surplus"], ["-c"]])
def test_usage_error(tmp_path, arguments):
    result = run_echod(tmp_path, *arguments)
    assert result.returncode == 64
    assert result.stdout == ""
    assert "echod" in result.stderr


def test_missing_file(tmp_path):
    path = tmp_path / "nowhere.conf"
    for options in (["-c", path], ["-t", "-c", path]):
        result = run_echod(tmp_path, *options)
        assert result.returncode == 78
        assert str(path) in result.stderr
        assert os.strerror(2) in result.stderr


def test_address_in_use_is_named(launch):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = "tcp://127.0.0.1:%d" % other.getsockname()[1]
        daemon = launch(ready=False, listeners=[{"name": "echo", "address": address}])
        daemon.spawn()
        assert daemon.wait_exit() == 69
        text = daemon.log.text()
        assert address in text
        assert os.strerror(98) in text


def test_control_address_in_use_is_named(launch):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = "127.0.0.1:%d" % other.getsockname()[1]
        daemon = launch(ready=False, control={"http": address})
        daemon.spawn()
        assert daemon.wait_exit() == 69
        assert address in daemon.log.text()


def test_address_of_another_machine_is_named(launch):
    listeners = [{"name": "echo", "address": "tcp://192.0.2.1:7007"}]
    daemon = launch(ready=False, listeners=listeners)
    daemon.spawn()
    assert daemon.wait_exit() == 69
    assert "192.0.2.1:7007" in daemon.log.text()


def test_start_that_fails_leaves_no_socket_behind(launch, tmp_path):
    path = tmp_path / "echo.sock"
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        daemon = launch(
            ready=False,
            listeners=[
                {"name": "first", "address": f"unix:{path}"},
                {"name": "second", "address": "tcp://127.0.0.1:%d" % other.getsockname()[1]},
            ],
        )
        daemon.spawn()
        assert daemon.wait_exit() == 69
    assert not os.path.lexists(path)


def test_privileged_port_without_the_right(as_root, open_directory):
    port = 1
    limit = int(open("/proc/sys/net/ipv4/ip_unprivileged_port_start", encoding="ascii").read())
    if limit <= port:
        pytest.skip("every port may be bound by everybody here")
    binary = open_directory / "echod"
    shutil.copy(BINARY, binary)
    config = open_directory / "echod.conf"
    listeners = [{"name": "echo", "address": f"tcp://127.0.0.1:{port}"}]
    config.write_text(config_text(settings(listeners=listeners)))
    nobody = pwd.getpwnam("nobody")
    result = subprocess.run(
        [str(binary), "-c", str(config)],
        user=nobody.pw_uid,
        group=nobody.pw_gid,
        extra_groups=[],
        capture_output=True,
        text=True,
        timeout=seconds(10),
        check=False,
        env=environment(open_directory),
    )
    assert result.returncode == 77
    assert f"127.0.0.1:{port}" in result.stderr


def test_verbose_raises_the_level(launch):
    daemon = launch(options={"more_arguments": ["-v"]}, log={"level": "error"})
    assert daemon.log.find(level="notice"), "shown in spite of log.level"


def test_disabled_listener_is_not_opened(launch):
    port = free_port()
    daemon = launch(
        listeners=[
            {"name": "echo", "address": "tcp://127.0.0.1:0"},
            {"name": "off", "address": f"tcp://127.0.0.1:{port}", "enabled": False},
        ]
    )
    assert daemon.control.listener("off") is None
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=1)


@pytest.mark.needs("unshare", "nsenter", "ip", "nc")
def test_no_configuration_file_means_defaults(as_root, tmp_path):
    """In a network of its own, where the default ports are free for certain."""
    script = 'ip link set lo up && exec "$0"'
    with open(tmp_path / "stderr", "wb") as stderr:
        process = subprocess.Popen(
            ["unshare", "-n", "sh", "-c", script, str(BINARY)],
            stderr=stderr,
            env=environment(tmp_path),
        )

    def asked(host, port, text):
        result = subprocess.run(
            ["nsenter", "-n", "-t", str(process.pid), "nc", "-N", "-w", "5", host, str(port)],
            input=text,
            capture_output=True,
            timeout=seconds(10),
            check=False,
        )
        return result.stdout

    try:
        wait_until(lambda: asked("127.0.0.1", 7007, b"hello") == b"hello", 10, "echo over IPv4")
        assert asked("::1", 7007, b"hello") == b"hello"
        request = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
        wait_until(lambda: b" 200 " in asked("127.0.0.1", 9862, request), 5, "the control port")
        process.send_signal(signal.SIGTERM)
        assert process.wait(seconds(10)) == 0
    finally:
        process.kill()
        process.wait()
    no_reports(tmp_path)


def test_start_and_stop_are_quick(launch):
    begin = time.monotonic()
    daemon = launch()
    daemon.process.terminate()
    assert daemon.wait_exit() == 0
    assert time.monotonic() - begin < seconds(2)


@pytest.mark.parametrize("option", ["-t", "-T", "-h", "-V"])
def test_output_that_cannot_be_written_is_a_failure(tmp_path, option):
    config = tmp_path / "echod.conf"
    config.write_text(config_text(settings()))
    with open("/dev/full", "wb") as full:
        result = subprocess.run(
            [str(BINARY), option, "-c", str(config)],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=seconds(10),
            check=False,
            env=environment(tmp_path),
        )
    assert result.returncode > 0
    assert os.strerror(28) in result.stderr


def test_start_without_standard_streams(launch, tmp_path):
    """What the daemon opens must not get the numbers that everybody writes to."""
    path = tmp_path / "echod.log"
    prefix = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"]
    daemon = launch(
        {"prefix": prefix, "log": path}, log={"target": "file", "file": str(path)}
    )
    daemon.serve_one()
    assert daemon.control.get("/livez").status == 200
    low = {number: name for number, name in descriptors(daemon.pid).items() if number < 3}
    assert set(low.values()) <= {os.devnull}, low
    assert daemon.stderr_path.read_bytes() == b""


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1])
def test_signal_while_starting_is_survived(launch, number):
    """The configuration is a FIFO at first: its opening tells when the start has begun."""
    for step in range(15):
        daemon = launch(ready=False)
        daemon.config_path.unlink()
        os.mkfifo(daemon.config_path)
        daemon.spawn()
        with open(daemon.config_path, "wb") as fifo:
            daemon.configure(daemon.config)
            fifo.write(daemon.config_path.read_bytes())
            if step == 0:
                daemon.signal(number)
        if step > 0:
            pause(step * 0.012 / 14, "a part of the start")
            daemon.signal(number)
        daemon.wait_ready()
        assert daemon.is_served(), f"step {step}"
        if number == signal.SIGHUP:
            daemon.log.wait_for("^reloaded")
