# SPDX-License-Identifier: BSD-2-Clause
"""What echoping tells of the path: outages, connections that end, packets as they are asked for."""

import json
import os
import re
import signal
import socket
import struct
import subprocess
import threading
import time

import pytest

from harness import PROJECT, environment, free_port, pause, seconds, wait_until
from harness.datagrams import udp_listener
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
from harness.namespaces import own_network, wired
from harness.needs import lacking
from harness.terminal import Terminal

IP_RECVTTL = 12  # of linux/in.h

pytestmark = pytest.mark.needs(str(ECHOPING))


@pytest.fixture
def serve():
    with serving() as start:
        yield start


def said(tmp_path, *arguments, expect=OK):
    """What a run that may fail says on both streams."""
    process = start_echoping(tmp_path, *arguments)
    out, err = process.communicate(timeout=seconds(20))
    assert process.returncode == expect, f"{out}\n{err}"
    return out, err


# outages


def restarting(launch, tmp_path, *arguments, away=0.5):
    """The figures of a run during which the daemon is ended at once and comes back."""
    port = free_port()
    listeners = [{"name": "echo", "address": f"tcp://127.0.0.1:{port}"}]
    daemon = launch(listeners=listeners)
    process = start_echoping(tmp_path, f"127.0.0.1:{port}", *arguments, "--json")
    try:
        wait_until(lambda: daemon.control.totals()["sent_bytes"] > 0, 10, "it is under way")
        began = time.time()
        daemon.signal(signal.SIGQUIT)
        daemon.wait_exit()
        pause(away, "the service is away for a while")
        launch(listeners=listeners)
        out, _ = process.communicate(timeout=seconds(20))
    finally:
        process.kill()
    return json.loads(out), began


def test_ping_tells_an_outage(launch, tmp_path):
    result, _ = restarting(launch, tmp_path, "-n", 25, "-i", "0.1")
    assert len(result["outages"]) == 1
    outage = result["outages"][0]
    assert outage["lost"] == result["lost"] > 0
    assert 0.1 < outage["seconds"] < seconds(5)
    assert outage["cause"] in (os.strerror(111), os.strerror(104), "closed by the server")
    assert result["reconnects"] == 1


def test_load_reconnects_and_tells_the_outage(launch, tmp_path):
    result, began = restarting(launch, tmp_path, "-c", 4, "-r", 400, "-d", "3s")
    assert len(result["outages"]) == 1
    outage = result["outages"][0]
    assert 0.4 < outage["seconds"] < seconds(3)
    start = time.strptime(outage["start"][:19], "%Y-%m-%dT%H:%M:%S")
    assert abs(time.mktime(start) - time.timezone - began) < seconds(3)
    assert outage["connections"] >= 4
    assert result["reconnects"] == 4
    # what was due meanwhile was sent later, and its time tells so
    assert result["latency_seconds"]["max"] > 0.4
    assert result["unsent"] == 0


def test_outage_that_does_not_end(launch, tmp_path):
    daemon = launch()
    process = start_echoping(
        tmp_path, daemon.addresses["echo"], "-c", 3, "-d", "2s", "--json"
    )
    try:
        wait_until(lambda: daemon.control.totals()["sent_bytes"] > 0, 10, "it is under way")
        daemon.signal(signal.SIGQUIT)
        daemon.wait_exit()
        out, _ = process.communicate(timeout=seconds(20))
    finally:
        process.kill()
    assert process.returncode == LOSS
    result = json.loads(out)
    assert [outage["seconds"] for outage in result["outages"]] == [None]
    assert result["broken"] == 3


def test_lost_datagrams_among_others_are_no_outage(serve, tmp_path):
    address = serve(DatagramServer(lambda data, number: [data] if number % 3 else []))
    options = ["-c", 1, "-r", 300, "-d", "1s", "-w", "0.1"]
    result = figures(tmp_path, "udp", address, *options, expect=LOSS)
    assert result["lost"] >= 90
    assert result["outages"] == []


