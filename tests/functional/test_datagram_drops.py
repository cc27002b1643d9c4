# SPDX-License-Identifier: BSD-2-Clause
"""What the log says of datagrams that are dropped."""

import re

import pytest

from harness import hold, wait_until
from harness.datagrams import client_of, udp_listener

DROPPED = "datagrams dropped in"


def flood(daemon, *clients):
    """Send until the log says something about it; returns that record."""

    def told():
        for client in clients:
            for _ in range(50):
                client.send()
        return daemon.log.find(DROPPED)

    wait_until(told, 10, "a line about the drops")
    return daemon.log.find(DROPPED)[0]


def test_a_flood_over_the_rate_is_told_within_ten_seconds(launch):
    slow = udp_listener(name="u", rate_per_source=10, burst_per_source=10)
    daemon = launch(listeners=[slow])
    record = flood(daemon, client_of(daemon, "u"))
    assert (record["level"], record["listener"]) == ("warning", "u")
    assert record["reason"] == "source_rate"
    assert record["message"] == (
        f"u: {record['dropped']} datagrams dropped in {record['seconds']} s, "
        f"{record['dropped']} of them source_rate"
    )
    assert 10 <= record["dropped"] <= record["received"]
    samples = daemon.control.metrics()
    dropped = samples.value("echod_datagrams_dropped_total", listener="u", reason="source_rate")
    assert dropped >= record["dropped"]


def test_the_reasons_are_named_with_the_most_frequent_first(launch):
    slow = udp_listener(name="u", rate_per_source=10, burst_per_source=10, deny=["127.0.0.9"])
    daemon = launch(listeners=[slow])
    denied = client_of(daemon, "u", source="127.0.0.9")
    record = flood(daemon, denied, denied, client_of(daemon, "u"))
    shares = re.findall(r", (\d+)(?: of them)? (\w+)", record["message"])
    assert [reason for _, reason in shares] == ["denied", "source_rate"]
    assert sum(int(count) for count, _ in shares) == record["dropped"]
    assert record["reason"] == "denied"


@pytest.mark.parametrize("keys", [{"deny": ["127.0.0.0/8"]}, {"allow": ["192.0.2.1"]}])
def test_what_an_operator_ordered_is_no_warning(launch, keys):
    daemon = launch(listeners=[udp_listener(name="u", **keys)])
    client = client_of(daemon, "u")

    def silent():
        for _ in range(20):
            client.send()
        return not daemon.log.find(DROPPED)

    hold(silent, 7)


def test_echoes_and_a_stray_are_no_warning(launch):
    daemon = launch(listeners=[udp_listener(name="u", deny=[], min_source_port=20000)])
    stray, client = (client_of(daemon, "u", source=("127.0.0.9", port)) for port in (1999, 0))
    stray.send()

    def silent():
        client.exchange()
        return not daemon.log.find(DROPPED)

    hold(silent, 7)
