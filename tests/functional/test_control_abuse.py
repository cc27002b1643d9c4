# SPDX-License-Identifier: BSD-2-Clause
"""Bad requests to the port and the socket: each gets its status or its end, good clients their answers."""

import contextlib
import socket
import threading
import time

import pytest

from harness import exchange, pause, seconds, wait_until

HOST = b"Host: localhost\r\n"

# Name, bytes to send, the status at the TCP port and at the UNIX socket; None: ended without one.
BAD = [
    ("unknown path", b"GET /nowhere HTTP/1.1\r\n" + HOST + b"\r\n", 404, 404),
    ("no request", b"\x00\xff rubbish\r\n\r\n", 400, 400),
    ("POST of a page", b"POST /stats HTTP/1.1\r\n" + HOST + b"\r\n", 405, 405),
    ("POST of a verb", b"POST /undrain HTTP/1.1\r\n" + HOST + b"\r\n", 403, 200),
    ("another method", b"TRACE /stats HTTP/1.1\r\n" + HOST + b"\r\n", 405, 405),
    ("foreign Host", b"GET /stats HTTP/1.1\r\nHost: example.org\r\n\r\n", 403, 200),
    ("no Host", b"GET /stats HTTP/1.1\r\n\r\n", 400, 200),
    ("no Host in 1.0", b"GET /livez HTTP/1.0\r\n\r\n", 200, 200),
    ("two Hosts", b"GET /stats HTTP/1.1\r\n" + HOST + HOST + b"\r\n", 400, 200),
    (
        "foreign Origin",
        b"GET /stats HTTP/1.1\r\n" + HOST + b"Origin: http://example.org\r\n\r\n",
        403,
        403,
    ),
    ("%00", b"GET /stats%00 HTTP/1.1\r\n" + HOST + b"\r\n", 400, 400),
    ("encoded letter", b"GET /st%61ts HTTP/1.1\r\n" + HOST + b"\r\n", 400, 400),
    ("half a code", b"GET /connections?limit=%3 HTTP/1.1\r\n" + HOST + b"\r\n", 400, 400),
    ("control byte", b"GET /stats\x01 HTTP/1.1\r\n" + HOST + b"\r\n", 400, 400),
    ("absolute form", b"GET http://localhost/stats HTTP/1.1\r\n" + HOST + b"\r\n", 200, 200),
    ("absolute, foreign", b"GET http://example.org/stats HTTP/1.1\r\n" + HOST + b"\r\n", 403, 200),
    ("absolute, no path", b"GET http://localhost?a HTTP/1.1\r\n" + HOST + b"\r\n", 400, 400),
    ("probe, any host", b"GET /livez HTTP/1.1\r\nHost: pod.example\r\n\r\n", 200, 200),
    ("probe, no host", b"GET /readyz HTTP/1.1\r\n\r\n", 400, 200),
    ("path climbs", b"GET /../stats HTTP/1.1\r\n" + HOST + b"\r\n", 404, 404),
    ("id of 40 digits", b"GET /connections/" + b"9" * 40 + b" HTTP/1.0\r\n\r\n", 404, 404),
    (
        "64 KiB header",
        b"GET /stats HTTP/1.1\r\n" + HOST + b"X: " + b"y" * 65536 + b"\r\n\r\n",
        400,
        400,
    ),
    ("64 KiB target", b"GET /" + b"z" * 65536 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 400, 400),
    (
        "large body",
        b"POST /log/reopen HTTP/1.1\r\n" + HOST + b"Content-Length: 65536\r\n\r\n" + b"x" * 65536,
        413,
        413,
    ),
    ("half a request", b"GET /stats HTTP/1.1\r\nHost: local", None, None),
    ("silence", b"", None, None),
]


