# SPDX-License-Identifier: BSD-2-Clause
"""Trouble at the door has an end in the log; what is no trouble is not there; peers counted."""

import os
import resource
import socket

import pytest

from harness import exchange, reset, wait_until


def log_ends(daemon, text):
    """The line that ends an episode."""
    daemon.log.wait_for(text, level="notice", deadline=10)
    (line,) = daemon.log.find(text)
    return line


def test_lack_of_descriptors_has_an_end(launch):
    daemon = launch()
    daemon.warm_up()
    _, most = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)
    last = max(int(name) for name in os.listdir(f"/proc/{daemon.pid}/fd"))
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (last + 1, most))
    clients = [daemon.connect() for _ in range(last + 1)]
    daemon.log.wait_for("cannot accept connections", level="warning", listener="echo")
    wait_until(lambda: daemon.control.rejected() > 0, 10, "they are turned away")
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (most, most))
    for sock in clients:
        sock.close()
    line = log_ends(daemon, "lack of descriptors or memory is over")
    assert line["refused"] == daemon.control.rejected() > 0


@pytest.mark.parametrize("end", ["accepts connections again", "is closed"])
def test_a_failing_listener_has_an_end(launch, faults, end):
    daemon = launch(faults.options)
    port = int(daemon.addresses["echo"].rpartition(":")[2])
    faults.set("accept4", "EPERM", port=port)
    with daemon.connect():
        daemon.log.wait_for("listener echo cannot accept", level="warning", listener="echo")
        if end == "is closed":
            daemon.local.post("/stop")
            daemon.wait_exit()
        else:
            faults.clear()
        line = log_ends(daemon, f"listener echo {end}, after ")
    assert line["errors"] >= 16 and line["listener"] == "echo"


def test_a_health_check_whose_kernel_acknowledges_late_is_no_error(launch):
    daemon = launch(log={"connections": "errors"})
    for _ in range(20):
        with daemon.connect() as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
            exchange(sock)
            reset(sock)
    wait_until(lambda: daemon.control.closed("client_reset") == 20, 5, "all are reset")
    assert daemon.log.find("connection closed") == []


def test_a_reset_that_loses_echo_is_an_error(launch):
    daemon = launch(log={"connections": "errors"})
    sock = daemon.connect_narrow()
    daemon.queue_some(sock)
    reset(sock)
    daemon.log.wait_for("connection closed", reason="client_reset")


@pytest.mark.parametrize(
    ("query", "peers"),
    [
        ("", {"127.0.0.0/24": 2, "127.0.1.0/24": 1}),
        ("&ipv4_prefix=0", {"0.0.0.0/0": 3}),
        ("&ipv4_prefix=31", {"127.0.0.2/31": 2, "127.0.1.2/31": 1}),
        ("&peer=127.0.1.0/24", {"127.0.1.0/24": 1}),
        ("&limit=1&offset=1", {"127.0.1.0/24": 1}),
        ("&order=asc&limit=1", {"127.0.1.0/24": 1}),
        ("&sort=bytes_in&limit=1", {"127.0.1.0/24": 1}),
        ("&state=lingering", {}),
    ],
)
def test_connections_are_counted_by_network(launch, query, peers):
    daemon = launch()
    for host in ("127.0.0.2", "127.0.0.3", "127.0.1.3"):
        sock, address = daemon.open_socket()
        sock.bind((host, 0))
        sock.connect(address)
        exchange(sock)
    exchange(sock, b"x" * 1000)
    rows = daemon.settled().document("/connections?group=prefix" + query)["peers"]
    assert {row["peer"]: row["connections"] for row in rows} == peers
