# SPDX-License-Identifier: BSD-2-Clause
"""Peaks since the start, and the last hour in steps."""

import datetime
import socket
import time

from harness import KIB, exchange, network, pause, seconds, wait_until
from harness.process import standing_still

SERIES = (
    "connections accepted rejected closed received_bytes sent_bytes datagrams_received"
    " datagrams_sent datagrams_dropped"
).split()
STEP = 10
TWO = [
    {"name": "echo", "address": "tcp://127.0.0.1:0"},
    {"name": "other", "address": "tcp://127.0.0.1:0"},
]


def peaks(daemon, name=None):
    stats = daemon.control.stats()
    if name is None:
        return stats["totals"]["peaks"]
    return next(row["peaks"] for row in stats["listeners"] if row["name"] == name)


def history(daemon):
    return daemon.control.get("/history").json


def test_most_connections_are_those_of_one_moment(launch):
    daemon = launch(listeners=TWO)
    first = [daemon.connect() for _ in range(5)]
    daemon.wait_connections(5)
    for sock in first:
        sock.close()
    daemon.wait_connections(0)
    for sock in [daemon.connect("other") for _ in range(3)]:
        exchange(sock)
    assert peaks(daemon)["connections"] == 5
    assert peaks(daemon, "echo")["connections"] == 5
    assert peaks(daemon, "other")["connections"] == 3


def test_a_burst_between_two_samples_is_in_the_peak(launch):
    daemon = launch()
    socks = [daemon.connect() for _ in range(40)]
    # all are accepted before the first is closed
    for sock in socks:
        exchange(sock)
    for sock in socks:
        sock.close()
    assert peaks(daemon)["connections"] == 40


def test_rates_have_their_peaks(launch):
    daemon = launch(listeners=TWO)
    started = time.monotonic()
    daemon.serve_one("other")
    for _ in range(20):
        with daemon.connect() as sock:
            exchange(sock, bytes(10 * KIB))
    took = time.monotonic() - started
    wait_until(lambda: peaks(daemon, "other")["sent_bytes_per_second"] > 0, 5, "a sample")
    wait_until(lambda: peaks(daemon)["accepts_per_second"] > 0, 5, "a sample")
    # the last of the samples that the traffic was in
    pause(seconds(1.5), "a sample of what came last")
    for row in peaks(daemon), peaks(daemon, "echo"):
        # at least what came on average, at most all of it in the shortest interval
        least = 1 / (took + 2)
        assert 20 * least <= row["accepts_per_second"] <= 21 / 0.9 + 1
        for key in "received_bytes_per_second", "sent_bytes_per_second":
            assert 200 * KIB * least <= row[key] <= 200.1 * KIB / 0.9
    assert peaks(daemon, "other")["received_bytes_per_second"] <= 6


def test_a_reload_leaves_the_peaks(launch):
    daemon = launch()
    daemon.serve_one()
    daemon.configure({**daemon.config, "limits": {"connections": 77}})
    assert daemon.local.post("/reload").status == 200
    assert peaks(daemon)["connections"] == 1


def test_the_limit_of_a_listener_is_beside_its_peak(launch):
    daemon = launch(listeners=[{**TWO[0], "connections": 7}, TWO[1]])
    limits = {row["name"]: row["connections_limit"] for row in daemon.control.stats()["listeners"]}
    assert limits == {"echo": 7, "other": 0}


def test_metrics_have_the_peaks(launch):
    daemon = launch(listeners=TWO)
    for sock in [daemon.connect(name) for name in ("echo", "echo", "other")]:
        exchange(sock)
    metrics = daemon.control.metrics()
    assert metrics[("echod_listener_peak_connections", (("listener", "echo"),))] == 2
    assert metrics[("echod_listener_peak_connections", (("listener", "other"),))] == 1
    assert metrics[("echod_peak_connections", ())] == 3
    for rate in "accepts", "received_bytes", "sent_bytes":
        assert {
            f"echod_peak_{rate}_per_second",
            f"echod_listener_peak_{rate}_per_second",
        } <= metrics.names()


def test_history_is_empty_before_its_first_step(launch):
    daemon = launch()
    answer = history(daemon)
    assert answer["step_seconds"] == STEP
    assert list(answer["series"]) == SERIES
    assert all(values == [] for values in answer["series"].values())


def wait_steps(daemon, count):
    def enough():
        return len(history(daemon)["series"]["accepted"]) >= count

    # a step takes as long in every build
    wait_until(enough, count * STEP + 5, f"{count} steps")
    return history(daemon)


def test_a_step_has_what_was_in_it(launch):
    daemon = launch(
        listeners=[
            {**TWO[0], "connections": 3},
            {"name": "u", "address": "udp://127.0.0.1:0", "min_source_port": 65535},
        ]
    )
    socks = [daemon.connect() for _ in range(3)]
    for sock in socks:
        exchange(sock, bytes(100))
    with daemon.connect() as sock:
        assert sock.recv(1) == b""
    socks.pop().close()
    # one that min_source_port does not let through
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(bytes(7), network.parse_address(daemon.addresses["u"])[1])
    answer = wait_steps(daemon, 1)
    step = {key: values[0] for key, values in answer["series"].items()}
    assert step == {
        "connections": 3,
        "accepted": 3,
        "rejected": 1,
        "closed": 1,
        "received_bytes": 307,
        "sent_bytes": 300,
        "datagrams_received": 1,
        "datagrams_sent": 0,
        "datagrams_dropped": 1,
    }
    end = datetime.datetime.fromisoformat(answer["end"].replace("Z", "+00:00")).timestamp()
    assert time.time() - STEP - seconds(2) < end <= time.time() + 0.1
    # the next step begins with those that are open
    exchange(socks[0], bytes(50))
    series = wait_steps(daemon, 2)["series"]
    assert (series["connections"][1], series["received_bytes"][1]) == (2, 50)
    assert {len(values) for values in series.values()} == {2}


def test_what_nobody_sampled_is_null(launch):
    daemon = launch()
    with standing_still(daemon.pid):
        pause(STEP + 2.5, "the daemon misses the end of its first step")
    series = wait_steps(daemon, 2)["series"]
    assert {values[0] for values in series.values()} == {None}
    assert None not in {values[1] for values in series.values()}
