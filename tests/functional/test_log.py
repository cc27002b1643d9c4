# SPDX-License-Identifier: BSD-2-Clause
"""The log: what is told, in which form, and that it never holds up the traffic."""

import os
import re
import signal
import socket
import time

import pytest

from harness import exchange, known_ports, reset, scaled, seconds, wait_until


@pytest.mark.parametrize(
    "mode, opened, ended",
    [
        ("off", 0, []),
        ("errors", 0, []),
        ("close", 0, ["client_fin", "client_reset"]),
        ("all", 2, ["client_fin", "client_reset"]),
    ],
)
def test_connections(launch, mode, opened, ended):
    daemon = launch(log={"connections": mode})
    daemon.serve_one()
    daemon.wait_connections(0)
    sock = daemon.connect()
    exchange(sock)
    reset(sock)
    daemon.wait_connections(0)
    daemon.process.terminate()
    assert daemon.wait_exit() == 0
    lines = daemon.log.find(listener="echo")
    lines = [line for line in lines if line["message"] != "listening" and "peer" in line]
    assert [line["reason"] for line in lines if "reason" in line] == ended
    assert len([line for line in lines if "reason" not in line]) == opened


def test_line_of_a_connection_has_its_figures(launch):
    daemon = launch(log={"connections": "close"})
    with daemon.connect() as sock:
        peer = "%s:%d" % sock.getsockname()
        identity = daemon.control.connections()["connections"][0]["id"]
        exchange(sock, bytes(1234))
    line = daemon.log.wait_for(reason="client_fin")[0]
    assert line["listener"] == "echo"
    assert line["peer"] == peer
    assert identity in line.values()
    assert list(line.values()).count(1234) == 2, "bytes in and bytes out"


def test_json_lines_are_objects_with_time_level_and_message(launch):
    daemon = launch()
    daemon.serve_one()
    daemon.wait_connections(0)
    lines = daemon.log.lines()
    records = daemon.log.records()
    assert len(records) == len(lines) > 2
    for record in records:
        assert list(record)[:3] == ["time", "level", "message"]
        assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", record["time"])
        assert record["level"] in ("error", "warning", "notice", "info", "debug")


def test_text_lines(launch):
    config = known_ports(format="text", connections="all")
    daemon = launch(ready=False, **config)
    daemon.spawn()
    daemon.addresses = {"echo": config["listeners"][0]["address"]}
    wait_until(daemon.is_served, 10, "the daemon serves")
    daemon.process.terminate()
    assert daemon.wait_exit() == 0
    lines = daemon.log.lines()
    for line in lines:
        assert re.match(r"\S+ (error|warning|notice|info|debug) \S", line), line
    assert [line for line in lines if "reason=client_fin" in line and "listener=echo" in line]


def test_level_hides_what_is_below(launch):
    config = known_ports(level="error")
    daemon = launch(ready=False, **config)
    daemon.spawn()
    daemon.addresses = {"echo": config["listeners"][0]["address"]}
    wait_until(daemon.is_served, 10, "the daemon serves")
    daemon.process.terminate()
    assert daemon.wait_exit() == 0
    assert daemon.log.text() == ""


def test_priority_prefix_when_stderr_is_the_journal(launch, tmp_path):
    path = tmp_path / "stream"
    with open(path, "wb") as stream:
        status = os.fstat(stream.fileno())
        journal = f"{status.st_dev}:{status.st_ino}"
        daemon = launch({"stderr": stream, "log": path, "env": {"JOURNAL_STREAM": journal}})
        daemon.serve_one()
        daemon.log.wait_for(reason="client_fin")
    assert all(re.match(r"<[3-7]>\{", line) for line in daemon.log.lines())


def test_odd_bytes_are_escaped(launch, tmp_path):
    """A name with a terminal escape, a quote and a line end reaches no log as it is."""
    name = b'\x1b[31mred\n{"level":"error"}\xff'
    path = bytes(tmp_path) + b"/" + name
    daemon = launch(
        listeners=[
            {"name": "echo", "address": "tcp://127.0.0.1:0"},
            {"name": "local", "address": f"unix:{tmp_path}/echo.sock"},
        ],
        log={"connections": "all"},
    )
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(path)
        sock.settimeout(seconds(5))
        sock.connect(str(tmp_path / "echo.sock"))
        exchange(sock)
        daemon.control.raw(b"GET /%s HTTP/1.1\r\nHost: localhost\r\n\r\n" % name)
        assert daemon.control.connections()["total"] == 1
    daemon.log.wait_for(reason="client_fin", listener="local")
    raw = daemon.log.path.read_bytes()
    assert b"\x1b" not in raw and b"\xff" not in raw
    assert len(daemon.log.records()) == len(daemon.log.lines())


def test_rate_limit_tells_how_many_were_suppressed(launch):
    daemon = launch(log={"connections": "close", "rate_limit": 20})
    for _ in range(scaled(500, 300)):
        daemon.serve_one()
    line = daemon.log.wait_for("suppressed")[0]
    assert re.search(r"\d+", str(line))
    assert daemon.control.totals()["log_suppressed"] > 100
    assert len(daemon.log.find(reason="client_fin")) < 300


def test_rate_limit_does_not_hide_a_failed_reload(launch):
    """Connections of strangers must not silence what the operator waits for."""
    daemon = launch(log={"connections": "all", "rate_limit": 20})
    daemon.configure("nonsense = 1;\n")
    for number in range(scaled(300, 150)):
        daemon.serve_one()
        if number == 100:
            daemon.signal(signal.SIGHUP)
    wait_until(
        lambda: daemon.control.metrics().value("echod_config_last_reload_successful") == 0,
        5,
        "the reload has failed",
    )
    assert daemon.control.totals()["log_suppressed"] > 100, "the limit was in force"
    daemon.log.wait_for("^reload failed", level="error")
    assert daemon.log.wait_mentions(f"{daemon.config_path}:1: nonsense: ")


def test_times_before_1970_are_told_right(launch, faults):
    """A machine without a clock of its own wakes up anywhere."""
    before = int(time.time()) + 86400
    faults.set("clock_gettime", value=-before)
    daemon = launch(faults.options)
    sock = daemon.connect()
    exchange(sock)
    since = daemon.control.connections()["connections"][0]["since"]
    sock.close()
    daemon.log.wait_for(reason="client_fin")
    for moment in [since, *(record["time"] for record in daemon.log.records())]:
        assert re.fullmatch(r"1969-12-31T00:0\d:\d\d\.\d{3}Z", moment)
