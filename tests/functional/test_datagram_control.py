# SPDX-License-Identifier: BSD-2-Clause
"""What is told about datagrams: /stats, /metrics, and /sources with who sends them."""

import subprocess

import pytest

from harness import abstract_name, pattern, seconds
from harness.datagrams import client_of, datagram_figures, udp_listener, wait_counted
from harness.needs import need
from test_metrics import moved, sample

REASONS = set(
    """
    source_port own_port reflector_port source_multicast source_broadcast source_subnet_broadcast
    source_unspecified source_mapped destination denied not_allowed source_rate total_rate budget truncated unnamed
    send_full send_refused send_unreachable send_error
    """.split()
)

ECHO = udp_listener()
OTHER = udp_listener("udp://*:0", name="other", deny=["127.0.0.3/32"])


# Counters


def changed(before, daemon):
    """What moved, but for how long something took."""
    changes = moved(before, daemon.settled().metrics())
    return {key: count for key, count in changes.items() if "_seconds" not in key[0]}


def test_families_and_reasons_are_there_from_the_start(launch):
    metrics = launch(listeners=[ECHO]).control.metrics()
    for name in ("received", "sent", "dropped"):
        assert f"echod_datagrams_{name}_total" in metrics.names()
    reasons = [
        dict(labels)["reason"]
        for name, labels in metrics
        if name == "echod_datagrams_dropped_total"
    ]
    assert set(reasons) == REASONS
    assert metrics.value("echod_datagrams_dropped_total") == 0
    errors = {
        dict(labels)["errno"]
        for name, labels in metrics
        if name == "echod_datagram_receive_errors_total"
    }
    assert errors == set(
        "ECONNREFUSED EINVAL EIO ENOBUFS ENOMEM ENOSPC EPERM ESHUTDOWN other".split()
    )


def test_known_traffic_moves_these_and_no_others(launch):
    daemon = launch(listeners=[ECHO, OTHER])
    one, two = client_of(daemon), client_of(daemon, "other", host="::1")
    before = daemon.control.metrics()
    for number in range(10):
        one.exchange(bytes(1000 + number))
    for _ in range(3):
        two.exchange(bytes(7))
    wait_counted(daemon, 10)
    wait_counted(daemon, 3, "other")
    assert changed(before, daemon) == {
        sample("echod_datagrams_received_total", listener="echo"): 10,
        sample("echod_datagrams_sent_total", listener="echo"): 10,
        sample("echod_received_bytes_total", listener="echo"): 10045,
        sample("echod_sent_bytes_total", listener="echo"): 10045,
        sample("echod_datagrams_received_total", listener="other"): 3,
        sample("echod_datagrams_sent_total", listener="other"): 3,
        sample("echod_received_bytes_total", listener="other"): 21,
        sample("echod_sent_bytes_total", listener="other"): 21,
    }


def test_drop_moves_its_reason_and_no_other(launch):
    daemon = launch(listeners=[ECHO, OTHER])
    client = client_of(daemon, "other", host="127.0.0.1", source="127.0.0.3")
    before = daemon.control.metrics()
    for _ in range(4):
        client.send()
    wait_counted(daemon, 4, "other")
    changes = changed(before, daemon)
    # Whether bytes that were not echoed count as received is not what this is about.
    changes.pop(sample("echod_received_bytes_total", listener="other"), None)
    assert changes == {
        sample("echod_datagrams_received_total", listener="other"): 4,
        sample("echod_datagrams_dropped_total", listener="other", reason="denied"): 4,
    }


def test_metrics_and_stats_agree(launch):
    local = {"name": "local", "address": f"unixgram:@{abstract_name()}"}
    daemon = launch(listeners=[ECHO, OTHER, local, {"name": "tcp", "address": "tcp://127.0.0.1:0"}])
    counts = {"echo": 3, "other": 4, "local": 5}
    for name, count in counts.items():
        for number in range(count):
            client_of(daemon, name).exchange(bytes(50 + number))
    for _ in range(2):
        client_of(daemon, "other", host="127.0.0.1", source="127.0.0.3").send()
    assert wait_counted(daemon, 6, "other") == (4, {"denied": 2})
    assert daemon.is_served("tcp")
    metrics = daemon.settled().metrics()
    for name, count in counts.items():
        row = daemon.control.listener(name)
        received, sent, dropped = datagram_figures(daemon, name)
        assert sent == count
        assert received == sent + sum(dropped.values())
        for key, number in [("datagrams_received", received), ("datagrams_sent", sent)]:
            assert metrics.value(f"echod_{key}_total", listener=name) == number
        for reason in REASONS:
            assert metrics.value(
                "echod_datagrams_dropped_total", listener=name, reason=reason
            ) == dropped.get(reason, 0)
        for key in ("received_bytes", "sent_bytes"):
            assert metrics.value(f"echod_{key}_total", listener=name) == row[key]
        assert row["sent_bytes"] == sum(50 + number for number in range(count))
    assert metrics.value("echod_datagrams_received_total", listener="tcp") == 0


