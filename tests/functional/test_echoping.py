# SPDX-License-Identifier: BSD-2-Clause
"""echoping against the daemon, and against servers that are wrong on purpose."""

import contextlib
import csv
import io
import json
import os
import pathlib
import pty
import re
import resource
import signal
import socket
import threading
import time

import pytest

from harness import (
    abstract_name,
    free_port,
    hold,
    no_reports,
    pause,
    reset,
    scaled,
    seconds,
    wait_until,
)
from harness.echoping import (
    ECHOPING,
    LOSS,
    MISMATCH,
    OK,
    SYSTEM,
    UNREACHABLE,
    USAGE,
    DatagramServer,
    StreamServer,
    changing,
    closing_one,
    echoping,
    figures,
    serving,
    start_echoping,
)

pytestmark = pytest.mark.needs(str(ECHOPING))


@pytest.fixture
def serve():
    with serving() as start:
        yield start


def flip(data):
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 4]) + data[middle + 1 :]


def drop(data):
    middle = len(data) // 2
    return data[:middle] + data[middle + 1 :]


def duplicate(data):
    middle = len(data) // 2
    return data[:middle] + data[middle - 1 :]


def surplus(data):
    return data + data[-1:]


def swap(data):
    """Exchange two neighbours near the middle that differ."""
    at = next(i for i in range(len(data) // 2, len(data) - 1) if data[i] != data[i + 1])
    return data[:at] + bytes([data[at + 1], data[at]]) + data[at + 2 :]


def exchange_halves(data):
    middle = len(data) // 2
    return data[middle:] + data[:middle]


FORMS = {
    "ping": ["-n", "2", "-i", "20ms", "-w", "1s"],
    "load": ["-c", "3", "-d", "500ms", "-w", "1s"],
    "pipelined": ["-c", "2", "-p", "8", "-d", "500ms", "-w", "1s"],
    "rate": ["-c", "2", "-r", "200", "-d", "500ms", "-w", "1s"],
    "churn": ["--churn", "-c", "2", "-d", "500ms", "-w", "1s"],
}

DATAGRAM_FORMS = {
    **{form: FORMS[form] for form in ("ping", "load", "pipelined", "rate")},
    "burst": ["-c", "2", "-p", "8", "--burst", "-d", "500ms", "-w", "1s"],
}


# against the daemon


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("address", ["tcp://127.0.0.1:0", "tcp://[::1]:0", "unix"])
def test_daemon_echoes_everything(launch, tmp_path, form, address):
    if address == "unix":
        address = f"unix:@{abstract_name()}"
    daemon = launch(listeners=[{"name": "echo", "address": address}])
    result = figures(tmp_path, daemon.addresses["echo"], *FORMS[form])
    assert result["result"] == "ok"
    assert result["sent"] == result["received"] > 0
    assert result["lost"] == result["mismatched"] == result["unsent"] == 0
    assert result["first_error"] is None
    assert result["form"] == ("ping" if form == "ping" else "load")
    assert result["target"] == daemon.addresses["echo"]


def test_ping_prints_a_line_for_each_probe(launch, tmp_path):
    address = launch().addresses["echo"]
    out = echoping(tmp_path, address, "-n", 3, "-i", "20ms")
    place = address.removeprefix("tcp://")
    for number in (1, 2, 3):
        assert re.search(
            rf"^56 bytes from {re.escape(place)}: seq={number} time=\d+\.\d{{3}} ms$", out, re.M
        )
    assert "3 sent, 3 received, 0 lost (0 %), 0 mismatched" in out
    assert re.search(r"^min/avg/max/stddev = [\d.]+/[\d.]+/[\d.]+/[\d.]+ ms$", out, re.M)
    assert re.search(r"^p50/p90/p99 = [\d.]+/[\d.]+/[\d.]+ ms$", out, re.M)


def test_ping_keeps_its_interval(launch, tmp_path):
    result = figures(tmp_path, launch().addresses["echo"], "-n", 5, "-i", "100ms")
    assert 0.4 <= result["seconds"] < seconds(1.5)


def test_word_and_plain_address(launch, tmp_path):
    place = launch().addresses["echo"].removeprefix("tcp://")
    for arguments in ([place], ["tcp", place], ["tcp", place.replace("127.0.0.1", "localhost")]):
        assert figures(tmp_path, *arguments, "-n", 1)["received"] == 1


@pytest.mark.parametrize("size", [1, 57, 65521, 65536, 262145, 16 << 20])
def test_sizes(launch, tmp_path, size):
    address = launch().addresses["echo"]
    assert figures(tmp_path, address, "-n", 2, "-i", "1ms", "-s", size)["received"] == 2
    result = figures(tmp_path, address, "-c", 2, "-p", 2, "-n", 8, "-s", size)
    assert result["received"] == result["sent"] == 8
    assert result["size_bytes"] == size


def test_count_is_exact_over_threads(launch, tmp_path):
    address = launch().addresses["echo"]
    for rate in ([], ["-r", 20000]):
        result = figures(tmp_path, address, "-c", 7, "-t", 3, "-n", 1000, *rate)
        assert result["sent"] == result["received"] == 1000


def test_daemon_counts_the_same_bytes(launch, tmp_path):
    daemon = launch()
    result = figures(tmp_path, daemon.addresses["echo"], "-c", 5, "-p", 3, "-d", "300ms", "-s", 99)
    daemon.wait_connections(0)
    received = daemon.control.metrics().value("echod_received_bytes_total")
    assert received == result["received"] * 99


def test_rate_is_kept(launch, tmp_path):
    result = figures(tmp_path, launch().addresses["echo"], "-c", 5, "-r", 400, "-d", "1s")
    assert 399 <= result["sent"] <= 401
    assert result["received"] == result["sent"]


def test_idle_connections_are_held(launch, tmp_path):
    daemon = launch()
    process = start_echoping(
        tmp_path, daemon.addresses["echo"], "-c", 3, "--idle", 200, "-d", "20s", "--json"
    )
    try:
        daemon.wait_connections(203)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=seconds(10))
    finally:
        process.kill()
    result = json.loads(out)
    assert process.returncode == OK
    assert result["idle"] == 200
    assert result["idle_lost"] == 0


def test_soft_descriptor_limit_is_raised(launch, tmp_path):
    daemon = launch()

    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 1024))

    result = figures(
        tmp_path, daemon.addresses["echo"], "--idle", 300, "-n", 10, preexec_fn=limit
    )
    assert result["received"] == 10


