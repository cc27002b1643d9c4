# SPDX-License-Identifier: BSD-2-Clause
"""The control port: its routes, its manners, and that nobody can wear it down."""

import contextlib
import os
import signal
import socket
import time

import pytest

from harness import KIB, exchange, hold, pause, receive_to_end, run_echod, seconds, wait_until
from harness.datagrams import udp_listener

PROCESS = "pid version uptime_seconds workers draining resident_bytes open_fds".split()
COUNTERS = (
    "connections_accepted connections_closed connections_rejected accept_errors received_bytes"
    " sent_bytes read_pauses connections pending_bytes"
).split()
CONNECTION = (
    "id listener worker transport peer local since age_seconds idle_seconds state bytes_in"
    " bytes_out reads pending_bytes read_paused pauses paused_seconds"
).split()
REASONS = (
    "client_fin client_reset idle_timeout stalled lifetime byte_limit drain drain_forced"
    " admin write_error read_error no_memory timed_out"
).split()


@pytest.mark.parametrize("route", ["/livez", "/readyz"])
def test_health(launch, route):
    reply = launch().control.get(route)
    assert (reply.status, reply.text.strip()) == (200, "ok")


def test_stats(launch, tmp_path):
    daemon = launch(workers=3, limits={"connections": 123})
    stats = daemon.control.stats()
    assert sorted(stats) == ["limits", "listeners", "process", "totals", "workers"]
    assert set(PROCESS) <= set(stats["process"])
    assert stats["process"]["pid"] == daemon.pid
    assert stats["process"]["workers"] == 3
    assert stats["process"]["draining"] is False
    assert 0 <= stats["process"]["uptime_seconds"] < seconds(30)
    assert stats["process"]["resident_bytes"] > 100 * KIB
    assert len(daemon.descriptors) <= stats["process"]["open_fds"] <= len(daemon.descriptors) + 3
    assert stats["process"]["version"] in run_echod(tmp_path, "-V").stdout
    assert stats["process"]["machine"] == os.uname().nodename
    assert stats["limits"]["connections"] == 123
    assert [row["id"] for row in stats["workers"]] == [0, 1, 2]
    assert all(row["connections"] == 0 for row in stats["workers"])
    assert set(COUNTERS) | {"log_suppressed", "log_dropped"} <= set(stats["totals"])
    assert sorted(stats["totals"]["connections_closed"]) == sorted(REASONS)
    (row,) = stats["listeners"]
    assert set(COUNTERS) <= set(row)
    assert row["name"] == "echo"
    assert row["address"] == daemon.addresses["echo"]
    assert row["origin"] == "bound"
    assert (row["open"], row["accepting"]) == (True, True)


def test_a_closed_listener_keeps_its_address(launch):
    listeners = [
        {"name": "echo", "address": "tcp://127.0.0.1:0"},
        udp_listener(name="datagrams"),
        {"name": "gone", "address": "tcp://127.0.0.1:0"},
    ]
    daemon = launch(listeners=listeners)
    addresses = dict(daemon.addresses)

    def rows():
        return {row["name"]: row for row in daemon.control.stats()["listeners"]}

    daemon.configure({**daemon.config, "listeners": listeners[:2]})
    assert daemon.local.post("/reload").status == 200
    wait_until(lambda: not rows()["gone"]["open"], 5, "the reload has closed it")
    assert rows()["echo"]["open"] and rows()["datagrams"]["open"]
    assert daemon.local.post("/drain").status == 200
    wait_until(lambda: not any(row["open"] for row in rows().values()), 5, "all are closed")
    for name, row in rows().items():
        assert (row["address"], row["origin"], row["accepting"]) == (addresses[name], None, False)


