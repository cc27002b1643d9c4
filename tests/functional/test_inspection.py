# SPDX-License-Identifier: BSD-2-Clause
"""Many questions at once: echoes and accepting go on, memory stays, and some are told to wait."""

import contextlib
import http.client
import json
import socket
import threading
import time

import pytest

from harness import MIB, SANITIZED, exchange, hold, scaled, seconds, wait_until
from harness.process import resident_bytes

# The largest answer, from as deep in the order as can be asked for.
LARGEST = "/connections?limit=1000&offset=5000&tcp=1"
BUSY = "busy with other questions: try again in a second"


def connect_many(daemon, count):
    """Hold that many connections."""
    for number in range(count):
        sock, (host, port) = daemon.open_socket()
        sock.bind((f"127.0.0.{2 + number // 15000}", 0))
        sock.connect((host, port))
    wait_until(lambda: daemon.control.totals()["connections"] == count, 30, f"{count} served")


class Askers:
    """Threads that ask one of the targets again and again; answers count by their status."""

    def __init__(self, daemon, targets, count):
        self.address = daemon.control.address
        self.targets = targets
        self.counts = {}
        self.lock = threading.Lock()
        self.end = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(n,)) for n in range(count)]

    def run(self, number):
        while not self.end.is_set():
            status = self.ask(self.targets[number % len(self.targets)])
            with self.lock:
                self.counts[status] = self.counts.get(status, 0) + 1
            if status == 503:
                self.end.wait(0.05)

    def ask(self, target):
        connection = http.client.HTTPConnection(*self.address, timeout=seconds(20))
        try:
            connection.request("GET", target)
            reply = connection.getresponse()
            body = reply.read()
        finally:
            connection.close()
        if reply.status == 503:
            assert reply.headers["Retry-After"] == "1"
            assert json.loads(body) == {"error": BUSY}
        else:
            # whole, or not at all
            assert len(body) == int(reply.headers["Content-Length"])
            if "json" in reply.headers["Content-Type"]:
                json.loads(body)
        return reply.status

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.end.set()
        for thread in self.threads:
            thread.join()


def count_echoes(daemon, duration):
    """How many round trips one client makes."""
    count = 0
    with daemon.connect() as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        end = time.monotonic() + duration
        while time.monotonic() < end:
            exchange(sock, b"x")
            count += 1
    return count


def test_lists_for_many_cost_little_memory(launch):
    count = scaled(6000, 1500)
    daemon = launch(workers=2, limits={"connections": 8000})
    connect_many(daemon, count)
    before = resident_bytes(daemon.pid)
    offset = LARGEST if count > 5000 else "/connections?limit=1000&tcp=1"
    with Askers(daemon, [offset], 60) as askers:
        peak = 0
        echoes = count_echoes(daemon, 1)

        def sampled():
            nonlocal peak
            peak = max(peak, resident_bytes(daemon.pid))
            return True

        hold(sampled, 3, "memory is looked at")
    assert askers.counts[200] > 0
    assert set(askers.counts) <= {200, 503}
    if not SANITIZED:
        assert peak - before < 16 * MIB, f"{(peak - before) / MIB:.1f} MiB more"
    # one turn in many may wait for a slice and for the processors, all of them must not
    assert echoes > askers.counts[200]
    # nobody is left behind
    assert daemon.control.connections("?limit=1000")["total"] == count


def test_answers_that_nobody_reads_are_bounded(launch):
    """Clients that ask for much and take nothing: the others are told to wait."""
    daemon = launch(workers=2, limits={"connections": 3000}, control={"timeout": "30s"})
    connect_many(daemon, scaled(2000, 1000))
    request = b"GET /connections?limit=1000&tcp=1 HTTP/1.1\r\nHost: localhost\r\n\r\n"
    before = resident_bytes(daemon.pid)
    with contextlib.ExitStack() as stack:
        for _ in range(60):
            sock = stack.enter_context(socket.socket())
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.settimeout(seconds(10))
            sock.connect(daemon.control.address)
            sock.sendall(request)
        # small answers come always
        wait_until(lambda: daemon.local.get("/livez").status == 200, 10, "alive")
        wait_until(
            lambda: daemon.local.get("/connections?limit=1").status in (200, 503), 10, "an answer"
        )
        if not SANITIZED:
            hold(
                lambda: resident_bytes(daemon.pid) - before < 16 * MIB, 0.5, "memory is bounded"
            )
    wait_until(lambda: daemon.control.get("/stats").status == 200, 10, "an answer again")


def test_clients_that_leave_are_not_answered(launch):
    daemon = launch(workers=2)
    connect_many(daemon, 900)
    request = b"GET /connections?limit=1000&tcp=1 HTTP/1.1\r\nHost: localhost\r\n\r\n"
    for _ in range(200):
        with socket.create_connection(daemon.control.address) as sock:
            sock.sendall(request)
    begin = time.monotonic()
    wait_until(lambda: daemon.control.get("/stats").status == 200, 10, "an answer")
    assert time.monotonic() - begin < seconds(5)


def test_a_closing_is_not_refused(launch):
    daemon = launch(workers=2)
    connect_many(daemon, 900)
    with Askers(daemon, ["/connections?limit=1000&tcp=1", "/metrics", "/stats"], 30) as askers:
        for number in range(1, 41):
            reply = daemon.local.post(f"/connections/{number}/close")
            assert (reply.status, reply.json) == (200, {"ok": True})
        assert daemon.local.post("/connections/1/close").status == 404
    assert set(askers.counts) <= {200, 503}
    assert daemon.control.closed("admin") == 40