def test_silence_of_datagrams_is_an_outage(serve, tmp_path):
    away = threading.Event()

    def answer(data, number):
        if number == 50:
            away.set()
            pause(0.6, "the service stands still")
        return [data] if number != 50 else []

    address = serve(DatagramServer(answer))
    options = ["-c", 1, "-p", 1, "-r", 100, "-d", "2s", "-w", "0.1"]
    result = figures(tmp_path, "udp", address, *options, expect=LOSS)
    assert away.is_set()
    assert len(result["outages"]) == 1
    assert result["outages"][0]["seconds"] > 0.5
    assert result["outages"][0]["lost"] == result["lost"]


def test_report_for_people_has_the_outages(serve, tmp_path):
    address = serve(StreamServer(closing_one(2)))
    out = echoping(tmp_path, address, "-c", 3, "-d", "0.5", expect=LOSS)
    line = r"^outage: \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z, .*, 1 lost: (closed|Conn).*$"
    assert re.search(line, out, re.M)


def test_stamped_datagrams_can_be_read(serve, tmp_path):
    """In the order of their numbers, with the time, whichever came back."""
    seen = []

    def answer(data, number):
        seen.append(struct.unpack("!4sIQQ", data[:24]))
        return [data] if number != 2 else []

    before = time.time_ns()
    address = serve(DatagramServer(answer))
    options = ["-n", 3, "-i", "0.01", "-w", "0.1", "--timestamps"]
    result = figures(tmp_path, "udp", address, *options, expect=LOSS)
    assert (result["received"], result["lost"]) == (2, 1)
    assert [row[:3] for row in seen] == [(b"EPNG", 0, number) for number in range(3)]
    assert before < seen[0][3] < seen[1][3] < seen[2][3] < time.time_ns()
    seen.clear()
    options = ["-c", 3, "-p", 4, "-n", 60, "-w", "0.2", "--timestamps", "-s", 1400]
    figures(tmp_path, "udp", serve(DatagramServer(lambda data, _: [data])), *options)
    options = ["-n", 1, "--timestamps"]
    address = serve(DatagramServer(lambda data, _: [data[:16] + b"\0" + data[17:]]))
    result = figures(tmp_path, "udp", address, *options, expect=MISMATCH)
    assert result["mismatched"] == 1


# connections that end


def test_ping_tells_a_connection_that_ended_at_rest(launch, tmp_path):
    daemon = launch(
        listeners=[{"name": "echo", "address": "tcp://127.0.0.1:0", "idle_timeout": "300ms"}]
    )
    out = echoping(tmp_path, daemon.addresses["echo"], "-n", 2, "-i", "1s")
    assert re.search(r"^connection lost after \d\.\d s idle: closed by the server$", out, re.M)
    assert re.search(r"^connected again in [\d.]+ ms$", out, re.M)
    assert "2 sent, 2 received, 0 lost (0 %), 0 mismatched, 1 reconnects" in out
    result = figures(tmp_path, daemon.addresses["echo"], "-n", 2, "-i", "1s")
    assert result["reconnects"] == 1
    assert 0.2 < result["idle_lost_seconds"] < 1.1
    result = figures(
        tmp_path, daemon.addresses["echo"], "-n", 2, "-i", "1s", "--no-reconnect", expect=LOSS
    )
    assert (result["received"], result["reconnects"], result["broken"]) == (1, 0, 1)


def test_ping_tells_a_connection_that_a_middlebox_forgot(launch, as_root, tmp_path):
    """Between two probes the way back of this one connection is taken away without a word."""
    with wired() as (client, server):
        daemon = launch(
            {"prefix": server.prefix}, listeners=[{"name": "echo", "address": "tcp://*:20007"}]
        )
        daemon.control = daemon.local
        daemon.more_descriptors = 1  # it is not told either
        with client.entered():
            process = start_echoping(
                tmp_path, "10.77.0.2:20007", "-n", 3, "-i", "2s", "-w", "1s"
            )
        try:
            daemon.wait_connections(1)
            wait_until(lambda: daemon.control.totals()["sent_bytes"] == 56, 10, "the first probe")
            row = daemon.control.connections()["connections"][0]
            port = row["peer"].rpartition(":")[2]
            server.ip("route", "add", "table", "7", "blackhole", "default")
            server.ip("rule", "add", "ipproto", "tcp", "dport", port, "lookup", "7", "pref", "1")
            server.ip("rule", "add", "pref", "2", "lookup", "local")
            server.ip("route", "flush", "cache")
            out, _ = process.communicate(timeout=seconds(30))
        finally:
            process.kill()
    assert process.returncode == LOSS
    cut = re.search(r"a new connection works: the one before was lost while idle for (.*) s", out)
    assert cut, out
    assert 1.5 < float(cut[1]) < seconds(3)
    assert "connection lost while idle: after" in out


