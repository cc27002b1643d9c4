# SPDX-License-Identifier: BSD-2-Clause
"""What ended and who was refused: /events, the log, and connections by peer."""

import os
import time

import pytest

from harness import exchange, hold, receive_to_end, reset, seconds, wait_until
from harness.clients import fill
from harness.namespaces import own_network

LIMITED = [
    {"name": "echo", "address": "tcp://127.0.0.1:0", "connections": 1},
    {"name": "free", "address": "tcp://127.0.0.1:0"},
]


def events(daemon, query=""):
    return daemon.control.document("/events" + query)["events"]


def refuse(daemon, name="echo"):
    """One client more than the limit allows; returns its address once it has seen the end."""
    sock = daemon.connect(name)
    address = "%s:%d" % sock.getsockname()
    assert receive_to_end(sock) == b""
    return address


@pytest.fixture
def crowded(launch):
    """A listener that has all the clients it may have, and one that was refused."""
    daemon = launch(listeners=LIMITED, log={"connections": "errors"})
    daemon.first = daemon.connect()
    exchange(daemon.first)
    daemon.refused = refuse(daemon)
    return daemon


def test_nothing_happened_yet(launch):
    document = launch().control.document("/events")
    assert document["events"] == []
    assert document["matched"] == 0


def test_an_end_has_what_is_known_of_it(launch):
    daemon = launch()
    sock = daemon.connect()
    peer = "%s:%d" % sock.getsockname()
    exchange(sock, b"x" * 1234)
    sock.close()
    daemon.wait_connections(0)
    (event,) = events(daemon)
    assert event["kind"] == "closed"
    assert (event["listener"], event["peer"], event["reason"]) == ("echo", peer, "client_fin")
    assert (event["bytes_in"], event["bytes_out"], event["connection"]) == (1234, 1234, 1)
    assert 0 <= event["duration_seconds"] < seconds(5)
    moment = time.strptime(event["time"][:19], "%Y-%m-%dT%H:%M:%S")
    assert abs(time.mktime(moment) - time.timezone - time.time()) < seconds(5)


def test_a_refusal_has_peer_and_reason(crowded):
    (event,) = events(crowded)
    assert event["kind"] == "refused"
    assert (event["peer"], event["reason"]) == (crowded.refused, "listener_limit")
    assert event["connection"] is None


def test_a_refused_unix_client_has_its_user(launch, tmp_path):
    path = tmp_path / "echo.sock"
    daemon = launch(
        listeners=[{"name": "echo", "address": f"unix:{path}", "connections": 1}],
        log={"connections": "all"},
    )
    exchange(daemon.connect())
    with daemon.connect() as sock:
        assert receive_to_end(sock) == b""
    (event,) = events(daemon)
    assert event["peer"] == f"unix:pid={os.getpid()},uid={os.getuid()}"
    daemon.log.wait_for("connection refused", reason="listener_limit", peer=event["peer"])


def test_filters(crowded):
    for _ in range(3):
        crowded.serve_one("free")
    crowded.wait_connections(1)
    assert len(events(crowded)) == 4
    assert [e["kind"] for e in events(crowded, "?kind=refused")] == ["refused"]
    assert len(events(crowded, "?kind=closed")) == 3
    assert len(events(crowded, "?listener=free")) == 3
    assert len(events(crowded, "?reason=client_fin&limit=2")) == 2
    assert events(crowded, "?peer=192.0.2.0/24") == []
    assert len(events(crowded, "?peer=127.0.0.0/8")) == 4
    assert events(crowded, "?limit=0") == []
    assert crowded.control.get("/events?listener=nobody").status == 404
    assert crowded.control.get("/events?reason=client_fon").status == 400


def test_newest_first_over_all_workers(launch):
    daemon = launch(workers=3)
    for _ in range(30):
        daemon.serve_one()
    daemon.wait_connections(0)
    ids = [event["id"] for event in events(daemon)]
    assert len(ids) == 30
    assert ids == sorted(ids, reverse=True)