def test_hard_descriptor_limit_is_named(launch, tmp_path):
    daemon = launch()

    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 100))

    process = start_echoping(
        tmp_path, daemon.addresses["echo"], "--idle", 300, "-n", 10, preexec_fn=limit
    )
    out, err = process.communicate(timeout=seconds(10))
    assert process.returncode == SYSTEM
    assert out == ""
    assert "descriptors" in err and "100" in err


def test_idle_connections_that_the_server_closes_are_a_loss(launch, tmp_path):
    daemon = launch(
        listeners=[{"name": "echo", "address": "tcp://127.0.0.1:0", "idle_timeout": "500ms"}]
    )
    result = figures(
        tmp_path, daemon.addresses["echo"], "-c", 1, "--idle", 4, "-d", "3s", expect=LOSS
    )
    assert result["idle_lost"] == 4
    assert result["lost"] == 0


# servers that are wrong


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("change", [flip, drop, duplicate, surplus, swap, exchange_halves])
def test_wrong_bytes_are_a_mismatch(serve, tmp_path, form, change):
    address = serve(StreamServer(changing(change)))
    result = figures(tmp_path, address, *FORMS[form], expect=MISMATCH)
    assert result["result"] == "mismatch"
    assert result["mismatched"] > 0
    assert result["first_error"]