def test_self_connection_is_no_service(as_root, tmp_path):
    """A client may be given the port that it calls: both its ends are then the same socket."""
    with own_network() as network:
        network.write("ipv4/ip_local_port_range", "40000 40001")
        for arguments in (
            ["-n", 3, "-i", "0.01"],
            ["-c", 2, "-d", "0.3"],
            ["--churn", "-c", 1, "-d", "0.3"],
        ):
            for address in (["127.0.0.1:40000"], ["127.0.0.1:40001"], ["udp", "127.0.0.1:40000"]):
                if address[0] == "udp" and "--churn" in arguments:
                    continue
                with network.entered():
                    process = start_echoping(tmp_path, *address, *arguments)
                out, err = process.communicate(timeout=seconds(10))
                assert process.returncode == UNREACHABLE, f"{out}\n{err}"
                assert os.strerror(111) in out + err


# packets as they are asked for


def test_packets_carry_what_was_asked_for(as_root, tmp_path):
    with own_network() as network:
        with network.entered():
            server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            server.bind(("127.0.0.1", 0))
            server.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
            server.setsockopt(socket.IPPROTO_IP, IP_RECVTTL, 1)
            server.settimeout(seconds(5))
            address = "127.0.0.1:%d" % server.getsockname()[1]
            options = ["-n", 1, "-I", "127.0.0.9", "--dscp", 46, "--ttl", 9, "-w", "0.1"]
            process = start_echoping(tmp_path, "udp", address, *options)
        with server:
            _, controls, _, peer = server.recvmsg(2000, 100)
        process.communicate(timeout=seconds(10))
    values = {kind: int.from_bytes(data[:4], "little") for _, kind, data in controls}
    assert peer[0] == "127.0.0.9"
    assert values[socket.IP_TOS] == 46 << 2
    assert values[socket.IP_TTL] == 9


def test_datagram_that_does_not_fit_is_told(launch, as_root, tmp_path):
    with own_network() as network:
        network.ip("link", "set", "lo", "mtu", "1500")
        daemon = launch(
            {"prefix": network.prefix}, listeners=[udp_listener("udp://127.0.0.1:20007")]
        )
        daemon.control = daemon.local
        with network.entered():
            out, _ = said(
                tmp_path, "udp", "127.0.0.1:20007", "-n", 1, "-s", 1472, "-M", "do"
            )
            assert "1 received" in out
            out, _ = said(
                tmp_path, "udp", "127.0.0.1:20007", "-n", 1, "-s", 1473, "-M", "do", expect=LOSS
            )
    assert os.strerror(90) in out


def test_foreign_source_is_told(launch, tmp_path):
    _, err = said(
        tmp_path, launch().addresses["echo"], "-I", "192.0.2.1", "-n", 1, expect=SYSTEM
    )
    assert "is --source an address of this machine?" in err


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["-I", "eth0"], "is no address"),
        (["-I", "127.0.0.1", "-6"], "family"),
        (["--dscp", "64"], "0 to 63"),
        (["--ttl", "0"], "1 to 255"),
        (["-M", "no"], "do, want, dont or probe"),
        (["-I", "127.0.0.1", "unix", "@x"], "TCP and UDP"),
        (["-c", "5", "-i", "1", "--json"], "--json-lines"),
        (["-c", "5", "--until-up"], "ping form"),
        (["--spread", "--no-reconnect"], "--no-reconnect"),
        (["--spread", "unix", "@x"], "ports"),
        (["--timestamps"], "datagrams"),
        (["--timestamps", "-s", "31", "udp"], "32 bytes"),
    ],
)
def test_mistakes_say_what_would_be_right(tmp_path, arguments, says):
    target = [] if "unix" in arguments else ["127.0.0.1"]
    _, err = said(tmp_path, *arguments, *target, expect=USAGE)
    assert says in err