def test_follower_misses_none(launch):
    """However it asks, each event comes once."""
    daemon = launch(workers=2)
    seen, since = [], 0
    for round_ in range(20):
        for _ in range(round_ % 4):
            daemon.serve_one()
        document = daemon.control.document(f"/events?since={since}&limit=1000")
        seen += [event["connection"] for event in document["events"]]
        since = document["next"]
    daemon.wait_connections(0)
    document = daemon.control.document(f"/events?since={since}&limit=1000")
    seen += [event["connection"] for event in document["events"]]
    assert sorted(seen) == list(range(1, 31))


def test_a_flood_of_refusals_leaves_the_ends(crowded):
    crowded.serve_one("free")
    crowded.wait_connections(1)
    for _ in range(1100):
        with crowded.connect() as sock:
            assert receive_to_end(sock) == b""
        crowded.clients.remove(sock)
    assert len(events(crowded, "?limit=1000")) == 1000
    assert len(events(crowded, "?kind=closed")) == 1


# the log


def test_refusals_are_in_the_log(crowded):
    line = crowded.log.wait_for("connection refused")[0]
    assert line["level"] == "info"
    assert (line["listener"], line["peer"]) == ("echo", crowded.refused)
    assert line["reason"] == "listener_limit"


@pytest.mark.parametrize("mode, lines", [("off", 0), ("errors", 1), ("close", 0), ("all", 1)])
def test_refusals_are_logged_where_asked(launch, mode, lines):
    daemon = launch(listeners=LIMITED, log={"connections": mode})
    exchange(daemon.connect())
    refuse(daemon)
    daemon.log.wait_for("is reached")
    daemon.process.terminate()
    assert daemon.wait_exit() == 0
    assert len(daemon.log.find("connection refused")) == lines


def test_refusals_are_held_back_by_the_rate_limit(launch):
    daemon = launch(listeners=LIMITED, log={"connections": "errors", "rate_limit": 5})
    exchange(daemon.connect())
    for _ in range(60):
        refuse(daemon)
    wait_until(lambda: daemon.control.totals()["log_suppressed"] > 0, 10, "some are held back")
    assert len(daemon.log.find("connection refused")) < 60


@pytest.mark.parametrize("whose", ["listener", "all"])
def test_an_episode_has_an_end(launch, whose):
    """It ends when the limit is free again, though nobody comes any more."""
    keys = {"limits": {"connections": 1}} if whose == "all" else {"listeners": LIMITED}
    daemon = launch(**keys)
    first = daemon.connect()
    exchange(first)
    for _ in range(6):
        refuse(daemon)
    begin = daemon.log.wait_for("is reached", level="warning")[0]
    assert (begin["limit"], begin["connections"]) == (1, 1)
    assert begin.get("listener") == (None if whose == "all" else "echo")
    hold(lambda: not daemon.log.find("is over"), 1.5, "it goes on while the client stays")
    first.close()
    end = daemon.log.wait_for("is over: 6 refused in", level="notice")[0]
    assert end["refused"] == 6
    assert end["duration_ms"] >= 1000
    assert len(daemon.log.find("is reached")) == 1


def test_an_episode_ends_with_the_daemon(crowded):
    crowded.process.terminate()
    assert crowded.wait_exit() == 0
    assert crowded.log.find("is over: 1 refused in")


def test_closed_line_has_what_tcp_knew(launch):
    daemon = launch(log={"connections": "close"})
    daemon.serve_one()
    sock = daemon.connect()
    exchange(sock)
    reset(sock)
    daemon.wait_connections(0)
    lines = [daemon.log.wait_for(reason=reason)[0] for reason in ("client_fin", "client_reset")]
    for line in lines:
        assert 0 < line["rtt_us"] < 1e6
        assert line["retransmits"] == 0


