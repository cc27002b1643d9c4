# SPDX-License-Identifier: BSD-2-Clause
"""echoctl status: datagrams, peaks, listeners of both kinds, and what waits for a restart."""

import contextlib
import re
import socket
import threading
import types

import pytest

from fake_control import datagram_listener, stream_listener
from harness import wait_until
from harness.datagrams import udp_listener
from harness.network import parse_address
from test_echoctl import ask, control, echoctl, on_terminal, rows

PEAKS = {"connections": 12, "accepts_per_second": 340, "received_bytes_per_second": 5 * 2**20,
         "sent_bytes_per_second": 4 * 2**20}
WARN = "\x1b[33m"


def dropping(control, *counts):
    """Have the daemon tell, from one answer to the next, these counts of dropped datagrams."""
    left = list(counts)

    def answer():
        number = left.pop(0)
        stats = control.stats()
        stats["listeners"] += [datagram_listener("u", source_rate=number), datagram_listener("v")]
        stats["totals"].update(datagrams_received=number + 60, datagrams_sent=60)
        stats["totals"]["datagrams_dropped"] = {"source_rate": number, "budget": 0}
        stats["process"]["uptime_seconds"] = 10.0 - len(left)
        return 200, stats

    control.answers["GET", "/stats"] = answer


def line(text, name):
    """What stands after that name at the begin of a line; a text goes on in the next lines."""
    found = re.search(rf"^{name} +(.*(?:\n {{10,}}.*)*)", text, re.M)
    return found and " ".join(found[1].split())


def test_datagrams_have_a_line_with_reasons(ask, control):
    stats = control.stats()
    stats["listeners"].append(datagram_listener("u"))
    stats["totals"].update(datagrams_received=3200, datagrams_sent=449)
    stats["totals"]["datagrams_dropped"] = {
        "denied": 12, "source_rate": 2700, "budget": 0, "own_port": 12, "a": 3, "b": 2, "c": 1,
        "d": 1}
    control.answers["GET", "/stats"] = (200, stats)
    assert line(ask("status").stdout, "datagrams") == (
        "3200 received, 449 echoed, 2731 dropped: source_rate=2700, denied=12, own_port=12, a=3,"
        " b=2, others=2")


def test_without_datagrams_there_is_no_line_of_them(ask, control):
    text = ask("status").stdout
    assert line(text, "datagrams") is None
    assert "ECHOED" not in text
    assert control.targets("GET") == ["/stats"]


def test_drops_that_go_on_stand_out(control, tmp_path):
    dropping(control, 1000, 1412)
    text = on_terminal(control, tmp_path, "status", columns=100)
    assert f"datagrams    {WARN}1472 received, 60 echoed, 1412 dropped, 412/s now:" in text
    (row,) = re.findall(r"^u .*$", text, re.M)
    assert re.search(re.escape(WARN) + r" *1412\x1b\[0m", row)
    assert control.targets("GET") == 2 * ["/stats"]


def test_drops_that_are_over_are_calm(control, tmp_path):
    dropping(control, 1000, 1000)
    text = on_terminal(control, tmp_path, "status", columns=100)
    assert "datagrams    1060 received, 60 echoed, 1000 dropped: source_rate=1000\n" in text
    assert WARN not in text


def test_a_second_look_that_fails_changes_nothing(ask, control):
    first = control.stats()
    first["totals"]["datagrams_dropped"]["denied"] = 5
    first["totals"]["datagrams_received"] = 5
    answers = [(200, first), (503, {"error": "busy"})]
    control.answers["GET", "/stats"] = lambda: answers.pop(0)
    result = ask("status")
    assert (result.returncode, result.stderr) == (0, "")
    assert line(result.stdout, "datagrams") == "5 received, 0 echoed, 5 dropped: denied=5"


def test_listeners_of_datagrams_have_a_table(ask, control):
    stats = control.stats()
    stats["listeners"] += [
        datagram_listener("u", address="udp://[::]:7", datagrams_received=90, datagrams_sent=20,
                          source_rate=60, denied=10),
        datagram_listener("x", address="unixgram:/run/x.sock", accepting=False),
    ]
    control.answers["GET", "/stats"] = (200, stats)
    text = ask("status").stdout
    streams, datagrams = re.findall(r"^(LISTENER(?:.+\n)+)", text, re.M)
    assert [row[0] for row in rows(streams)] == ["LISTENER", "echo"]
    assert rows(datagrams) == [
        "LISTENER ADDRESS STATE RECEIVED ECHOED DROPPED MOSTLY".split() + ["BYTES IN", "BYTES OUT"],
        ["u", "udp://[::]:7", "accepting", "90", "20", "70", "source_rate", "4.4 KiB", "1000 B"],
        ["x", "unixgram:/run/x.sock", "not accepting", "0", "0", "0", "-", "0 B", "0 B"],
    ]