def test_unix_datagrams(launch, tmp_path):
    path = tmp_path / "echo.sock"
    launch(listeners=[{"name": "echo", "address": f"unixgram:{path}"}])
    for arguments in (["-n", 3, "-i", "0.01"], ["-c", 3, "-p", 4, "-n", 200]):
        for address in ([f"unixgram:{path}"], ["unixgram", path]):
            result = figures(tmp_path, *address, *arguments)
            assert result["transport"] == "unixgram"
            assert result["received"] == result["sent"] > 0
    out = echoping(tmp_path, f"unixgram:{path}", "-n", 1)
    assert f"bytes from unixgram:{path}: seq=1 " in out


def test_closed_loop_has_nothing_due(tmp_path):
    """A full queue of the server holds messages back; only an open loop has some that were due."""
    path = tmp_path / "full.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(path))
        arguments = [f"unixgram:{path}", "-c", 4, "-p", 64, "-d", "0.3", "-w", "0.1"]
        assert figures(tmp_path, *arguments, expect=LOSS)["unsent"] == 0
        # the queue is still full, so that nothing is sent
        assert figures(tmp_path, *arguments, "-r", 10000, expect=LOSS)["unsent"] > 0


# what did not happen


def test_unreachable_is_told_to_programs_too(tmp_path):
    port = free_port()
    for arguments in (["-n", 1], ["-c", 2, "-d", "1s"]):
        result = figures(tmp_path, f"127.0.0.1:{port}", *arguments, expect=UNREACHABLE)
        assert result["result"] == "unreachable"
        assert os.strerror(111) in result["first_error"]
        assert set(result["latency_seconds"].values()) == {None}
    out = echoping(tmp_path, f"127.0.0.1:{port}", "-n", 1, "--csv", expect=UNREACHABLE)
    names, values = (line.split(",") for line in out.strip().splitlines())
    row = dict(zip(names, values))
    assert row["result"] == '"unreachable"'
    assert row["latency_seconds_p50"] == ""


def test_name_that_nobody_knows_is_told(tmp_path):
    result = figures(tmp_path, "no-such-name.invalid", "-n", 1, expect=UNREACHABLE)
    assert result["host"] == "no-such-name.invalid"
    assert result["target"] == "tcp://no-such-name.invalid:7"
    assert "look up" in result["first_error"]


def test_timeout_covers_the_lookup(as_root, tmp_path):
    """A name server that never answers: in a namespace, an address without anybody behind it."""
    with own_network() as network:
        network.ip("link", "add", "veth0", "type", "veth", "peer", "name", "veth1")
        for device in ("veth0", "veth1"):
            network.ip("link", "set", device, "up")
        network.add_addresses("veth0", "192.0.2.1/24")
        network.ip("neigh", "add", "192.0.2.9", "lladdr", "02:00:00:00:00:09", "dev", "veth0")
        resolver = tmp_path / "resolv.conf"
        resolver.write_text("nameserver 192.0.2.9\noptions timeout:20 attempts:1\n")
        inside = f"mount --bind {resolver} /etc/resolv.conf && exec {ECHOPING} -w 1 echo.example.net"
        begin = time.monotonic()
        with network.entered():
            process = subprocess.Popen(
                ["unshare", "-m", "sh", "-c", inside],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=environment(tmp_path),
            )
        _, err = process.communicate(timeout=seconds(15))
    assert process.returncode == UNREACHABLE
    assert f"look up: {os.strerror(110)}" in err
    assert 0.9 < time.monotonic() - begin < seconds(8)