def test_small_answers_are_not_refused(launch):
    daemon = launch(workers=2)
    connect_many(daemon, 900)
    with Askers(daemon, ["/connections?limit=1000&tcp=1", "/config"], 40):
        for _ in range(50):
            for route in ("/livez", "/readyz", "/version"):
                assert daemon.local.get(route).status == 200


MANY = [
    {"name": f"l{number}", "address": f"unix:@inspection-{{pid}}-{number}"}
    for number in range(scaled(1000, 100))
]


@pytest.fixture
def many_listeners(launch):
    """A daemon with hundreds of listeners, the first of which the tests echo at."""
    mark = str(time.monotonic_ns())
    rows = [{"name": "echo", "address": "tcp://127.0.0.1:0"}]
    rows += [dict(row, address=row["address"].format(pid=mark)) for row in MANY]
    return launch(listeners=rows, workers=2)


def take_answers(address, target, end, answers):
    """Ask one after the other until END is set; to read them as they are costs least."""
    buffer = bytearray(MIB)
    while not end.is_set():
        with socket.create_connection(address, timeout=seconds(20)) as sock:
            sock.sendall(f"GET {target} HTTP/1.0\r\n\r\n".encode())
            while sock.recv_into(buffer):
                pass
        answers.append(target)


@pytest.mark.parametrize("target", ["/metrics", "/stats", "/config", "/"])
def test_accepting_goes_on_beside_large_answers(many_listeners, target):
    """No turn of the main loop is long, so that new clients are taken in between."""
    daemon = many_listeners
    stop, answers = threading.Event(), []
    arguments = (daemon.control.address, target, stop, answers)
    threads = [threading.Thread(target=take_answers, args=arguments) for _ in range(4)]
    for thread in threads:
        thread.start()
    served = 0
    end = time.monotonic() + 2
    while time.monotonic() < end:
        daemon.serve_one()
        served += 1
    stop.set()
    for thread in threads:
        thread.join()
    # an answer takes many turns, and in each somebody may be taken; the page is made beforehand
    assert served > (len(answers) if target != "/" else 0)


def test_large_answers_are_complete(many_listeners):
    daemon = many_listeners
    names = {"echo"} | {row["name"] for row in MANY}
    stats = daemon.control.stats()
    assert {row["name"] for row in stats["listeners"]} == names
    assert [row["id"] for row in stats["workers"]] == [0, 1]
    metrics = daemon.control.metrics()
    for name in ("echod_received_bytes_total", "echod_connections", "echod_echo_delay_seconds_sum"):
        listeners = [dict(labels)["listener"] for key, labels in metrics if key == name]
        assert len(listeners) == len(names) and set(listeners) == names
    keys = {row["key"] for row in daemon.control.document("/config")["directives"]}
    assert {f"listeners.{name}.address" for name in names} <= keys and "limits.connections" in keys


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("target", ["/metrics", "/stats", "/config", "/", "/connections"])
def test_head_and_old_clients(launch, target, version):
    daemon = launch()
    answers = {}
    for method in ("GET", "HEAD"):
        text = f"{method} {target} HTTP/{version}\r\nHost: localhost\r\n\r\n"
        head, _, answers[method] = daemon.control.raw(text.encode()).partition(b"\r\n\r\n")
        assert b" 200 OK\r\n" in head and b"\r\nContent-Length: " in head
        assert b"Transfer-Encoding" not in head
    assert answers["HEAD"] == b"" and len(answers["GET"]) > 50


def test_listeners_that_go_meanwhile(launch):
    """Reloads take listeners away and bring them back between the pieces of answers."""
    mark = str(time.monotonic_ns())
    few = [{"name": "echo", "address": "tcp://127.0.0.1:0"}]
    rows = few + [
        {"name": f"d{number}", "address": f"unixgram:@inspection-{mark}-{number}"}
        for number in range(40)
    ]
    rows += [{"name": f"u{number}", "address": "udp://127.0.0.1:0"} for number in range(40)]
    daemon = launch(listeners=rows, workers=2)
    config = dict(daemon.config)
    targets = ["/metrics", "/stats", "/config", "/", "/sources?limit=1000"]
    with Askers(daemon, targets, 10) as askers:
        for number in range(20):
            daemon.configure(dict(config, listeners=few if number % 2 == 0 else rows))
            # an address that has just been closed may take a moment to come free
            wait_until(lambda: daemon.local.post("/reload").status == 200, 10, "a reload")
    assert askers.counts[200] > 0 and set(askers.counts) <= {200, 503}


def test_stop_while_answers_are_made(launch):
    mark = str(time.monotonic_ns())
    rows = [{"name": "echo", "address": "tcp://127.0.0.1:0"}]
    rows += [dict(row, address=row["address"].format(pid=mark)) for row in MANY[:100]]
    daemon = launch(listeners=rows, workers=2)
    connect_many(daemon, 500)
    errors, answered = [], []

    def ask(target):
        try:
            while True:
                reply = daemon.control.get(target)
                assert reply.status in (200, 503)
                answered.append(target)
                if reply.status == 200:
                    assert len(reply.body) == int(reply.headers["content-length"])
        except (ConnectionError, http.client.RemoteDisconnected):
            return
        except Exception as error:  # pylint: disable=broad-except
            errors.append(repr(error))

    targets = ["/metrics", "/stats", "/config", "/connections?limit=1000", "/sources"] * 3
    threads = [threading.Thread(target=ask, args=(target,)) for target in targets]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(answered) > 30, 20, "answers are being made")
    assert daemon.local.post("/stop").json == {"ok": True}
    for sock in daemon.clients:
        sock.close()
    assert daemon.wait_exit() == 0
    for thread in threads:
        thread.join()
    assert errors == []