def test_mismatch_in_the_middle_of_much_is_found(serve, tmp_path):
    total = 0

    def talk(sock):
        nonlocal total
        while data := sock.recv(1 << 16):
            before, total = total, total + len(data)
            if before <= 300000 < total:
                at = 300000 - before
                data = data[:at] + bytes([data[at] ^ 128]) + data[at + 1 :]
            sock.sendall(data)

    address = serve(StreamServer(talk))
    result = figures(tmp_path, address, "-c", 1, "-n", 20, "-s", "100KiB", expect=MISMATCH)
    assert result["mismatched"] == 1
    assert result["received"] == 2
    assert "byte 300000" in result["first_error"]


def test_sample_finds_what_was_lost_between(serve, tmp_path):
    """A byte goes missing where nobody looks: the next message that is looked at does not fit."""
    total = 0

    def talk(sock):
        nonlocal total
        while data := sock.recv(1 << 16):
            before, total = total, total + len(data)
            if before <= 250000 < total:
                data = data[: 250000 - before] + data[250001 - before :]
            sock.sendall(data)

    address = serve(StreamServer(talk))
    options = ["-c", 1, "-n", 20, "-p", 4, "-s", "100KiB", "--sample", 4]
    result = figures(tmp_path, address, *options, expect=MISMATCH)
    assert result["sample"] == 4
    assert result["mismatched"] == 1
    # four messages that were looked over or counted, then the first byte of the fifth
    assert result["received"] == 4
    assert "byte 409600" in result["first_error"]


def test_sample_counts_all_of_a_good_echo(launch, tmp_path):
    daemon = launch(listeners=[{"name": "echo", "address": "tcp://127.0.0.1:0"}])
    options = ["-c", 2, "-n", 100, "-p", 4, "-s", "70000", "--sample", 16]
    result = figures(tmp_path, daemon.addresses["echo"], *options)
    assert result["received"] == 100


def test_another_connections_bytes_are_a_mismatch(serve, tmp_path):
    """Two connections, each of which gets what the other one sent."""
    socks = []
    ready = threading.Event()

    def talk(sock):
        socks.append(sock)
        if len(socks) == 2:
            ready.set()
        ready.wait(seconds(5))
        other = socks[1] if sock is socks[0] else socks[0]
        while data := sock.recv(1 << 16):
            other.sendall(data)

    address = serve(StreamServer(talk))
    figures(tmp_path, address, "-c", 2, "-d", "300ms", expect=MISMATCH)