def test_port_that_was_not_written_is_hinted_at(tmp_path, as_root):
    with own_network() as network, network.entered():
        _, err = said(tmp_path, "127.0.0.1", expect=UNREACHABLE)
        assert "write HOST:PORT" in err
        _, err = said(tmp_path, "127.0.0.1:7", expect=UNREACHABLE)
        assert "write HOST:PORT" not in err


def test_name_stays_beside_the_address(launch, tmp_path):
    port = launch().addresses["echo"].rpartition(":")[2]
    out = echoping(tmp_path, "-4", f"localhost:{port}", "-n", 1)
    assert out.startswith(f"echoping tcp://127.0.0.1:{port} (localhost): ")


# what came back instead


@pytest.mark.parametrize("form", [["-n", 1], ["-c", 1, "-d", "0.5"], ["--churn", "-n", 1]])
def test_another_service_is_quoted(serve, tmp_path, form):
    def talk(sock):
        sock.sendall(b"220 mail.example ESMTP\x1b[31m\r\n")
        sock.recv(1 << 16)

    def plain(sock):
        sock.sendall(b"220 mail.example ESMTP\r\n")
        while sock.recv(1 << 16):
            pass

    result = figures(tmp_path, serve(StreamServer(plain)), *form, expect=MISMATCH)
    assert 'got "220 mail.example ESMTP": is this an echo service?' in result["first_error"]
    # what a terminal would obey is no text
    out = echoping(tmp_path, serve(StreamServer(talk)), *form, expect=MISMATCH)
    assert "\x1b" not in out


def test_bytes_that_lack_are_counted(serve, tmp_path):
    def talk(sock):
        sock.sendall(sock.recv(1 << 16)[:-1])
        while sock.recv(1 << 16):
            pass

    address = serve(StreamServer(talk))
    out = echoping(tmp_path, address, "-n", 1, "-w", "0.3", expect=LOSS)
    assert "timeout: 55 of 56 bytes came back" in out

    def end(sock):
        sock.sendall(sock.recv(1 << 16)[:-1])

    out = echoping(tmp_path, serve(StreamServer(end)), "-n", 1, expect=LOSS)
    assert "closed by the server: 55 of 56 bytes came back" in out
    address = serve(DatagramServer(lambda data, number: [data[:-1]]))
    out = echoping(tmp_path, "udp", address, "-n", 1, expect=MISMATCH)
    assert "55 bytes came back of 56" in out


# what users of ping expect


def test_interrupted_before_the_first_echo_has_shown_nothing(serve, tmp_path):
    asked = threading.Event()

    def talk(sock):
        while sock.recv(1 << 16):
            asked.set()

    process = start_echoping(tmp_path, serve(StreamServer(talk)), "-w", "50s")
    try:
        assert asked.wait(seconds(10))
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=seconds(5))
    finally:
        process.kill()
    assert process.returncode == LOSS
    assert "0 sent, 0 received" in out


def test_percentiles_of_few_are_exact(serve, tmp_path):
    def talk(sock):
        number = 0
        while data := sock.recv(1 << 16):
            number += 1
            if number == 3:
                pause(0.2, "the slowest of five")
            sock.sendall(data)

    result = figures(tmp_path, serve(StreamServer(talk)), "-n", 5, "-i", "0.01")
    latency = result["latency_seconds"]
    assert latency["p90"] == latency["p99"] == latency["p999"] == latency["max"]
    assert latency["p50"] < 0.2 <= latency["max"]


def test_time_of_day_before_each_line(launch, tmp_path):
    before = time.time()
    out = echoping(tmp_path, launch().addresses["echo"], "-n", 2, "-i", "0.01", "-D")
    stamps = re.findall(r"^\[(\d+\.\d{6})\] 56 bytes from", out, re.M)
    assert len(stamps) == 2
    assert before <= float(stamps[0]) <= float(stamps[1]) <= time.time()