def test_closed_line_of_a_unix_client_has_no_tcp(launch, tmp_path):
    daemon = launch(
        listeners=[{"name": "echo", "address": f"unix:{tmp_path}/echo.sock"}],
        log={"connections": "close"},
    )
    daemon.serve_one()
    assert "rtt_us" not in daemon.log.wait_for(reason="client_fin")[0]


def test_retransmits_are_counted(launch, as_root):
    """The way back of a connection is cut for a while."""
    with own_network() as network:
        daemon = launch(
            {"prefix": network.prefix},
            listeners=[{"name": "echo", "address": "tcp://127.0.0.1:20007"}],
            log={"connections": "close"},
        )
        daemon.control = daemon.local
        with network.entered():
            sock = daemon.connect()
        exchange(sock)
        network.ip("route", "add", "table", "7", "blackhole", "default")
        network.ip("rule", "add", "pref", "1", "lookup", "7")
        network.ip("rule", "add", "pref", "2", "lookup", "local")
        network.ip("rule", "del", "pref", "0")
        sock.sendall(b"late")
        hold(lambda: daemon.control.totals()["sent_bytes"] == 5, 0.7, "nothing comes through")
        network.ip("rule", "del", "pref", "1")
        assert sock.recv(10) == b"late"
        sock.close()
        daemon.wait_connections(0)
        daemon.log.wait_for(reason="client_fin")


def test_a_health_check_that_resets_is_no_error(launch):
    """It has seen all of its echo; one that is still owed some is one."""
    daemon = launch(log={"connections": "errors"})
    for _ in range(3):
        sock = daemon.connect()
        exchange(sock)
        reset(sock)
    daemon.wait_connections(0)
    assert daemon.control.closed("client_reset") == 3
    sock = daemon.connect_narrow()
    fill(sock, 64 << 20)
    peer = "%s:%d" % sock.getsockname()
    reset(sock)
    daemon.wait_connections(0)
    daemon.log.wait_for("connection closed", reason="client_reset", peer=peer)
    assert len(daemon.log.find("connection closed")) == 1


# by peer


def test_connections_by_peer(launch, tmp_path):
    daemon = launch(
        listeners=[
            {"name": "echo", "address": "tcp://*:0"},
            {"name": "unix", "address": f"unix:{tmp_path}/echo.sock"},
        ]
    )
    port = int(daemon.addresses["echo"].rpartition(":")[2])
    daemon.addresses["echo"] = f"tcp://127.0.0.1:{port}"
    for source, count in (("127.0.0.1", 2), ("127.0.0.2", 1), ("127.1.0.1", 4)):
        for _ in range(count):
            sock, address = daemon.open_socket()
            sock.bind((source, 0))
            sock.connect(address)
            exchange(sock, b"12345")
    exchange(daemon.connect("unix"), b"123")
    daemon.settled()

    def peers(query):
        document = daemon.control.document("/connections?" + query)
        assert document["total"] == 8 and document["ungrouped"] == 0
        return [(row["peer"], row["connections"], row["bytes_in"]) for row in document["peers"]]

    user = (f"uid {os.getuid()}", 1, 3)
    assert peers("group=address&peer=127.0.0.0/8") == [
        ("127.1.0.1", 4, 20),
        ("127.0.0.1", 2, 10),
        ("127.0.0.2", 1, 5),
    ]
    assert peers("group=prefix&peer=127.0.0.0/8") == [("127.1.0.0/24", 4, 20), ("127.0.0.0/24", 3, 15)]
    assert peers("group=prefix&ipv4_prefix=8&sort=bytes_in") == [("127.0.0.0/8", 7, 35), user]
    assert peers("group=address&listener=unix") == [user]
    assert peers("group=address&limit=1&offset=1") == [("127.0.0.1", 2, 10)]
    assert peers("group=address&order=asc&limit=1&sort=bytes_in") == [user]