@pytest.mark.parametrize("form", FORMS)
def test_early_close_is_a_loss(serve, tmp_path, form):
    def talk(sock):
        data = sock.recv(1 << 16)
        sock.sendall(data[: len(data) // 2])
        sock.shutdown(socket.SHUT_WR)
        # unread input would turn the close into a reset
        while sock.recv(1 << 16):
            pass

    result = figures(tmp_path, serve(StreamServer(talk)), *FORMS[form], expect=LOSS)
    assert result["result"] == "loss"
    assert result["lost"] > 0
    assert result["mismatched"] == 0
    assert "closed by the server" in result["first_error"]


@pytest.mark.parametrize("form", FORMS)
def test_reset_is_a_loss(serve, tmp_path, form):
    def talk(sock):
        sock.recv(1 << 16)
        reset(sock)

    result = figures(tmp_path, serve(StreamServer(talk)), *FORMS[form], expect=LOSS)
    assert os.strerror(104) in result["first_error"]


@pytest.mark.parametrize("form", FORMS)
def test_silence_is_a_loss_after_the_timeout(serve, tmp_path, form):
    def talk(sock):
        while sock.recv(1 << 16):
            pass

    arguments = [*FORMS[form], "-w", "300ms"]
    begin = time.monotonic()
    result = figures(tmp_path, serve(StreamServer(talk)), *arguments, expect=LOSS)
    assert result["received"] == 0
    assert result["lost"] > 0
    assert time.monotonic() - begin < seconds(4)


def test_ping_goes_on_after_a_lost_connection(serve, tmp_path):
    count = 0

    def talk(sock):
        nonlocal count
        count += 1
        if count > 1:
            changing(bytes)(sock)

    result = figures(tmp_path, serve(StreamServer(talk)), *FORMS["ping"], expect=LOSS)
    assert (result["sent"], result["received"], result["lost"]) == (2, 1, 1)


def test_mismatch_outweighs_loss(serve, tmp_path):
    count = 0

    def talk(sock):
        nonlocal count
        count += 1
        if count == 2:
            changing(flip)(sock)

    result = figures(tmp_path, serve(StreamServer(talk)), *FORMS["ping"], expect=MISMATCH)
    assert (result["lost"], result["mismatched"]) == (1, 1)


def test_other_connections_go_on_after_a_loss(serve, tmp_path):
    address = serve(StreamServer(closing_one(2)))
    result = figures(tmp_path, address, "-c", 3, "-d", "500ms", expect=LOSS)
    assert result["lost"] == 1
    assert result["received"] > 1
    assert result["seconds"] >= 0.5


def closing_after_one(sock):
    sock.sendall(sock.recv(1 << 16))
    pause(0.05, "a server that closes some time after its answer")


def test_close_between_messages_is_a_reconnect(serve, tmp_path):
    address = serve(StreamServer(closing_after_one))
    result = figures(tmp_path, address, "-c", 1, "-r", 5, "-d", "1s")
    assert (result["sent"], result["received"], result["lost"]) == (5, 5, 0)
    # the last close may come before the end or after it
    assert 4 <= result["reconnects"] <= 5
    assert len(result["outages"]) >= 4
    for outage in result["outages"]:
        assert outage["lost"] == 0
        assert outage["cause"] == "closed by the server"


def test_close_between_messages_is_a_loss_where_asked(serve, tmp_path):
    address = serve(StreamServer(closing_after_one))
    options = ["-c", 1, "-r", 5, "-d", "1s", "--no-reconnect"]
    result = figures(tmp_path, address, *options, expect=LOSS)
    assert (result["sent"], result["received"], result["lost"]) == (1, 1, 0)
    assert result["broken"] == 1
    # no connection is left: there is nothing to wait for
    assert result["seconds"] < 0.5


def test_stall_shows_in_an_open_loop(serve, tmp_path):
    """The server stands still once, for 400 ms: all that was due then waited, not one message."""
    stalled = False

    def talk(sock):
        nonlocal stalled
        begin = time.monotonic()
        while data := sock.recv(1 << 16):
            if not stalled and time.monotonic() - begin > 0.4:
                stalled = True
                pause(0.4, "the server stands still")
            sock.sendall(data)

    address = serve(StreamServer(talk))
    result = figures(tmp_path, address, "-c", 1, "-p", 1, "-r", 1000, "-d", "1500ms")
    # 400 of 1500 messages were due during the stall: the tenth that waited longest did so for
    # at least 250 ms. Counted from when they were sent, all but one would look fast.
    assert result["latency_seconds"]["p90"] > 0.15
    assert result["latency_seconds"]["max"] > 0.39


def test_backlog_that_is_never_sent_is_told(serve, tmp_path):
    def talk(sock):
        while data := sock.recv(1 << 16):
            pause(0.02, "a server that is too slow")
            sock.sendall(data)

    address = serve(StreamServer(talk))
    result = figures(tmp_path, address, "-c", 1, "-p", 1, "-r", 500, "-d", "500ms")
    assert result["unsent"] > 100
    assert result["lost"] == 0
    assert 249 <= result["unsent"] + result["sent"] <= 251


# datagrams


@pytest.mark.parametrize("form", DATAGRAM_FORMS)
@pytest.mark.parametrize("size", [8, 64, 1400])
def test_datagrams_are_matched(serve, tmp_path, form, size):
    address = serve(DatagramServer(lambda data, number: [data]))
    result = figures(tmp_path, "udp", address, *DATAGRAM_FORMS[form], "-s", size)
    assert result["transport"] == "udp"
    assert result["burst"] == (form == "burst")
    assert result["received"] == result["sent"] > 0
    assert result["duplicates"] == result["reordered"] == result["late"] == 0


@pytest.mark.parametrize("form", DATAGRAM_FORMS)
def test_lost_datagrams_are_counted(serve, tmp_path, form):
    address = serve(DatagramServer(lambda data, number: [data] if number % 3 else []))
    arguments = [*DATAGRAM_FORMS[form], "-w", "100ms"]
    if form == "ping":
        arguments += ["-n", "6"]
    result = figures(tmp_path, "udp", address, *arguments, expect=LOSS)
    assert result["lost"] == result["sent"] // 3
    assert result["received"] == result["sent"] - result["lost"]
    assert result["loss_ratio"] == pytest.approx(result["lost"] / result["sent"])


@pytest.mark.parametrize("form", DATAGRAM_FORMS)
@pytest.mark.parametrize(
    "change", [flip, lambda data: data[:-1], lambda data: data + b"x", lambda data: b""]
)
def test_altered_datagram_is_a_mismatch(serve, tmp_path, form, change):
    def answer(data, number):
        return [change(data) if number == 2 else data]

    result = figures(
        tmp_path, "udp", serve(DatagramServer(answer)), *DATAGRAM_FORMS[form], expect=MISMATCH
    )
    assert result["mismatched"] == 1


def test_altered_number_of_a_datagram_is_a_mismatch(serve, tmp_path):
    def answer(data, number):
        return [bytes([data[0] ^ 1]) + data[1:]] if number == 2 else [data]

    result = figures(
        tmp_path, "udp", serve(DatagramServer(answer)), *FORMS["load"], "-s", 8, expect=MISMATCH
    )
    assert result["mismatched"] == 1


@pytest.mark.parametrize("form", DATAGRAM_FORMS)
def test_duplicates_are_counted_and_no_mismatch(serve, tmp_path, form):
    address = serve(DatagramServer(lambda data, number: [data, data]))
    result = figures(tmp_path, "udp", address, *DATAGRAM_FORMS[form])
    # the second one of the last of each socket may come too late
    assert result["sent"] - 3 <= result["duplicates"] <= result["sent"]
    assert result["received"] == result["sent"]


def test_reordered_datagrams_are_counted(serve, tmp_path):
    held = []

    def answer(data, number):
        held.append(data)
        if len(held) < 2:
            return []
        replies = [held[1], held[0]]
        held.clear()
        return replies

    address = serve(DatagramServer(answer))
    result = figures(tmp_path, "udp", address, "-c", 1, "-p", 8, "-n", 100)
    assert result["received"] == 100
    assert result["reordered"] == 50


def test_late_datagrams_are_lost(serve, tmp_path):
    def answer(data, number):
        if number == 1:
            pause(0.3, "an answer that comes late")
        return [data]

    address = serve(DatagramServer(answer))
    result = figures(
        tmp_path, "udp", address, "-n", 3, "-w", "100ms", "-i", "500ms", expect=LOSS
    )
    assert (result["sent"], result["received"], result["lost"]) == (3, 2, 1)
    assert result["late"] == 1


# nobody there


@pytest.mark.parametrize("form", FORMS)
def test_refused_stream_is_unreachable(tmp_path, form):
    process = start_echoping(tmp_path, f"127.0.0.1:{free_port()}", *FORMS[form])
    out, err = process.communicate(timeout=seconds(10))
    assert process.returncode == UNREACHABLE
    assert out == ""
    assert os.strerror(111) in err


@pytest.mark.parametrize("form", ["ping", "load", "rate"])
def test_refused_datagram_is_unreachable(tmp_path, form):
    port = free_port(kind=socket.SOCK_DGRAM)
    result = figures(
        tmp_path, "udp", f"127.0.0.1:{port}", *DATAGRAM_FORMS[form], expect=UNREACHABLE
    )
    assert result["result"] == "unreachable"


def test_missing_socket_file_is_unreachable(tmp_path):
    process = start_echoping(tmp_path, "unix", tmp_path / "nowhere.sock")
    _, err = process.communicate(timeout=seconds(10))
    assert process.returncode == UNREACHABLE
    assert os.strerror(2) in err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["127.0.0.1", "7007"],
        ["127.0.0.1:0"],
        ["-x", "127.0.0.1"],
        ["-c", "0", "127.0.0.1"],
        ["-d", "10x", "127.0.0.1"],
        ["-s", "17MiB", "127.0.0.1"],
        ["-s", "65508", "udp", "127.0.0.1"],
        ["--json", "--csv", "127.0.0.1"],
        ["--sample", "2", "udp", "127.0.0.1"],
        ["--sample", "2", "--churn", "127.0.0.1"],
        ["--burst", "-p", "2", "127.0.0.1"],
        ["--burst", "udp", "127.0.0.1"],
    ],
)
def test_usage_error(tmp_path, arguments):
    process = start_echoping(tmp_path, *arguments)
    out, err = process.communicate(timeout=seconds(10))
    assert process.returncode == USAGE
    assert out == ""
    assert "echoping" in err