@pytest.mark.parametrize("form", [["-n", 0, "-i", "0.05"], ["-c", 2, "-d", "60s"]])
def test_quit_asks_how_it_goes(launch, tmp_path, form):
    daemon = launch()
    process = start_echoping(tmp_path, daemon.addresses["echo"], *form)
    try:
        wait_until(lambda: daemon.control.totals()["sent_bytes"] > 0, 10, "it is under way")
        process.send_signal(signal.SIGQUIT)
        line = process.stderr.readline()
        assert re.search(r"\d+ received", line)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=seconds(10))
    finally:
        process.kill()
    assert process.returncode == OK
    assert "0 lost" in out


@pytest.mark.parametrize("columns", [40, 80])
def test_load_fits_its_terminal(launch, tmp_path, columns):
    command = [ECHOPING, launch().addresses["echo"], "-c", 2, "-d", "1500ms"]
    with Terminal(command, columns=columns) as terminal:
        terminal.wait_for("p99.9", deadline=10)
        assert terminal.wait_exit() == 0
    text = terminal.output.decode()
    for line in re.split(r"[\r\n]+", text):
        if "msg/s  " in line or "|" in line:
            assert len(line) <= columns, line


# other forms


def test_until_up_waits_for_the_service(launch, tmp_path):
    port = free_port()
    process = start_echoping(tmp_path, "--until-up", "-i", "0.1", f"127.0.0.1:{port}")
    try:
        assert process.stdout.readline().startswith(f"waiting for tcp://127.0.0.1:{port}: ")
        assert "no echo" in process.stdout.readline()
        launch(listeners=[{"name": "echo", "address": f"tcp://127.0.0.1:{port}"}])
        out, _ = process.communicate(timeout=seconds(10))
    finally:
        process.kill()
    assert process.returncode == OK
    assert re.search(r"^up after [\d.]+ s$", out, re.M)
    assert " 1 received" in out


@pytest.mark.parametrize("word", ["tcp", "udp"])
def test_until_up_may_give_up(tmp_path, word):
    kind = socket.SOCK_STREAM if word == "tcp" else socket.SOCK_DGRAM
    address = f"127.0.0.1:{free_port(kind=kind)}"
    options = ["--until-up", "-n", 3, "-i", "0.01"]
    result = figures(tmp_path, word, address, *options, expect=UNREACHABLE)
    assert (result["sent"], result["lost"]) == (3, 3)


@pytest.mark.parametrize("word", ["tcp", "udp"])
def test_spread_takes_another_port_for_each_probe(launch, tmp_path, word):
    listener = {"name": "echo", "address": f"{word}://127.0.0.1:0"}
    keys = {"min_source_port": 1024} if word == "udp" else {}
    address = launch(listeners=[listener | keys]).addresses["echo"]
    out = echoping(tmp_path, address, "--spread", "-n", 5, "-i", "0.01")
    ports = re.findall(r"seq=\d time=[\d.]+ ms from port (\d+)$", out, re.M)
    assert len(set(ports)) == 5
    assert "reconnects" not in out


def test_json_lines_of_a_ping(serve, tmp_path):
    address = serve(DatagramServer(lambda data, number: [data] if number != 2 else []))
    options = ["-n", 3, "-i", "0.01", "-w", "0.1", "--json-lines"]
    lines = echoping(tmp_path, "udp", address, *options, expect=LOSS).splitlines()
    probes = [json.loads(line) for line in lines]
    assert [probe["form"] for probe in probes] == ["probe", "probe", "probe", "ping"]
    assert [probe["seq"] for probe in probes[:3]] == [1, 2, 3]
    assert [probe["error"] for probe in probes[:3]] == [None, "timeout", None]
    assert probes[1]["latency_seconds"] is None
    assert probes[0]["latency_seconds"] > 0
    assert probes[3]["result"] == "loss"


def test_json_lines_of_a_load(launch, tmp_path):
    options = ["-c", 2, "-r", 500, "-d", "1s", "-i", "0.2", "--json-lines"]
    lines = echoping(tmp_path, launch().addresses["echo"], *options).splitlines()
    rows = [json.loads(line) for line in lines]
    intervals, whole = rows[:-1], rows[-1]
    assert {row["form"] for row in intervals} == {"interval"}
    assert 4 <= len(intervals) <= 6
    for row in intervals:
        assert row["messages_per_second"] == pytest.approx(row["received"] / row["seconds"], 1e-6)
    assert whole["form"] == "load"
    assert sum(row["received"] for row in intervals) <= whole["received"] == 500