def test_promtool_has_nothing_to_say(launch):
    tool = need("PROMTOOL")
    daemon = launch(listeners=[ECHO, OTHER, {"name": "tcp", "address": "tcp://127.0.0.1:0"}])
    client_of(daemon).exchange()
    result = subprocess.run(
        [tool, "check", "metrics"],
        input=daemon.control.get("/metrics").text,
        capture_output=True,
        text=True,
        timeout=seconds(30),
        check=False,
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


# Sources


def sources(daemon, query=""):
    return daemon.control.document("/sources" + query)["sources"]


def test_no_sources_at_first(launch):
    assert sources(launch(listeners=[ECHO])) == []


def test_sources_with_what_they_sent(launch):
    daemon = launch(listeners=[dict(OTHER, rate_per_source=1, burst_per_source=10)])
    one, six = client_of(daemon, "other", host="127.0.0.1"), client_of(daemon, "other", host="::1")
    for number in range(3):
        six.exchange(pattern(number, 10))
    for _ in range(30):
        one.send()
    echoed, dropped = wait_counted(daemon, 33, "other")
    rows = sources(daemon)
    assert {row["listener"] for row in rows} == {"other"}
    assert [(row["source"], row["echoed"], row["dropped"]) for row in rows] == [
        ("127.0.0.1/32", echoed - 3, dropped["source_rate"]),
        ("::/64", 3, 0),
    ]
    assert all(0 <= row["idle_seconds"] < seconds(10) for row in rows)


def test_idle_time_grows_and_ends(launch):
    daemon = launch(listeners=[ECHO])
    client = client_of(daemon)
    client.exchange()
    first = sources(daemon)[0]["idle_seconds"]
    second = sources(daemon)[0]["idle_seconds"]
    while second < first + 0.3:
        last, second = second, sources(daemon)[0]["idle_seconds"]
        assert second >= last
    client.exchange()
    wait_counted(daemon, 2)
    assert sources(daemon)[0]["idle_seconds"] < second


@pytest.fixture
def busy(launch):
    """127.0.0.N has sent N datagrams, to two listeners."""
    daemon = launch(listeners=[ECHO, OTHER, {**OTHER, "name": "idle"}])
    for number in (5, 12, 1, 9, 4):
        client = client_of(daemon, source=f"127.0.0.{number}")
        for _ in range(number):
            client.exchange()
    for number in (10, 2):
        client = client_of(daemon, "other", host="127.0.0.1", source=f"127.0.0.{number}")
        for _ in range(number):
            client.exchange()
    wait_counted(daemon, 31)
    wait_counted(daemon, 12, "other")
    return daemon


@pytest.mark.parametrize(
    "query, expected",
    [
        ("", [12, 10, 9, 5, 4, 2, 1]),
        ("?limit=3", [12, 10, 9]),
        ("?limit=1", [12]),
        ("?limit=1000", [12, 10, 9, 5, 4, 2, 1]),
        ("?listener=echo", [12, 9, 5, 4, 1]),
        ("?listener=other", [10, 2]),
        ("?listener=echo&limit=2", [12, 9]),
        ("?listener=idle", []),
    ],
)
def test_busiest_sources_first(busy, query, expected):
    rows = sources(busy, query)
    assert [row["source"] for row in rows] == [f"127.0.0.{number}/32" for number in expected]
    assert [row["echoed"] for row in rows] == expected
    assert all(row["listener"] == ("other" if row["echoed"] in (2, 10) else "echo") for row in rows)


def test_a_hundred_sources_unless_asked_for_more(launch):
    daemon = launch(listeners=[ECHO])
    for number in range(1, 151):
        client_of(daemon, source=f"127.0.1.{number}").exchange()
    wait_counted(daemon, 150)
    assert len(sources(daemon)) == 100
    rows = sources(daemon, "?limit=1000")
    assert len(rows) == 150
    assert {row["source"] for row in rows} == {f"127.0.1.{number}/32" for number in range(1, 151)}


@pytest.mark.parametrize("limit", ["x", "-1", "1001", "", "1.5", "99999999999999999999"])
def test_bad_limit_is_refused(launch, limit):
    daemon = launch(listeners=[ECHO])
    reply = daemon.control.get(f"/sources?limit={limit}")
    assert reply.status == 400
    assert "limit" in reply.json["error"]


def test_unknown_parameter_is_refused(launch):
    reply = launch(listeners=[ECHO]).control.get("/sources?sort=age")
    assert reply.status == 400
    assert "sort" in reply.json["error"]


def test_sources_without_a_datagram_listener(launch):
    assert sources(launch()) == []


def test_sources_over_the_unix_socket(busy):
    assert [row["echoed"] for row in busy.local.document("/sources?limit=2")["sources"]] == [12, 10]


def test_unix_clients_are_no_sources(launch):
    """They have no address: there is nothing to tell them apart by."""
    daemon = launch(listeners=[{"name": "echo", "address": f"unixgram:@{abstract_name()}"}])
    client_of(daemon).exchange()
    wait_counted(daemon, 1)
    assert sources(daemon) == []