def test_peaks_and_limits(ask, control):
    stats = control.stats()
    stats["totals"]["peaks"] = PEAKS
    stats["listeners"] = [
        stream_listener("a", connections_limit=500, peaks={**PEAKS, "connections": 7}),
        stream_listener("b", connections_limit=0, peaks={**PEAKS, "connections": 0}),
    ]
    control.answers["GET", "/stats"] = (200, stats)
    text = ask("status").stdout
    assert line(text, "peaks") == (
        "12 connections, 340/s accepted, 5.0 MiB/s in, 4.0 MiB/s out")
    titles, a, b = rows(text[text.index("LISTENER"):])[:3]
    assert titles[3:6] == ["OPEN", "LIMIT", "PEAK"]
    assert a[3:6] == ["0", "500", "7"]
    assert b[3:6] == ["0", "-", "0"]


def test_an_older_daemon_tells_no_peaks(ask, control):
    stats = control.stats()
    stats["totals"].pop("peaks", None)
    stats["process"].pop("needs_restart", None)
    for listener in stats["listeners"]:
        for key in ("peaks", "connections_limit", "open"):
            listener.pop(key, None)
    control.answers["GET", "/stats"] = (200, stats)
    text = ask("status").stdout
    assert line(text, "peaks") is None and line(text, "restart") is None
    titles = rows(text[text.index("LISTENER"):])[0]
    assert titles == "LISTENER ADDRESS STATE OPEN ACCEPTED REJECTED RECEIVED SENT".split()


@pytest.mark.parametrize("keys, state", [
    ({"accepting": True}, "accepting"),
    ({"accepting": False}, "not accepting"),
    ({"accepting": False, "address": None}, "closed"),
    ({"accepting": True, "open": True}, "accepting"),
    ({"accepting": False, "open": True}, "not accepting"),
    ({"accepting": False, "open": False}, "closed"),
    ({"accepting": False, "open": False, "address": None}, "closed"),
])
@pytest.mark.parametrize("make", [stream_listener, datagram_listener])
def test_states_of_a_listener(ask, control, make, keys, state):
    stats = control.stats()
    stats["listeners"] = [make("a", **{"datagrams_received": 1 if make is datagram_listener else 0, **keys})]
    control.answers["GET", "/stats"] = (200, stats)
    text = ask("status").stdout
    assert rows(text[text.index("LISTENER"):])[1][2] == state
    assert ("ECHOED" in text) == (make is datagram_listener)


@pytest.mark.parametrize("number, says", [
    (0, None),
    (1, "1 directive waits for a restart, see echoctl config"),
    (3, "3 directives wait for a restart, see echoctl config"),
])
def test_what_waits_for_a_restart(ask, control, number, says):
    stats = control.stats()
    stats["process"]["needs_restart"] = number
    control.answers["GET", "/stats"] = (200, stats)
    assert line(ask("status").stdout, "restart") == says


@contextlib.contextmanager
def flooded(launch, path):
    """A daemon with its control socket there, to which one source sends more than it may."""
    daemon = launch(
        listeners=[udp_listener(name="u", rate_per_source=10, burst_per_source=10)],
        control={"socket": str(path)},
    )
    over = threading.Event()

    def flood():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            while not over.wait(0.002):
                client.sendto(b"hello", parse_address(daemon.addresses["u"])[1])

    thread = threading.Thread(target=flood)
    thread.start()
    try:
        yield daemon
    finally:
        over.set()
        thread.join()


def test_a_flood_over_the_rate_is_seen(launch, open_directory, tmp_path):
    path = open_directory / "real.sock"
    place = types.SimpleNamespace(path=path)
    with flooded(launch, path):
        text = wait_until(
            lambda: (text := on_terminal(place, tmp_path, "status")) and " now: " in text and text,
            10, "drops that go on")
    assert re.search(r"datagrams +\x1b\[33m\d+ received, \d+ echoed, \d+ dropped, \S+/s now:"
                     r" source_rate=\d+", text)
    assert re.search(r"^u .*\x1b\[33m +\d+\x1b\[0m  source_rate", text, re.M)