def test_help_and_version(tmp_path):
    text = echoping(tmp_path, "--help")
    for option in (
        "connections size pipeline duration count rate threads interval timeout json csv churn "
        "idle sample burst quiet version help"
    ).split():
        assert f"--{option}" in text
    assert max(map(len, text.splitlines())) <= 80
    assert re.fullmatch(r"echoping \d+\.\d+.*\n", echoping(tmp_path, "-V"))


# what is written


def test_load_draws_its_histogram(launch, tmp_path):
    address = launch().addresses["echo"]
    out = echoping(tmp_path, address, "-c", 5, "-d", "300ms")
    assert re.search(r"^\d+ msg/s, [\d.]+ [KMGT]?i?B/s \([\d.]+ [kMGT]?bit/s\) for ", out, re.M)
    assert re.search(r"p50 .*, p90 .*, p99 .*, p99\.9 .*, max ", out)
    bars = [line for line in out.splitlines() if "|" in line]
    assert bars
    assert "\u2588" in out
    assert max(map(len, out.splitlines())) <= 80
    shares = [float(re.search(r"([\d.]+) %$", line)[1]) for line in bars]
    assert sum(shares) == pytest.approx(100, abs=0.5)
    assert "|" not in echoping(tmp_path, address, "-c", 5, "-d", "300ms", "-q")