@contextlib.contextmanager
def good_client(daemon):
    """Ask both again and again meanwhile; every answer has to be right, and soon."""
    slowest = [0.0]
    answered = []
    failures = []
    stop = threading.Event()

    def ask():
        while not stop.wait(0.005) and not failures:
            for client in (daemon.local, daemon.control):
                begin = time.monotonic()
                try:
                    reply = client.get("/readyz")
                    if reply.status != 200:
                        failures.append(reply.status)
                except OSError as error:
                    failures.append(repr(error))
                slowest[0] = max(slowest[0], time.monotonic() - begin)
                answered.append(client)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield answered
    finally:
        stop.set()
        thread.join(seconds(20))
    assert not failures, f"a good client was not answered: {failures}"
    assert slowest[0] < seconds(3), f"a good client waited {slowest[0]:.1f} s"


def status_of(client, data):
    """The status of the answer, None where the other side just ends."""
    with client.connect() as sock:
        received = b""
        try:
            sock.sendall(data)
            while block := sock.recv(65536):
                received += block
        except (BrokenPipeError, ConnectionResetError):
            pass
    return int(received.split()[1]) if received else None


def test_each_bad_request_gets_its_status(launch):
    daemon = launch(control={"timeout": "1s"})
    wrong = []
    with good_client(daemon):
        for name, data, *statuses in BAD:
            for client, status in zip((daemon.control, daemon.local), statuses, strict=True):
                found = status_of(client, data)
                # what is far too long may be cut off while it is still being sent
                if found != status and not (found is None and len(data) > 60000):
                    wrong.append((name, client.address, found, status))
    assert not wrong
    assert daemon.is_served()


@pytest.mark.parametrize("name", ["local", "control"])
def test_200_idle_clients_lock_nobody_out(launch, name):
    daemon = launch()
    client = getattr(daemon, name)
    idle = []
    for number in range(200):
        sock = client.connect()
        daemon.clients.append(sock)
        idle.append(sock)
        if number % 2:
            sock.sendall(b"GET /stats HTTP/1.1\r\nHost: local")
    with good_client(daemon) as answered:
        wait_until(lambda: len(answered) > 200, 20, "a good client is answered 200 times")
    daemon.close_clients()


def test_client_with_a_long_name(launch, open_directory):
    """An AF_UNIX client may be bound to a path itself: libevent once ended the process for that."""
    daemon = launch()
    name = f"{open_directory}/" + "n" * (100 - len(str(open_directory)) - 1)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(seconds(10))
        sock.bind(name)
        sock.connect(daemon.local.address)
        sock.sendall(b"GET /livez HTTP/1.0\r\n\r\n")
        assert b" 200 " in sock.recv(1000)
    assert daemon.local.get("/livez").status == 200


def test_operator_is_answered_when_descriptors_are_used_up(launch):
    daemon = launch()
    regular = daemon.connect()
    exchange(regular)
    daemon.limit_descriptors(64)
    for _ in range(200):
        sock, address = daemon.open_socket()
        sock.setblocking(False)
        sock.connect_ex(address)
    wait_until(
        lambda: sum(daemon.local.totals()["accept_errors"].values()) > 0,
        5,
        "no descriptor is left",
    )
    for _ in range(50):
        begin = time.monotonic()
        for client in (daemon.local, daemon.control):
            assert client.stats()["process"]["max_fds"] == 64
            assert client.connections("?limit=1000")["total"] > 0
            assert client.metrics().value("echod_connections") > 0
        assert time.monotonic() - begin < seconds(2)
        pause(0.01, "the daemon tries to accept again in the meantime")
    assert daemon.local.post("/log/level?level=info").status == 200
    exchange(regular)
    assert not daemon.log.find("control port: cannot accept")


def test_clients_that_leave_at_once(launch):
    daemon = launch()
    with good_client(daemon):
        for number in range(300):
            client = daemon.local if number % 2 else daemon.control
            with client.connect() as sock:
                sock.sendall(b"GET /connections?limit=1000 HTTP/1.0\r\n\r\n"[: number % 50])
    assert daemon.is_served()
