# SPDX-License-Identifier: BSD-2-Clause
"""Figures of single connections: each field, filters, order, pages."""

import random
import re
import socket
import time

import pytest

from harness import KIB, exchange, pause, receive_to_end, seconds, wait_until

FIELDS = set(
    "id listener worker transport peer local since age_seconds idle_seconds state bytes_in"
    " bytes_out reads pending_bytes read_paused pauses paused_seconds".split()
)
TCP = set("rtt_seconds rttvar_seconds min_rtt_seconds retransmits mss cwnd delivery_rate".split())
TWO = [
    {"name": "echo", "address": "tcp://127.0.0.1:0"},
    {"name": "other", "address": "tcp://[::1]:0"},
]


def name_of(sock):
    host, port = sock.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def listed(daemon, query=""):
    return daemon.control.connections(query)["connections"]


def test_every_field_of_a_hundred_clients(launch):
    daemon = launch(listeners=TWO, workers=3)
    chance = random.Random(7)
    wanted = {}
    begin = time.monotonic()
    for number in range(100):
        name = "echo" if number % 2 else "other"
        sock = daemon.connect(name)
        sizes = [chance.randrange(1, 3000) for _ in range(number % 5)]
        for size in sizes:
            exchange(sock, bytes(size))
        wanted[name_of(sock)] = (name, sum(sizes), len(sizes), sock)
    document = daemon.local.connections("?limit=1000&tcp=1")
    elapsed = time.monotonic() - begin
    assert (document["total"], document["matched"]) == (100, 100)
    assert (document["limit"], document["offset"]) == (1000, 0)
    rows = {row["peer"]: row for row in document["connections"]}
    assert set(rows) == set(wanted)
    assert len({row["id"] for row in rows.values()}) == 100
    assert {row["worker"] for row in rows.values()} == {0, 1, 2}
    for peer, (name, size, exchanges, sock) in wanted.items():
        row = rows[peer]
        assert set(row) == FIELDS | {"tcp"}
        assert (row["listener"], row["transport"], row["state"]) == (name, "tcp", "open")
        host, port = sock.getpeername()[:2]
        assert row["local"] == (f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
        assert (row["bytes_in"], row["bytes_out"], row["pending_bytes"]) == (size, size, 0)
        assert row["reads"] >= exchanges and (row["reads"] > 0) == (exchanges > 0)
        assert (row["read_paused"], row["pauses"], row["paused_seconds"]) == (False, 0, 0)
        assert 0 <= row["idle_seconds"] <= row["age_seconds"] <= elapsed + 0.2
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", row["since"])
        assert set(row["tcp"]) == TCP
        assert 0 < row["tcp"]["rtt_seconds"] < 5 and row["tcp"]["mss"] > 500
        assert row["tcp"]["cwnd"] > 0 and row["tcp"]["retransmits"] == 0


@pytest.fixture
def unequal(launch):
    """Twenty clients, each with traffic of its own, the last the largest."""
    daemon = launch(workers=2)
    for number in range(20):
        exchange(daemon.connect(), bytes(100 * (number + 1)))
    return daemon


def test_order_by_bytes(unequal):
    for key in ("bytes_in", "bytes_out"):
        sizes = [row[key] for row in listed(unequal, f"?sort={key}")]
        assert sizes == [100 * n for n in range(20, 0, -1)]
        sizes = [row[key] for row in listed(unequal, f"?sort={key}&order=asc&limit=5")]
        assert sizes == [100, 200, 300, 400, 500]


def test_order_by_age(unequal):
    ids = [row["id"] for row in listed(unequal)]
    assert ids == sorted(ids), "oldest first"
    assert [row["id"] for row in listed(unequal, "?order=asc")] == ids[::-1]
    assert [row["id"] for row in listed(unequal, "?sort=age&order=desc")] == ids


def test_order_by_idle(unequal):
    pause(0.1, "all have been idle for longer than the one that is served now")
    exchange(unequal.clients[0])
    rows = listed(unequal, "?sort=idle&order=asc")
    assert rows[0]["peer"] == name_of(unequal.clients[0])
    idle = [row["idle_seconds"] for row in listed(unequal, "?sort=idle")]
    assert idle == sorted(idle, reverse=True)


def test_order_by_pending(launch):
    daemon = launch(limits={"output_high": "64KiB", "output_low": "4KiB"})
    exchange(daemon.connect())
    sock = daemon.connect_narrow()
    daemon.queue_some(sock)
    first, second = listed(daemon, "?sort=pending")
    assert first["peer"] == name_of(sock)
    assert first["pending_bytes"] > 0 == second["pending_bytes"]


def test_pages(unequal):
    seen = []
    for offset in range(0, 28, 7):
        document = unequal.control.connections(f"?sort=bytes_in&limit=7&offset={offset}")
        assert (document["total"], document["matched"]) == (20, 20)
        assert (document["limit"], document["offset"]) == (7, offset)
        seen += [row["bytes_in"] for row in document["connections"]]
    assert seen == [100 * n for n in range(20, 0, -1)]


def test_filter_by_listener(launch):
    daemon = launch(listeners=TWO)
    for number in range(9):
        exchange(daemon.connect("echo" if number % 3 else "other"))
    document = daemon.control.connections("?listener=other&limit=2")
    assert (document["total"], document["matched"], len(document["connections"])) == (9, 3, 2)
    assert {row["listener"] for row in document["connections"]} == {"other"}
    for route in ("/connections", "/sources"):
        reply = daemon.control.get(f"{route}?listener=nobody")
        assert (reply.status, reply.json["error"]) == (404, 'no listener "nobody"')


def test_filter_by_peer(launch, tmp_path):
    listeners = [*TWO, {"name": "local", "address": f"unix:{tmp_path}/echo.sock"}]
    daemon = launch(listeners=listeners)
    for name, source in [("echo", "127.0.0.1"), ("echo", "127.0.0.9"), ("other", "::1")]:
        sock, address = daemon.open_socket(name)
        sock.bind((source, 0))
        sock.connect(address)
        exchange(sock)
    exchange(daemon.connect("local"))
    for network, count in [
        ("127.0.0.1", 1),
        ("127.0.0.9/32", 1),
        ("127.0.0.0/8", 2),
        ("0.0.0.0/0", 2),
        ("::1", 1),
        ("::/0", 3),
        ("192.0.2.0/24", 0),
    ]:
        document = daemon.control.connections(f"?peer={network}")
        assert (document["matched"], document["total"]) == (count, 4), network


def test_filter_by_state(launch):
    limited = [dict(TWO[0], byte_limit="10B")]
    daemon = launch(listeners=limited, limits={"linger_timeout": "60s"})
    exchange(daemon.connect(), bytes(5))
    sock = daemon.connect()
    sock.sendall(bytes(10))
    assert receive_to_end(sock) == bytes(10)
    (row,) = listed(daemon, "?state=lingering")
    assert row["peer"] == name_of(sock)
    assert len(listed(daemon, "?state=open")) == 1
    assert listed(daemon, "?state=flushing") == []


def test_flushing(launch):
    daemon = launch()
    sock = daemon.connect_narrow()
    daemon.queue_some(sock)
    sock.shutdown(socket.SHUT_WR)
    wait_until(lambda: listed(daemon, "?state=flushing"), 5, "it is flushing")


def test_one_connection(launch):
    daemon = launch()
    exchange(daemon.connect(), bytes(64 * KIB))
    (row,) = listed(daemon)
    assert "tcp" not in row
    one = daemon.control.document(f"/connections/{row['id']}")
    assert set(one) == FIELDS | {"tcp"} and set(one["tcp"]) == TCP
    assert (one["bytes_in"], one["peer"]) == (row["bytes_in"], row["peer"])
    daemon.close_clients()
    daemon.wait_connections(0)
    reply = daemon.control.get(f"/connections/{row['id']}")
    assert reply.status == 404
    assert reply.json["error"]


def test_unix_clients_have_no_tcp(launch, tmp_path):
    daemon = launch(listeners=[{"name": "local", "address": f"unix:{tmp_path}/echo.sock"}])
    exchange(daemon.connect("local"))
    (row,) = listed(daemon, "?tcp=1")
    assert row["transport"] == "unix" and "tcp" not in row


@pytest.mark.parametrize(
    "query, remedy",
    [
        ("limit=1001", "0 to 1000"),
        ("limit=1000&offset=9001", "10000"),
        ("sort=size", "bytes_in"),
        ("order=down", "desc"),
        ("state=dead", "lingering"),
        ("peer=localhost", "192.0.2.0/24"),
        ("peer=10.0.0.1/8", "prefix"),
        ("tcp=yes", "0 or 1"),
        ("limt=5", "limit"),
        ("limit=5&limit=5", "twice"),
        ("peer=%3", "%XX"),
        ("listener=%00", "%XX"),
    ],
)
def test_wrong_query_is_told_what_is_right(launch, query, remedy):
    reply = launch().control.get("/connections?" + query)
    assert reply.status == 400
    assert remedy in reply.json["error"]


def test_query_may_be_encoded(launch):
    daemon = launch()
    exchange(daemon.connect())
    for query in ("peer=127.0.0.0%2F8", "%70eer=127.0.0.0/8&limit=%31", "listener=ech%6f"):
        assert len(daemon.control.connections("?" + query)["connections"]) == 1, query
    assert daemon.control.connections("?peer=192.0.2.0%2f24")["connections"] == []


def test_a_thousand_records_at_most(launch):
    daemon = launch(limits={"connections": 2000})
    for _ in range(1100):
        exchange(daemon.connect())
    begin = time.monotonic()
    document = daemon.control.connections("?limit=1000&tcp=1")
    assert time.monotonic() - begin < seconds(2)
    assert (document["total"], document["matched"]) == (1100, 1100)
    assert len(document["connections"]) == 1000
    assert len(listed(daemon, "?limit=1000&offset=1000")) == 100