def test_echo_delay_of_a_listener(launch):
    other = {"name": "other", "address": "tcp://127.0.0.1:0"}
    daemon = launch(listeners=[{"name": "echo", "address": "tcp://127.0.0.1:0"}, other])
    exchange(daemon.connect(), bytes(1000))
    daemon.settled()
    used, unused = (daemon.control.listener(name)["echo_delay"] for name in ("echo", "other"))
    assert sorted(used) == ["mean_seconds", "p50_seconds", "p99_seconds"]
    assert 0 < used["p50_seconds"] <= used["p99_seconds"] < seconds(5)
    assert set(unused.values()) == {None}


def test_connection_row(launch):
    daemon = launch()
    before = time.time()
    sock = daemon.connect()
    exchange(sock, bytes(1000))
    exchange(sock, bytes(500))
    reply = daemon.control.connections()
    assert reply["total"] == 1
    (row,) = reply["connections"]
    assert set(CONNECTION) <= set(row)
    host, port = sock.getsockname()
    assert row["peer"] == f"{host}:{port}"
    host, port = sock.getpeername()
    assert row["local"] == f"{host}:{port}"
    assert (row["listener"], row["transport"], row["state"]) == ("echo", "tcp", "open")
    assert (row["bytes_in"], row["bytes_out"]) == (1500, 1500)
    assert row["reads"] >= 2
    assert (row["pending_bytes"], row["read_paused"], row["pauses"]) == (0, False, 0)
    assert 0 <= row["idle_seconds"] <= row["age_seconds"] < seconds(10)
    year = time.strftime("%Y", time.gmtime(before))
    assert str(row["since"]).startswith((year, str(int(before))[:7]))


def test_unix_connection_row(launch, tmp_path):
    daemon = launch(listeners=[{"name": "local", "address": f"unix:{tmp_path}/echo.sock"}])
    exchange(daemon.connect("local"))
    (row,) = daemon.control.connections()["connections"]
    assert row["transport"] == "unix"
    assert row["peer"].startswith("unix:")


def test_idle_seconds_grow_and_fall_with_traffic(launch):
    daemon = launch()
    sock = daemon.connect()
    exchange(sock)

    def row():
        return daemon.control.connections()["connections"][0]

    wait_until(lambda: row()["idle_seconds"] > 0.5, 5, "half a second idle")
    exchange(sock)
    assert row()["idle_seconds"] < 0.5 < row()["age_seconds"]


def test_connections_are_limited_by_query(launch):
    daemon = launch()
    clients = [daemon.connect() for _ in range(120)]
    for sock in clients:
        exchange(sock)
    for query, shown in [("", 100), ("?limit=7", 7), ("?limit=1000", 120), ("?limit=0", 0)]:
        reply = daemon.control.connections(query)
        assert (reply["total"], len(reply["connections"])) == (120, shown), query
    rows = daemon.control.connections("?limit=1000")["connections"]
    assert len({row["id"] for row in rows}) == 120
    assert {row["peer"] for row in rows} == {"%s:%d" % sock.getsockname() for sock in clients}


@pytest.mark.parametrize("query", ["?limit=x", "?limit=-1", "?limit=", "?limit=1001"])
def test_bad_query_is_refused(launch, query):
    assert launch().control.get("/connections" + query).status == 400


@pytest.mark.parametrize("target", ["/nowhere", "/stats/", "/metricsx", "/livez/x"])
def test_unknown_route(launch, target):
    assert launch().control.get(target).status == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_only_get_and_head(launch, method):
    daemon = launch()
    assert daemon.control.request(method, "/stats").status in (405, 501)
    assert daemon.is_served()


@pytest.mark.parametrize("route", ["/metrics", "/stats", "/connections", "/livez"])
def test_head_is_get_without_the_body(launch, route):
    reply = launch().control.request("HEAD", route)
    assert (reply.status, reply.body) == (200, b"")