def test_lines_of_a_load_for_people(launch, tmp_path):
    out = echoping(
        tmp_path, launch().addresses["echo"], "-c", 2, "-d", "1s", "-i", "0.3", "-q"
    )
    rows = re.findall(r"^ +[\d.]+ s +\d+ msg/s  .*B/s  .*bit/s  0 failed$", out, re.M)
    assert 2 <= len(rows) <= 3


def test_several_targets_have_a_line_each(launch, tmp_path):
    port = launch().addresses["echo"].rpartition(":")[2]
    dead = free_port()
    targets = [f"127.0.0.1:{port}", f"localhost:{port}", f"127.0.0.1:{dead}"]
    out, err = said(tmp_path, "-4", "-n", 2, "-i", "0.05", *targets, expect=UNREACHABLE)
    line = r"tcp://127\.0\.0\.1:\d+{}: 2 sent, 2 received, 0 lost \(0 %\), min/avg/max = .* ms"
    assert re.search("^" + line.format("") + "$", out, re.M)
    assert re.search("^" + line.format(r" \(localhost\)") + "$", out, re.M)
    assert f"127.0.0.1:{dead}: connect: {os.strerror(111)}" in err
    rows = figures(tmp_path, "-4", "-n", 2, "-i", "0.05", *targets, expect=UNREACHABLE)
    assert [row["result"] for row in rows] == ["ok", "ok", "unreachable"]
    rows = echoping(tmp_path, "-4", "-n", 1, "--csv", *targets[:2]).splitlines()
    assert len(rows) == 3


def test_one_signal_ends_all_targets(launch, tmp_path):
    daemon = launch()
    address = daemon.addresses["echo"]
    process = start_echoping(tmp_path, "-n", 0, "-i", "0.05", address, address, address)
    try:
        wait_until(lambda: daemon.control.totals()["sent_bytes"] > 500, 10, "all are under way")
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=seconds(10))
    finally:
        process.kill()
    assert process.returncode == OK
    assert len(re.findall(r" 0 lost \(0 %\)", out)) == 3


# the schema


FORMS = {
    "ping": ["-n", 2, "-i", "0.01"],
    "ping lines": ["-n", 2, "-i", "0.01", "--json-lines"],
    "load": ["-c", 2, "-d", "0.3"],
    "load lines": ["-c", 2, "-d", "0.5", "-i", "0.1", "--json-lines"],
    "rate": ["-c", 2, "-r", 100, "-d", "0.3"],
    "churn": ["--churn", "-c", 2, "-d", "0.3"],
    "several": ["-n", 2, "-i", "0.01", "127.0.0.1:1"],
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("server", ["good", "wrong", "ending", "none"])
def test_json_is_as_the_schema_says(serve, tmp_path, form, server):
    try:
        import jsonschema
    except ImportError:
        lacking("jsonschema")
    schema = json.loads((PROJECT / "doc" / "echoping.schema.json").read_text())
    talks = {
        "good": changing(bytes),
        "wrong": changing(lambda data: data[::-1]),
        "ending": lambda sock: sock.sendall(sock.recv(1 << 16)),
    }
    if server == "none":
        address = f"127.0.0.1:{free_port()}"
    else:
        address = serve(StreamServer(talks[server]))
    options = FORMS[form] if "--json-lines" in FORMS[form] else [*FORMS[form], "--json"]
    process = start_echoping(tmp_path, address, *options)
    out, _ = process.communicate(timeout=seconds(20))
    assert process.returncode in (OK, LOSS, MISMATCH, UNREACHABLE)
    documents = out.splitlines() if "--json-lines" in options else [out]
    assert documents
    for document in documents:
        jsonschema.validate(json.loads(document), schema)
