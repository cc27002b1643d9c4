# SPDX-License-Identifier: BSD-2-Clause
"""Names of listeners that a reload has removed: how long they are listed, and what they count."""

import socket

from harness import KIB, SANITIZED, exchange, free_port, settings, wait_until
from harness.datagrams import client_of, udp_listener

HOUR = 3600


def listener(name):
    return {"name": name, "address": "tcp://127.0.0.1:0", "idle_timeout": "0s"}


def reload(daemon, *names):
    daemon.configure({"listeners": [listener(name) for name in names]})
    assert daemon.local.post("/reload").status == 200


def listed(daemon):
    """The names in /stats, which are those in /metrics."""
    names = {row["name"] for row in daemon.control.stats()["listeners"]}
    labels = [dict(labels) for _, labels in daemon.control.metrics()]
    assert {label["listener"] for label in labels if "listener" in label} == names
    return names


def wait_listed(daemon, *names):
    wait_until(lambda: listed(daemon) == set(names), 10, f"{names} are listed")


def accepted(daemon, name):
    return daemon.control.metrics().value("echod_connections_accepted_total", listener=name)


def pass_time(daemon, faults, duration):
    """Once the daemon has looked at what is there, let its clock go on by so many seconds."""
    loop = {"name": "echod_event_loop_lag_seconds_count", "loop": "main"}
    seen = daemon.control.metrics().value(**loop)
    wait_until(lambda: daemon.control.metrics().value(**loop) > seen + 16, 20, "two looks")
    faults.set("monotonic", value=duration)


def test_a_removed_name_is_listed_for_an_hour(launch, faults):
    daemon = launch(faults.options, listeners=[listener("echo"), listener("old")])
    exchange(daemon.connect("old"))
    daemon.close_clients()
    daemon.wait_connections(0)
    before = daemon.control.totals()
    reload(daemon, "echo")
    pass_time(daemon, faults, HOUR - 60)
    assert listed(daemon) == {"echo", "old"}
    faults.set("monotonic", value=HOUR + 60)
    wait_listed(daemon, "echo")
    after = daemon.control.totals()
    for key in ("connections_accepted", "received_bytes", "sent_bytes"):
        assert after[key] == before[key]


def test_a_name_that_comes_back_counts_on(launch, faults):
    daemon = launch(faults.options, listeners=[listener("echo"), listener("old")])
    exchange(daemon.connect("old"))
    reload(daemon, "echo")
    reload(daemon, "echo", "old")
    assert accepted(daemon, "old") == 1
    daemon.close_clients()
    daemon.wait_connections(0)
    reload(daemon, "echo")
    pass_time(daemon, faults, HOUR + 60)
    wait_listed(daemon, "echo")
    reload(daemon, "echo", "old")
    assert listed(daemon) == {"echo", "old"}
    assert accepted(daemon, "old") == 1
    reload(daemon, "echo")
    assert listed(daemon) == {"echo", "old"}


def test_a_name_with_connections_stays(launch, faults):
    daemon = launch(faults.options, listeners=[listener("echo"), listener("old")])
    client = daemon.connect("old")
    exchange(client)
    reload(daemon, "echo")
    pass_time(daemon, faults, HOUR + 60)
    exchange(client)
    assert listed(daemon) == {"echo", "old"}


def test_many_renames_leave_metrics_as_they_were(launch, faults):
    daemon = launch(faults.options, listeners=[listener("echo")])
    exchange(daemon.connect())
    size = len(daemon.control.get("/metrics").body)
    for number in range(300):
        reload(daemon, f"name{number}")
    assert len(listed(daemon)) == 301
    daemon.close_clients()
    daemon.wait_connections(0)
    pass_time(daemon, faults, HOUR + 60)
    wait_listed(daemon, "name299")
    assert len(daemon.control.get("/metrics").body) < 1.1 * size


def test_a_name_that_is_gone_keeps_no_configuration_in_memory(launch):
    """A few kilobytes of counters stay, not the other listeners of each file that had it."""
    others = [listener(f"other{number}") for number in range(60)]
    stream = {"address": f"tcp://127.0.0.1:{free_port()}", "idle_timeout": "0s"}
    datagram = udp_listener(f"udp://127.0.0.1:{free_port(kind=socket.SOCK_DGRAM)}")
    daemon = launch(listeners=[*others, {**stream, "name": "echo"}])
    daemon.addresses["udp"] = datagram["address"]
    daemon.more_descriptors += 1

    def rename(number):
        rows = [{**stream, "name": f"echo{number}"}, {**datagram, "name": f"udp{number}"}]
        daemon.configure(settings(listeners=[*others, *rows]))
        assert daemon.local.post("/reload").status == 200

    clients = []
    before = 0
    for number in range(150):
        rename(number)
        if number == 20:
            before = daemon.resident()
        if number % 25 == 0:
            clients.append(daemon.connect())
            client_of(daemon, "udp").exchange()
        for client in clients:
            exchange(client)
    if not SANITIZED:  # which keeps what is freed
        assert daemon.resident() - before < 130 * 30 * KIB
    rename(0)
    for client in clients:
        exchange(client)
    client_of(daemon, "udp").exchange()
    assert accepted(daemon, "echo0") == 1