def test_content_types(launch):
    daemon = launch()
    assert daemon.control.get("/stats").headers["content-type"].startswith("application/json")
    kind = daemon.control.get("/metrics").headers["content-type"]
    assert kind.startswith("text/plain") and "version=0.0.4" in kind
    assert daemon.control.get("/stats").headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "[::1]", "localhost:9862", "LOCALHOST", "[::1]:80"]
)
def test_own_host_is_answered(launch, host):
    assert launch().control.get("/livez", {"Host": host}).status == 200


@pytest.mark.parametrize(
    "host", ["example.org", "localhost.example.org", "127.0.0.1.example.org", "", "127.0.0.2"]
)
def test_foreign_host_is_refused(launch, host):
    assert launch().control.get("/stats", {"Host": host}).status in (400, 403, 421)


def test_origin_of_another_site_is_refused(launch):
    daemon = launch()
    headers = {"Origin": "http://example.org"}
    assert daemon.control.get("/stats", headers).status == 403
    own = {"Origin": "http://%s:%d" % daemon.control.address}
    assert daemon.control.get("/stats", own).status == 200


def fetched(mode, destination):
    """What a browser says of a request that a page of another site has led to."""
    return {
        "Sec-Fetch-Site": "cross-site",
        "Sec-Fetch-Mode": mode,
        "Sec-Fetch-Dest": destination,
        "Sec-Fetch-User": "?1",
    }


@pytest.mark.parametrize("target", ["/", "/stats", "/metrics"])
def test_a_clicked_link_of_another_site_opens(launch, target):
    daemon = launch()
    assert daemon.control.get(target, fetched("navigate", "document")).status == 200
    for mode, destination in (
        ("navigate", "iframe"),
        ("navigate", "object"),
        ("no-cors", "script"),
        ("no-cors", "image"),
        ("cors", "empty"),
    ):
        assert daemon.control.get(target, fetched(mode, destination)).status == 403


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"\x00\xff\xfe garbage\r\n\r\n",
        b"GET /stats HTTP/9.9\r\n\r\n",
        b"GET /st%61ts HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /livez%00x HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET http://example.org/stats HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET //stats HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST /stats HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n",
        b"GET /stats HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 100000 + b"\r\n\r\n",
        b"GET /" + b"z" * 100000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /stats HTTP/1.1\r\n" + b"A: b\r\n" * 20000 + b"\r\n",
    ],
    ids=range(12),
)
def test_odd_request_is_refused(launch, data):
    daemon = launch()
    try:
        reply = daemon.control.raw(data, half_close=True)
    except (BrokenPipeError, ConnectionResetError):
        reply = b""
    assert b" 200 " not in reply.split(b"\r\n")[0]
    assert daemon.control.get("/livez").status == 200
    assert daemon.is_served()


def test_requests_that_never_end_do_not_lock_others_out(launch):
    """More half requests than the cap, again and again, and a good client all the while."""
    daemon = launch(control={"clients": 16, "timeout": "1s"})
    slow = []
    for _ in range(64):
        sock = socket.create_connection(daemon.control.address, timeout=seconds(5))
        daemon.clients.append(sock)
        sock.sendall(b"GET /livez HTTP/1.1\r\nHost: local")
        slow.append(sock)
    wait_until(lambda: _answers(daemon), 8, "a good request gets its answer")
    for sock in slow:
        sock.close()
    hold(lambda: daemon.control.get("/livez").status == 200, 0.5, "all is well afterwards")


def _answers(daemon):
    try:
        return daemon.control.get("/livez").status == 200
    except OSError:
        return False


def test_slow_request_is_ended_by_the_deadline(launch):
    """A byte now and then does not put off the deadline: it is for the whole request."""
    daemon = launch(control={"timeout": "1s"})
    begin = time.monotonic()
    with socket.create_connection(daemon.control.address, timeout=seconds(5)) as sock:
        sock.sendall(b"GET /livez HTTP/1.1\r\n")

        def refused():
            sock.settimeout(0.2)
            try:
                sock.sendall(b"X")
                return sock.recv(1000) is not None
            except TimeoutError:
                return False
            except OSError:
                return True

        wait_until(refused, 5, "ended in spite of its bytes")
    assert time.monotonic() - begin > 0.8
    assert _answers(daemon)