def test_csv_has_the_names_of_json(launch, tmp_path):
    address = launch().addresses["echo"]
    out = echoping(tmp_path, address, "-c", 2, "-n", 50, "--csv")
    rows = list(csv.reader(io.StringIO(out)))
    assert len(rows) == 2
    row = dict(zip(*rows))
    result = figures(tmp_path, address, "-c", 2, "-n", 50)
    names = []
    for name, value in result.items():
        names += [f"{name}_{inner}" for inner in value] if isinstance(value, dict) else [name]
    assert list(row) == names
    assert row["received"] == "50"
    assert row["target"] == address
    assert float(row["latency_seconds_p50"]) > 0


def test_json_is_consistent(launch, tmp_path):
    result = figures(tmp_path, launch().addresses["echo"], "-c", 4, "-d", "500ms", "-s", 1000)
    latency = result["latency_seconds"]
    order = [latency[name] for name in ("min", "p50", "p90", "p99", "p999", "max")]
    assert order == sorted(order)
    assert latency["min"] <= latency["mean"] <= latency["max"]
    rate = result["received"] / result["seconds"]
    assert result["messages_per_second"] == pytest.approx(rate, rel=1e-6)
    assert result["bytes_per_second"] == pytest.approx(rate * 1000, rel=1e-6)
    assert 0 < result["cpu_seconds"] < 60
    # closed loop: what is in flight, divided by how long each takes, is the throughput
    assert 4 / latency["mean"] == pytest.approx(rate, rel=0.25)


@pytest.mark.parametrize("arguments", [["-n", "0", "-i", "20ms"], ["-c", "2", "-d", "60s"]])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_with_the_summary(launch, tmp_path, arguments, number):
    daemon = launch()
    process = start_echoping(tmp_path, daemon.addresses["echo"], *arguments)
    try:
        wait_until(
            lambda: daemon.control.totals()["sent_bytes"] > 0, 10, "echoping has its first echo"
        )
        process.send_signal(number)
        out, _ = process.communicate(timeout=seconds(5))
    finally:
        process.kill()
    no_reports(tmp_path)
    assert process.returncode == OK
    sent, received = re.search(r"(\d+) sent, (\d+) received", out).groups()
    assert int(sent) == int(received) > 0


def test_second_signal_does_not_wait(serve, tmp_path):
    asked = threading.Event()

    def talk(sock):
        while sock.recv(1 << 16):
            asked.set()

    process = start_echoping(
        tmp_path, serve(StreamServer(talk)), "-c", 1, "-d", "60s", "-w", "50s"
    )
    try:
        assert asked.wait(seconds(10))
        process.send_signal(signal.SIGINT)
        hold(lambda: process.poll() is None, 0.3, "it waits for what it has not got back")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=seconds(5))
    finally:
        process.kill()
    assert process.returncode == LOSS


def test_progress_is_for_terminals(launch, tmp_path):
    address = launch().addresses["echo"]
    arguments = [address, "-c", "2", "-d", "1500ms", "--json"]
    process = start_echoping(tmp_path, *arguments)
    _, err = process.communicate(timeout=seconds(10))
    assert err == ""
    ours, theirs = pty.openpty()
    try:
        process = start_echoping(tmp_path, *arguments, stderr=theirs)
        os.close(theirs)
        out, _ = process.communicate(timeout=seconds(10))
        text = ""
        with contextlib.suppress(OSError):  # EIO tells the end: nobody has the other side
            while block := os.read(ours, 1 << 16):
                text += block.decode()
    finally:
        os.close(ours)
    json.loads(out)
    # the first line comes after a second, and says two where the machine is late
    assert re.search(r"\r +[1-9]\d* s +\d+ msg/s .* received", text)
    assert text.endswith("\r")
    assert "\n" not in text


def test_threads_share_the_connections(launch, tmp_path):
    daemon = launch()
    process = start_echoping(tmp_path, daemon.addresses["echo"], "-c", 8, "-t", 4, "-d", "20s")
    try:
        daemon.wait_connections(8)
        threads = pathlib.Path(f"/proc/{process.pid}/task")
        # a sanitizer may bring one of its own
        wait_until(lambda: 5 <= len(list(threads.iterdir())) <= 6, 5, "four threads and the first")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=seconds(10))
    finally:
        process.kill()
    assert process.returncode == OK


def test_churn_connects_for_each_message(launch, tmp_path):
    daemon = launch()
    count = scaled(2000, 500)
    result = figures(tmp_path, daemon.addresses["echo"], "--churn", "-c", 10, "-n", count)
    assert result["received"] == count
    daemon.wait_connections(0)
    # one more finds out whether somebody is there
    wait_until(
        lambda: daemon.control.metrics().value("echod_connections_accepted_total") == count + 1,
        5,
        "every cycle was a connection",
    )