def test_control_port_can_be_switched_off(launch):
    daemon = launch(ready=False, control={"http": ""})
    daemon.spawn()
    record = daemon.log.wait_for("^listening$")[0]
    daemon.addresses = {"echo": record["address"]}
    assert daemon.is_served()
    assert not daemon.log.find("control port listening")


def test_scrapes_under_load_disturb_nobody(launch):
    daemon = launch()
    clients = [daemon.connect() for _ in range(200)]
    for sock in clients:
        exchange(sock)
    for _ in range(100):
        daemon.control.metrics()
        daemon.control.connections("?limit=1000")
        exchange(clients[0])
    for sock in clients:
        exchange(sock)

def test_time_in_which_the_process_was_stopped_counts_for_nobody(launch):
    """Requests that came meanwhile, whole or the second half of one, are answered."""
    daemon = launch(control={"timeout": "500ms"})
    request = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
    for client in (daemon.control, daemon.local):
        for _ in range(3):
            with client.connect() as half, client.connect() as silent:
                half.sendall(request[:20])
                wait_until(lambda: daemon.control.get("/livez").status == 200, 5, "two are taken")
                daemon.signal(signal.SIGSTOP)
                half.sendall(request[20:])
                silent.sendall(request)
                with client.connect() as fresh:
                    fresh.sendall(request)
                    pause(1.5, "three times control.timeout pass")
                    daemon.signal(signal.SIGCONT)
                    for sock in (half, silent, fresh):
                        assert receive_to_end(sock).startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize("how", ["stop", "TERM", "QUIT"])
def test_what_was_asked_is_answered_before_the_end(launch, how):
    """Requests that wait in sockets and backlogs, and large answers that are not sent yet."""
    daemon = launch()
    for _ in range(200):
        daemon.connect()
    wait_until(lambda: daemon.control.totals()["connections"] == 200, 10, "all are served")
    request = b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n"
    targets = [b"/stats", b"/connections?limit=1000&tcp=1", b"/metrics", b"/livez"]
    with contextlib.ExitStack() as stack:
        taken = [stack.enter_context(daemon.local.connect()) for _ in targets]
        wait_until(lambda: daemon.control.get("/livez").status == 200, 5, "they are taken")
        daemon.signal(signal.SIGSTOP)
        fresh = [stack.enter_context(daemon.local.connect()) for _ in targets]
        last = stack.enter_context(daemon.local.connect())
        if how == "stop":
            last.sendall(b"POST /stop HTTP/1.1\r\nHost: localhost\r\n\r\n")
        else:
            daemon.signal(getattr(signal, f"SIG{how}"))
        for sock, target in zip(taken + fresh, targets * 2):
            sock.sendall(request % target)
        for sock in daemon.clients:
            sock.close()
        daemon.signal(signal.SIGCONT)
        for sock in taken + fresh:
            text = receive_to_end(sock)
            assert text.startswith((b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 503 ")), text[:100]
            head, _, body = text.partition(b"\r\n\r\n")
            assert b"\r\nContent-Length: %d\r\n" % len(body) in head + b"\r\n"
        if how == "stop":
            assert receive_to_end(last).endswith(b'{"ok":true}\n')
        assert daemon.wait_exit() == 0


def test_figures_are_told_during_a_stop(launch):
    daemon = launch(shutdown={"timeout": "5s", "idle_grace": "5s"})
    sock = daemon.connect()
    exchange(sock)
    assert daemon.local.post("/stop").json == {"ok": True}
    stats = daemon.control.stats()
    assert stats["process"]["draining"] is True and stats["process"]["ready"] is False
    assert daemon.local.post("/stop").status == 409
    sock.close()
    assert daemon.wait_exit() == 0
